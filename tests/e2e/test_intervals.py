# SPDX-License-Identifier: MIT
"""intervals, wakers, timeline, why: single waits, who ended them, and what the end waited for."""

import json
import pathlib
import subprocess
import tempfile
import time

import pytest

from private_server import wait_until
from waiting import names, run_start_ns, slices_of_process_1, wakeups_unseen_at_most

MS = 10 ** 6
BLOCKS = " ▁▂▃▄▅▆▇█"


@pytest.fixture
def pingpong(anybody):
    anybody.pong, anybody.run1 = anybody.truth("pingpong", "--seconds", 1)
    return anybody


def tells_wakers(stax):
    capabilities = {c["name"]: c for c in stax.json("status")["capabilities"]}
    return capabilities["wakeups"]["available"]


def check_path(why):
    """Segments touch, sum to the range, and change the thread only where a wakeup says so."""
    segments = why["segments"]
    assert len(segments) == why["all_segments"] or why["unkept_segments"] > 0
    assert sum(s["total_ns"] for s in why["summary"]) == why["total_ns"]
    assert why["total_ns"] == why["end_ns"] - why["start_ns"]
    for before, after in zip(segments, segments[1:]):
        assert before["start_ns"] + before["duration_ns"] == after["start_ns"]
        assert before["tid"] == after["tid"] or after["edge"]["waker_tid"] == before["tid"]
    if len(segments) == why["all_segments"]:
        assert sum(s["duration_ns"] for s in segments) == why["total_ns"]
    return segments


def test_every_wait_is_told(pingpong):
    stax = pingpong
    intervals = stax.json("intervals", "-n", 0, "--no-stacks")
    threads = stax.json("threads")
    rows = intervals["rows"]
    # Mostly two each round; one where a wakeup displaces the one that then need not wait.
    assert len(rows) == intervals["intervals"] >= 0.5 * stax.pong["rounds"] > 0
    switches = sum(t["voluntary_switches"] for t in threads["rows"])
    assert abs(len(rows) - switches) <= 2  # those that lasted when it began, or ended
    assert sum(r["duration_ns"] for r in rows) == intervals["blocked_ns"]
    # Ordinary users: how late a switch was told is known as a mean only.
    slack = 0.001 if stax.account.is_root else 0.1
    assert intervals["blocked_ns"] == pytest.approx(threads["totals"]["off_cpu_ns"], rel=slack)
    assert not any("stack" in r for r in rows)
    lengths = [r["duration_ns"] for r in rows]
    assert lengths == sorted(lengths, reverse=True)
    latest = stax.json("intervals", "--latest", "-n", 50)["rows"]
    ends = [r["start_ns"] + r["duration_ns"] + r["runq_ns"] for r in latest]
    assert len(latest) == 50 and ends == sorted(ends, reverse=True)
    if stax.account.is_root:
        assert sum(r["reason"] == "ipc" for r in rows) >= 0.99 * len(rows)
        assert sum(r["complete"] for r in rows) >= 0.99 * len(rows)
        assert not any(r["approximate"] for r in rows)


def test_waits_have_the_stacks_of_their_threads(pingpong):
    """The latest of each thread: which of the two waits depends on whom a wakeup displaces.

    Whoever is displaced as soon as it has written finds its answer there and does not wait. So it
    can go on for long, on a CPU that others want too.
    """
    stax = pingpong
    if not stax.account.is_root:
        pytest.skip("where ordinary users' threads wait is known from elsewhere")
    for tid in [t["tid"] for t in stax.json("threads")["rows"]]:
        rows = stax.json("intervals", "--latest", "-n", 50, "--tid", tid)["rows"]
        stacks = [names(r["stack"]) for r in rows if r["complete"]]
        function = "main" if tid == stax.pong["pid"] else "pong"
        assert stacks and all(function in stack for stack in stacks), stacks


def test_views_choose_waits(pingpong):
    stax = pingpong
    tids = [t["tid"] for t in stax.json("threads")["rows"]]
    whole = stax.json("intervals")["intervals"]
    each = [stax.json("intervals", "--tid", tid)["intervals"] for tid in tids]
    assert sum(each) == whole and all(each)
    part = stax.json("intervals", "-n", 0, "--from", "0.4", "--to", "0.5")["rows"]
    assert 0 < len(part) < whole
    for row in part:
        end_ns = row["start_ns"] + row["duration_ns"] + row["runq_ns"]
        assert row["start_ns"] < 500 * MS and end_ns > 400 * MS
    none = stax.json("intervals", "--reason", "sem")
    assert none["intervals"] == 0 and "stax off-cpu" in none["hint"]


def test_a_wait_that_lasts(anybody):
    stax = anybody
    record = stax.start("record", "-q", "--", "/usr/bin/python3", "-c", "import time; time.sleep(60)")
    stax.target_pid()

    def lasting(for_ns):
        rows = stax.json("intervals", "--latest", "-n", 1)["rows"]
        return rows and rows[0]["open"] and rows[0]["duration_ns"] > for_ns and rows[0]
    first = wait_until(lambda: lasting(500 * MS), what="a wait that lasts")
    second = wait_until(lambda: lasting(first["duration_ns"] + 290 * MS), what="its going on")
    assert second["start_ns"] == first["start_ns"] and "waker" not in second
    now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - run_start_ns(stax.last_run())
    assert second["start_ns"] + second["duration_ns"] < now_ns
    if stax.account.is_root:
        assert second["reason"] == "sleep" and second["stack"]
    text = stax.ok("intervals", "--latest", "-n", 1).stdout
    assert "s+" in text and "(lasts)" in text
    stax.ok("stop")
    record.kill()
    assert stax.json("intervals", "--latest", "-n", 1)["rows"][0]["open"]


def test_who_woke_whom(stax):
    truth, _ = stax.truth("pingpong", "--seconds", 1)
    if not tells_wakers(stax):
        pytest.skip("this host does not tell who wakes whom")
    wakers = stax.json("wakers", "-n", 0)
    intervals = stax.json("intervals", "-n", 0, "--no-stacks")
    pairs = {(r["waker_tid"], r["wakee_tid"]): r for r in wakers["rows"]}
    main, pong = truth["pid"], next(t["tid"] for t in stax.json("threads")["rows"]
                                    if t["tid"] != truth["pid"])
    between = pairs[main, pong]["count"] + pairs[pong, main]["count"]
    assert between >= 0.99 * intervals["intervals"]
    assert "main" in {f["name"] for f in pairs[main, pong]["waker_stack"]}
    assert "pong" in {f["name"] for f in pairs[pong, main]["waker_stack"]}
    told = [r for r in intervals["rows"] if "waker" in r]
    # Wakeups of a thread that was not asleep ended no wait.
    ended = sum(r["waker"]["tid"] in (main, pong) for r in told)
    assert ended <= between <= 1.01 * ended + 2
    assert sum(r["duration_ns"] for r in told) == pytest.approx(wakers["wait_ended_ns"], rel=0.001)

    chain = stax.json("wakers", "--tid", main, "--chain")
    assert [link["waker_tid"] for link in chain["chain"]] == [pong, main]
    assert "cycle" in chain["chain_end"]
    assert all(r["wakee_tid"] == main for r in chain["rows"])
    by_stack = stax.json("wakers", "-n", 0, "--by-stack")
    assert by_stack["wakers"] == sum(r["stacks"] for r in wakers["rows"])
    assert by_stack["count"] == wakers["count"]


def test_timers_are_no_threads(stax):
    slices = slices_of_process_1()
    out = stax.record("--", "/usr/bin/python3", "-c",
                      "import time\nfor _ in range(50): time.sleep(0.002)")
    unseen = wakeups_unseen_at_most(slices)
    assert out == ""
    if not tells_wakers(stax):
        pytest.skip("this host does not tell who wakes whom")
    rows = stax.json("wakers", "-n", 0)["rows"]
    timers = [r for r in rows if r["waker_tid"] == 0]
    assert sum(r["count"] for r in timers) >= 50 - unseen
    assert {r["waker_name"] for r in timers} == {"(timer or interrupt)"}
    sleeps = stax.json("intervals", "-n", 0, "--reason", "sleep")["rows"]
    told = [r["waker"]["tid"] for r in sleeps if "waker" in r]
    assert len(sleeps) >= 50 and len(told) >= len(sleeps) - unseen and set(told) == {0}


def test_what_is_not_recorded_is_said(other):
    other.truth("pingpong", "--seconds", 0.2)
    if tells_wakers(other):
        pytest.skip("ordinary users are told who wakes whom here")
    done = other.ok("wakers")
    assert "who wakes whom is not recorded here (" in done.stderr
    assert "sudo stax setup" in done.stderr
    assert "never leaves its thread" in other.ok("why").stderr
    assert other.json("wakers")["rows"] == []
    segments = check_path(other.json("why", "-n", 0))
    assert len({s["tid"] for s in segments}) == 1


@pytest.mark.parametrize("view", [(), ("--from", "0.25", "--to", "0.75")], ids=["whole", "range"])
def test_timeline_sums_to_threads(pingpong, view):
    timeline = pingpong.json("timeline", "-n", 0, *view)
    threads = pingpong.json("threads", "-n", 0, *view)
    length_ns = timeline["view"]["to_ns"] - timeline["view"]["from_ns"]
    assert timeline["buckets"] == 60
    assert 60 * timeline["bucket_ns"] - length_ns < 60
    rows = {r["tid"]: r for r in timeline["rows"]}
    for thread in threads["rows"]:
        row = rows[thread["tid"]]
        for kind in ("cpu", "runq", "off_cpu"):
            buckets = row[f"{kind}_by_bucket_ns"]
            assert len(buckets) == 60 and sum(buckets) == row[f"{kind}_ns"]
            # Ordinary users: what a switch was told late is known as a mean only.
            slack = 0 if pingpong.account.is_root or view else 0.05 * length_ns
            assert row[f"{kind}_ns"] == pytest.approx(thread[f"{kind}_ns"], abs=slack + 1000)
        for parts in zip(*(row[f"{k}_by_bucket_ns"] for k in ("cpu", "runq", "off_cpu"))):
            assert sum(parts) <= timeline["bucket_ns"]


def test_timeline_is_drawn(stax):
    stax.truth("spin", "--seconds", 0.5)
    def line(**env):
        out = stax.ok("timeline", "--buckets", 20, env={**stax.env, **env}).stdout
        return out.splitlines()[2].split("|")[1]
    drawn = line()
    assert len(drawn) == 20 and set(drawn) <= set(BLOCKS) and drawn.strip()
    timeline = stax.json("timeline", "--buckets", 20)
    for block, cpu_ns in zip(drawn, timeline["rows"][0]["cpu_by_bucket_ns"]):
        # Full is a bucket with nothing but running in it; the lowest block stands for any at all.
        assert abs(BLOCKS.index(block) - 8 * cpu_ns / timeline["bucket_ns"]) <= 1, drawn
    plain = line(LC_ALL="C")
    assert len(plain) == 20 and plain.isascii() and plain.count(" ") == drawn.count(" ")


def test_the_path_of_a_pingpong(stax):
    stax.truth("pingpong", "--seconds", 0.3)
    why = stax.client().call("profile.why", limit=0, max_frames=1)
    segments = check_path(why)
    assert why["total_ns"] == stax.json("threads")["run"]["duration_ns"]
    if not tells_wakers(stax):
        pytest.skip("this host does not tell who wakes whom")
    assert {s["tid"] for s in segments} == {t["tid"] for t in stax.json("threads")["rows"]}
    edges = [s["edge"] for s in segments if "edge" in s and not s["edge"]["is_birth"]]
    assert len(edges) > 100 and sum(e["reason"] == "ipc" for e in edges) >= 0.99 * len(edges)
    assert sum(h["count"] for h in why["handovers"]) >= len(edges)
    # Nobody waits on the path for what the other one did: only for a CPU.
    waits_ns = sum(s["total_ns"] for s in why["summary"] if s["kind"] == "wait")
    assert waits_ns < 0.05 * why["total_ns"]


def test_the_path_goes_through_who_made_a_thread(stax):
    """main makes a thread, joins it, sleeps: the path is main, the thread, main."""
    stax.record("--", "/usr/bin/python3", "-c", """
import threading, time
def work():
    end = time.monotonic() + 0.3
    while time.monotonic() < end: sum(range(100))
thread = threading.Thread(target=work)
thread.start()
thread.join()
time.sleep(0.2)
""")
    if not tells_wakers(stax):
        pytest.skip("this host does not tell who wakes whom")
    why = stax.json("why", "-n", 0)
    check_path(why)
    main = why["thread"]["tid"]
    assert main == stax.last_run()["pid"]
    worker_ns = sum(s["total_ns"] for s in why["summary"]
                    if s["tid"] != main and s["kind"] in ("run", "runq"))
    # Once it is told that the thread runs, main may have to wait for a CPU before it can join it.
    main_ns = sum(s["total_ns"] for s in why["summary"]
                  if s["tid"] == main and s["kind"] in ("run", "runq"))
    worker = [t for t in stax.json("threads", "-n", 0)["rows"] if t["tid"] != main]
    assert len(worker) == 1 and worker_ns <= worker[0]["end_ns"] - worker[0]["start_ns"]
    assert worker_ns > 0 and worker_ns + main_ns >= 290 * MS
    sleep_ns = sum(s["total_ns"] for s in why["summary"] if s["reason"] == "sleep")
    assert 195 * MS <= sleep_ns <= 260 * MS
    waits_ns = sum(s["total_ns"] for s in why["summary"] if s["kind"] == "wait")
    assert waits_ns - sleep_ns <= 30 * MS  # the join is the worker's time


def test_the_path_goes_through_a_child(stax):
    """What a shell waits for is what its children do."""
    stax.record("--children", "--", "/bin/sh", "-c", f"""
{stax.program("spin")} --seconds 0.3 >/dev/null; sleep 0.2; {stax.program("spin")} --seconds 0.1 >/dev/null""")
    if not tells_wakers(stax):
        pytest.skip("this host does not tell who wakes whom")
    why = stax.json("why", "-n", 0, "--tid", stax.last_run()["pid"])
    check_path(why)
    of = {}
    for row in why["summary"]:
        key = row["name"], "wait" if row["kind"] == "wait" else "busy"
        of[key] = of.get(key, 0) + row["total_ns"]
    assert 395 * MS <= of["spin", "busy"] <= 600 * MS, of
    assert 195 * MS <= of["sleep", "wait"] <= 300 * MS, of
    assert of.get(("sh", "wait"), 0) <= 20 * MS, of
    assert sum(h["is_birth"] for h in why["handovers"]) >= 3


def test_ranges_and_threads_of_a_path(pingpong):
    stax = pingpong
    for tid in [t["tid"] for t in stax.json("threads")["rows"]]:
        why = stax.json("why", "-n", 0, "--tid", tid, "--from", "0.3", "--to", "0.35")
        check_path(why)
        assert why["thread"]["tid"] == tid and why["choice"] == "it was asked for"
        assert (why["start_ns"], why["end_ns"]) == (300 * MS, 350 * MS)
    few = stax.json("why", "-n", 3)
    assert len(few["segments"]) == 3 < few["all_segments"] and len(few["summary"]) <= 3
    text = stax.ok("why", "-n", 3).stdout
    assert "the last 3 of" in text and f"({few['thread']['tid']})" in text


def test_paths_of_live_runs(anybody):
    stax = anybody
    record = stax.start("record", "-q", "--", stax.program("pingpong"), "--seconds", 20)
    stax.target_pid()
    time.sleep(0.5)
    with stax.client() as client:
        for _ in range(10):
            check_path(client.call("profile.why", limit=0, max_frames=1,
                                   view={"from_ns": -20 * MS}))
            timeline = client.call("profile.timeline", buckets=7)
            assert timeline["buckets"] == 7
    stax.ok("stop")
    record.kill()


@pytest.mark.parametrize("method", ["profile.intervals", "profile.wakers", "profile.timeline",
                                    "profile.why"])
def test_updates_come(stax, method):
    record = stax.start("record", "-q", "--", stax.program("pingpong"), "--seconds", 20)
    stax.target_pid()
    with stax.client() as client:
        client.subscribe(method, min_interval_ms=50)
        updates = [client.next_update() for _ in range(4)]
        durations = [u["result"]["run"]["duration_ns"] for u in updates]
        # The run begins with its first event, and until that comes a little earlier.
        assert all(after > before - MS for before, after in zip(durations, durations[1:]))
        assert durations[-1] > durations[0]
    record.kill()


@pytest.mark.parametrize("args", [
    ["intervals", "--longest", "--latest"], ["intervals", "--reason", "luck"],
    ["timeline", "--buckets", 0], ["timeline", "--buckets", 10001], ["why", "-n", -1],
    ["wakers", "extra"]], ids=lambda a: " ".join(map(str, a)))
def test_wrong_usage(bare, args):
    done = bare(*args)
    assert done.returncode == 2 and done.stdout == "" and "error: " in done.stderr


def test_what_makes_no_sense_is_refused(stax):
    stax.truth("spin", "--seconds", 0.2)
    for command in ("why", "timeline"):
        for option in ("--exclude", "--focus"):
            done = stax(command, option, "x")
            assert done.returncode == 1 and "exclude nor focus" in done.stderr
    stax.record("--no-off-cpu", "--", stax.program("spin"), "--seconds", 0.2)
    for command in ("why", "timeline"):
        done = stax(command)
        assert done.returncode == 1 and "--no-off-cpu" in done.stderr
    for command in ("intervals", "wakers"):
        assert "--no-off-cpu" in stax.ok(command).stderr


def test_many_waits(stax, report):
    """All of hundreds of thousands of waits: what it takes."""
    stax.truth("pingpong", "--seconds", 2)
    n = stax.json("intervals", "-n", 1)["intervals"]
    figures = []
    with stax.client() as client:
        for method, params in (("profile.intervals", {"limit": 20}),
                               ("profile.intervals", {"limit": 0, "no_stacks": True}),
                               ("profile.wakers", {}), ("profile.timeline", {}),
                               ("profile.why", {"limit": 20})):
            start_s = time.perf_counter()
            answer = client.call(method, **params)
            figures.append(f"{method} {json.dumps(params)} "
                           f"{1000 * (time.perf_counter() - start_s):.0f} ms")
            if params.get("limit") == 0:
                assert len(answer["rows"]) == n
    report(f"{n} waits: " + ", ".join(figures))


SLEEP_32 = """
#define CALL(nr, a, b, c) ({ int r; __asm__ volatile("int $0x80" : "=a"(r) \\
    : "0"(nr), "b"(a), "c"(b), "d"(c) : "memory"); r; })
void _start(void)
{
    int pipe[2], pause[2] = {0, 100000000};
    CALL(42, pipe, 0, 0);
    CALL(162, pause, 0, 0);      /* nanosleep; 64-bit code: sync */
    struct { int fd; short events, found; } wait = {pipe[0], 1, 0};
    CALL(168, &wait, 1, 100);    /* poll; 64-bit code: swapoff */
    CALL(1, 0, 0, 0);
}
"""


@pytest.mark.parametrize("options", [(), ("--no-kernel",)], ids=["kernel", "no-kernel"])
def test_calls_of_32_bit_code_have_other_numbers(anybody, options):
    with tempfile.TemporaryDirectory() as folder:
        check_calls_of_32_bit_code(anybody, pathlib.Path(folder), options)


def check_calls_of_32_bit_code(anybody, folder, options):
    folder.chmod(0o755)
    program = folder / "sleep_32"
    (folder / "sleep_32.c").write_text(SLEEP_32)
    built = subprocess.run(["gcc", "-m32", "-O1", "-nostdlib", "-static", "-fno-pie", "-no-pie",
                            "-fno-stack-protector", "-o", program, folder / "sleep_32.c"],
                           capture_output=True, text=True, check=False)
    if built.returncode != 0 or subprocess.run([program], check=False).returncode != 0:
        pytest.skip("no 32-bit code here")
    anybody.record(*options, "--", program)
    rows = [r for r in anybody.json("intervals", "-n", 2)["rows"] if r["duration_ns"] > 90 * MS]
    assert len(rows) == 2
    assert not any("object" in row for row in rows), rows
    reasons = {row["reason"] for row in rows}
    if options:
        assert reasons in ({"other"}, {"sleep", "ready"}), rows  # as far as anybody can know
    else:
        assert reasons == {"sleep", "ready"}, rows
