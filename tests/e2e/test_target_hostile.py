# SPDX-License-Identifier: MIT
"""Programs that lie about their spans: counted, bounded, and nobody else is harmed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lying_producer

PRODUCER = Path(lying_producer.__file__)


def played(stax, behaviour):
    """Recorded beside a thread that works, so that there is something to be harmed."""
    stax.ok("record", "-q", "--", sys.executable, str(PRODUCER), behaviour, timeout=120)
    run = stax.last_run()
    counters = {c["name"]: c["value"] for c in stax.json("diagnose")["counters"]
                if c["room"] == "target"}
    return run, counters


@pytest.mark.parametrize("behaviour", [b.__name__ for b in lying_producer.BEHAVIOURS])
def test_lies_are_bounded(stax, behaviour, report):
    before_kb = stax.status_kb("VmRSS")
    run, counters = played(stax, behaviour)
    grown_kb = stax.status_kb("VmRSS") - before_kb
    report(f"{behaviour}: {run['spans']} spans, server grew by {grown_kb >> 10} MiB")
    # The shared memory itself is 11 MiB; names of a run are bounded, and what is too much is told.
    assert grown_kb < 200 << 10
    assert stax.is_healthy() and run["samples"] > 0
    # A program that says itself that it had to drop spans is believed, for its own run.
    assert run["lost"] == counters["dropped_target_queue"]
    assert behaviour == "random_bytes" or run["lost"] == 0
    lanes = {r["name"]: r for r in stax.json("target", "lanes", "-n", 0)["rows"]}
    if behaviour not in ("name_flood",):
        assert lanes["honest lane"]["spans"] >= 200
    if behaviour == "honest":
        assert run["spans"] == 200 and counters["dropped_malformed"] == 0
    if behaviour == "odd_times":
        assert counters["dropped_bad_duration"] + counters["dropped_outside_run"] == 5
        assert run["duration_ns"] < 60e9
    if behaviour in ("odd_numbers", "half_written"):
        assert counters["dropped_malformed"] > 0
    if behaviour == "endless_names":
        assert counters["dropped_malformed"] == 20000 and run["duration_ns"] < 60e9
    if behaviour == "half_written":
        assert lanes["honest lane"]["spans"] == 400
    if behaviour == "name_flood":
        assert len(stax.json("target", "top", "-n", 0)["rows"]) <= 65536
    # The next run does not know of it.
    again, counters = played(stax, "honest")
    assert again["spans"] == 200 and counters["dropped_malformed"] == 0


def test_another_user_is_refused(idle, other_account):
    """The socket is its owner's; whoever gets at it nevertheless is refused by uid."""
    os.chmod(idle.socket, 0o777)
    done = subprocess.run([sys.executable, str(PRODUCER), "honest"], capture_output=True, text=True,
                          env={**idle.env}, **other_account.popen_options(), timeout=30)
    assert done.returncode != 0 and idle.is_healthy()


def test_many_at_once(stax):
    """Some lie, some do not, in one recording with its children."""
    script = "import subprocess, sys\n" \
        f"ps = [subprocess.Popen([sys.executable, {str(PRODUCER)!r}, b]) for b in sys.argv[1:]]\n" \
        "sys.exit(max(p.wait() for p in ps))"
    stax.ok("record", "-q", "--children", "--", sys.executable, "-c", script, "honest",
            "random_bytes", "honest", "lying_indices", "honest", timeout=120)
    rows = stax.json("target", "lanes", "-n", 0)["rows"]
    assert sum(r["spans"] for r in rows if r["name"] == "honest lane") >= 1000
    assert stax.is_healthy() and all(cause["count"] == 0 for cause in stax.json("diagnose")["lost"]
                                     if not cause["cause"].startswith("span: target"))


def test_a_killed_producer_leaves_nothing(stax):
    before = stax.n_fds()
    process = stax.popen(sys.executable, PRODUCER, "half_written")
    stax.ok("record", "-q", "--pid", process.pid, "-l", 0.4)
    process.kill()
    process.wait()
    stax.ok("record", "-q", "--", "true")
    assert stax.is_healthy() and stax.n_fds() <= before + 2
