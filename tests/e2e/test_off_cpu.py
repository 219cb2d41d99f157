# SPDX-License-Identifier: MIT
"""off-cpu: where and why threads waited; its sums are those of every other view."""

import os
import shutil
import time

import pytest

from private_server import wait_until

MS = 10 ** 6

# One thread for each way of waiting, 0.3 s and more; what its reason and its time should be.
PROGRAM = """
import os, socket, threading, time
lock = threading.Lock()
def sleeper():
    for _ in range(3):
        time.sleep(0.1)
def acceptor():
    server = socket.create_server(("127.0.0.1", 0))
    def call():
        time.sleep(0.3)
        socket.create_connection(server.getsockname()).close()
    threading.Thread(target=call).start()
    server.accept()
def reader():
    r, w = os.pipe()
    threading.Timer(0.3, os.write, [w, b"x"]).start()
    os.read(r, 1)
def locker():
    lock.acquire()
def named(function):
    with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
        comm.write(function.__name__)
    function()
lock.acquire()
threads = [threading.Thread(target=named, args=[f]) for f in (sleeper, acceptor, reader, locker)]
for thread in threads:
    thread.start()
time.sleep(0.4)
lock.release()
for thread in threads:
    thread.join()
"""
REASONS = {"sleeper": "sleep", "acceptor": "conn", "reader": "ipc", "locker": "lock"}


@pytest.fixture
def recorded(anybody):
    anybody.record("--", "/usr/bin/python3", "-c", PROGRAM)
    return anybody


def walk(node):
    yield node
    for child in node.get("children", []):
        yield from walk(child)


def check_sums(stax, *view):
    """All views of one part of a run, and none of them counts anything twice."""
    threads = stax.json("threads", "-n", 0, *view)
    totals = threads["totals"]
    for row in threads["rows"]:
        assert sum(row["off_cpu_by_reason_ns"].values()) == row["off_cpu_ns"]
        if row["off_cpu_ns"] > 0:
            largest = max(row["off_cpu_by_reason_ns"].values())
            assert row["off_cpu_by_reason_ns"][row["blocked"]] == largest
    assert sum(row["off_cpu_ns"] for row in threads["rows"]) == totals["off_cpu_ns"]
    of_threads = {}
    for row in threads["rows"]:
        for reason, ns in row["off_cpu_by_reason_ns"].items():
            of_threads[reason] = of_threads.get(reason, 0) + ns
    for by in ("stack", "reason", "thread"):
        answer = stax.json("off-cpu", "-n", 0, "--by", by, *view)
        assert answer["totals"] == totals
        assert answer["selected_ns"] == totals["off_cpu_ns"]
        assert len(answer["rows"]) == answer["all_rows"]
        assert sum(row["total_ns"] for row in answer["rows"]) == totals["off_cpu_ns"]
        assert sum(row["count"] for row in answer["rows"]) == answer["waits"]
        for reason, ns in of_threads.items():
            rows = [row for row in answer["rows"] if row["reason"] == reason]
            assert sum(row["total_ns"] for row in rows) == ns, (by, reason)
        for row in answer["rows"]:
            assert row["p50_ns"] <= row["max_ns"] <= row["total_ns"]
            assert len(row["stack"]) == row["frames"]
    for options in ((), ("--invert",)):
        flame = stax.json("flame", "--mode", "off-cpu", "-d", 0, "--threshold-pct", 0, *options,
                          *view)
        assert flame["totals"] == totals
        nodes = list(walk(flame["root"]))[1:]
        assert sum(node["self_off_cpu_ns"] for node in nodes) == totals["off_cpu_ns"]
    wall = stax.json("flame", "--mode", "wall", "-d", 0, "--threshold-pct", 0, *view)
    nodes = list(walk(wall["root"]))[1:]
    assert sum(node["self_off_cpu_ns"] for node in nodes) == totals["off_cpu_ns"]
    assert sum(node["self_active_ns"] for node in nodes) == totals["active_ns"]
    assert sum(node["runq_ns"] for node in nodes) == totals["runq_ns"]
    top = stax.json("top", "-n", 0, "--sort", "off-cpu", *view)
    assert top["totals"] == totals
    assert sum(row["self_off_cpu_ns"] for row in top["rows"]) == totals["off_cpu_ns"]
    assert all(row["total_off_cpu_ns"] >= row["self_off_cpu_ns"] for row in top["rows"])
    return totals


def test_all_views_agree(recorded):
    whole = check_sums(recorded)
    assert whole["off_cpu_ns"] > 1000 * MS
    tids = [row["tid"] for row in recorded.json("threads", "-n", 0)["rows"]]
    first = check_sums(recorded, "--to", "0.2")
    second = check_sums(recorded, "--from", "0.2")
    for field in ("off_cpu_ns", "cpu_ns", "runq_ns"):
        assert first[field] + second[field] == pytest.approx(whole[field], rel=0.01, abs=2 * MS)
    check_sums(recorded, "--tid", tids[0], "--tid", tids[-1])
    check_sums(recorded, "--exclude", "libc")
    check_sums(recorded, "--focus", "python3", "--from", "0.1", "--to", "0.3")


def test_reasons_and_places(recorded):
    """Also where waits are only looked at now and then: these are long."""
    rows = {row["name"]: row for row in recorded.json("threads", "-n", 0)["rows"]}
    waits = recorded.json("off-cpu", "-n", 0, "--by", "thread")["rows"]
    for name, reason in REASONS.items():
        assert rows[name]["blocked"] == reason, name
        heaviest = next(row for row in waits if row["tid"] == rows[name]["tid"])
        assert heaviest["reason"] == reason
        assert heaviest["total_ns"] > 250 * MS
        assert heaviest["thread"] == name
        assert heaviest["wait_site"]
        if not heaviest["approximate"]:
            assert heaviest["complete"]
            assert heaviest["stack"][-1]["name"] in ("clone3", "__clone3", "start_thread", "clone")
            assert any(frame["kind"] == "kernel" for frame in heaviest["stack"])
    sleep = [row for row in waits if row["thread"] == "sleeper" and row["reason"] == "sleep"][0]
    assert sleep["count"] >= 3
    # Short waits between two looks are told as what was seen last.
    if sleep["approximate"]:
        assert 99 * MS < sleep["max_ns"] < 250 * MS
    else:
        assert 99 * MS < sleep["p50_ns"] < 130 * MS
    only = recorded.json("off-cpu", "-n", 0, "--reason", "conn")
    assert {row["reason"] for row in only["rows"]} == {"conn"}
    assert only["selected_ns"] < only["totals"]["off_cpu_ns"]


def test_waits_that_last_grow_and_have_objects(stax):
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed")
    redis = stax.popen(server, "--port", "0", "--unixsocket", stax.folder / "redis.sock",
                       "--save", "", "--dir", stax.folder)
    wait_until(lambda: os.path.exists(stax.folder / "redis.sock"))
    recorder = stax.start("record", "-q", "--pid", redis.pid)
    wait_until(lambda: any(run["state"] == "recording" for run in stax.runs()))
    time.sleep(0.5)
    first = stax.json("off-cpu", "-n", 0)
    assert first["open"] > 0
    more_ns = first["totals"]["off_cpu_ns"] + 200 * MS

    def later():
        answer = stax.json("off-cpu", "-n", 0)
        return answer["totals"]["off_cpu_ns"] > more_ns and answer
    second = wait_until(later, what="waits that go on")
    threads = {row["tid"]: row for row in stax.json("threads", "-n", 0)["rows"]}
    ready = [row for row in second["rows"] if row["reason"] == "ready"]
    if ready and not ready[0]["approximate"]:
        assert threads[redis.pid]["blocked"] == "ready"
        assert ready[0]["object"] == "anon_inode:[eventpoll]"
        assert ready[0]["tid"] == redis.pid
        # Background threads have waited on conditions all the time.
        assert [row["blocked"] for tid, row in threads.items() if tid != redis.pid].count("idle") \
            >= 2
    stax.ok("stop")
    recorder.wait(20)
    after = stax.json("off-cpu", "-n", 0)
    assert [row.get("object") for row in after["rows"] if row["reason"] == "ready"] \
        == [row.get("object") for row in ready]


def test_simple_programs(stax):
    stax.record("--", "sleep", "0.2")
    answer = stax.json("off-cpu")
    heaviest = answer["rows"][0]
    if heaviest["approximate"]:
        pytest.skip("this host tells no stacks of waits")
    assert heaviest["reason"] == "sleep"
    assert 200 * MS <= heaviest["total_ns"] < 260 * MS
    assert any("nanosleep" in frame["name"] for frame in heaviest["stack"])
    stax.record("--", "dd", "if=/dev/zero", f"of={stax.folder}/blob", "bs=1M", "count=16",
                "conv=fsync")
    by_reason = {row["reason"]: row for row in stax.json("off-cpu", "--by", "reason")["rows"]}
    if "ioW" in by_reason:  # a folder in memory is never written back
        focus = stax.json("off-cpu", "--focus", "fsync", "-n", 0)
        assert focus["totals"]["off_cpu_ns"] > 0
        assert all(any("fsync" in frame["name"] for frame in row["stack"])
                   for row in focus["rows"])


def test_pages_are_readable(recorded):
    page = recorded.ok("off-cpu", "-n", 3, "-d", 2).stdout.splitlines()
    assert "off-CPU in" in page[0] and "(3 shown; -n 0: all)" in page[0]
    assert page[1].split()[:2] == ["off-CPU", "ms"] and page[1].endswith("wait site")
    assert "more frame" in "\n".join(page)
    threads = recorded.ok("threads").stdout.splitlines()
    assert "runq ms" in threads[1] and "blocked" in threads[1]
    assert "off-CPU ms" in recorded.ok("flame", "--mode", "off-cpu").stdout.splitlines()[1]
    assert "(waiting for a CPU)" in recorded.ok("flame", "--mode", "wall", "-d", 1,
                                                "--threshold-pct", 0).stdout
    top = recorded.ok("top", "--sort", "off-cpu", "-n", 5).stdout.splitlines()
    assert "by time blocked" in top[0] and "waits" in top[1]
    by_reason = recorded.ok("off-cpu", "--by", "reason")
    assert all(line.strip() for line in by_reason.stdout.splitlines())


def test_empty_views_say_what_to_type(anybody):
    anybody.record("--no-off-cpu", "--", "sleep", "0.05")
    for command in (("off-cpu",), ("flame", "--mode", "off-cpu"), ("top", "--sort", "off-cpu")):
        assert "--no-off-cpu" in anybody.ok(*command).stderr
    anybody.record("--", "sleep", "0.2")
    assert "stax off-cpu" in anybody.ok("off-cpu", "--focus", "no_such_function").stderr
    assert "no waits in this range" in anybody.ok("off-cpu", "--to", "0.000001").stderr
    assert "--by reason" in anybody.ok("off-cpu", "--reason", "conn").stderr
    refused = anybody("off-cpu", "--reason", "hunger")
    assert refused.returncode == 2 and "hunger" in refused.stderr


def test_subscriptions_follow(stax):
    sleeper = stax.sleeper()
    recorder = stax.start("record", "-q", "--pid", sleeper.pid)
    wait_until(lambda: any(run["state"] == "recording" for run in stax.runs()))
    with stax.client() as client:
        client.subscribe("profile.offCpu", min_interval_ms=50, by="reason")
        first = client.next_update()["result"]
        assert first["by"] == "reason"
        second = client.next_update()["result"]
        assert second["totals"]["off_cpu_ns"] >= first["totals"]["off_cpu_ns"]
    stax.ok("stop")
    recorder.wait(20)
    stax.end_sleeper(sleeper)
