# SPDX-License-Identifier: MIT
"""The four questions about spans: views agree with each other, and say what they cannot."""

import re
import subprocess
from types import SimpleNamespace

import pytest

from fixtures import _ended, _folder, _need_events
from private_server import Account, PrivateServer
from test_schema import check_values, resolve

METHODS = {"lanes": "profile.targetLanes", "top": "profile.targetTop",
           "spans": "profile.targetSpans", "origins": "profile.targetOrigins"}


@pytest.fixture(scope="module")
def corpus():
    _need_events(Account())
    with _folder() as folder, _ended(PrivateServer(folder)) as server:
        truth, run = server.truth("stax-corpus", "--seconds", 2, "--wait", 5)
        yield SimpleNamespace(stax=server, truth=truth, run=run,
                              top=server.json("target", "top", "-n", 0))


def key(row):
    return row["tid"], tuple(row["path"]), row["name"]


def test_answers_are_valid_and_those_of_the_rpc(corpus):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    with corpus.stax.client() as client:
        document = client.call("rpc.discover")
        for question, method in METHODS.items():
            shown = corpus.stax.json("target", question, "-n", 0)
            answer = client.call(method, limit=0)
            assert shown == answer, question
            check_values(answer, method)
            schema = next(m for m in document["methods"] if m["name"] == method)
            jsonschema.validate(answer, resolve(document, schema["result"]["schema"]))
            assert not answer["partial"] and "hint" not in answer
            assert answer["run"]["id"] == corpus.run["id"] and answer["spans"] == corpus.run["spans"]


def test_orders(corpus):
    figures = {"time": "total_ns", "count": "spans", "avg": "avg_ns", "max": "max_ns",
               "p95": "p95_ns", "p99": "p99_ns"}
    for by, figure in figures.items():
        answer = corpus.stax.json("target", "top", "--by", by, "-n", 5)
        values = [r[figure] for r in answer["rows"]]
        assert answer["sort"] == by and values == sorted(values, reverse=True)
        assert values == sorted((r[figure] for r in corpus.top["rows"]), reverse=True)[:5]
    longest = corpus.stax.json("target", "spans", "-n", 20)["rows"]
    assert [r["duration_ns"] for r in longest] == sorted(
        (r["duration_ns"] for r in corpus.stax.json("target", "spans", "-n", 0)["rows"]),
        reverse=True)[:20]
    ends = [r["start_ns"] + r["duration_ns"]
            for r in corpus.stax.json("target", "spans", "--latest", "-n", 20)["rows"]]
    assert ends == sorted(ends, reverse=True)


def test_single_spans_sum_up_to_what_top_says(corpus):
    spans = corpus.stax.json("target", "spans", "-n", 0)["rows"]
    for row in corpus.top["rows"]:
        lengths = [s["duration_ns"] for s in spans if key(s) == key(row)]
        assert (len(lengths), sum(lengths)) == (row["spans"], row["total_ns"])
        assert (min(lengths), max(lengths)) == (row["min_ns"], row["max_ns"])


def test_ranges_share_the_time(corpus):
    """Parts of a run have all of its target time, each the part that lies in it."""
    cuts = ["0", "0.4", "0.95", "1.5"]
    total_ns = {}
    for at, begin in enumerate(cuts):
        end = ["--to", cuts[at + 1]] if at + 1 < len(cuts) else []
        part = corpus.stax.json("target", "top", "-n", 0, "--from", begin, *end)
        for row in part["rows"]:
            total_ns[key(row)] = total_ns.get(key(row), 0) + row["total_ns"]
    # The program's clock is the recording's, but for what began before it was recorded.
    assert total_ns == {key(row): row["total_ns"] for row in corpus.top["rows"]}
    whole = corpus.stax.json("target", "top", "-n", 0, "--from", "0")
    assert [(key(r), r["spans"]) for r in whole["rows"]] == [
        (key(r), r["spans"]) for r in corpus.top["rows"]]
    for exact, kept in zip(whole["rows"], corpus.top["rows"]):
        for figure in ("p50_ns", "p95_ns", "p99_ns"):
            assert kept[figure] == pytest.approx(exact[figure], rel=0.0101), (figure, kept)


def test_tids_choose_lanes_and_who_queued(corpus):
    lanes = corpus.stax.json("target", "lanes")["rows"]
    for lane in lanes:
        of_lane = corpus.stax.json("target", "top", "-n", 0, "--tid", lane["tid"])
        assert of_lane["spans"] == lane["spans"] and of_lane["target_ns"] == lane["total_ns"]
        assert {r["lane"] for r in of_lane["rows"]} == {lane["name"]}
        same = corpus.stax.json("target", "top", "-n", 0, "--lane", f"/^{lane['name']}$/")
        assert same["rows"] == of_lane["rows"]
    origins = corpus.stax.json("target", "origins", "-n", 0)["rows"]
    threads = {r["tid"] for r in origins if r["state"] == "linked"}
    assert len(threads) >= 3
    for tid in threads:
        mine = corpus.stax.json("target", "origins", "-n", 0, "--tid", tid)
        assert mine["origins"]["linked"] == sum(r["count"] for r in origins if r["tid"] == tid)
        assert {r["tid"] for r in mine["rows"]} <= {tid, 0}
        assert corpus.stax.json("target", "lanes", "--tid", tid)["spans"] == mine["spans"]
    nobody = corpus.stax("target", "top", "--tid", 1)
    assert nobody.returncode == 1 and "no thread and no lane" in nobody.stderr


def test_patterns(corpus):
    frames = corpus.stax.json("target", "top", "-n", 0, "--focus", "frame")
    assert frames["rows"] and all("frame" in " ".join([*r["path"], r["name"]])
                                  for r in frames["rows"])
    rest = corpus.stax.json("target", "top", "-n", 0, "--exclude", "frame")
    assert frames["spans"] + rest["spans"] == corpus.top["spans"]
    assert frames["target_ns"] + rest["target_ns"] == corpus.top["target_ns"]
    queued = corpus.stax.json("target", "origins", "--focus", "corpus_submit_decode")
    assert queued["spans"] > 0 and {r["state"] for r in queued["rows"]} == {"linked"}
    for row in queued["rows"]:
        assert "corpus_submit_decode" in {f["name"] for f in row["stack"]}


def test_text(corpus):
    lanes = corpus.stax.ok("target", "lanes").stdout
    assert re.search(r"4 lanes, \d+ spans, .* of target time\ntarget ms +load .* lane\n", lanes)
    assert re.search(r"executor +\d+ +\d+  executor\n", lanes)
    top = corpus.stax.ok("target", "top", "--by", "p99", "-n", 2).stdout
    assert "names by 99th percentile (2 shown; -n 0: all)" in top and len(top.splitlines()) == 4
    spans = corpus.stax.ok("target", "spans", "--name", "write header", "-n", 1).stdout
    assert "encode frame → write header" in spans and "from corpus_submit_encode" in spans
    origins = corpus.stax.ok("target", "origins").stdout
    assert re.search(r"origins: \d+ linked \(.* from a stack on average, ", origins)
    assert "(missing origin)" in origins and "corpus_submit_decode" in origins
    assert re.search(r"\n\d+ waits for spans, .* while they ran\n", origins)
    assert not any(line.endswith(" ") for line in (lanes + top + spans + origins).splitlines())


def test_subscriptions(stax):
    with stax.popen(stax.program("stax-corpus"), "--seconds", 20, "--wait", 20,
                    stdout=subprocess.DEVNULL) as program:
        record = stax.start("record", "-q", "--pid", program.pid)
        stax.target_pid()
        with stax.client() as client:
            client.subscribe("profile.targetTop", min_interval_ms=50)
            seen = []
            while len(seen) < 4 or seen[-1] == 0:
                seen.append(client.next_update(timeout_s=30)["result"]["spans"])
            assert seen == sorted(seen)
        stax.ok("stop")
        record.wait(timeout=20)
        program.kill()


def test_empty_views_say_what_to_do(stax):
    stax.record("-q", "--", "true")
    for question in METHODS:
        shown = stax.ok("target", question)
        assert "link libstax-target" in shown.stderr and "--spans nvtx,itt" in shown.stderr
        assert "0 spans" in shown.stdout
        assert "link libstax-target" in stax.json("target", question)["hint"]


def test_usage(bare):
    shown = bare.ok("target")
    assert all(f"stax target {question} " in shown.stdout for question in METHODS)
    for words, message in ((("kernels",), "'kernels' is not one of"),
                           (("spans", "--by", "p99"), "is for `stax target top`"),
                           (("lanes", "--latest"), "is for `stax target spans`"),
                           (("lanes", "top"), "unexpected word 'top'")):
        refused = bare("target", *words)
        assert refused.returncode == 2 and message in refused.stderr, words
