# SPDX-License-Identifier: MIT
"""Spans of a program that runs: recorded at once and no longer than that, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import place
import pytest

from private_server import PrivateServer, wait_until

LIFE = Path(__file__).resolve().parents[1] / "support" / "span_life.py"
MS = 10 ** 6


class Target:
    def __init__(self, stax):
        library = next(place.BUILD.glob("src/target/libstax-target.so.*"))
        env = {**stax.env, "STAX_TARGET_LIBRARY": str(library)}
        self.stax = stax
        self.process = stax.popen(sys.executable, LIFE, stdin=subprocess.PIPE, env=env)
        self.pid = self.answer()["ready"]

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.answer()

    def await_state(self, state):
        wait_until(lambda: self.ask("spans")["state"] == state, what=f"state {state}")


@pytest.fixture
def target(stax):
    return Target(stax)


def lanes(stax):
    return {(r["pid"], r["name"]): r["spans"] for r in stax.json("target", "lanes")["rows"]}


def recorded(stax, target, *options, seconds=0.5):
    stax.ok("record", "-q", "--pid", target.pid, "-l", seconds, *options)
    return stax.last_run()


def test_seen_at_once_and_no_longer(stax, target, report):
    target.await_state("connected")
    assert target.ask("spans")["spans"] == 0
    began = time.monotonic_ns()
    recorder = stax.start("record", "-q", "--pid", target.pid)
    seen = wait_until(lambda: target.ask("spans")["seen_ns"], what="a gate that is open")
    wait_until(lambda: stax.last_run()["spans"] > 20, what="spans")
    stopped = time.monotonic_ns()
    stax.ok("stop")
    recorder.wait(timeout=20)
    closed = wait_until(lambda: target.ask("spans")["unseen_ns"], what="a gate that is closed")
    after = target.ask("spans")
    run = stax.last_run()
    report(f"gate: open {(seen - began) / MS:.1f} ms after `stax record` was started, closed "
           f"{(closed - stopped) / MS:.1f} ms after `stax stop` was")
    first = stax.json("target", "spans", "--latest", "-n", 0)["rows"][-1]
    report(f"gate: first span {first['start_ns'] / MS:.1f} ms after the recording began")
    assert abs(run["spans"] - after["spans"]) <= 1  # the last one may have met the end
    assert after["n_dropped_full"] == 0 and target.ask("spans")["spans"] == after["spans"]


def test_run_after_run(stax, target):
    target.await_state("connected")
    for _ in range(3):
        before = target.ask("spans")["spans"]
        run = recorded(stax, target)
        assert abs(run["spans"] - (target.ask("spans")["spans"] - before)) <= 1 < run["spans"]


def test_the_server_is_killed_and_comes_back(stax, target):
    target.await_state("connected")
    recorded(stax, target)
    recorder = stax.start("record", "-q", "--pid", target.pid)
    wait_until(lambda: target.ask("spans")["state"] == "recorded", what="a recording")
    stax.process.kill()
    stax.process.wait()
    recorder.wait(timeout=20)
    target.await_state("no server")
    assert target.process.poll() is None
    server = PrivateServer(stax.folder, stax.account)
    try:
        target.await_state("connected")
        before = target.ask("spans")["spans"]
        server.ok("record", "-q", "--pid", target.pid, "-l", 0.5)
        assert abs(server.last_run()["spans"] - (target.ask("spans")["spans"] - before)) <= 1
        assert server.last_run()["spans"] > 20
    finally:
        server.end_all()


def test_a_program_that_is_there_before_the_server(bare):
    target = Target(bare)
    assert target.ask("spans")["state"] == "no server"
    server = PrivateServer(bare.folder, bare.account)
    try:
        target.await_state("connected")
        server.ok("record", "-q", "--pid", target.pid, "-l", 0.5)
        assert server.last_run()["spans"] > 20
    finally:
        server.end_all()


def test_a_child_reports_its_own(stax, target):
    target.await_state("connected")
    child = target.ask("fork")["child"]
    try:
        recorded(stax, target)
        assert set(lanes(stax)) == {(target.pid, "life")}
        stax.ok("record", "-q", "--pid", child, "-l", 0.5)
        assert lanes(stax)[(child, "child")] > 20
        # Forked while it is recorded: both are.
        recorder = stax.start("record", "-q", "--children", "--pid", target.pid)
        wait_until(lambda: target.ask("spans")["state"] == "recorded", what="a recording")
        second = target.ask("fork")["child"]
        wait_until(lambda: (second, "child") in lanes(stax), what="the child's lane")
        stax.ok("stop")
        recorder.wait(timeout=20)
        os.kill(second, signal.SIGKILL)
        assert lanes(stax)[(target.pid, "life")] > 0
    finally:
        os.kill(child, signal.SIGKILL)


def test_exec_begins_anew(stax, target):
    target.await_state("connected")
    recorder = stax.start("record", "-q", "--pid", target.pid)
    wait_until(lambda: target.ask("spans")["state"] == "recorded", what="a recording")
    wait_until(lambda: target.ask("spans")["spans"] > 20, what="spans")
    before = target.ask("spans")["spans"]
    assert target.ask("exec")["ready"] == target.pid
    wait_until(lambda: target.ask("spans")["spans"] > 20, what="spans of the new image")
    stax.ok("stop")
    recorder.wait(timeout=20)
    after = target.ask("spans")["spans"]
    assert before - 1 <= stax.last_run()["spans"] - after <= before + 30


def test_a_target_that_is_killed(stax, target):
    """What it had reported until then is there."""
    target.await_state("connected")
    recorder = stax.start("record", "-q", "--pid", target.pid)
    wait_until(lambda: target.ask("spans")["spans"] > 50, what="spans")
    reported = target.ask("spans")["spans"]
    target.process.kill()
    recorder.wait(timeout=20)
    wait_until(lambda: stax.last_run()["state"] == "stopped", what="the end of the run")
    assert reported <= stax.last_run()["spans"] <= reported + 100
