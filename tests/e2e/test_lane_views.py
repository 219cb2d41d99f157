# SPDX-License-Identifier: MIT
"""Lanes and spans in the views of threads and stacks: sums are exact, whatever part is asked for."""

from types import SimpleNamespace

import pytest

from fixtures import _ended, _folder, _need_events
from private_server import Account, PrivateServer


@pytest.fixture(scope="module")
def corpus():
    account = Account()
    _need_events(account)
    with _folder() as folder, _ended(PrivateServer(folder, account)) as server:
        truth, run = server.truth("stax-corpus", "--seconds", 1.5, "--wait", 5)
        yield SimpleNamespace(stax=server, truth=truth, run=run)


def lane_tids(corpus):
    return {r["name"]: r["tid"] for r in corpus.stax.json("threads", "-n", 0)["rows"]
            if r["kind"] == "target"}


def outermost_ns(corpus, lane):
    return sum(s["total_ns"] for s in corpus.truth["series"]
               if s["lane"] == lane and "outer" not in s)


def adds_up(node):
    """Whatever is not linked sums to what is above it."""
    for child in node["children"]:
        adds_up(child)
    if not node.get("linked") and node["name"] != "(all)":
        inside = sum(c["active_ns"] for c in node["children"])
        assert node["active_ns"] == inside + node["self_active_ns"], node["name"]


def whole_flame(stax, *options):
    return stax.json("flame", "-d", 0, "--threshold-pct", 0, *options)["root"]


def test_a_lane_is_asked_for_by_its_tid(corpus):
    tids = lane_tids(corpus)
    for lane in ("executor", "GPU 0", "GPU copy"):
        wanted_ns = outermost_ns(corpus, lane)
        for view in ("threads", "top", "flame", "timeline"):
            totals = corpus.stax.json(view, "--tid", tids[lane])["totals"]
            assert totals["target_ns"] == totals["active_ns"] == wanted_ns, (lane, view)
            assert totals["cpu_ns"] == totals["samples"] == 0
    failed = corpus.stax("threads", "--tid", max(tids.values()) + 1)
    assert failed.returncode == 1 and "no thread" in failed.stderr


def test_parts_of_the_range_sum_to_the_whole(corpus):
    whole = corpus.stax.json("threads", "--from", 0, "--to", "1h")["totals"]
    parts = [corpus.stax.json("top", "--from", a, "--to", b)["totals"]
             for a, b in ((0, "400ms"), ("400ms", "1s"), ("1s", "1h"))]
    assert sum(p["target_ns"] for p in parts) == whole["target_ns"] > 0
    assert all(p["target_ns"] > 0 for p in parts)
    timeline = corpus.stax.json("timeline", "--buckets", 50)
    lanes = [r for r in timeline["rows"] if r["kind"] == "target"]
    assert len(lanes) == 4
    for row in lanes:
        assert sum(row["target_by_bucket_ns"]) == row["target_ns"]
        assert sum(row["spans_by_bucket"]) == row["spans"]
    assert sum(r["target_ns"] for r in lanes) == whole["target_ns"]


def test_trees_add_up(corpus):
    for options in ((), ("--mode", "target"), ("--mode", "wall"), ("--invert",),
                    ("--mode", "target", "--invert"), ("--focus", "matmul"),
                    ("--exclude", "/header$/"), ("--from", "500ms")):
        root = whole_flame(corpus.stax, *options)
        adds_up(root)
        assert sum(c["active_ns"] for c in root["children"]) == root["active_ns"], options
    cpu = whole_flame(corpus.stax, "--mode", "cpu")
    assert cpu["target_ns"] == 0 and not any(c["kind"] == "target" for c in cpu["children"])


def test_patterns_choose_spans(corpus):
    stax, series = corpus.stax, {s["name"]: s for s in corpus.truth["series"]}
    totals = stax.json("top", "--focus", "matmul")["totals"]
    assert totals["target_ns"] == series["matmul"]["total_ns"]
    assert totals["spans"] == series["matmul"]["count"]
    # What is inside of others has its time there, unless these are not asked for.
    totals = stax.json("top", "--focus", "read header")["totals"]
    assert totals["target_ns"] == series["read header"]["total_ns"]
    everything = stax.json("top")["totals"]
    totals = stax.json("top", "--exclude", "read header")["totals"]
    assert totals["target_ns"] == everything["target_ns"]
    assert totals["spans"] == everything["spans"] - series["read header"]["count"]
    totals = stax.json("top", "--exclude", "GPU")["totals"]
    assert totals["target_ns"] == (everything["target_ns"] - outermost_ns(corpus, "GPU 0")
                                   - outermost_ns(corpus, "GPU copy"))


def test_self_times_sum_to_what_is_active(corpus):
    top = corpus.stax.json("top", "-n", 0)
    assert sum(r["self_active_ns"] for r in top["rows"]) == top["totals"]["active_ns"]
    by_image = corpus.stax.json("top", "-n", 0, "--group", "image")
    assert sum(r["self_active_ns"] for r in by_image["rows"]) == top["totals"]["active_ns"]
    assert {r["name"] for r in by_image["rows"] if r["kind"] == "target"} == {
        "[executor]", "[GPU 0]", "[GPU copy]", "[broken origins]"}


def test_people_read_the_same(corpus):
    stax, spans = corpus.stax, corpus.run["spans"]
    assert f"{spans} spans" in stax.ok("top").stdout
    assert "; 4 lanes, " in stax.ok("threads", "-n", 1).stdout
    assert "kernel" not in stax.ok("flame", "--mode", "target").stdout
    wall = stax.ok("flame", "--mode", "off-cpu", "-d", 0, "--threshold-pct", 0).stdout
    assert "read back ([GPU copy]) (linked)\n" in wall and "\n(linked): " in wall
    listed = stax.ok("list").stdout.splitlines()
    assert f" {spans} " in listed[-1]
    recorded = stax.ok("record", "--", stax.program("stax-corpus"), "--seconds", 0.3, "--wait", 5)
    assert " spans of " in recorded.stderr and "stax target top" in recorded.stderr


def test_each_fault_has_its_hint(corpus):
    diagnosis = corpus.stax.json("diagnose", "--run", corpus.run["id"])
    hints = diagnosis["hints"]
    for part in ("end before they begin", "have no origin", "a thread that this run does not know",
                 "too long before or after", "name a lane as their origin",
                 "a process that is not recorded", "before the recording began"):
        assert len([h for h in hints if part in h]) == 1, (part, hints)
    counters = {c["name"]: c["value"] for c in diagnosis["counters"] if c["room"] == "target"}
    told = sum(n for name, n in counters.items()
               if name.startswith("origins_") and name != "origins_pending")
    assert told == counters["spans"] == corpus.run["spans"]
    assert counters["origins_pending"] == 0 and counters["programs"] == 1
    low, mean, high = (counters[f"linked_distance_{n}"] for n in ("min", "avg", "max"))
    assert 0 <= low <= mean <= high <= counters["origin_bound"]
    assert counters["too_far_distance_min"] > counters["origin_bound"]
    assert counters["dropped_bad_duration"] == corpus.truth["origins"]["bad duration"]
    lost = {row["cause"]: row["count"] for row in diagnosis["lost"]}
    assert lost["span: target queue full"] == counters["dropped_target_queue"] == 0
