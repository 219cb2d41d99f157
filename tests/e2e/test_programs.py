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


WAITS = {"mutex": "lock", "condition": "idle", "semaphore": "sem", "join": "idle", "pipe": "ipc",
         "tcp": "ioR", "unix": "ipc", "epoll": "ready", "timeout": "ready", "sleep": "sleep",
         "child": "idle", "read": "ioR", "fsync": "ioW", "page": "ioR"}


@pytest.fixture(scope="module")
def waits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waits")
    truth = run("waits", "--seconds", 2, "--folder", f"{folder}/")
    assert list(folder.iterdir()) == []
    return {thread["kind"]: thread for thread in truth["threads"]}


def test_waits_has_a_thread_of_each_kind(waits):
    assert {kind: thread["reason"] for kind, thread in waits.items()} == WAITS
    assert len({thread["tid"] for thread in waits.values()}) == len(WAITS)


@pytest.mark.parametrize("kind", WAITS)
def test_waits_do_nothing_but_wait(waits, kind):
    """Its accounts make up its life, and nearly all that it was blocked it was in its own waits."""
    thread = waits[kind]
    assert thread["blocked_ns"] + thread["cpu_ns"] + thread["runq_ns"] == thread["wall_ns"]
    assert 1.9e9 < thread["wall_ns"] < 4e9 and thread["n_unlisted"] == 0
    assert sum(blocked for _, _, blocked, *_ in thread["waits"]) <= thread["waits_blocked_ns"]
    assert thread["waits_blocked_ns"] >= 0.9 * thread["blocked_ns"]
    if kind not in ("read", "fsync", "page"):
        # The disk may be none.
        assert thread["n_waits"] >= 50
        lengths = [blocked for _, _, blocked, *_ in thread["waits"]]
        assert sum(50e3 < ns < 1e6 for ns in lengths) >= 10
        assert sum(1e6 < ns < 25e6 for ns in lengths) >= 10


def test_wakes_knows_its_edges_and_its_path():
    truth = run("wakes", "--rounds", 30, "--jobs", 10)
    assert [edge["kind"] for edge in truth["edges"]] == [
        "futex", "futex", "condition", "futex", "eventfd", "futex", "pipe", "futex"]
    for first, second in zip(truth["edges"][::2], truth["edges"][1::2]):
        assert first["wakee_tid"] == second["waker_tid"] and first["count"] == 30
    stages = truth["path"]["stages"]
    for number in range(10):
        # One after the other: each begins when the one before has ended.
        ends_ns = 0
        for stage in stages:
            start_ns, duration_ns = stage["worked"][number]
            assert start_ns > ends_ns
            ends_ns = start_ns + duration_ns
    used = [stage["cpu_ns"] for stage in stages]
    assert used[0] < used[1] < used[2]
