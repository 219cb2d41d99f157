# SPDX-License-Identifier: MIT
"""counters: what the processor counted, by function and thread; why, where it counts nothing.

The kernel's own counters stand in for the processor's (STAX_TEST_COUNTERS): the first column is
page faults then, of which a program knows how many it made, and all else is as it always is.
"""

import json

import pytest

from broker import Staxd
from private_server import PrivateServer, wait_until
from staxd_cases import folder, needs_root  # noqa: F401
from test_broker import paranoid

SOFTWARE = {"STAX_TEST_COUNTERS": "software"}
EACH = {"STAX_TEST_COUNTERS": "software-each"}  # threads cannot inherit: Linux before 6.13
FUNCTIONS = ("touch_many", "touch_few")


@pytest.fixture(params=["self", "other_user"])
def counting(request, tmp_path_factory):
    """A server whose counters are the kernel's; as whoever runs the tests and as a user."""
    base = request.getfixturevalue("stax" if request.param == "self" else "other")
    base.stop()
    base.end_all = lambda: None
    server = PrivateServer(base.folder, base.account, env=SOFTWARE)
    yield server
    server.end_all()


def restart(stax, env):
    """The same account with another setting."""
    stax.stop()
    stax.end_all = lambda: None
    return PrivateServer(stax.folder, stax.account, env=env)


def of_functions(result):
    return {row["name"]: row for row in result["rows"]}


def near(value, wanted, within_pct=2.0):
    return abs(value - wanted) <= within_pct / 100 * wanted


def check_sums(result):
    assert result["all_rows"] == len(result["rows"])
    for name in ("cycles", "instructions", "l1d_misses", "branch_misses", "samples"):
        total = sum(row[name] for row in result["rows"])
        # Rows are rounded one by one.
        assert abs(total - result["total"][name]) <= len(result["rows"]), name


def check_truth(stax, truth):
    functions = stax.json("counters", "-n", 0)
    threads = stax.json("counters", "-n", 0, "--by", "thread")
    assert functions["available"] and "reason" not in functions
    assert [c["name"] for c in functions["counters"]] == [
        "page-faults", "minor-faults", "context-switches", "task-clock"]
    check_sums(functions)
    check_sums(threads)
    assert functions["total"]["cycles"] == pytest.approx(threads["total"]["cycles"], abs=2)
    assert functions["dropped"] == 0 and not functions["total"]["scaled"]
    rows = of_functions(functions)
    for name in FUNCTIONS:
        wanted = sum(thread[name] for thread in truth["threads"])
        assert near(rows[name]["cycles"], wanted), (name, rows[name], wanted)
        assert rows[name]["kind"] == "user" and rows[name]["image"] == "pages"
        assert "ipc" not in rows[name]  # faults have none
    by_tid = {row["tid"]: row for row in threads["rows"]}
    cpu_ns = {row["tid"]: row["cpu_ns"] for row in stax.json("threads", "-n", 0)["rows"]}
    for thread in truth["threads"]:
        row = by_tid[thread["tid"]]
        assert near(row["cycles"], thread["faults"]), (row, thread)
        assert near(row["instructions"], thread["faults"]), (row, thread)
        # The clock of the thread, which counts here too: the scheduler's time, and what a
        # hypervisor took meanwhile.
        if stax.account.is_root:
            wanted_ns = cpu_ns[thread["tid"]]
            stolen_ns = 10 ** 6 * (stax.stolen_ms() + 10)
            assert 0.98 * wanted_ns < row["branch_misses"] < 1.02 * wanted_ns + stolen_ns


def test_faults_of_functions_and_threads(counting):
    truth, _ = counting.truth("pages", options=["--counters", "--no-kernel"])
    check_truth(counting, truth)


def test_events_of_single_threads(counting):
    """Following children, everybody has events that are bound to threads."""
    truth, _ = counting.truth("pages", options=["--counters", "--no-kernel", "--children"])
    check_truth(counting, truth)


def test_kernels_that_cannot_inherit(stax):
    stax = restart(stax, EACH)
    try:
        truth, _ = stax.truth("pages", "--start-us", "150000",
                              options=["--counters", "--no-kernel"])
        check_truth(stax, truth)
    finally:
        PrivateServer.end_all(stax)


def test_attached_and_live(counting):
    process = counting.popen(counting.program("pages"), "--turns", "6")
    record = counting.start("record", "-q", "--counters", "--no-kernel", "--pid", process.pid)
    counting.await_samples(300)
    live = counting.json("counters", "--by", "thread")
    assert live["run"]["state"] == "recording" and live["total"]["samples"] > 100
    out, _ = process.communicate(timeout=60)
    record.communicate(timeout=30)
    truth = json.loads(out)
    end = counting.json("counters", "-n", 0, "--by", "thread")
    assert end["total"]["samples"] > live["total"]["samples"]
    assert end["total"]["cycles"] > live["total"]["cycles"]
    # What was before the recording is missing, and nothing else.
    assert end["total"]["cycles"] <= sum(t["faults"] for t in truth["threads"])
    check_sums(end)


def test_views(counting):
    truth, run = counting.truth("pages", options=["--counters", "--no-kernel"])
    whole = counting.json("counters", "-n", 0)["total"]
    middle = f"{run['duration_ns'] // 2000000}ms"
    halves = [counting.json("counters", "-n", 0, *view)["total"]
              for view in (("--to", middle), ("--from", middle))]
    for name in ("cycles", "instructions", "samples"):
        assert abs(sum(half[name] for half in halves) - whole[name]) <= 2, name
    assert all(half["samples"] > 0 for half in halves)
    tid = truth["threads"][0]["tid"]
    one = counting.json("counters", "-n", 0, "--by", "thread", "--tid", tid)
    assert [row["tid"] for row in one["rows"]] == [tid]
    focus = counting.json("counters", "-n", 0, "--focus", "touch_few")
    rest = counting.json("counters", "-n", 0, "--exclude", "touch_few")
    assert [row["name"] for row in focus["rows"]] == ["touch_few"]
    assert "touch_few" not in of_functions(rest)
    assert abs(focus["total"]["cycles"] + rest["total"]["cycles"] - whole["cycles"]) <= 2


def test_text(counting):
    counting.truth("pages", options=["--counters", "--no-kernel"])
    text = counting.ok("counters", "-n", 2).stdout.splitlines()
    assert "readings" in text[0] and "shown; -n 0: all)" in text[0]
    head = next(line for line in text if "page-faults" in line).split()
    assert head[:3] == ["page-faults", "minor-faults", "IPC"] and head[-2:] == ["function",
                                                                               "(image)"]
    assert text[-2].endswith("touch_many (pages)") and text[-1].endswith("touch_few (pages)")
    threads = counting.ok("counters", "--by", "thread").stdout.splitlines()
    assert threads[-1].endswith("pages")


def test_recorded_without(counting):
    counting.truth("pages", "--turns", "1")
    result = counting.json("counters")
    assert not result["available"] and result["host_has"] and result["rows"] == []
    assert result["reason"] == "this run was recorded without them"
    text = counting.ok("counters").stdout
    assert "this run was recorded without them" in text and "stax record --counters" in text


def test_a_host_without_counters_says_why(anybody):
    """Everywhere: the capabilities, the note of a recording, the query; never zeros."""
    states = {row["name"]: row for row in anybody.json("status")["capabilities"]}
    state = states["counters"]
    if state["available"]:
        pytest.skip("this host has hardware counters")
    assert "hardware PMU" in state["reason"] or "paranoid" in state["reason"]
    assert "counters no: " + state["reason"] in anybody.ok("status").stdout
    assert state["reason"] in anybody("doctor").stdout
    note = f"counters: not available on this host ({state['reason']})"
    recorded = anybody.ok("record", "--counters", "--", anybody.program("pages"), "--turns", 1)
    assert f"stax: {note}\n" in recorded.stderr
    assert anybody.last_run()["samples"] > 0
    for command in (["counters"], ["counters", "--by", "thread"]):
        assert note in anybody.ok(*command).stdout
        result = anybody.json(*command)
        assert result["available"] is False and result["reason"] == state["reason"]
        assert result["rows"] == [] and "cycles" not in result["total"]
        assert [c["name"] for c in result["counters"]] == [
            "cycles", "instructions", "L1d-misses", "branch-misses"]
        assert all(not c["available"] and c["reason"] for c in result["counters"])
    # The same of a run that nobody asked to count.
    anybody.record("--", anybody.program("pages"), "--turns", 1)
    assert note in anybody.ok("counters").stdout


def test_children_are_counted_by_themselves(counting):
    counting.record("--counters", "--no-kernel", "--children", "--", "/bin/sh", "-c",
                    f"{counting.program('pages')} --turns 1; {counting.program('pages')} --turns 1")
    rows = [row for row in counting.json("counters", "-n", 0, "--by", "thread")["rows"]
            if row["name"] == "pages" and row["cycles"] > 10000]
    assert len(rows) == 4
    assert all(near(row["cycles"], 30000) for row in rows), rows


@pytest.mark.parametrize("level", [pytest.param(2, marks=needs_root),
                                   pytest.param(3, marks=needs_root)])
def test_beside_a_broker(other, folder, level):  # noqa: F811
    """staxd opens no counters: user mode is counted where the host lets everybody do that."""
    stax = restart(other, SOFTWARE)
    staxd = Staxd(folder, socket_name=f"{level}.sock")
    try:
        with paranoid(level):
            truth, _ = stax.truth("pages", options=["--counters", "--daemon-socket", staxd.socket])
            assert "staxd" in stax("diagnose").stdout
            result = stax.json("counters")
            if level == 2:
                assert result["user_only"]
                check_truth(stax, truth)
            else:
                assert not result["available"] and "rows" in result
                assert result["reason"].startswith("perf_event_paranoid=3")
                assert "sudo sysctl kernel.perf_event_paranoid=2" in stax("counters").stdout
    finally:
        PrivateServer.end_all(stax)
        staxd.end()


def test_updates_are_sent(counting):
    process = counting.popen(counting.program("pages"), "--turns", "10")
    counting.start("record", "-q", "--counters", "--pid", process.pid, "-l", "2")
    counting.await_samples(50)
    with counting.client(timeout_s=20) as client:
        first = client.call("profile.counters", by="thread")
        assert first["available"] and first["total"]["samples"] > 0
        wait_until(lambda: client.call("profile.counters")["total"]["samples"]
                   > first["total"]["samples"], what="more readings")
