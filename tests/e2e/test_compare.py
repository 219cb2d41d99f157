# SPDX-License-Identifier: MIT
"""stax compare: equal runs are not told apart, what differs is named; limits, Markdown, JSON, archives."""

import os
import re
import signal
import time

import pytest

from stax_client import RpcError

MS = 10 ** 6


@pytest.fixture(scope="module")
def runs(shared):
    """Runs 1 and 2: the same program. Run 3: it sleeps between its turns, which are of other lengths."""
    for _ in range(2):
        shared.truth("shares", "--seconds", 1.5)
    shared.truth("shares", "--seconds", 1.5, "--burst-mix", "--threads", 2)
    return shared


def by_name(answer):
    return {row["name"]: row for row in answer["rows"] if row["image"] == "shares"}


def test_equal_runs(runs):
    answer = runs.json("compare", 1, 2, "-n", 0)
    assert answer["base"]["runs"] == [1] and answer["candidate"]["runs"] == [2]
    assert answer["method"] == "blocks" and answer["tested"] >= 3
    assert answer["significant"] == 0, [r for r in answer["rows"] if r["self"]["is_significant"]]
    assert answer["threshold_failures"] == []
    for side, number in (("base", 1), ("candidate", 2)):
        totals = runs.json("top", "--run", number)["totals"]
        for field in ("active_ns", "cpu_ns", "off_cpu_ns", "samples"):
            assert answer[side][field] == totals[field], (side, field)
        assert 0 < answer[side]["effective_samples"] <= totals["samples"]
        assert sum(answer[side]["off_cpu_by_reason_ns"].values()) == totals["off_cpu_ns"]
    top = {row["name"]: row for row in runs.json("top", "--run", 1, "-n", 0)["rows"]}
    for name in ("work_50", "work_30", "work_20"):
        row = by_name(answer)[name]
        assert row["self"]["is_tested"] and not row["is_new"] and not row["is_gone"]
        assert row["self"]["low_pp"] <= row["self"]["delta_pp"] <= row["self"]["high_pp"]
        assert row["base_self_ns"] == top[name]["self_active_ns"]
        assert row["self"]["base_pct"] == pytest.approx(top[name]["self_pct"], abs=1e-6)


def test_what_differs_is_named_first(runs):
    answer = runs.json("compare", 1, 3)
    assert answer["significant"] >= 2
    ranks = [row["self"]["is_significant"] or row["total"]["is_significant"] for row in answer["rows"]]
    assert ranks == sorted(ranks, reverse=True)
    # Half of the time is another thread's.
    rows = {row["name"]: row for row in answer["rows"]}
    assert rows["start_thread"]["is_new"] and rows["start_thread"]["total"]["delta_pp"] > 20
    text = runs.ok("compare", 1, 3).stdout
    assert re.search(r"^base +run 1 \(.*shares --seconds 1.5$", text, re.M), text
    assert re.search(r"functions differ significantly", text), text
    assert re.search(r"\+\d+\.\d\d ±\d+\.\d\d \* .*start_thread \(libc.so.6\) new$", text, re.M), text


def test_limits(runs):
    kept = runs("compare", 3, 1, "--fail-off-cpu-delta-ms", 0, "--fail-target-delta-ms", 0,
                "--fail-target-delta-pct", 0, "--fail-unlinked-origins-delta", 0,
                "--fail-missing-origins-delta", 0, "--fail-bad-duration-drops-delta", 0,
                "--fail-target-queue-drops-delta", 0, "--fail-worker-disconnect-drops-delta", 0)
    assert kept.returncode == 0 and "error" not in kept.stderr, kept
    broken = runs("compare", 1, 3, "--fail-off-cpu-delta-ms", "50.5", "--fail-function",
                  "start_thread:+10", "--fail-function", "start_thread:+99", "--fail-function",
                  "nowhere:+1")
    assert broken.returncode == 1 and "functions differ" in broken.stdout, broken
    errors = [line for line in broken.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3, broken.stderr
    assert re.match(r"error: off-CPU time grew by [\d.]+ ms, from [\d.]+ to [\d.]+ ms; "
                    r"--fail-off-cpu-delta-ms allows 50.500 ms", errors[0])
    assert "the total share of start_thread (libc.so.6) grew by" in errors[1]
    assert "'nowhere:+1' could not be tested: no function of either side is called so" in errors[2]
    part = runs("compare", 1, 3, "--fail-function", "rt_threa:+99")
    assert part.returncode == 0 and "start_thread (libc.so.6)" in part.stderr, part
    document = runs("compare", 1, 3, "--json", "--fail-off-cpu-delta-ms", "50.5")
    assert document.returncode == 1
    assert '"threshold_failures":[{"gate":"fail-off-cpu-delta-ms"' in document.stdout


def test_markdown(runs):
    text = runs("compare", 1, 3, "--markdown", "--fail-off-cpu-delta-ms", 1).stdout
    assert text.startswith("### Profile: run 3 against run 1\n\n**")
    assert re.search(r"^\| active \| .* \| .* \| .* \|$", text, re.M)
    assert re.search(r"^\| `start_thread` new \| ", text, re.M)
    assert "**Limits that are not kept:**\n\n- `off-CPU time grew by" in text
    assert "\x1b" not in text + runs.ok("compare", 1, 3, "--color", "auto").stdout


def test_answers_fit_the_schema(runs):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    with runs.client() as client:
        document = client.call("rpc.discover")
        method = next(m for m in document["methods"] if m["name"] == "run.compare")
        schema = {**method["result"]["schema"], "components": document["components"]}
        answer = client.call("run.compare", base=[1], candidate=[3], limit=0,
                             gates={"active_delta_ns": 0, "off_cpu_delta_ns": 0})
        jsonschema.validate(answer, schema)
        assert answer["threshold_failures"]


def test_groups_and_archives(runs):
    path = runs.folder / "first.stax"
    runs.ok("save", path, "--run", 1)
    runs.ok("select-run", 2)
    answer = runs.json("compare", path, 1, "-n", 0)
    opened = answer["base"]["runs"][0]
    assert runs.json("top")["run"]["id"] == 2  # what was chosen stays so
    assert opened not in (1, 2, 3)
    same = {**answer["base"], "runs": None, "effective_samples": None}
    assert same == {**answer["candidate"], "runs": None, "effective_samples": None}
    assert all(abs(row["self"]["delta_pp"]) < 1e-9 and not row["is_new"] for row in answer["rows"])
    group = runs.json("compare", f"1,2,{opened}", f"2,1,{opened}")
    assert group["method"] == "betweenRuns" and group["base"]["runs"] == [1, 2, opened]
    assert group["significant"] == 0
    ranged = runs.json("compare", "1-3", f"1,2-3,{opened}")
    assert ranged["base"]["runs"] == [1, 2, 3] and ranged["candidate"]["runs"] == [1, 2, 3, opened]


def test_repeated_runs_are_compared_as_told(runs):
    for name in ("same.stax", "same%%p.stax"):
        refused = runs("record", "--repeat", 3, "--save", name, "--", "true")
        assert refused.returncode == 2 and "%p" in refused.stderr, refused
    done = runs.ok("record", "--repeat", 3, "--", runs.program("shares"), "--seconds", 0.3)
    told = re.search(r"^stax: runs (\d+)-(\d+); against others: stax (compare BASE \1-\2)$",
                     done.stderr, re.M)
    assert told and int(told[2]) == int(told[1]) + 2, done.stderr
    ids = list(range(int(told[1]), int(told[2]) + 1))
    words = told[3].replace("BASE", f"{told[1]}-{told[2]}").split()
    answer = runs.json(*words)
    assert answer["base"]["runs"] == answer["candidate"]["runs"] == ids
    assert answer["method"] == "betweenRuns" and answer["significant"] == 0


def test_numbers_between_are_others(runs):
    process = runs.start("record", "--repeat", 2, "--", "sleep", 0.6)
    runs.target_pid()
    first = runs.last_run()["id"]
    with runs.client() as client:
        part = client.call("run.freeze", run=1, back_ns=100 * MS)
    assert part["id"] == first + 1
    told = process.communicate(timeout=15)[1]
    assert f"against others: stax compare BASE {first},{first + 2}\n" in told


@pytest.mark.parametrize("script, signals, status", [
    ("trap 'exit 0' TERM; while :; do sleep 0.05; done", [signal.SIGTERM], 0),
    ("exec sleep 20", [signal.SIGHUP], 128 + signal.SIGHUP),
    ("trap '' INT; sleep 1", [signal.SIGINT, signal.SIGINT], 0),
], ids=("term", "hup", "ctrl-c twice"))
def test_repeating_can_be_ended(runs, script, signals, status):
    n_before = len(runs.runs())
    process = runs.start("record", "-q", "--repeat", 5, "--", "sh", "-c", script,
                         start_new_session=True)
    runs.target_pid()
    for number in signals:
        time.sleep(0.2)
        if number == signal.SIGINT:  # as the terminal sends it
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    assert process.wait(timeout=15) == status
    assert len(runs.runs()) == n_before + 1


@pytest.mark.parametrize("args, status, words", [
    ([1], 2, "BASE CANDIDATE"), ([1, 2, 3], 2, "unexpected"), ([1, 99], 1, "there is no run 99"),
    ([1, "/nonexistent/a.stax"], 1, "/nonexistent/a.stax"),
    ([1, 2, "--json", "--markdown"], 2, "exclude each other"),
    ([1, 2, "--fail-function", "main"], 2, "NAME:+PCT"),
    ([1, 2, "--fail-active-delta-ms", "-1"], 2, "--fail-active-delta-ms"),
    ([1, 2, "--fail-unlinked-origins-delta", "0.5"], 2, "whole number"),
    (["1,,2", 3], 2, "numbers of runs"), (["2-1", 3], 2, "numbers of runs"), (["", 3], 2, "numbers of runs"),
    ([1, "2,1-3"], 2, "names a run twice"), (["1-101", 2], 2, "100 at most"),
], ids=str)
def test_refusals(runs, args, status, words):
    done = runs("compare", *args)
    assert done.returncode == status and done.stdout == "", done
    assert done.stderr.startswith("error: ") and words in done.stderr, done


def test_requests_without_runs_are_refused(runs):
    with runs.client() as client:
        for params in ({"base": [], "candidate": [1]}, {"base": [1]}, {"base": [1] * 101, "candidate": [1]},
                       {"base": [1, 2, 1], "candidate": [3]}, {"base": [1], "candidate": [3, 3]}):
            with pytest.raises(RpcError) as refused:
                client.call("run.compare", **params)
            assert refused.value.code == "invalid_params"
