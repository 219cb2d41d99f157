# SPDX-License-Identifier: MIT
"""What other profilers have recorded, opened: the same totals as their own reports."""

import collections
import gzip
import json
import struct
import subprocess

import pytest

import place

QUERY = ("with recursive c(x) as (select 1 union all select x+1 from c where x<300000) "
         "select count(*), sum(x*x), max(hex(x)) from c")
PYTHON = """
import threading, time
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
threads = [threading.Thread(target=fib, args=(23,)) for _ in range(2)]
[t.start() for t in threads]
time.sleep(0.02)
[t.join() for t in threads]
"""
WAYS = {
    "frame_pointers": ("-g",),
    "copies": ("--call-graph", "dwarf"),
    "switches": ("-e", "cpu-clock", "--switch-events"),
    "compressed": ("-z", "-g"),
    "pipe": ("-g",),
}
# Where a thread begins; perf names its stacks' outermost frames so.
BEGINNINGS = {"_start", "__clone3", "clone3", "__GI___clone3", "_dl_start_user", "ret_from_fork",
              "ret_from_fork_asm"}


@pytest.fixture(scope="module")
def perf():
    found = place.find("perf")
    if found is None:
        pytest.skip("perf is not installed")
    return found


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    script = folder / "work.py"
    script.write_text(PYTHON)
    source = folder / "work.c"
    source.write_text("".join(f"int f{i}(int x) {{ int s = {i}; while (x--) s += x * s; return s; }}\n"
                              for i in range(150)))
    return {"python3": (place.find("python3"), script),
            "sqlite3": (place.find("sqlite3"), ":memory:", QUERY),
            "gcc": (place.find("gcc"), "-O2", "-c", source, "-o", folder / "work.o")}


def record(stax, perf, way, command):
    data = stax.folder / "perf.data"
    if way == "pipe":
        with open(data, "wb") as out:
            done = stax.popen(perf, "record", "-q", *WAYS[way], "-o", "-", "--", *command, stdout=out,
                              stderr=subprocess.DEVNULL)
            assert done.wait(timeout=60) == 0
    else:
        done = stax.run(perf, "record", "-q", *WAYS[way], "-o", data, "--", *command)
        assert done.returncode == 0, done
    return data


def report(stax, perf, data, *keys):
    """perf's own sums: {keys: (samples, period)}."""
    done = stax.run(perf, "report", "-i", data, "--stdio", "--no-children", "-g", "none", "-t", "|",
                    "-F", "sample,period," + ",".join(keys), "-s", ",".join(keys), "--percent-limit",
                    "0", timeout=120)
    rows = {}
    for line in done.stdout.splitlines():
        words = [word.strip() for word in line.split("|")]
        if line.startswith("#") or len(words) < 3:
            continue
        rows[tuple(words[2:])] = (int(words[0]), int(words[1]))
    assert rows, done
    return rows


def sums(rows, name):
    samples, time_ns = collections.Counter(), collections.Counter()
    for row in rows:
        samples[row[name]] += row["self_samples" if "self_samples" in row else "samples"]
        time_ns[row[name]] += row["self_active_ns" if "self_active_ns" in row else "cpu_ns"]
    return samples, time_ns


def own_name(image):
    return {"[kernel.kallsyms]": "[kernel]"}.get(image, image)


@pytest.mark.parametrize("way, program", [
    ("frame_pointers", "python3"), ("frame_pointers", "sqlite3"), ("frame_pointers", "gcc"),
    ("copies", "python3"), ("copies", "sqlite3"), ("copies", "gcc"),
    ("switches", "python3"), ("switches", "sqlite3"), ("switches", "gcc"),
    ("compressed", "python3"), ("pipe", "sqlite3")])
def test_totals_are_those_of_perf_report(stax, perf, commands, way, program):
    data = record(stax, perf, way, commands[program])
    theirs = report(stax, perf, data, "comm")
    stax.ok("open", data)
    top = stax.json("top", "-n", 0, "--group", "image")
    assert top["totals"]["samples"] == sum(n for n, _ in theirs.values())
    is_exact = way == "switches"
    if not is_exact:
        assert top["totals"]["active_ns"] == sum(ns for _, ns in theirs.values())

    samples, time_ns = sums(stax.json("threads", "-n", 0)["rows"], "name")
    if program != "gcc":  # which has gone by another name before its exec; samples stay with it here
        mine = {name: n for name, n in samples.items() if n}
        named = {comm[0]: n for comm, (n, _) in theirs.items()}
        lost = named.pop("perf-exec", 0)
        mine[program] -= lost
        assert mine == named
    if is_exact and program == "python3":  # whose first thread sleeps
        assert stax.json("threads")["totals"]["off_cpu_ns"] > 20_000_000

    images, image_ns = sums(top["rows"], "image")
    for (image,), (n, ns) in report(stax, perf, data, "dso").items():
        if image.startswith("["):
            image = own_name(image)
        if image != "[unknown]":
            assert images[image] == n, image
            assert is_exact or image_ns[image] == ns, image


@pytest.mark.parametrize("program, function", [("python3", "_PyEval_EvalFrameDefault"),
                                               ("sqlite3", "sqlite3VdbeExec")])
def test_functions_are_those_of_perf_report(stax, perf, commands, program, function):
    data = record(stax, perf, "frame_pointers", commands[program])
    stax.ok("open", data)
    samples, _ = sums(stax.json("top", "-n", 0)["rows"], "name")
    theirs = {name[4:]: n for (name,), (n, _) in report(stax, perf, data, "sym").items()}
    assert theirs[function] > 10
    assert samples[function] == theirs[function]


def reach_of_perf(stax, perf, data):
    """How many of perf's stacks go back to where the thread began."""
    done = stax.run(perf, "script", "-i", data, "-F", "comm,ip,sym", "--no-inline", timeout=120)
    n_reached = n_stacks = 0
    for stack in done.stdout.split("\n\n"):
        names = [line.split(None, 1)[1:] for line in stack.splitlines() if line.startswith("\t")]
        n_stacks += bool(names)
        n_reached += any(name and name[0] in BEGINNINGS for name in names[-2:])
    return n_stacks, n_reached


@pytest.mark.parametrize("program", ["python3", "sqlite3"])
def test_copied_stacks_reach_as_far_as_perf_does(stax, perf, commands, program):
    data = record(stax, perf, "copies", commands[program])
    stax.ok("open", data)
    n_stacks, n_reached = reach_of_perf(stax, perf, data)
    stacks = stax.json("diagnose")["stacks"]
    assert stacks["total"] == n_stacks
    # A thread's very first instructions have no caller, and perf counts some of them as arrived.
    assert stacks["complete"] >= n_reached - 3
    assert stacks["complete"] >= 0.95 * n_stacks


@pytest.mark.skipif(place.find("node") is None, reason="node is not installed")
def test_made_code_has_the_names_of_its_map(stax, perf):
    script = ("const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);"
              "const end = Date.now() + 1000; while (Date.now() < end) fib(20);")
    data = record(stax, perf, "frame_pointers",
                  (place.find("node"), "--perf-basic-prof", "--no-turbo-inlining", "-e", script))
    theirs = collections.Counter()
    for (name,), (n, _) in report(stax, perf, data, "sym").items():
        theirs["fib [eval]" in name] += n
    stax.ok("open", data)
    made = [row for row in stax.json("top", "-n", 0)["rows"] if "fib [eval]" in row["name"]]
    assert theirs[True] > 500
    assert sum(row["self_samples"] for row in made) == theirs[True]
    assert all(row["kind"] == "jit" for row in made)


def test_cut_off_files_say_so(stax, perf, commands):
    data = record(stax, perf, "frame_pointers", commands["python3"])
    whole = data.read_bytes()
    stax.ok("open", data)
    n_samples = stax.json("top")["totals"]["samples"]
    cut = stax.folder / "cut.data"
    start, size = struct.unpack_from("<QQ", whole, 40)  # of its records
    cut.write_bytes(whole[:start + size * 2 // 3])
    done = stax.ok("open", cut)
    assert "missing" in done.stdout + done.stderr
    assert 0 < stax.json("top")["totals"]["samples"] < n_samples
    cut.write_bytes(whole[:60])
    refused = stax("open", cut)
    assert refused.returncode != 0 and "perf.data" in refused.stderr


def test_folded_stacks(stax):
    path = stax.folder / "folded.txt"
    path.write_text("main;work;inner 12\nmain;work;read_[k] 3\nmain;work 5\nnonsense\n")
    done = stax.ok("open", path)
    assert "1 ms" in done.stdout + done.stderr
    top = stax.json("top", "-n", 0)
    assert {row["name"]: row["self_samples"] for row in top["rows"] if row["self_samples"]} == {
        "inner": 12, "read": 3, "work": 5}
    assert {row["name"]: row["total_samples"] for row in top["rows"]} == {
        "inner": 12, "read": 3, "work": 20, "main": 20}
    assert top["totals"]["samples"] == 20 and top["totals"]["active_ns"] == 20_000_000
    assert next(row for row in top["rows"] if row["name"] == "read")["kind"] == "kernel"


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def pair(first, second):
    return field(1, first) + field(2, second)


def pprof_profile():
    texts = ["", "samples", "count", "cpu", "nanoseconds", "main", "work", "small", "main.c", "/usr/bin/x"]
    profile = field(1, pair(1, 2)) + field(1, pair(3, 4))
    profile += field(2, field(1, varint(2) + varint(1)) + field(2, varint(10) + varint(50_000_000)))
    profile += field(2, field(1, varint(1)) + field(2, varint(2) + varint(10_000_000)))
    profile += field(3, field(1, 1) + field(5, 9))
    profile += field(4, field(1, 1) + field(2, 1) + field(4, pair(1, 10)))
    profile += field(4, field(1, 2) + field(2, 1) + field(4, pair(3, 30)) + field(4, pair(2, 20)))
    for number, text in ((1, 5), (2, 6), (3, 7)):
        profile += field(5, field(1, number) + field(2, text) + field(4, 8))
    for text in texts:
        profile += field(6, text.encode())
    return profile + field(10, 1_000_000_000)


def test_pprof(stax):
    path = stax.folder / "cpu.pb.gz"
    path.write_bytes(gzip.compress(pprof_profile()))
    stax.ok("open", path)
    top = stax.json("top", "-n", 0)
    assert top["totals"]["samples"] == 12 and top["totals"]["active_ns"] == 60_000_000
    rows = {row["name"]: row for row in top["rows"]}
    assert rows["small"]["inlined"] and rows["small"]["self_samples"] == 10
    assert rows["work"]["total_samples"] == 10 and rows["main"]["total_samples"] == 12
    assert rows["main"]["image"] == "x"
    lines = {row["line"]: row["self_samples"] for row in
             stax.json("top", "-n", 0, "--group", "line")["rows"] if row["self_samples"]}
    assert lines == {30: 10, 10: 2}


def firefox_profile():
    samples = {"stack": [1, 0, 1], "time": [1, 2, 3], "weight": None, "weightType": "samples"}
    thread = {"name": "main", "pid": "100", "tid": 100, "samples": samples,
              "stackTable": {"frame": [0, 1], "prefix": [None, 0]},
              "frameTable": {"func": [0, 1], "address": [-1, -1], "line": [10, 20]},
              "funcTable": {"name": [0, 1], "resource": [-1, -1], "isJS": [False, True],
                            "fileName": [2, 2]},
              "resourceTable": {"lib": []}, "stringArray": ["main", "made", "a.js"]}
    return {"meta": {"interval": 1, "startTime": 1.7e12}, "libs": [], "threads": [thread]}


def test_firefox_profile(stax):
    path = stax.folder / "profile.json"
    path.write_text(json.dumps(firefox_profile()))
    stax.ok("open", path)
    top = stax.json("top", "-n", 0)
    assert top["totals"]["active_ns"] == 3_000_000
    assert {row["name"]: row["total_samples"] for row in top["rows"]} == {"main": 3, "made": 2}
    assert stax.json("threads")["rows"][0]["name"] == "main"


def test_exports_come_back(stax, perf, commands):
    """What is exported and opened again is what it was, as far as the format can say it."""
    stax.ok("open", record(stax, perf, "frame_pointers", commands["sqlite3"]))
    whole = stax.json("top", "-n", 0)
    _, expected_ns = sums(whole["rows"], "name")
    for name in ("run.folded", "run.pb.gz", "run.json"):
        path = stax.folder / name
        stax.ok("export", "--run", whole["run"]["id"], path)
        stax.ok("open", path)
        again = stax.json("top", "-n", 0)
        _, time_ns = sums(again["rows"], "name")
        assert again["totals"]["active_ns"] == whole["totals"]["active_ns"], name
        assert +time_ns == +expected_ns, name
        if name != "run.folded":
            assert again["totals"]["samples"] == whole["totals"]["samples"], name


def test_what_is_none_of_these(stax):
    path = stax.folder / "file"
    for content in (b"", b"hello\n", b"\x7fELF", b"{}", b"{\"meta\": 1}"):
        path.write_bytes(content)
        refused = stax("open", path)
        assert refused.returncode != 0 and refused.stderr, content
    assert stax("open", stax.folder / "nothing").returncode != 0
