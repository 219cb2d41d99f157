# SPDX-License-Identifier: MIT
"""Spans in other tools' formats, in comparisons, and in what is frozen of a run."""

import json
import re

import pytest

import export_readers as readers

FILES = ("run.folded", "run.pb.gz", "run.speedscope.json", "run.json", "callgrind.out.run",
         "run.pftrace", "run.svg", "run.html")


@pytest.fixture(scope="module")
def recorded(shared):
    """Run 1: the corpus, in all formats. Run 2: a program that reports nothing."""
    shared.truth("stax-corpus", "--seconds", 2, "--wait", 5)
    shared.top = shared.json("target", "top", "-n", 0)
    assert shared.top["spans"] > 100
    shared.told = {file: shared.json("export", shared.folder / file) for file in FILES}
    shared.truth("shares", "--seconds", 0.5)
    return shared


def own_ns(top):
    """What each name has without those inside of it: by lane's tid and the names from the outermost on."""
    total = {(row["tid"], (*row.get("path", []), row["name"])): row["total_ns"] for row in top["rows"]}
    return {key: ns - sum(inner for (tid, names), inner in total.items()
                          if tid == key[0] and names[:-1] == key[1])
            for key, ns in total.items()}


def check(profile, stax):
    assert {key: ns for key, ns in profile.target.items() if ns} == \
        {key: ns for key, ns in own_ns(stax.top).items() if ns}
    assert sum(profile.target.values()) == stax.top["target_ns"]
    assert profile.cpu == stax.json("top", "--run", 1)["totals"]["cpu_ns"]


def test_sums(recorded):
    check(readers.folded(recorded.folder / "run.folded"), recorded)
    pprof = readers.pprof(recorded.folder / "run.pb.gz")
    check(pprof, recorded)
    assert pprof.spans == recorded.top["spans"]
    check(readers.speedscope(recorded.folder / "run.speedscope.json"), recorded)
    firefox = readers.firefox(recorded.folder / "run.json")
    check(firefox, recorded)
    assert firefox.spans == recorded.top["spans"]
    for file in FILES:
        has_spans = file != "callgrind.out.run"
        assert recorded.told[file]["target_ns"] == (recorded.top["target_ns"] if has_spans else 0)
        assert recorded.told[file]["spans"] == (recorded.top["spans"] if has_spans else 0)


def test_slices(recorded):
    trace = readers.perfetto(recorded.folder / "run.pftrace")
    assert trace.spans == recorded.top["spans"]
    assert dict(trace.target) == {(row["lane"], row["name"]): row["total_ns"]
                                  for row in recorded.top["rows"]}


def test_pictures(recorded):
    boxes = readers.svg(recorded.folder / "run.svg")
    assert {"GPU 0 ([gpu lane])", "matmul ([GPU 0])"} <= {box[0] for box in boxes}
    page = (recorded.folder / "run.html").read_text()
    assert "<dt>in target spans</dt>" in page and '<td class="name">matmul</td>' in page
    text = (recorded.folder / "callgrind.out.run").read_text()
    assert "# spans that the program has reported are left out" in text
    assert not re.search(r"^c?fn=\(\d+\) matmul$", text, re.M)


def test_modes_of_folded(recorded):
    totals = recorded.json("top", "--run", 1)["totals"]
    for mode, cpu_ns, target_ns in (("target", 0, totals["target_ns"]), ("cpu", totals["cpu_ns"], 0),
                                    ("active", totals["cpu_ns"], totals["target_ns"])):
        path = recorded.folder / f"{mode}.folded"
        recorded.ok("export", "--run", 1, "--mode", mode, path)
        profile = readers.folded(path)
        assert (profile.cpu, sum(profile.target.values())) == (cpu_ns, target_ns), mode


def test_comparing(recorded):
    """Nothing against the corpus: all of it is new, and each limit names its figure."""
    answer = recorded.json("compare", 2, 1)
    lanes = {row["name"]: row for row in recorded.json("target", "lanes", "--run", 1)["rows"]}
    assert {row["name"] for row in answer["lane_rows"]} == set(lanes) and answer["lanes"] == len(lanes)
    for row in answer["lane_rows"]:
        lane = lanes[row["name"]]
        assert row["is_new"] and not row["is_gone"] and row["kind"] == lane["kind"]
        assert (row["base_ns"], row["base_spans"]) == (0, 0)
        assert row["candidate_ns"] == row["delta_ns"] == lane["total_ns"]
        assert row["candidate_spans"] == lane["spans"]
    times = [row["candidate_ns"] for row in answer["lane_rows"]]
    assert times == sorted(times, reverse=True)
    side, origins = answer["candidate"], recorded.json("target", "origins", "--run", 1)["origins"]
    assert (side["target_ns"], side["spans"]) == (recorded.top["target_ns"], recorded.top["spans"])
    assert side["active_ns"] == side["cpu_ns"] + side["target_ns"]
    assert side["linked_origins"] == origins["linked"] > 0
    assert side["missing_origins"] == origins["missing"] > 0
    assert side["unlinked_origins"] == side["spans"] - origins["linked"] - origins["missing"] > 0
    assert side["bad_duration_drops"] > 0
    limits = ("--fail-target-delta-ms", 1, "--fail-target-delta-pct", 5,
              "--fail-unlinked-origins-delta", 0, "--fail-missing-origins-delta", 0,
              "--fail-bad-duration-drops-delta", 0, "--fail-target-queue-drops-delta", 0,
              "--fail-worker-disconnect-drops-delta", 0)
    broken = recorded("compare", 2, 1, *limits)
    errors = [line for line in broken.stderr.splitlines() if line.startswith("error: ")]
    assert broken.returncode == 1 and len(errors) == 5, broken.stderr
    assert "GPU 0 (gpu) new" in broken.stdout and "linked origins" in broken.stdout
    assert recorded("compare", 1, 2, *limits).returncode == 0
    assert "| `GPU 0` (gpu) new |" in recorded.ok("compare", 2, 1, "--markdown").stdout


def test_a_part_that_is_frozen(stax):
    """It has the spans of its time, cut at its edges, and keeps them when it is saved."""
    stax.record("--ring", 20, "--", stax.program("stax-corpus"), "--seconds", 2, "--wait", 5)
    run = stax.last_run()["id"]
    with stax.client() as client:
        frozen = client.call("run.freeze", run=run, back_ns=1_500_000_000)["id"]
    span = ("--from", "-1500ms")

    def ask(*options):
        top = stax.json("target", "top", "-n", 0, *options)
        origins = stax.json("target", "origins", "-n", 0, *options)
        return ({(row["lane"], row["name"]): (row["spans"], row["total_ns"]) for row in top["rows"]},
                top["target_ns"], origins["origins"], origins["linked"])

    whole = ask("--run", run, *span)
    assert whole[1] > 0 and ask("--run", frozen) == whole
    stax.ok("save", "--run", frozen, "part.stax")
    stax.ok("open", "part.stax")
    assert ask() == whole
    assert json.dumps(stax.json("target", "spans")).count("duration_ns") > 5
