# SPDX-License-Identifier: MIT
"""record --pid: the target notices nothing, whatever happens to stax."""

import json
import os
import signal
import subprocess

import pytest

from private_server import is_alive, wait_until


def attach(stax, target, *options):
    record = stax.start("record", "-q", *options, "--pid", target.pid)
    assert stax.target_pid() == target.pid
    return record


def test_attach_and_interrupt(anybody):
    stax = anybody
    target = stax.sleeper("--work-ms", 200)
    record = attach(stax, target)
    stax.await_samples(30)
    record.send_signal(signal.SIGINT)
    assert record.wait(timeout=20) == 0
    run = stax.last_run()
    assert run["state"] == "stopped" and run["lost"] == 0 and run.get("exit_status") is None
    assert stax.json("top")["rows"][0]["name"] == "awake"
    assert stax.end_sleeper(target)["int"] == 0


def test_time_limit(anybody):
    stax = anybody
    target = stax.sleeper("--work-ms", 200)
    stax.ok("record", "-q", "-l", "0.5", "--pid", target.pid)
    run = stax.last_run()
    assert run["state"] == "stopped" and run["samples"] > 10
    assert stax.end_sleeper(target)["term"] == 1


def test_target_ends(stax):
    target = stax.sleeper("--work-ms", 200)
    record = attach(stax, target)
    stax.await_samples(20)
    stax.end_sleeper(target)
    assert record.wait(timeout=20) == 0
    assert stax.last_run()["state"] == "stopped"


def test_stop_from_elsewhere(stax):
    target = stax.sleeper("--work-ms", 200)
    record = attach(stax, target)
    stax.ok("stop")
    assert record.wait(timeout=20) == 0
    assert stax.end_sleeper(target)["term"] == 1


def test_kill_of_record_leaves_both(anybody):
    stax = anybody
    target = stax.sleeper("--work-ms", 200)
    record = attach(stax, target)
    record.kill()
    record.wait()
    stax.await_samples(stax.last_run()["samples"] + 30)
    assert stax.json("status")["active"][0]["pid"] == target.pid
    stax.ok("stop")
    assert stax.end_sleeper(target)["term"] == 1


def test_killed_target(anybody):
    stax = anybody
    target = stax.sleeper("--work-ms", 200)
    record = attach(stax, target)
    stax.await_samples(20)
    target.kill()
    assert record.wait(timeout=20) == 0
    run = stax.last_run()
    assert run["state"] == "stopped" and run["samples"] >= 20 and run["lost"] == 0


def test_signals_reach_the_target(stax):
    target = stax.sleeper("--work-ms", 100)
    record = attach(stax, target)
    for _ in range(5):
        before = stax.last_run()["samples"]
        target.send_signal(signal.SIGUSR1)
        stax.await_samples(before + 5)
    stax.ok("stop")
    record.wait(timeout=20)
    assert stax.end_sleeper(target)["usr1"] == 5


def test_attach_again_and_again(stax):
    target = stax.sleeper("--work-ms", 300)
    for i in range(5):
        record = attach(stax, target)
        stax.await_samples(10)
        stax.ok("stop")
        assert record.wait(timeout=20) == 0
    assert [r["id"] for r in stax.runs()] == [1, 2, 3, 4, 5]
    assert {r["pid"] for r in stax.runs()} == {target.pid}
    stax.end_sleeper(target)


def gone_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_pid_that_does_not_exist(anybody):
    pid = gone_pid()
    done = anybody("record", "--pid", pid)
    assert done.returncode == 1 and done.stderr.startswith("error: "), done
    assert str(pid) in done.stderr and anybody.json("status")["active"] == []


def test_zombie(stax):
    zombie = stax.popen("true")
    wait_until(lambda: not is_alive(zombie.pid))
    done = stax("record", "--pid", zombie.pid)
    assert done.returncode == 1 and str(zombie.pid) in done.stderr, done


def test_kernel_thread(stax):
    if os.geteuid() != 0 or open("/proc/2/comm").read().strip() != "kthreadd":
        pytest.skip("no kernel thread to be seen here")
    done = stax("record", "-l", "0.2", "--pid", 2)
    assert done.returncode in (0, 1) and stax.is_healthy()


def test_somebody_elses_process(other, stax):
    target = stax.sleeper()
    done = other("record", "--pid", target.pid)
    assert done.returncode == 1 and done.stderr.startswith("error: "), done
    assert str(target.pid) in done.stderr
    assert any(word in done.stderr for word in ("permission", "another user", "root", "owner"))
    assert other.json("status")["active"] == []
    assert stax.end_sleeper(target)["term"] == 1


def test_root_records_an_ordinary_users_process(other, stax):
    target = other.sleeper("--work-ms", 200)
    record = attach(stax, target)
    stax.await_samples(20)
    stax.ok("stop")
    assert record.wait(timeout=20) == 0
    assert stax.json("top")["rows"][0]["name"] == "awake"
    assert other.end_sleeper(target)["term"] == 1


def test_server_killed_while_recording(anybody):
    stax = anybody
    target = stax.sleeper("--work-ms", 200)
    record = attach(stax, target)
    stax.await_samples(10)
    stax.process.kill()
    _, err = record.communicate(timeout=20)
    assert record.returncode == 1 and err.startswith("error: "), err
    truth = stax.end_sleeper(target)
    assert truth["term"] == 1 and truth["int"] == truth["usr1"] == truth["usr2"] == 0


def test_server_killed_while_a_launched_target_runs(stax):
    record = stax.start("record", "-q", "--", stax.program("sleeper"), "--seconds", 2,
                        "--work-ms", 200)
    stax.await_samples(10)
    stax.process.kill()
    out, _ = record.communicate(timeout=20)
    truth = json.loads(out.splitlines()[-1])
    assert truth["wall_ns"] >= 2e9 and truth["term"] == 0
    assert record.returncode == 0
