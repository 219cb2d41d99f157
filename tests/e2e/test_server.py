# SPDX-License-Identifier: MIT
"""The server itself: what it keeps, how it ends, what it refuses."""

import os
import signal
import subprocess
from pathlib import Path

from private_server import wait_until


def n_threads(stax):
    return len(os.listdir(f"/proc/{stax.process.pid}/task"))


def n_rings(stax):
    return Path(f"/proc/{stax.process.pid}/maps").read_text().count("[perf_event]")


def test_twenty_runs_leave_nothing(anybody, report):
    stax = anybody
    for _ in range(3):
        stax.record("--", stax.program("exits"), "--work-ms", 20)
        stax.json("top")
    wait_until(lambda: n_rings(stax) == 0, what="unmapped rings")
    fds, tasks, memory_kb = stax.n_fds(), n_threads(stax), stax.status_kb("VmRSS")
    for _ in range(20):
        stax.record("--", stax.program("exits"), "--work-ms", 20)
        stax.json("top")
    wait_until(lambda: n_rings(stax) == 0, what="unmapped rings")
    wait_until(lambda: stax.n_fds() <= fds, what="closed descriptors")
    wait_until(lambda: n_threads(stax) <= tasks, what="ended threads")
    grown_kb = stax.status_kb("VmRSS") - memory_kb
    report(f"20 short runs kept in history ({stax.account}): {grown_kb / 20:.0f} KiB each")
    assert grown_kb / 20 < 2048, "what is kept of a run of 20 ms"
    assert len(stax.runs()) == 23


def test_failed_starts_leave_nothing(stax):
    fds = None
    for i in range(20):
        process = subprocess.Popen(["true"])
        process.wait()
        assert stax("record", "--pid", process.pid).returncode == 1
        assert stax("record", "--", "./missing").returncode == 127
        if i == 2:
            fds = stax.n_fds()
    wait_until(lambda: stax.n_fds() <= fds, what="closed descriptors")
    assert stax.json("status")["active"] == []


def test_shutdown_while_recording(stax):
    target = stax.sleeper("--work-ms", 100)
    record = stax.start("record", "-q", "--pid", target.pid)
    stax.await_samples(5)
    assert stax.stop() == 0
    assert record.wait(timeout=20) in (0, 1)
    assert not stax.socket.exists()
    assert stax.end_sleeper(target)["term"] == 1


def test_sigterm_ends_it_cleanly(idle):
    idle.process.send_signal(signal.SIGTERM)
    assert idle.process.wait(timeout=15) == 0
    assert not idle.socket.exists()


def test_second_server_on_the_same_socket(idle):
    done = idle.run(idle.bin / "stax-server", timeout=20)
    assert done.returncode == 1 and "error: " in done.stderr and str(idle.socket) in done.stderr
    assert idle.is_healthy()


def test_stale_socket_is_replaced(idle):
    """What a killed server left behind does not keep the next one out."""
    idle.process.kill()
    idle.process.wait()
    assert idle.socket.exists()
    assert "isn't running" in idle("status").stderr
    second = idle.popen(idle.bin / "stax-server")
    wait_until(lambda: idle("status").returncode == 0, what="the second server")
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=15) == 0


def test_a_file_in_the_place_of_the_socket_is_kept(bare):
    bare.socket.write_text("precious")
    done = bare.run(bare.bin / "stax-server", timeout=20)
    assert done.returncode == 1 and bare.socket.read_text() == "precious"


def test_diagnose_accounts_for_what_was_read(stax):
    stax.truth("shares", "--seconds", 1)
    run, answer = stax.last_run(), stax.json("diagnose")
    assert answer["stacks"]["total"] >= run["samples"] > 20
    assert sum(cause["count"] for cause in answer["lost"]) == run["lost"] == 0
    rooms = {counter["room"] for counter in answer["counters"]}
    assert {"capture", "aggregate"} <= rooms
    images = {Path(i["path"]).name: i for i in answer["images"]}
    assert images["shares"]["functions"] > 5 and images["shares"]["symbols"] == ".symtab"
    text = stax.ok("diagnose").stdout
    assert "shares" in text and "lost" in text


def test_memory_limit_is_kept(stax):
    """Past --max-memory the oldest raw events are folded; the whole run's figures stay."""
    truth, run = stax.truth("shares", "--seconds", 3, "--threads", 2, "--burst-us", 200,
                            options=("-F", "10000", "--max-memory", "1M"))
    assert run["lost"] == 0, stax.json("diagnose")["lost"]
    totals = stax.json("threads")["totals"]
    assert abs(totals["cpu_ns"] / truth["process_cpu_ns"] - 1) < 0.01
    if run["folded_until_ns"] > 0:
        assert "--max-memory" in stax.ok("diagnose").stdout
