# SPDX-License-Identifier: MIT
"""Truth: who wakes whom, how often and where; and the path that a job takes through threads.

The counts are exact, or wrong: the program wakes only who sleeps. Of the critical path at least
95 % of the time is on the right thread.
"""

import json
from types import SimpleNamespace

import pytest

from fixtures import _ended, _folder, _need_events
from private_server import Account, PrivateServer
from waiting import (MS, NOBODY, US, by_tid, is_called_by, names, overlap_ns, reaches,
                     run_start_ns, slices_of_process_1, wakeups_unseen_at_most)

ROUNDS, JOBS = 250, 100
EDGES = [f"{one} by {kind}" for kind in ("futex", "condition", "eventfd", "pipe")
         for one in ("second", "third")]


@pytest.fixture(scope="module")
def graph():
    _need_events(Account())
    slices = slices_of_process_1()
    with _folder() as folder, _ended(PrivateServer(folder)) as server:
        truth, run = server.truth("wakes", "--rounds", ROUNDS)
        unseen = wakeups_unseen_at_most(slices)
        assert run["lost"] == 0, server.json("diagnose")["lost"]
        edges = dict(zip(EDGES, truth["edges"]))
        assert len(edges) == len(truth["edges"]) == len(EDGES)
        yield SimpleNamespace(stax=server, truth=truth, edges=edges, run=run, unseen=unseen,
                              rows=server.json("wakers", "-n", 0)["rows"])


@pytest.fixture(scope="module")
def path():
    _need_events(Account())
    with _folder() as folder, _ended(PrivateServer(folder)) as server:
        truth, run = server.truth("wakes", "--rounds", 0, "--jobs", JOBS)
        assert run["lost"] == 0, server.json("diagnose")["lost"]
        why = server.json("why", "-n", 0, "--tid", truth["main_tid"])
        yield SimpleNamespace(stax=server, truth=truth, stages=truth["path"]["stages"], why=why,
                              start_ns=run_start_ns(run), run=run)


@pytest.mark.parametrize("name", EDGES)
def test_counts_are_exact(graph, name):
    edge = graph.edges[name]
    rows = [r for r in graph.rows if r["wakee_tid"] == edge["wakee_tid"]]
    of_edge = [r for r in rows if r["waker_tid"] == edge["waker_tid"]]
    assert sum(r["count"] for r in of_edge) == edge["count"] == ROUNDS, rows
    assert {(r["waker_name"], r["wakee_name"]) for r in of_edge} == {
        (edge["waker_name"], edge["wakee_name"])}
    # Somebody else may start a thread, or a disk end a fault of it; another thread never wakes it.
    others = [r for r in rows if r not in of_edge and r["waker_tid"] != 0]
    assert sum(r["count"] for r in others) <= 1, others


@pytest.mark.parametrize("name", EDGES)
def test_stacks_of_wakers(graph, name):
    edge = graph.edges[name]
    with graph.stax.client() as client:
        every_stack = client.call("profile.wakers", by_stack=True, limit=0)["rows"]
    for rows in (graph.rows, every_stack):
        rows = [r for r in rows if (r["waker_tid"], r["wakee_tid"])
                == (edge["waker_tid"], edge["wakee_tid"])]
        wrong = [r for r in rows if not is_called_by(
            r["waker_stack"], edge["waker_function"], edge["waker_thread_function"])]
        assert rows and not wrong, [names(r["waker_stack"]) for r in wrong]


def test_clocks_are_blamed_on_nobody(graph, report):
    """Threads that sleep by the clock, those between two wakeups of others among them."""
    rows = by_tid(r for r in graph.stax.json("intervals", "-n", 0, "--no-stacks")["rows"]
                  if not r["open"])
    exact, unseen = {}, {}
    for sleeper in graph.truth["sleepers"]:
        # A lock of the address space, or of a name in /proc, is another wait: a thread ends it.
        sleeps = [r for r in rows[sleeper["tid"]] if r["reason"] == "sleep"]
        wakers = [r["waker"] for r in sleeps if "waker" in r]
        assert all((w["tid"], w["name"]) == (0, NOBODY) for w in wakers), wakers
        # Who is held up finds the time over and does not sleep: it says itself how often it has
        # slept. The clock's wakeup comes either way.
        assert len(sleeps) == sleeper["count"] > 0, (sleeper, len(sleeps))
        exact[sleeper["name"]], unseen[sleeper["name"]] = len(sleeps), len(sleeps) - len(wakers)
        elsewhere = sum((r.get("waker") or {}).get("tid") == 0 for r in rows[sleeper["tid"]]
                        if r["reason"] != "sleep")
        of_clock = [r for r in graph.rows
                    if (r["waker_tid"], r["wakee_tid"]) == (0, sleeper["tid"])]
        assert {r["waker_name"] for r in of_clock} == {NOBODY}
        assert len(wakers) <= sum(r["count"] for r in of_clock) - elsewhere <= sleeper["asked"]
    report(f"wakes: of {ROUNDS} each, woken by the clock: {exact}; of those unseen: "
           f"{sum(unseen.values())}, at most {graph.unseen} each")
    assert all(n <= graph.unseen for n in unseen.values()), unseen


def test_wakers_of_one_thread(graph):
    edge = graph.edges["second by pipe"]
    rows = graph.stax.json("wakers", "-n", 0, "--tid", edge["wakee_tid"])["rows"]
    key = ("waker_tid", "wakee_tid", "count")
    assert {r["wakee_tid"] for r in rows} == {edge["wakee_tid"]}
    assert sorted(tuple(r[k] for k in key) for r in rows) == sorted(
        tuple(r[k] for k in key) for r in graph.rows if r["wakee_tid"] == edge["wakee_tid"])


def test_waits_ended_by_a_wakeup_are_summed(graph):
    """What a waker ended is what the thread was blocked for: nothing else woke it."""
    threads = {r["tid"]: r for r in graph.stax.json("threads", "-n", 0)["rows"]}
    for edge in graph.edges.values():
        rows = [r for r in graph.rows if r["wakee_tid"] == edge["wakee_tid"]]
        blocked_ns = threads[edge["wakee_tid"]]["off_cpu_ns"]
        assert sum(r["wait_ended_ns"] for r in rows) == pytest.approx(blocked_ns, rel=0.01)


@pytest.mark.parametrize("name", EDGES)
def test_each_wait_names_its_waker(graph, name):
    edge = graph.edges[name]
    rows = [r for r in graph.stax.json("intervals", "-n", 0, "--tid", edge["wakee_tid"])["rows"]
            if r["duration_ns"] >= 50 * US and not r["open"]]
    right = [r for r in rows if (r.get("waker") or {}).get("tid") == edge["waker_tid"]]
    assert len(rows) >= 0.95 * ROUNDS and len(right) >= 0.99 * len(rows), len(rows)
    for row in right:
        assert row["waker"]["name"] == edge["waker_name"]
        assert edge["waker_function"] in names(row["waker"]["stack"])


def test_time_from_wakeup_to_running(graph):
    """A wait and the run queue behind it are one gap, cut where the wakeup came."""
    rows = by_tid(graph.stax.json("intervals", "-n", 0)["rows"])
    threads = {r["tid"]: r for r in graph.stax.json("threads", "-n", 0)["rows"]}
    for edge in graph.edges.values():
        of_thread = rows[edge["wakee_tid"]]
        thread = threads[edge["wakee_tid"]]
        assert sum(r["duration_ns"] for r in of_thread) == thread["off_cpu_ns"]
        # Being preempted is time on the run queue as well, and no wait.
        assert 0 < sum(r["runq_ns"] for r in of_thread) <= thread["runq_ns"]
        of_thread.sort(key=lambda r: r["start_ns"])
        for before, after in zip(of_thread, of_thread[1:]):
            assert before["start_ns"] + before["duration_ns"] + before["runq_ns"] <= \
                after["start_ns"]


def test_chain(graph):
    """From the third thread back to the one that nobody woke."""
    second, third = graph.edges["second by pipe"], graph.edges["third by pipe"]
    answer = graph.stax.json("wakers", "-n", 0, "--chain", "--tid", third["wakee_tid"])
    assert [(link["wakee_tid"], link["waker_tid"]) for link in answer["chain"]] == [
        (third["wakee_tid"], third["waker_tid"]), (second["wakee_tid"], second["waker_tid"]),
        (second["waker_tid"], 0)]
    assert [link["count"] for link in answer["chain"][:2]] == [ROUNDS, ROUNDS]
    assert answer["chain_end"]


def on_the_right_thread(path):
    """Of the time that the stages worked, how much the answer has on the stage at work."""
    segments = sorted(path.why["segments"], key=lambda s: s["start_ns"])
    right_ns = worked_ns = 0
    for stage in path.stages:
        for start_ns, duration_ns in stage["worked"]:
            start_ns -= path.start_ns
            end_ns = start_ns + duration_ns
            worked_ns += duration_ns
            right_ns += sum(overlap_ns(start_ns, end_ns, s)
                            for s in reaches(segments, start_ns, end_ns)
                            if s["tid"] == stage["tid"] and s["kind"] in ("run", "runq"))
    return right_ns / worked_ns


def test_critical_path(path, report):
    right = on_the_right_thread(path)
    report(f"why: {100 * right:.2f} % of {JOBS} jobs' time is on the stage that worked")
    assert right >= 0.95, path.why["segments"][:10]


def test_critical_path_has_no_holes(path):
    segments = sorted(path.why["segments"], key=lambda s: s["start_ns"])
    assert sum(s["duration_ns"] for s in segments) == path.why["total_ns"]
    for before, after in zip(segments, segments[1:]):
        assert before["start_ns"] + before["duration_ns"] == after["start_ns"], (before, after)
    assert path.why.get("unkept_segments", 0) == 0
    assert path.why["all_segments"] == len(segments)
    jobs_ns = path.truth["path"]["end_ns"] - path.truth["path"]["start_ns"]
    assert path.why["total_ns"] >= 0.99 * jobs_ns
    # Who waits for as long as the others work is not why; main only waits for its end.
    assert sum(s["duration_ns"] for s in segments if s["name"] == "job-idle") <= 0.01 * jobs_ns


def test_critical_path_goes_from_waker_to_wakee(path, report):
    """main → job-a → job-b → job-c → main, and so on."""
    tids = [path.truth["main_tid"], *(stage["tid"] for stage in path.stages)]
    after = dict(zip(tids, tids[1:] + tids[:1]))
    order = [s["tid"] for s in sorted(path.why["segments"], key=lambda s: s["start_ns"])]
    turns = [(one, other) for one, other in zip(order, order[1:]) if one != other]
    right = [turn for turn in turns if after.get(turn[0]) == turn[1]]
    report(f"why: {len(right)} of {len(turns)} turns go from waker to wakee, of {4 * JOBS} in all")
    assert len(right) >= 0.95 * len(turns) and len(right) >= 0.95 * 4 * JOBS
    for segment in path.why["segments"]:
        edge = segment.get("edge")
        # At the end main waits for the threads to end, and that they end wakes it.
        is_end = edge and "do_exit" in names(edge["waker_stack"], of_kernel=True)
        if edge and not edge["is_birth"] and not is_end and edge["waker_tid"] != tids[0] and \
                segment["tid"] in tids:
            assert after.get(edge["waker_tid"]) == segment["tid"], edge
            assert "pass_on" in names(edge["waker_stack"]), edge
    handovers = {(h["waker_tid"], h["wakee_tid"]): h["count"] for h in path.why["handovers"]
                 if not h["is_birth"]}
    for turn in after.items():
        assert handovers[turn] >= 0.95 * JOBS, handovers


def test_critical_path_shows_the_work(path):
    """The stack of a segment that ran is that of the work, where a sample fell into it.

    How many there are depends on who else wants the CPU: a segment ends where it is displaced.
    """
    for stage in path.stages:
        rows = [s for s in path.why["segments"] if s["tid"] == stage["tid"] and s["kind"] == "run"
                and s["duration_ns"] > MS and s["stack"]]
        right = [s for s in rows if stage["function"] in names(s["stack"])]
        assert rows and len(right) >= 0.95 * len(rows), (len(right), len(rows))


def test_critical_path_of_a_range(path):
    """Only what lies in it: two jobs in the middle."""
    stage = path.stages[2]
    from_ns = stage["worked"][JOBS // 2][0] - path.start_ns
    to_ns = sum(stage["worked"][JOBS // 2 + 2]) - path.start_ns
    why = path.stax.json("why", "-n", 0, "--tid", stage["tid"], "--from", f"{from_ns}ns", "--to",
                         f"{to_ns}ns")
    assert why["total_ns"] == sum(s["duration_ns"] for s in why["segments"])
    assert why["total_ns"] == pytest.approx(to_ns - from_ns, rel=0.02)
    assert {s["tid"] for s in why["segments"]} >= {s["tid"] for s in path.stages}
    for segment in why["segments"]:
        assert segment["start_ns"] >= from_ns - US
        assert segment["start_ns"] + segment["duration_ns"] <= to_ns + US


def test_without_privilege_nobody_is_blamed(other):
    """Who may not see wakeups is told so, and gets no guesses."""
    truth, _ = other.truth("wakes", "--rounds", 50)
    done = other("wakers", "-n", 0, "--json")
    known = {(e["waker_tid"], e["wakee_tid"]) for e in truth["edges"]}
    if done.returncode == 0:
        rows = json.loads(done.stdout)["rows"]
        assert all((r["waker_tid"], r["wakee_tid"]) in known or r["waker_tid"] == 0
                   or r["wakee_tid"] == truth["main_tid"] for r in rows), rows
    else:
        assert "hint" in done.stderr or "sudo" in done.stderr, done.stderr
