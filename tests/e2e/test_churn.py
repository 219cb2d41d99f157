# SPDX-License-Identifier: MIT
"""Threads that come and go: all seen, none lost, no descriptor kept."""

import json
import os

from private_server import wait_until


def seen_tids(stax):
    threads = stax.json("threads", "-n", 0)
    assert threads["threads"] == len(threads["rows"])
    return {row["tid"] for row in threads["rows"]}


def test_500_born_per_second_launched(anybody, report):
    stax = anybody
    fds = stax.n_fds()
    truth, run = stax.truth("churn", "--seconds", 4, "--threads", 64, "--born", 500)
    assert run["lost"] == 0 and run["state"] == "stopped"
    missing = set(truth["long_tids"] + truth["born_tids"]) - seen_tids(stax)
    report(f"churn ({stax.account}): {truth['born']} born, {len(missing)} not seen")
    assert not missing and run["threads"] >= truth["born"] + 65
    whole = stax.json("threads", "-n", 1)["totals"]["cpu_ns"] / truth["process_cpu_ns"] - 1
    report(f"churn ({stax.account}): cpu ms of threads that live 100 µs {100 * whole:+.1f} %")
    # The process' clock misses a thread's last microseconds, a task's own events more of them.
    assert abs(whole) <= 0.2, whole
    wait_until(lambda: stax.n_fds() <= fds, what="closed descriptors")


def test_64_threads_at_attach(anybody):
    stax = anybody
    fds = stax.n_fds()
    target = stax.popen(stax.program("churn"), "--seconds", 5, "--threads", 64, "--born", 500)
    wait_until(lambda: len(os.listdir(f"/proc/{target.pid}/task")) >= 64)
    record = stax.start("record", "-q", "--pid", target.pid)
    out, err = target.communicate(timeout=30)
    assert record.wait(timeout=20) == 0
    truth, run = json.loads(out), stax.last_run()
    tids = seen_tids(stax)
    assert set(truth["long_tids"]) <= tids
    last = truth["born_tids"][-truth["born"] // 2:]
    assert not set(last) - tids, "threads born while it was attached"
    assert run["lost"] == 0
    wait_until(lambda: stax.n_fds() <= fds, what="closed descriptors")


def test_long_lives_are_whole(stax):
    truth, _ = stax.truth("churn", "--seconds", 2, "--threads", 64, "--born", 0)
    rows = {r["tid"]: r for r in stax.json("threads", "-n", 0)["rows"]}
    for tid in truth["long_tids"]:
        assert rows[tid]["end_ns"] - rows[tid]["start_ns"] > 1.5e9
        assert rows[tid]["off_cpu_ns"] > 1e9
