# SPDX-License-Identifier: MIT
"""Truth: programs that speak NVTX or ITT, and know nothing of stax, are spans on lanes.

They look at their clock around each call: what stax says of a range lies between, and each range
is there once.
"""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

import place
from fixtures import _ended, _folder, _need_events
from private_server import Account, PrivateServer
from waiting import MS, US, run_start_ns

ROUNDS = 150
PROGRAMS = ["nvtx_ranges", "nvtx_ranges_headers", "itt_ranges"]
EXAMPLES = place.SOURCE / "examples" / "python"
INJECT = place.BUILD / "src" / "inject"
TARGET_LIBRARY = place.BUILD / "src" / "target" / "libstax-target.so.1"
LIBDIRS = ("/usr/lib", "/usr/local/lib", *map(str, Path("/usr/local/lib").glob("*-linux-gnu")),
           *map(str, Path("/usr/lib").glob("*-linux-gnu")))


def spans_of(server):
    return [SimpleNamespace(**row) for row in server.json("target", "spans", "-n", 0)["rows"]]


def path_of(span):
    return *getattr(span, "path", []), span.name


def lane_of(entry):
    """What a range's lane is called: its domain's, or that of its domain and thread."""
    if not entry["lane"].endswith(": "):
        return entry["lane"]
    return entry["lane"] + entry.get("thread", f"thread {entry['tid']}")


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request):
    _need_events(Account())
    if not (place.PROGRAMS / request.param).exists():
        pytest.skip("built without the headers of NVTX")
    with _folder() as folder, _ended(PrivateServer(folder)) as server:
        truth, run = server.truth(request.param, "--rounds", ROUNDS, "--wait", 300,
                                  options=("--spans", "nvtx,itt"))
        yield SimpleNamespace(server=server, name=request.param, truth=truth, run=run,
                              spans=spans_of(server))


def test_each_range_is_there_once(program):
    told = Counter((lane_of(e), (*e["path"], e["name"])) for e in program.truth["ranges"])
    shown = Counter((s.lane, path_of(s)) for s in program.spans)
    assert shown == told
    assert program.run["spans"] == sum(told.values()) > 5 * ROUNDS


def test_times_lie_between_the_programs_own(program, report):
    """Begins and ends count from the run's first instant. That one instant by the program's clock
    must bring them all between the program's looks at it; and it is the one that the run tells."""
    told, shown = {}, {}
    for entry in program.truth["ranges"]:
        told.setdefault((lane_of(entry), (*entry["path"], entry["name"])), []).append(entry)
    for span in program.spans:
        shown.setdefault((span.lane, path_of(span)), []).append(span)
    assert shown.keys() == told.keys()
    earliest, latest = [], []
    for key, entries in told.items():
        pairs = zip(sorted(entries, key=lambda e: e["begin_ns"][0]),
                    sorted(shown[key], key=lambda s: s.start_ns))
        for entry, span in pairs:
            for at_ns, (before_ns, after_ns) in (
                    (span.start_ns, entry["begin_ns"]),
                    (span.start_ns + span.duration_ns, entry["end_ns"])):
                earliest.append(before_ns - at_ns)
                latest.append(after_ns - at_ns)
    assert max(earliest) <= min(latest) + US, (max(earliest) - min(latest), "ns apart")
    assert abs(max(earliest) - run_start_ns(program.run)) < MS
    report(f"dialects: {len(earliest)} times of {program.name} agree with its log within"
           f" {max(max(earliest) - min(latest), 0)} ns")


def test_ranges_begin_where_their_thread_was(program):
    tids = {}
    for entry in program.truth["ranges"]:
        tids.setdefault((lane_of(entry), entry["name"]), set()).add(entry["tid"])
    for span in program.spans:
        assert span.origin["tid"] in tids[(span.lane, span.name)]
    for row in program.server.json("target", "lanes", "-n", 0)["rows"]:
        origins = row["origins"]
        assert origins["missing"] == origins["no_thread"] == origins["wrong_pid"] == 0, row


def test_numbers_come_along(program):
    told = Counter((e["name"], e["payload"]) for e in program.truth["ranges"] if "payload" in e)
    shown = Counter((s.name, c["value"]) for s in program.spans
                    for c in getattr(s, "counters", []))
    assert shown == told and len(told) >= ROUNDS


def test_lanes_count_no_nested_time_twice(program):
    for row in program.server.json("target", "lanes", "-n", 0)["rows"]:
        outermost = [s for s in program.spans
                     if s.lane == row["name"] and not getattr(s, "path", [])]
        assert row["total_ns"] == sum(s.duration_ns for s in outermost), row


def test_a_library_that_speaks_itt_by_itself(stax):
    """oneTBB as it is packaged: its domains, its names for its own work."""
    compiler, program = place.find("g++"), stax.folder / "tbb_flow"
    if compiler is None or not Path("/usr/include/tbb/flow_graph.h").exists():
        pytest.skip("g++ or the headers of oneTBB are not installed")
    subprocess.run([compiler, "-O1", place.SOURCE / "tests" / "programs" / "tbb_flow.cpp", "-o",
                    program, "-ltbb"], check=True)
    out = stax.record("--spans", "itt", "--", program)
    truth, spans = json.loads(out.splitlines()[-1]), spans_of(stax)
    by_name = Counter((s.lane.split(":")[0], s.name) for s in spans)
    assert by_name["tbb.flow", "body"] == truth["bodies"] == 100, by_name
    assert by_name["tbb", "tbb_parallel_for"] == by_name["tbb", "tbb_flow_graph"] == 1, by_name
    assert stax.last_run()["lost"] == 0


def test_without_the_option_nothing_is_loaded(stax):
    _, run = stax.truth("nvtx_ranges", "--rounds", 5)
    assert run["spans"] == 0


@pytest.mark.parametrize("name", ["nvtx_ranges", "itt_ranges"])
def test_a_program_that_runs_already(stax, name):
    """The variables were set by hand: the program has looked for a server by itself."""
    target = stax.popen(stax.program(name), "--rounds", 20, "--wait", 2000,
                        env=dict(stax.env, NVTX_INJECTION64_PATH=str(INJECT / "libstax-nvtx.so"),
                                 INTEL_LIBITTNOTIFY64=str(INJECT / "libstax-itt.so")))
    stax.record("--pid", target.pid)
    out, _ = target.communicate(timeout=20)
    assert stax.last_run()["spans"] == len(json.loads(out.splitlines()[-1])["ranges"])


def test_a_variable_with_a_value_keeps_it(stax):
    echo = 'echo "$NVTX_INJECTION64_PATH $INTEL_LIBITTNOTIFY64"'
    done = stax("record", "--spans", "nvtx,itt", "--", "sh", "-c", echo,
                env=dict(stax.env, NVTX_INJECTION64_PATH="/no/tool.so"))
    nvtx, itt = done.stdout.split()
    assert nvtx == "/no/tool.so" and itt.endswith("/libstax-itt.so")
    assert "NVTX_INJECTION64_PATH is /no/tool.so already: no spans of nvtx" in done.stderr


def test_a_server_that_was_named_is_the_targets_too(stax):
    env = {name: value for name, value in stax.env.items() if name != "STAX_SERVER_SOCKET"}
    truth = stax("record", "--server", stax.socket, "--spans", "nvtx", "--",
                 stax.program("nvtx_ranges"), "--rounds", 5, "--wait", 300, env=env)
    assert truth.returncode == 0
    assert stax.last_run()["spans"] == len(json.loads(truth.stdout.splitlines()[-1])["ranges"])


def test_wrong_uses_are_told(bare):
    for words, said in ((("--spans", "nvtx,cuda", "--", "true"), "nvtx and itt are known"),
                        (("--spans", "nvtx", "--pid", "1"), "needs a command to launch")):
        done = bare("record", *words)
        assert done.returncode == 2 and said in done.stderr


def test_a_missing_library_is_told(bare):
    """A stax that lies alone, where nothing was installed."""
    if any((Path(folder) / "libstax-itt.so").exists() for folder in LIBDIRS):
        pytest.skip("stax is installed here")
    alone = bare.folder / "alone"
    alone.mkdir()
    shutil.copy(place.BUILD / "stax", alone / "stax")
    done = bare.run(alone / "stax", "record", "--spans", "itt", "--", "true")
    assert done.returncode == 125
    assert "libstax-itt.so wasn't found" in done.stderr and "--spans" in done.stderr


def test_python_reports_by_ctypes(stax):
    out = stax.record("--", place.find("python3"), EXAMPLES / "demo.py", 40,
                      env=dict(stax.env, STAX_TARGET_LIBRARY=str(TARGET_LIBRARY),
                               PYTHONDONTWRITEBYTECODE="1"))
    told, run = json.loads(out.splitlines()[-1]), stax.last_run()
    assert told["recorded"] and told["n_dropped_full"] == 0
    assert run["spans"] == told["n_queued"] == 4 * 40 + 1
    rows = {(r["lane"], *r.get("path", []), r["name"]): r
            for r in stax.json("target", "top", "-n", 0)["rows"]}
    assert {key: row["spans"] for key, row in rows.items()} == {
        ("thread pool", "job"): 40, ("thread pool", "job", "hash"): 40,
        ("event loop", "fetch"): 40, ("event loop", "fetch", "parse"): 40,
        ("thread pool", "exact"): 1}
    assert rows["thread pool", "exact"]["total_ns"] == 1_000_000
    kinds = {r["name"]: r["kind"] for r in stax.json("target", "lanes", "-n", 0)["rows"]}
    assert kinds == {"thread pool": "executor", "event loop": "io"}
    # Jobs were queued by the main thread, whoever ran them.
    jobs = [s for s in spans_of(stax) if s.name == "job"]
    assert {s.origin["tid"] for s in jobs} == {run["pid"]}


def test_python_goes_on_without_the_library(bare):
    done = bare.run(place.find("python3"), EXAMPLES / "demo.py", 3,
                    env=dict(bare.env, STAX_TARGET_LIBRARY="/no/library.so",
                             PYTHONDONTWRITEBYTECODE="1"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["recorded"] is False
