# SPDX-License-Identifier: MIT
"""Views of one run: by thread, by time, by pattern, of another run. Their totals agree."""

import pytest

MS = 10 ** 6
FIELDS = ("active_ns", "cpu_ns", "off_cpu_ns", "samples", "target_ns", "spans")


@pytest.fixture(scope="module")
def recorded(shared):
    """Run 1: shares with two threads and pauses. Run 2: what else there may be."""
    truth, run = shared.truth("shares", "--seconds", 3, "--threads", 2, "--burst-us", 1500)
    shared.truth("spin", "--seconds", 0.4)
    shared.truth1, shared.run1 = truth, run
    return shared


def views(stax, *options):
    return {"top": stax.json("top", "-n", 0, "--run", 1, *options),
            "flame": stax.json("flame", "-d", 0, "--threshold-pct", 0, "--run", 1, *options),
            "threads": stax.json("threads", "-n", 0, "--run", 1, *options)}


def check_agreement(answers):
    """The same totals in all views, and each view's rows make up its totals."""
    top, flame, threads = answers["top"], answers["flame"], answers["threads"]
    for field in FIELDS:
        assert top["totals"][field] == flame["totals"][field] == threads["totals"][field], field
    totals = top["totals"]
    assert sum(r["self_active_ns"] for r in top["rows"]) == totals["active_ns"]
    assert sum(r["self_samples"] for r in top["rows"]) == totals["samples"]
    assert flame["root"]["name"] == "(all)"
    assert flame["root"]["active_ns"] == totals["active_ns"]
    assert flame["root"]["samples"] == totals["samples"]
    assert sum(r["cpu_ns"] for r in threads["rows"]) == totals["cpu_ns"]
    assert sum(r["samples"] for r in threads["rows"]) == totals["samples"]
    assert sum(r["off_cpu_ns"] for r in threads["rows"]) == totals["off_cpu_ns"]
    return totals


def check_tree(node):
    """A node is its own time and its children's; children come by weight."""
    children = node["children"]
    assert node["active_ns"] == node["self_active_ns"] + sum(c["active_ns"] for c in children)
    assert node["off_cpu_ns"] >= node["self_off_cpu_ns"] + sum(c["off_cpu_ns"] for c in children)
    weights = [c["active_ns"] for c in children]
    assert weights == sorted(weights, reverse=True)
    for child in children:
        check_tree(child)


def test_whole_run(recorded):
    totals = check_agreement(views(recorded))
    assert totals["samples"] == recorded.run1["samples"] and totals["active_ns"] > 0
    check_tree(views(recorded)["flame"]["root"])


@pytest.mark.parametrize("options", [
    ("--from", "1"), ("--to", "1500ms"), ("--from", "0.5", "--to", "1.25"), ("--from", "-1"),
    ("--from", "2500ms", "--to", "1h"), ("--exclude", "work_50"), ("--focus", "work_30"),
    ("--focus", "serve", "--exclude", "render"), ("--focus", "work_20", "--from", "1", "--to", "2"),
], ids=" ".join)
def test_views_agree(recorded, options):
    answers = views(recorded, *options)
    top, flame = answers["top"], answers["flame"]
    for field in ("active_ns", "cpu_ns", "samples"):
        assert top["totals"][field] == flame["totals"][field] == answers["threads"]["totals"][field]
    assert sum(r["self_active_ns"] for r in top["rows"]) == top["totals"]["active_ns"] > 0
    assert flame["root"]["active_ns"] == top["totals"]["active_ns"]
    check_tree(flame["root"])


def test_ranges_add_up(recorded):
    """Clipped, not by start time: neighbouring ranges make the whole."""
    whole = views(recorded)["threads"]["totals"]
    cuts = [0, 700, 1400, 1401, 2600, 10 ** 7]
    parts = [recorded.json("threads", "-n", 0, "--run", 1, "--from", f"{a}ms", "--to", f"{b}ms")
             ["totals"] for a, b in zip(cuts, cuts[1:])]
    for field in ("cpu_ns", "off_cpu_ns", "samples"):
        assert sum(p[field] for p in parts) == pytest.approx(whole[field], abs=10), field


def test_a_range_holds_no_more_than_its_length(recorded):
    threads = recorded.json("threads", "-n", 0, "--run", 1, "--from", "1", "--to", "1010ms")
    assert (threads["view"]["from_ns"], threads["view"]["to_ns"]) == (1000 * MS, 1010 * MS)
    for row in threads["rows"]:
        assert row["cpu_ns"] + row["runq_ns"] + row["off_cpu_ns"] <= 10 * MS + 1
        assert row["cpu_ns"] + row["runq_ns"] + row["off_cpu_ns"] >= 9.9 * MS


def test_tid(recorded):
    tids = [t["tid"] for t in recorded.truth1["threads"]]
    whole = views(recorded)["top"]["totals"]
    each = [check_agreement(views(recorded, "--tid", tid)) for tid in tids]
    for field in ("active_ns", "samples"):
        assert sum(t[field] for t in each) == whole[field]
    both = check_agreement(views(recorded, "--tid", tids[0], "--tid", tids[1]))
    assert both["active_ns"] == whole["active_ns"]
    rows = recorded.json("threads", "--run", 1, "--tid", tids[0])["rows"]
    assert [r["tid"] for r in rows] == [tids[0]]


def test_exclude_and_focus_part_the_run(recorded):
    whole = views(recorded)["top"]["totals"]
    with_it = views(recorded, "--focus", "serve")["top"]
    without = views(recorded, "--exclude", "serve")["top"]
    assert with_it["totals"]["active_ns"] + without["totals"]["active_ns"] == whole["active_ns"]
    assert "work_20" not in {r["name"] for r in with_it["rows"]}
    assert "work_50" not in {r["name"] for r in without["rows"]}


def test_run_and_selection(recorded):
    assert recorded.json("top")["run"]["id"] == recorded.runs()[-1]["id"]
    assert recorded.json("top")["rows"][0]["name"] == "spin_here"
    assert recorded.json("top", "--run", 1)["run"]["id"] == 1
    recorded.ok("select-run", 1) if "select-run" in recorded.ok("--help").stdout else \
        recorded.client().call("run.select", run=1)
    assert recorded.json("top")["run"]["id"] == 1
    recorded.client().call("run.select", run=2)


def test_limits_and_order(recorded):
    top = recorded.json("top", "-n", 2, "--run", 1)
    assert len(top["rows"]) == 2 < top["functions"]
    assert top["rows"][0]["self_active_ns"] >= top["rows"][1]["self_active_ns"]
    by_total = recorded.json("top", "-n", 0, "--sort", "total", "--run", 1)["rows"]
    totals = [r["total_active_ns"] for r in by_total]
    assert totals == sorted(totals, reverse=True)
    for row in by_total:
        assert row["self_active_ns"] <= row["total_active_ns"] <= top["totals"]["active_ns"]
        assert 0 <= row["self_pct"] <= row["total_pct"] <= 100.001
    threads = recorded.json("threads", "-n", 1, "--run", 1)
    assert len(threads["rows"]) == 1 and threads["threads"] == 2


def test_flame_is_cut_where_told(recorded):
    shallow = recorded.json("flame", "-d", 2, "--threshold-pct", 0, "--run", 1)["root"]

    def depth(node):
        return 1 + max((depth(c) for c in node["children"]), default=0)

    assert depth(shallow) == 3, "(all) and two levels"
    assert "more frames" in recorded.ok("flame", "-d", 2, "--run", 1).stdout
    thick = recorded.json("flame", "-d", 0, "--threshold-pct", 25, "--run", 1)["root"]

    def check(node):
        for child in node["children"]:
            assert child["active_ns"] >= 0.249 * thick["active_ns"]
            check(child)
    check(thick)


def test_a_run_without_spans_has_an_empty_tree_of_them(recorded):
    done = recorded("flame", "--mode", "target", "--run", 1)
    assert done.returncode == 0 and "stax target lanes" in done.stderr
    assert len(done.stdout.splitlines()) == 1
    answer = recorded.client().call("profile.flame", view={"run": 1, "mode": "target"})
    assert answer["root"]["children"] == [] and answer["root"]["active_ns"] == 0


@pytest.mark.parametrize("options", [("--from", "2", "--to", "1"), ("--exclude", ""),
                                     ("--focus", "no_such_function"), ("--tid", "1")])
def test_odd_views_are_answered_or_refused(recorded, options):
    done = recorded("top", "--run", 1, *options)
    assert done.returncode in (0, 1, 2) and done.stderr.strip(), done


def test_totals_agree_while_recording(shared):
    """Answers with the same sequence are about the same events: their totals are equal."""
    record = shared.start("record", "-q", "--", shared.program("shares"), "--seconds", 30,
                          "--threads", 2, "--burst-us", 1000)
    shared.await_samples(100)
    seen, n_equal = {}, 0
    with shared.client() as client:
        for _ in range(150):
            for method in ("profile.top", "profile.flame", "profile.threads", "profile.offCpu"):
                answer = client.call(method)
                sequence = answer["run"]["sequence"]
                if sequence in seen:
                    assert seen[sequence] == answer["totals"], method
                    n_equal += 1
                seen[sequence] = answer["totals"]
    shared.ok("stop")
    record.kill()
    assert n_equal > 10, "never two answers of one sequence"
    sequences = sorted(seen)
    for field in ("cpu_ns", "samples"):
        values = [seen[s][field] for s in sequences]
        assert values == sorted(values), field
