# SPDX-License-Identifier: MIT
"""The target programs: what they call truth has to be true without a profiler."""

import json
import subprocess

import pytest

import place


def run(name, *args):
    done = subprocess.run([str(place.PROGRAMS / name), *map(str, args)], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("mode", [[], ["--burst-us", 200], ["--burst-mix"], ["--thread-ms", 2]])
def test_shares_are_50_30_20(mode):
    truth = run("shares", "--seconds", 1.5, *mode)
    for name, expected in (("work_50", 50), ("work_30", 30), ("work_20", 20)):
        assert truth["functions"][name]["pct"] == pytest.approx(expected, abs=15)
    assert truth["cpu_ns"] <= truth["process_cpu_ns"] * 1.001


def test_churn_names_every_thread():
    truth = run("churn", "--seconds", 1, "--threads", 8, "--born", 100)
    assert truth["born"] >= 50
    tids = truth["long_tids"] + truth["born_tids"]
    assert len(set(truth["long_tids"])) == 8 and 0 not in tids


def test_execs_has_three_images():
    images = run("execs", 20)["images"]
    assert [i["function"] for i in images] == ["work_in_first", "work_in_second", "work_in_third"]


def test_dlchurn_uses_one_address():
    truth = run("dlchurn", place.PROGRAMS, 3, 5)
    assert truth["same"] == truth["rounds"] == 3


def test_pingpong_switches_every_round():
    truth = run("pingpong", "--seconds", 0.5)
    assert truth["voluntary_switches"] >= truth["rounds"]


def test_exits_copies_and_ends_as_told():
    done = subprocess.run([str(place.PROGRAMS / "exits"), "--copy", "--status", "7"],
                          input=b"\0\1\n", capture_output=True)
    assert (done.returncode, done.stdout) == (7, b"\0\1\n")
    done = subprocess.run([str(place.PROGRAMS / "exits"), "--signal", "11"], capture_output=True)
    assert done.returncode == -11
