# SPDX-License-Identifier: MIT
"""Truth: what stax-corpus says of its spans is what every view says of them."""

import json
import time
from types import SimpleNamespace

import pytest

from fixtures import _ended, _folder, _need_events
from private_server import Account, PrivateServer, wait_until

ORIGINS = {"missing origin": "missing", "no such thread": "no_thread",
           "no sample on that thread": "no_sample", "no user stack": "no_user_stack",
           "too far": "too_far", "synthetic tid": "synthetic_tid", "wrong pid": "wrong_pid",
           "outside the run": "outside_run"}


def views(stax, *options):
    """What each question answers, without what says which run answered it."""
    answers = {}
    for words in (("target", "lanes", "-n", 0), ("target", "top", "-n", 0),
                  ("target", "spans", "-n", 200), ("target", "origins", "-n", 0),
                  ("threads", "-n", 0), ("top", "-n", 0), ("flame",), ("timeline",)):
        answers[words] = stax.json(*words, *options)
        del answers[words]["run"]
    return answers


@pytest.fixture(scope="module", params=["self", "other"])
def corpus(request):
    account = Account() if request.param == "self" else request.getfixturevalue("other_account")
    _need_events(account)
    with _folder() as folder, _ended(PrivateServer(folder, account)) as server:
        truth, run = server.truth("stax-corpus", "--seconds", 4, "--wait", 5)
        yield SimpleNamespace(stax=server, truth=truth, run=run,
                              top=server.json("target", "top", "-n", 0),
                              lanes=server.json("target", "lanes", "-n", 0),
                              origins=server.json("target", "origins", "-n", 0, "--by", "name"))


def row_of(corpus, series):
    rows = [r for r in corpus.top["rows"]
            if (r["lane"], r["name"]) == (series["lane"], series["name"])]
    assert len(rows) == 1, (series, corpus.top["rows"])
    return rows[0]


def test_nothing_is_dropped(corpus):
    assert corpus.truth["dropped"] == 0 and corpus.truth["queued"] > 500
    # What ends before it begins was queued, and is no span.
    assert corpus.run["spans"] == corpus.truth["queued"] - corpus.truth["origins"]["bad duration"]
    assert corpus.run["spans"] == corpus.lanes["spans"] == corpus.top["spans"]


def test_counts_totals_and_percentiles(corpus):
    for series in corpus.truth["series"]:
        row = row_of(corpus, series)
        assert row["spans"] == series["count"] > 50, series
        for figure in ("total_ns", "min_ns", "max_ns"):
            assert row[figure] == series[figure], (figure, row, series)
        for figure in ("p50_ns", "p95_ns", "p99_ns"):
            assert row[figure] == pytest.approx(series[figure], rel=0.01), (figure, row, series)
        assert row.get("path", []) == ([series["outer"]] if "outer" in series else [])


def test_lanes_count_the_outermost(corpus):
    kinds = {"executor": "executor", "GPU 0": "gpu", "GPU copy": "gpu", "broken origins": "generic"}
    lanes = {r["name"]: r for r in corpus.lanes["rows"]}
    assert {name: r["kind"] for name, r in lanes.items()} == kinds
    for name in ("executor", "GPU 0", "GPU copy"):
        outermost = [s for s in corpus.truth["series"] if s["lane"] == name and "outer" not in s]
        assert lanes[name]["total_ns"] == sum(s["total_ns"] for s in outermost)
    assert corpus.lanes["target_ns"] == sum(r["total_ns"] for r in lanes.values())


def test_good_origins_lead_to_who_queued(corpus, report):
    good = wrong = 0
    stacks = corpus.stax.json("target", "origins", "-n", 0, "--by", "name")["rows"]
    for series in corpus.truth["series"]:
        if series.get("waits") and not corpus.stax.account.is_root:
            continue  # where ordinary users' threads wait is not known to the moment
        rows = [r for r in stacks
                if r["state"] == "linked" and (r["lane"], r["name"]) == (series["lane"], series["name"])]
        right = sum(r["count"] for r in rows
                    if series["queued_by"] in {f["name"] for f in r["stack"]})
        good += right
        wrong += series["count"] - right
    report(f"corpus ({corpus.stax.account}): {good} origins linked to who queued, {wrong} not")
    assert good >= 0.99 * (good + wrong)


def test_broken_origins_are_told_apart(corpus):
    states = {}
    for row in corpus.origins["rows"]:
        if row["lane"] == "broken origins":
            states.setdefault(row["name"], {}).setdefault(row["state"], 0)
            states[row["name"]][row["state"]] += row["count"]
    for name, state in ORIGINS.items():
        count = corpus.truth["origins"][name]
        if name == "no sample on that thread":
            # One that lives for some 50 us is met by a sample now and then.
            assert states[name].get(state, 0) >= count - 2, states[name]
        elif name == "no user stack":
            # The worker of the kernel is there only where io_uring is; it may end between reads.
            assert set(states.get(name, {})) <= {state, "no_sample", "no_thread", "too_far"}, states
        else:
            assert states[name] == {state: count}, (name, states[name])
    diagnosis = corpus.stax.json("diagnose")
    counters = {c["name"]: c["value"] for c in diagnosis["counters"] if c["room"] == "target"}
    assert any(value == corpus.truth["origins"]["bad duration"]
               for name, value in counters.items() if "bad_duration" in name), counters
    assert any("before" in hint and "begin" in hint for hint in diagnosis["hints"]), diagnosis["hints"]


def nodes(node, above=()):
    yield node, above
    for child in node.get("children", []):
        yield from nodes(child, (*above, node))


def test_nested_only_where_a_wait_proves_it(corpus):
    """Somebody waited for copies; nobody for kernels and jobs, which stand beside the CPU."""
    flame = corpus.stax.json("flame", "--mode", "wall", "--threshold-pct", 0, "-d", 0)
    waited = [s for s in corpus.truth["series"] if s.get("waits")]
    assert [s["name"] for s in waited] == ["read back"]
    if not corpus.stax.account.is_root:
        pytest.skip("where ordinary users' threads wait is not known to the moment")
    below_cpu = {}
    for node, above in nodes(flame["root"]):
        if node["kind"] == "target" and any(a["kind"] == "user" for a in above[1:]):
            assert any(a.get("linked") for a in (*above, node)), node
            below_cpu.setdefault(node["name"], []).append((node, above))
    names = {s["name"] for s in corpus.truth["series"]}
    assert set(below_cpu) & names == {"read back"}
    shown = below_cpu["read back"]
    right = [n for n, above in shown if "corpus_wait_for_copy" in {a["name"] for a in above}]
    assert sum(n["spans"] for n in right) >= 0.99 * sum(n["spans"] for n, _ in shown)
    assert sum(n["target_ns"] for n, _ in shown) == pytest.approx(waited[0]["waited_ns"], rel=0.02)
    row = row_of(corpus, waited[0])
    assert (row["waits"], row["waited_ns"]) == (waited[0]["waits"], waited[0]["waited_ns"])


def test_views_agree(corpus):
    stax, target_ns, spans = corpus.stax, corpus.top["target_ns"], corpus.top["spans"]
    threads = stax.json("threads", "-n", 1)
    lanes = [r for r in threads["rows"] if r["kind"] == "target"]
    assert {r["name"] for r in lanes} == {r["name"] for r in corpus.lanes["rows"]}
    assert sum(r["target_ns"] for r in lanes) == target_ns
    assert sum(r["spans"] for r in lanes) == spans
    assert all(r["tid"] >= 0xFFF00000 for r in lanes)
    top = stax.json("top", "-n", 0)
    assert sum(r["spans"] for r in top["rows"] if r["kind"] == "target") == spans
    flame = stax.json("flame", "--threshold-pct", 0, "-d", 0)["root"]
    at_root = [n for n in flame["children"] if n["kind"] == "target"]
    assert sum(n["target_ns"] for n in at_root) == flame["target_ns"] == target_ns
    for totals in (threads["totals"], top["totals"]):
        assert (totals["target_ns"], totals["spans"]) == (target_ns, spans)
        assert totals["active_ns"] == totals["cpu_ns"] + target_ns


def test_details_of_a_span(corpus):
    row = corpus.stax.json("target", "spans", "--name", "matmul", "-n", 1)["rows"][0]
    assert row["dispatch_id"] > 0 and row["queue_id"] == 1
    assert row["source"] == {"file": "kernels/matmul.metal", "function": "matmul_tiled", "line": 42}
    assert row["counters"] == [{"name": "flops", "unit": "flop", "value": 16384.0}]
    assert row["attachments"][0]["dimensions"] == [64, 128]
    assert row["completion"]["name"] == "queueing"


def test_what_a_thread_queued(corpus):
    tid = next(r["tid"] for r in corpus.stax.json("threads", "-n", 0)["rows"]
               if r["name"] == "submitter")
    flame = corpus.stax.json("flame", "--tid", tid, "--threshold-pct", 0, "-d", 0)["root"]
    linked = [n for n in flame["children"] if n.get("linked")]
    assert len(linked) == 1 and {n["name"] for n in linked[0]["children"]} == {"executor"}
    own = corpus.stax.json("target", "top", "-n", 0, "--tid", tid)["rows"]
    assert {r["name"] for r in own} == {"decode frame", "encode frame", "read header", "write header"}


def test_answers_survive_saving(corpus):
    stax = corpus.stax
    before = views(stax)
    stax.ok("save", "corpus.stax")
    assert views(stax, "--run", corpus.run["id"]) == before
    with _folder() as folder, _ended(PrivateServer(folder, stax.account)) as fresh:
        fresh.ok("open", str(stax.folder / "corpus.stax"))
        assert views(fresh) == before
        fresh.ok("save", "again.stax")
        comparison = fresh.json("compare", str(stax.folder / "corpus.stax"), "again.stax")
        assert json.dumps(comparison).count("target") > 0


def test_attach_and_stop(stax, report):
    """On a running program spans flow soon, and end with the recording."""
    program = stax.popen(stax.program("stax-corpus"), "--seconds", 6, "--wait", 4)
    recorder = stax.start("record", "-q", "--pid", program.pid, "-l", 2)
    wait_until(lambda: stax.runs() and stax.last_run()["spans"] > 100, what="spans")
    recorder.wait(timeout=30)
    spans = stax.last_run()["spans"]
    out, _ = program.communicate(timeout=30)
    truth = json.loads(out.splitlines()[-1])
    noted = sum(s["count"] for s in truth["series"])
    assert stax.last_run()["spans"] == spans > 100
    # One that was being reported when it ended is neither here nor there.
    assert abs(noted - sum(r["spans"] for r in stax.json("target", "top", "-n", 0)["rows"]
                           if r["lane"] != "broken origins")) <= 4
