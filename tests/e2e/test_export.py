# SPDX-License-Identifier: MIT
"""Files in other tools' formats: read by those tools, and by their rules, they say what stax says."""

import collections
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import export_readers as readers
import place

OWN_SAMPLES = 64  # threads with fewer share their time (src/query/attribution.h)
FILES = ("run.folded", "run.pb.gz", "run.speedscope.json", "run.json", "callgrind.out.run",
         "run.pftrace", "run.svg", "run.html")


@pytest.fixture(scope="module")
def recorded(shared):
    """Run 1: inlined functions and lines; run 2: threads that run and wait. All formats of run 2."""
    shared.truth("inlines", "--seconds", 1)
    shared.truth("shares", "--seconds", 2, "--threads", 2, "--burst-us", 1500)
    for file in FILES:
        shared.ok("export", shared.folder / file)
    shared.top = shared.json("top", "-n", 0)
    shared.threads = shared.json("threads", "-n", 0)
    shared.by_reason = shared.json("off-cpu", "-n", 0, "--by", "reason")
    return shared


def by_name(rows, member):
    sums = {}
    for row in rows:
        sums[row["name"]] = sums.get(row["name"], 0) + row[member]
    return {name: ns for name, ns in sums.items() if ns}


def check(profile, stax, top=None, threads=None, has_waits=True):
    top, threads = top or stax.top, threads or stax.threads
    assert profile.cpu == top["totals"]["cpu_ns"] > 0
    assert {k: v for k, v in profile.self_ns.items() if v} == by_name(top["rows"], "self_active_ns")
    totals = by_name(top["rows"], "total_active_ns")
    # Where a function stands both inlined and not, top has two rows that may share stacks.
    assert all(ns <= totals[name] for name, ns in profile.total_ns.items() if ns)
    for row in threads["rows"]:
        if row["samples"] >= OWN_SAMPLES:
            assert profile.threads[row["tid"]] == row["cpu_ns"]
    if has_waits:
        assert profile.off_cpu == top["totals"]["off_cpu_ns"] > 0
        wanted = {row["reason"]: row["total_ns"] for row in stax.by_reason["rows"]}
        assert dict(profile.reasons) == wanted


# ---- each format by its rules ----

def test_folded(recorded):
    check(readers.folded(recorded.folder / "run.folded"), recorded, has_waits=False)


def test_pprof(recorded):
    profile = readers.pprof(recorded.folder / "run.pb.gz")
    check(profile, recorded)
    assert profile.samples == recorded.top["totals"]["samples"]


def test_speedscope(recorded):
    check(readers.speedscope(recorded.folder / "run.speedscope.json"), recorded)


def test_firefox(recorded):
    profile = readers.firefox(recorded.folder / "run.json")
    check(profile, recorded)
    assert profile.samples == recorded.top["totals"]["samples"]


def test_perfetto(recorded):
    trace = readers.perfetto(recorded.folder / "run.pftrace")
    assert trace.sampled_ns == recorded.top["totals"]["cpu_ns"]
    assert sum(trace.samples.values()) == recorded.top["totals"]["samples"]
    for row in recorded.threads["rows"]:
        assert trace.ran_ns[row["tid"]] == row["cpu_ns"], row
        assert trace.names[row["tid"]] == row["name"]
        # Single waits are as they were recorded; what no wait tells of is in the totals alone.
        assert trace.waited_ns[row["tid"]] == pytest.approx(row["off_cpu_ns"], rel=0.01, abs=2e6)
    own = by_name(recorded.top["rows"], "self_active_ns")
    assert {k: v for k, v in trace.innermost.items() if v} == own


def test_svg(recorded):
    boxes = readers.svg(recorded.folder / "run.svg")
    title, ms, x, y, width = boxes[0]
    assert title == "(all)" and ms == pytest.approx(recorded.top["totals"]["active_ns"] / 1e6)
    for name in ("work_50", "work_30", "work_20"):
        row = next(r for r in recorded.top["rows"] if r["name"] == name)
        found = [box for box in boxes if box[0].startswith(name + " (")]
        assert sum(box[1] for box in found) == pytest.approx(row["total_active_ns"] / 1e6, rel=0.01)
        assert sum(box[4] for box in found) == pytest.approx(width * row["total_pct"] / 100, rel=0.02)
    # Boxes of one row do not overlap.
    for row_y in {box[3] for box in boxes}:
        end = 0
        for box in sorted((b for b in boxes if b[3] == row_y), key=lambda b: b[2]):
            assert box[2] >= end - 0.2
            end = box[2] + box[4]


def test_html_data(recorded):
    data = readers.html(recorded.folder / "run.html")
    totals = recorded.top["totals"]
    assert data["totals"]["cpu_ns"] == totals["cpu_ns"]
    assert sum(row["self"] for row in data["functions"]) == totals["cpu_ns"]
    assert sum(row["cpu"] for row in data["threads"]) == totals["cpu_ns"]
    assert sum(row["ns"] for row in data["waits"]) == totals["off_cpu_ns"]
    assert data["cpu"]["ns"][0] == totals["active_ns"]
    assert data["off"]["ns"][0] == totals["off_cpu_ns"]
    own = {row["name"]: row["self"] for row in data["functions"]}
    assert own["work_50"] == by_name(recorded.top["rows"], "self_active_ns")["work_50"]


# ---- lines and inlined functions ----

@pytest.mark.parametrize("file, read", [("lines.pb.gz", readers.pprof), ("lines.json", readers.firefox)])
def test_lines_and_inlined_functions(recorded, file, read):
    path = recorded.folder / file
    recorded.ok("export", path, "--run", 1)
    top = recorded.json("top", "-n", 0, "--run", 1, "--group", "line")
    inlined = {r["name"] for r in recorded.json("top", "-n", 0, "--run", 1)["rows"] if r["inlined"]}
    profile = read(path)
    hot = [row for row in top["rows"] if row["line"] and row["self_pct"] > 5]
    assert hot and inlined
    lines = {(source, line) for _, source, line in profile.lines}
    for row in hot:
        assert (row["file"], row["line"]) in lines
    assert inlined & {name for name, ns in profile.total_ns.items() if ns}


# ---- the formats' own readers ----

def test_callgrind_annotate(recorded):
    tool = place.find("callgrind_annotate")
    if tool is None:
        pytest.skip("callgrind_annotate (Debian: valgrind) is not installed")
    totals, own = readers.callgrind_annotate(tool, recorded.folder / "callgrind.out.run")
    wanted = recorded.top["totals"]
    assert totals[:3] == [wanted["cpu_ns"], wanted["off_cpu_ns"], wanted["samples"]]
    rows = by_name(recorded.top["rows"], "self_active_ns")
    _, inclusive = readers.callgrind_annotate(tool, recorded.folder / "callgrind.out.run", True)
    for name in ("work_50", "work_30", "work_20"):
        assert own[name] == rows[name]
        assert inclusive[name] > 0
    check_inclusive(inclusive, recorded.top["rows"])


def check_inclusive(inclusive, rows):
    """The totals of top; where it tells a function that is inlined as well in two rows, their union."""
    names = collections.Counter(row["name"] for row in rows)
    for row in rows:
        if names[row["name"]] == 1:
            assert inclusive[row["name"]] == row["total_active_ns"], row
        else:
            assert inclusive[row["name"]] >= row["total_active_ns"], row


WINDING = """main;eval;helper;eval;leaf 100
helper;eval 50
eval;main 7
main;fib;fib;fib 30
main;fib;other;fib;other 11
main;copy;copy_[i] 20
"""


def test_callgrind_annotate_of_recursion(idle):
    """Functions that call themselves and each other, and that are called here and there."""
    tool = place.find("callgrind_annotate")
    if tool is None:
        pytest.skip("callgrind_annotate (Debian: valgrind) is not installed")
    (idle.folder / "winding.folded").write_text(WINDING)
    idle.ok("open", idle.folder / "winding.folded")
    idle.ok("export", idle.folder / "callgrind.out.winding")
    top = idle.json("top", "-n", 0)
    totals, inclusive = readers.callgrind_annotate(tool, idle.folder / "callgrind.out.winding", True)
    assert totals[0] == inclusive["(all)"] == 218_000_000
    check_inclusive(inclusive, top["rows"])
    ms = {name: ns / 1e6 for name, ns in inclusive.items()}
    assert ms == {"(all)": 218, "main": 168, "eval": 157, "helper": 150, "leaf": 100, "fib": 41,
                  "other": 11, "copy": 20}


def test_pprof_tool(recorded):
    go = sorted(Path("/usr/lib").glob("go-*/pkg/tool/*/pprof"))
    if not go:
        pytest.skip("go's pprof (Debian: golang-go) is not installed")
    env = {**os.environ, "HOME": str(recorded.folder)}
    done = subprocess.run([go[-1], "-raw", str(recorded.folder / "run.pb.gz")], env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done
    assert "samples/count cpu/nanoseconds[dflt] waits/count off-cpu/nanoseconds" in done.stdout
    values = [line.split(":")[0].split() for line in done.stdout.splitlines()
              if re.match(r"\s*\d+\s+\d+\s+\d+\s+\d+:", line)]
    assert sum(int(value[1]) for value in values) == recorded.top["totals"]["cpu_ns"]
    assert sum(int(value[3]) for value in values) == recorded.top["totals"]["off_cpu_ns"]


def test_speedscope_schema(recorded):
    jsonschema = pytest.importorskip("jsonschema")
    places = [Path(root) / "speedscope" for root in
              (os.environ.get("STAX_NODE_MODULES", ""), "/usr/lib/node_modules",
               "/usr/local/lib/node_modules") if root]
    found = [schema for folder in places
             for schema in folder.glob("dist/release/file-format-schema.json")]
    if not found:
        pytest.skip("the npm package speedscope, which has the schema, is not installed "
                    "(STAX_NODE_MODULES names where it is)")
    file = json.loads((recorded.folder / "run.speedscope.json").read_text())
    jsonschema.validate(file, json.loads(found[0].read_text()))


def rendered(stax, path, fragment):
    """The page after its script ran, in a browser without a window."""
    browser = place.find("chromium") or place.find("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={stax.folder / 'chromium'}", "--virtual-time-budget=3000",
         "--enable-logging=stderr", "--dump-dom", f"file://{path}#{fragment}"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(stax.folder)})
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def test_html_in_a_browser(recorded):
    path = recorded.folder / "run.html"
    page = rendered(recorded, path, "search=work_50")
    share = next(r["total_pct"] for r in recorded.top["rows"] if r["name"] == "work_50")
    assert float(re.search(r'id="found">([\d.]+) % matched', page)[1]) == pytest.approx(share, abs=0.2)
    assert re.search(r'<canvas id="flame"[^>]* height="\d\d+"', page)
    functions = page[page.index('id="functions-table"'):page.index('id="threads-table"')]
    assert functions.count("<tr") == 2 and "work_50" in functions


# ---- views, names and refusals ----

@pytest.mark.parametrize("options", [
    ("--from", "0.5", "--to", "1.5"), ("--focus", "work_30"), ("--exclude", "work_50", "--from", "1"),
], ids=" ".join)
def test_views(recorded, options):
    path = recorded.folder / "view.pb.gz"
    recorded.ok("export", path, *options)
    top = recorded.json("top", "-n", 0, *options)
    profile = readers.pprof(path)
    check(profile, recorded, top, recorded.json("threads", "-n", 0, *options), has_waits=False)
    assert profile.off_cpu == top["totals"]["off_cpu_ns"]


def test_modes(recorded):
    """Formats with one number for a stack hold the time that was asked for."""
    totals = recorded.top["totals"]
    path = recorded.folder / "waits.folded"
    recorded.ok("export", path, "--mode", "off-cpu")
    waits = readers.folded(path)
    assert (waits.cpu, waits.off_cpu) == (0, totals["off_cpu_ns"])
    assert dict(waits.reasons) == {r["reason"]: r["total_ns"] for r in recorded.by_reason["rows"]}
    recorded.ok("export", path, "--mode", "wall")
    both = readers.folded(path)
    assert (both.cpu, both.off_cpu) == (totals["cpu_ns"], totals["off_cpu_ns"])
    picture = recorded.folder / "waits.svg"
    recorded.ok("export", picture, "--mode", "off-cpu")
    assert readers.svg(picture)[0][1] == pytest.approx(totals["off_cpu_ns"] / 1e6)


def test_one_thread(recorded):
    row = next(r for r in recorded.threads["rows"] if r["samples"] >= OWN_SAMPLES)
    path = recorded.folder / "thread.json"
    recorded.ok("export", path, "--tid", row["tid"])
    profile = readers.firefox(path)
    assert dict(profile.threads) == {row["tid"]: row["cpu_ns"]}
    assert profile.off_cpu == row["off_cpu_ns"]


def test_format_is_chosen(recorded):
    path = recorded.folder / "named.dat"
    recorded.ok("export", path, "--format", "folded")
    check(readers.folded(path), recorded, has_waits=False)
    refused = recorded("export", recorded.folder / "other.dat")
    assert refused.returncode == 1 and "folded" in refused.stderr
    assert recorded("export", path, "--format", "pdf").returncode in (1, 2)
    assert not (recorded.folder / "other.dat").exists()


def test_refused_where_it_cannot_be_written(recorded):
    refused = recorded("export", recorded.folder / "nowhere" / "run.svg")
    assert refused.returncode == 1 and refused.stderr.startswith("error:")
    before = sorted(recorded.folder.iterdir())
    full = recorded("export", "/dev/full", "--format", "folded")
    assert full.returncode == 1
    assert sorted(recorded.folder.iterdir()) == before


def test_archive_exports_the_same(recorded, idle):
    """To the byte, in a server that never saw the run."""
    recorded.ok("save", recorded.folder / "run.stax")
    idle.ok("open", recorded.folder / "run.stax")
    for file in FILES:
        idle.ok("export", idle.folder / file)
        assert (idle.folder / file).read_bytes() == (recorded.folder / file).read_bytes(), file


def test_there_and_back(recorded, idle):
    """What another server reads from the file is the run again, as far as the format holds it."""
    idle.ok("open", recorded.folder / "run.json")
    top = idle.json("top", "-n", 0)
    assert top["totals"]["samples"] == recorded.top["totals"]["samples"]
    assert top["totals"]["cpu_ns"] == pytest.approx(recorded.top["totals"]["cpu_ns"], rel=1e-3)
    mine, theirs = (by_name(t["rows"], "self_active_ns") for t in (recorded.top, top))
    assert {name: pytest.approx(ns, rel=1e-3, abs=1e4) for name, ns in mine.items()} == theirs


def test_threads_survive_pprof(recorded, idle):
    """Labels say whose samples are whose."""
    idle.ok("open", recorded.folder / "run.pb.gz")
    mine = {row["tid"]: (row["name"], row["cpu_ns"]) for row in recorded.threads["rows"]
            if row["samples"] >= OWN_SAMPLES}
    theirs = {row["tid"]: (row["name"], row["cpu_ns"])
              for row in idle.json("threads", "-n", 0)["rows"]}
    assert mine and {tid: theirs[tid] for tid in mine} == mine
    assert idle.json("top")["totals"]["cpu_ns"] == recorded.top["totals"]["cpu_ns"]


def test_of_a_run_that_goes_on(stax):
    process = stax.start("record", "-q", "--", stax.program("shares"), "--seconds", "30")
    stax.await_samples(200)
    path = stax.folder / "live.pb.gz"
    stax.ok("export", path)
    profile = readers.pprof(path)
    assert profile.cpu > 0 and profile.samples >= 200
    stax.ok("stop")
    assert process.poll() is None or process.returncode == 0
