# SPDX-License-Identifier: MIT
"""Truth: shares of functions, CPU time of threads, callers; against CPU clocks.

The tolerances are those of the acceptance: 1.5 points for a function at 900 Hz,
2.5 for threads and bursts too short for per-task timers, 1 % for CPU time.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from private_server import wait_until
from waiting import run_start_ns

FUNCTIONS = ("work_50", "work_30", "work_20")


def totals_by_name(top):
    sums = {}
    for row in top["rows"]:
        sums[row["name"]] = sums.get(row["name"], 0) + row["total_active_ns"]
    return sums


def check_shares(stax, truth, points, report, what):
    """Each function's part of what the three took, against the CPU clock's."""
    sums = totals_by_name(stax.json("top", "-n", 0))
    whole = sum(sums.get(name, 0) for name in FUNCTIONS)
    assert whole > 0, sums
    off = {name: 100 * sums.get(name, 0) / whole - truth["functions"][name]["pct"]
           for name in FUNCTIONS}
    report(f"{what} ({stax.account}): " + ", ".join(f"{n} {d:+.2f} points" for n, d in off.items()))
    assert all(abs(d) <= points for d in off.values()), off


def check_cpu(stax, truth, report, what):
    """Per thread and in all; the process' clock also runs before its first instruction."""
    threads = stax.json("threads", "-n", 0)
    rows = {row["tid"]: row["cpu_ns"] for row in threads["rows"]}
    off = [100 * (rows[t["tid"]] / t["cpu_ns"] - 1) for t in truth["threads"]]
    whole = 100 * (threads["totals"]["cpu_ns"] / truth["process_cpu_ns"] - 1)
    report(f"{what} ({stax.account}): cpu ms {whole:+.2f} %, "
           f"threads {min(off):+.2f} … {max(off):+.2f} %, stolen from this machine meanwhile "
           f"{stax.stolen_ms():.0f} ms")
    assert abs(whole) <= 1 and all(abs(d) <= 1 for d in off), (whole, off)


def check_nothing_lost(stax, run):
    assert run["lost"] == 0 and run["state"] == "stopped", stax.json("diagnose")["lost"]


def test_900_hz_ten_seconds(anybody, report):
    stax = anybody
    truth, run = stax.truth("shares", "--seconds", 10)
    check_nothing_lost(stax, run)
    check_shares(stax, truth, 1.5, report, "900 Hz, 10 s")
    check_cpu(stax, truth, report, "900 Hz, 10 s")
    top = stax.json("top", "-n", 0)
    shown = {row["name"]: row["total_pct"] for row in top["rows"]}
    for name in FUNCTIONS:
        of_all = 100 * truth["functions"][name]["cpu_ns"] / truth["process_cpu_ns"]
        assert abs(shown[name] - of_all) <= 1.5
    expected = 900 * truth["process_cpu_ns"] / 1e9
    report(f"900 Hz, 10 s ({stax.account}): {run['samples']} samples of {expected:.0f}")
    check_callers(stax.json("flame", "-d", 0, "--threshold-pct", 0))


def check_callers(flame):
    """serve → parse → work_50, serve → render → work_30, housekeep → work_20, all under main."""
    weights = {}

    def walk(node, path):
        path = path + (node["name"],)
        for name in FUNCTIONS:
            if node["name"] == name:
                weights.setdefault(name, {}).setdefault(path[:-1], 0)
                weights[name][path[:-1]] += node["active_ns"]
        for child in node["children"]:
            walk(child, path)

    walk(flame["root"], ())
    for name, callers in (("work_50", ("serve", "parse")), ("work_30", ("serve", "render")),
                          ("work_20", ("housekeep",))):
        whole = sum(weights[name].values())
        right = sum(w for path, w in weights[name].items()
                    if path[-len(callers):] == callers and "main" in path)
        assert right >= 0.99 * whole, (name, weights[name])


def test_caller_of_a_frameless_leaf(stax):
    """What gcc -O2 -fno-omit-frame-pointer makes of a hot loop."""
    stax.truth("shares_frameless", "--seconds", 1)
    check_callers(stax.json("flame", "-d", 0, "--threshold-pct", 0))


def test_cpu_time_at_49_hz(anybody, report):
    stax = anybody
    truth, run = stax.truth("shares", "--seconds", 4, "--threads", 2, options=("-F", "49"))
    check_nothing_lost(stax, run)
    check_cpu(stax, truth, report, "49 Hz, 2 threads")


@pytest.mark.parametrize("frequency", [900, 49])
def test_cpu_time_of_200_us_bursts(anybody, report, frequency):
    stax = anybody
    truth, run = stax.truth("shares", "--seconds", 4, "--burst-us", 200,
                            options=("-F", str(frequency)))
    check_nothing_lost(stax, run)
    check_cpu(stax, truth, report, f"200 µs bursts, {frequency} Hz")


def test_threads_that_live_2_ms(anybody, report):
    stax = anybody
    truth, run = stax.truth("shares", "--seconds", 7, "--thread-ms", 2, "--threads", 2)
    check_nothing_lost(stax, run)
    assert stax.json("threads", "-n", 1)["threads"] >= truth["threads_lived"] > 0
    # Three standard deviations of a half, where so little CPU was left that it is few samples.
    points = max(2.5, 3 * 50 / max(1, run["samples"]) ** 0.5)
    check_shares(stax, truth, points, report, "threads of 2 ms")
    whole = stax.json("threads", "-n", 1)["totals"]["cpu_ns"] / truth["process_cpu_ns"] - 1
    report(f"threads of 2 ms ({stax.account}): cpu ms {100 * whole:+.2f} %")
    assert abs(whole) <= 0.05, whole


def test_bursts_of_different_length(anybody, report):
    stax = anybody
    truth, run = stax.truth("shares", "--seconds", 7, "--burst-mix", "--threads", 2)
    check_nothing_lost(stax, run)
    check_cpu(stax, truth, report, "bursts of 0.2–3 ms")
    check_shares(stax, truth, 2.5, report, "bursts of 0.2–3 ms")


def at_rest(client, target, start_ns):
    """CPU time per thread while none of them runs: what the kernel says, what stax does."""
    tasks = [Path(f"/proc/{target.pid}/task/{tid}") for tid in os.listdir(
        f"/proc/{target.pid}/task")]
    target.send_signal(signal.SIGSTOP)
    wait_until(lambda: all((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
                           for task in tasks), what="stopped threads")
    counted = {int(task.name): int((task / "schedstat").read_text().split()[0]) for task in tasks}
    stopped_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - start_ns

    def told():
        answer = client.call("profile.threads")
        is_told = answer["run"]["duration_ns"] > stopped_ns
        return is_told and {r["tid"]: r["cpu_ns"] for r in answer["rows"]}
    seen = wait_until(told, what="an answer from after the stop")
    target.send_signal(signal.SIGCONT)
    return counted, seen


def test_agrees_with_schedstat(stax):
    """Attached: what the kernel itself counted in between, per thread.

    It counts at ticks and switches; so the threads are asked about while they are stopped.
    """
    target = stax.popen(stax.program("shares"), "--seconds", 30, "--threads", 2)
    wait_until(lambda: len(os.listdir(f"/proc/{target.pid}/task")) == 2, what="threads")
    record = stax.start("record", "-q", "--pid", target.pid)
    stax.target_pid()
    start_ns = run_start_ns(stax.last_run())
    with stax.client() as client:
        before, from_rows = at_rest(client, target, start_ns)
        time.sleep(2)
        after, to_rows = at_rest(client, target, start_ns)
    stax.ok("stop")
    record.wait(timeout=20)
    assert len(before) == 2
    for tid, counted_ns in before.items():
        seen, counted = to_rows[tid] - from_rows[tid], after[tid] - counted_ns
        assert abs(seen - counted) <= 0.02 * counted, (tid, seen, counted)


def test_conservation(stax):
    """running + run queue + blocked = life, per thread."""
    stax.truth("shares", "--seconds", 3, "--burst-us", 500, "--threads", 3)
    for row in stax.json("threads", "-n", 0)["rows"]:
        life = row["end_ns"] - row["start_ns"]
        parts = row["cpu_ns"] + row["runq_ns"] + row["off_cpu_ns"]
        assert abs(parts - life) <= max(0.002 * life, 2e6), row
