# SPDX-License-Identifier: MIT
"""Real answers have the shapes that rpc.md and schema/ promise."""

import json

import pytest

import place

STAMP = {"id", "state", "sequence", "duration_ns"}
TOTALS = {"active_ns", "cpu_ns", "target_ns", "off_cpu_ns", "samples", "spans"}
SHAPES = {
    "run": {"id", "state", "pid", "command", "started_at_unix_ns", "duration_ns", "frequency_hz",
            "samples", "intervals", "wakeups", "spans", "lost", "threads", "exit_status"},
    "top_row": {"name", "image", "kind", "inlined", "address", "file", "line", "self_active_ns",
                "total_active_ns", "self_samples", "total_samples", "self_off_cpu_ns",
                "total_off_cpu_ns", "target_ns", "spans", "self_pct", "total_pct"},
    "flame_node": {"name", "image", "kind", "inlined", "address", "active_ns", "off_cpu_ns",
                   "target_ns", "spans", "samples", "self_active_ns", "self_off_cpu_ns", "linked",
                   "children"},
    "thread_row": {"tid", "name", "kind", "start_ns", "end_ns", "cpu_ns", "runq_ns", "off_cpu_ns",
                   "target_ns", "samples", "spans", "voluntary_switches", "involuntary_switches"},
}
METHODS = {"run.status", "run.list", "run.start", "run.wait", "run.stop", "run.select",
           "profile.top", "profile.flame", "profile.threads", "profile.targetLanes",
           "profile.targetTop", "profile.targetSpans", "profile.targetOrigins", "server.info",
           "server.diagnostics", "server.shutdown", "subscribe", "unsubscribe", "rpc.discover"}


@pytest.fixture(scope="module")
def answers(shared):
    shared.truth("shares", "--seconds", 1, "--threads", 2, "--burst-us", 1000)
    with shared.client() as client:
        return {method: client.call(method) for method in
                ("profile.top", "profile.flame", "profile.threads", "run.status", "run.list",
                 "server.info", "server.diagnostics", "rpc.discover")}


# What a program tells can be before the recording.
TOLD_TIMES = {"profile.targetSpans": {"start_ns", "end_ns", "time_ns"},
              "profile.targetLanes": {"first_ns"}}


def check_values(value, path=""):
    """Units by suffix: *_ns whole numbers, *_pct 0–100, addresses as text."""
    if isinstance(value, dict):
        for key, member in value.items():
            here = f"{path}.{key}"
            if key.endswith("_ns") and not isinstance(member, (dict, type(None))):
                is_told = any(here.startswith(f"{method}.rows[") and key in keys
                              for method, keys in TOLD_TIMES.items())
                assert isinstance(member, int) and (member >= 0 or is_told), (here, member)
            elif key.endswith("_pct"):
                assert isinstance(member, (int, float)) and -1e-9 <= member <= 100.001, (here, member)
            elif key == "address" and member is not None:
                assert member.startswith("0x") and int(member, 16) >= 0, (here, member)
            check_values(member, here)
    elif isinstance(value, list):
        for i, member in enumerate(value):
            check_values(member, f"{path}[{i}]")


def test_units(answers):
    for method, answer in answers.items():
        if method != "rpc.discover":
            check_values(answer, method)


def test_queries_are_stamped(answers):
    for method in ("profile.top", "profile.flame", "profile.threads"):
        answer = answers[method]
        assert STAMP <= set(answer["run"]) and TOTALS <= set(answer["totals"])
        assert answer["run"]["state"] == "stopped" and answer["run"]["sequence"] > 0
        assert set(answer["view"]) >= {"tids", "from_ns", "to_ns", "exclude", "focus"}


def test_rows(answers):
    assert SHAPES["run"] - {"exit_status"} <= set(answers["run.list"]["runs"][0])
    optional = {"file", "line", "inlined", "address", "image"}
    for row in answers["profile.top"]["rows"]:
        assert SHAPES["top_row"] - optional <= set(row)
        assert row["kind"] in ("user", "kernel", "jit", "vdso", "target")
    for row in answers["profile.threads"]["rows"]:
        assert SHAPES["thread_row"] <= set(row) and row["kind"] in ("thread", "target")
    node = answers["profile.flame"]["root"]
    while node["children"]:
        assert SHAPES["flame_node"] - optional <= set(node)
        node = node["children"][0]


def test_discover_lists_every_method(answers):
    document = answers["rpc.discover"]
    assert document["openrpc"] and METHODS <= {m["name"] for m in document["methods"]}


def resolve(document, schema):
    """OpenRPC's document as one JSON Schema: what #/components holds travels along."""
    return {**schema, "components": document.get("components", {})}


def test_answers_are_valid(answers):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    document = answers["rpc.discover"]
    n_checked = 0
    for method in document["methods"]:
        if method["name"] in answers and method["name"] != "rpc.discover":
            jsonschema.validate(answers[method["name"]], resolve(document, method["result"]["schema"]))
            n_checked += 1
    assert n_checked >= 7


def test_command_line_prints_what_the_rpc_returned(shared, answers):
    for command, method in (("top", "profile.top"), ("threads", "profile.threads"),
                            ("list", "run.list")):
        shown = shared.json(command, *(["-n", 0] if command == "threads" else []))
        assert set(shown) == set(answers[method]), command
        if command != "list":
            assert shown["totals"] == answers[method]["totals"]


def test_schema_files_parse():
    files = sorted(place.SCHEMA.glob("*.json"))
    assert files, "schema/ is empty"
    for path in files:
        json.loads(path.read_text())
