# SPDX-License-Identifier: MIT
"""flame --invert: what ran innermost on top, its callers below; the same time, told from below."""

import pytest


@pytest.fixture(scope="module")
def recorded(shared):
    shared.truth("shares", "--seconds", 2, "--threads", 2)
    return shared


def flame(stax, *options, depth=0, threshold=0):
    return stax.json("flame", "-d", depth, "--threshold-pct", threshold, *options)


def walk(node, path=()):
    yield node, path
    for child in node["children"]:
        yield from walk(child, (*path, node["name"]))


def check_sums(node):
    children = node["children"]
    assert node["active_ns"] == node["self_active_ns"] + sum(c["active_ns"] for c in children)
    weights = [c["active_ns"] for c in children]
    assert weights == sorted(weights, reverse=True)
    assert node["hidden_nodes"] == 0
    for child in children:
        check_sums(child)


@pytest.mark.parametrize("view", [
    (), ("--from", "0.5", "--to", "1.5"), ("--focus", "serve"), ("--exclude", "work_50")],
    ids=lambda view: " ".join(view) or "all")
def test_totals_are_those_of_the_upright_tree_and_of_top(recorded, view):
    upright, inverted = flame(recorded, *view), flame(recorded, "--invert", *view)
    top = recorded.json("top", "-n", 0, *view)
    assert inverted["inverted"] is True and upright["inverted"] is False
    assert inverted["totals"] == upright["totals"] == top["totals"]
    for field in ("active_ns", "samples", "off_cpu_ns"):
        assert inverted["root"][field] == upright["root"][field]
    check_sums(inverted["root"])
    # The first level is the self time of top, row by row.
    first = {(c["name"], c["image"], c.get("address")): c["active_ns"]
             for c in inverted["root"]["children"]}
    rows = {(r["name"], r["image"], r.get("address")): r["self_active_ns"]
            for r in top["rows"] if r["self_samples"] > 0 or r["self_active_ns"] > 0}
    assert first == rows


def test_every_stack_is_told_in_both_directions(recorded):
    upright, inverted = flame(recorded)["root"], flame(recorded, "--invert")["root"]
    from_above = {}
    for node, path in walk(upright):
        if node["self_active_ns"] and path:
            stack = (*path[1:], node["name"])
            from_above[stack] = from_above.get(stack, 0) + node["self_active_ns"]
    from_below = {}
    for node, path in walk(inverted):
        if node["self_active_ns"] and path:
            stack = tuple(reversed((*path[1:], node["name"])))
            from_below[stack] = from_below.get(stack, 0) + node["self_active_ns"]
    assert from_above == from_below


def test_callers_of_a_hot_function(recorded):
    root = flame(recorded, "--invert", "--focus", "work_30")["root"]
    hot = root["children"][0]
    assert hot["name"] == "work_30"
    names = []
    while hot["children"]:
        hot = hot["children"][0]
        if not hot["inlined"]:  # the compiler may inline what is called once
            names.append(hot["name"])
    assert names[:3] == ["render", "serve", "deal_turns"]


def test_depth_and_threshold_cut_and_count(recorded):
    whole = flame(recorded, "--invert")["root"]
    shallow = flame(recorded, "--invert", depth=1)["root"]
    assert [c["name"] for c in shallow["children"]] == [c["name"] for c in whole["children"]]
    assert all(not c["children"] for c in shallow["children"])
    hot = shallow["children"][0]
    assert hot["hidden_nodes"] == len(whole["children"][0]["children"]) > 0
    heavy = flame(recorded, "--invert", threshold=10)["root"]
    assert {c["name"] for c in heavy["children"]} == {"work_50", "work_30", "work_20"}
    assert heavy["hidden_nodes"] == len(whole["children"]) - 3
    assert heavy["active_ns"] == whole["active_ns"]


def test_text(recorded):
    lines = recorded.ok("flame", "--invert", "-d", 2).stdout.splitlines()
    assert "callers below callees" in lines[0]
    assert lines[2].split()[-1] == "(all)"
    assert "work_50 (shares)" in lines[3] and "parse (shares)" in lines[4]
    assert "more frame" in lines[5]


def test_live(shared):
    process = shared.start("record", "-q", "--", shared.program("shares"), "--seconds", 3)
    shared.await_samples(300)
    root = flame(shared, "--invert")["root"]
    assert root["samples"] >= 300 and root["children"][0]["children"]
    process.communicate(timeout=30)
