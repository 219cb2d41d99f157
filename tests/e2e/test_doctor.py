# SPDX-License-Identifier: MIT
"""doctor: what stands in the way, each with what to type."""

import json

import pytest

AREAS = ["host", "server", "run", "unwinding", "symbols"]
SETTINGS = {"kernel", "perf_event_paranoid", "kptr_restrict", "tracefs", "counters", "bpf"}


def examine(stax, *options, code=None):
    done = stax("doctor", "--json", *options)
    answer = json.loads(done.stdout)
    findings = answer["findings"]
    counts = {state: sum(f["state"] == state for f in findings) for state in ("broken", "warn")}
    assert (answer["broken"], answer["warnings"]) == (counts["broken"], counts["warn"])
    assert done.returncode == (1 if counts["broken"] else 0)
    if code is not None:
        assert done.returncode == code
    for finding in findings:
        assert finding["area"] in AREAS and finding["subject"] and finding["text"]
        assert ("fix" in finding) == (finding["state"] != "ok"), finding
    order = [AREAS.index(f["area"]) for f in findings]
    assert order == sorted(order)
    return answer


def find(answer, area, subject):
    return next((f for f in answer["findings"] if (f["area"], f["subject"]) == (area, subject)),
                None)


def test_without_a_server(bare):
    answer = examine(bare)
    assert answer["has_server"] is False and answer["run"] == 0
    assert SETTINGS <= {f["subject"] for f in answer["findings"] if f["area"] == "host"}
    server = find(answer, "server", "server")
    assert server["state"] == "warn" and "isn't running" in server["text"]
    assert "stax record" in server["fix"]
    text = bare("doctor").stdout
    assert "stax-server isn't running" in text and "\033" not in text


def test_without_a_run(idle):
    answer = examine(idle)
    assert answer["has_server"] is True
    assert "nothing has been recorded yet" in find(answer, "run", "run")["text"]
    assert find(answer, "server", "on-cpu")
    done = idle("doctor", "--run", 7)
    assert done.returncode == 1 and "no run 7" in done.stderr and done.stdout == ""


def test_an_ordinary_user_is_told_what_privilege_would_bring(other):
    answer = examine(other)
    assert find(answer, "host", "bpf")["state"] == "warn"


def test_a_good_run(stax):
    stax.truth("shares", "--seconds", 1)
    answer = examine(stax, code=0)
    assert answer["run"] == 1
    assert find(answer, "run", "losses")["state"] == "ok"
    assert find(answer, "unwinding", "stacks")["state"] == "ok"
    image = find(answer, "symbols", stax.program("shares"))
    assert image["state"] == "ok" and "100.0 %" in image["text"] and ".symtab" in image["text"]
    table = find(answer, "unwinding", stax.program("shares"))
    assert table["state"] == "ok" and "rows from .eh_frame" in table["text"]


def test_a_stripped_program_has_no_names(stax):
    stax.record("--", stax.program("spin_stripped"), "--seconds", 1)
    image = find(examine(stax), "symbols", stax.program("spin_stripped"))
    assert image["state"] == "warn" and "DEBUGINFOD_URLS" in image["fix"]


def test_frame_pointers_alone(stax):
    stax.record("--no-dwarf-unwind", "--", stax.program("spin"), "--seconds", 0.5)
    stacks = find(examine(stax), "unwinding", "stacks")
    assert stacks["state"] == "warn" and "--no-dwarf-unwind" in stacks["fix"]


def test_earlier_runs_can_be_looked_at(stax):
    stax.truth("spin", "--seconds", 0.5)
    stax.record("--", "/bin/true")
    assert examine(stax, "--run", 1)["run"] == 1
    assert examine(stax)["run"] == 2


def test_live(stax):
    process = stax.start("record", "-q", "--", stax.program("shares"), "--seconds", 3)
    stax.await_samples(200)
    answer = examine(stax)
    assert answer["run"] == 1 and find(answer, "run", "samples")
    process.communicate(timeout=30)


def test_text(stax):
    stax.truth("shares", "--seconds", 0.5)
    lines = stax("doctor").stdout.splitlines()
    assert lines[0] == "host" and "run 1" in lines and "symbols" in lines
    assert lines[-1].endswith(("warnings", "warning")) and " broken, " in lines[-1]
    for before, line in zip(lines, lines[1:]):
        if line.startswith("        fix: "):
            assert before.startswith(("warn    ", "broken  "))
    assert "\033[" in stax("doctor", "--color", "always").stdout


def test_the_answer_is_what_the_schema_says(stax):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    stax.truth("spin", "--seconds", 0.3)
    with stax.client() as client:
        document = client.call("rpc.discover")
        answer = client.call("server.doctor")
    method = next(m for m in document["methods"] if m["name"] == "server.doctor")
    jsonschema.validate(answer, {**method["result"]["schema"],
                                 "components": document.get("components", {})})
