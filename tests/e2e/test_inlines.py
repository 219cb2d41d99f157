# SPDX-License-Identifier: MIT
"""Inlined functions are frames of their own, between caller and callee, in every view."""

from pathlib import Path

import place
import pytest

from private_server import wait_until

SOURCE = Path(__file__).resolve().parents[1] / "programs" / "inlines.c"


@pytest.fixture(scope="module")
def recorded(shared):
    shared.truth_of_run, _ = shared.truth("inlines", "--seconds", 3)
    # The first answer about a run that is over has them already.
    assert row_of(shared, "blend")
    return shared


def rows_of(stax, *options):
    return stax.json("top", "-n", 0, *options)["rows"]


def row_of(stax, name, *options):
    return next((r for r in rows_of(stax, *options) if r["name"] == name), None)


def line_of(text):
    """The number of the first line of the program's source that holds the text."""
    for number, line in enumerate(SOURCE.read_text().splitlines(), 1):
        if text in line:
            return number
    raise AssertionError(text)


def test_self_time_is_that_of_the_innermost(recorded):
    functions = recorded.truth_of_run["functions"]
    work_ns = sum(f["cpu_ns"] for f in functions.values())
    rows = {r["name"]: r for r in rows_of(recorded) if r["image"] == "inlines"}
    measured_ns = sum(rows[name]["self_active_ns"] for name in functions)
    for name, truth in functions.items():
        assert rows[name]["self_active_ns"] / measured_ns \
            == pytest.approx(truth["cpu_ns"] / work_ns, abs=0.03), name
        assert rows[name]["inlined"] == (name != "emit")
    for outer in ("render_rows", "store_rows", "shade"):
        assert rows[outer]["self_active_ns"] < 0.02 * measured_ns, outer
    assert rows["shade"]["inlined"] and not rows["render_rows"]["inlined"]
    assert rows["shade"]["total_samples"] >= rows["blend"]["total_samples"] > 0
    assert rows["store_rows"]["total_samples"] >= \
        rows["encode"]["total_samples"] + rows["emit"]["total_samples"]


def path_to(node, name, path=()):
    path = (*path, (node["name"], node["inlined"]))
    if node["name"] == name and node["samples"] > 20:
        return path
    for child in node["children"]:
        found = path_to(child, name, path)
        if found:
            return found
    return None


def test_flame_has_them_between_caller_and_callee(recorded):
    root = recorded.json("flame", "-d", 0, "--threshold-pct", 0)["root"]
    assert path_to(root, "blend")[-3:] == (("render_rows", False), ("shade", True), ("blend", True))
    assert path_to(root, "encode")[-2:] == (("store_rows", False), ("encode", True))
    assert path_to(root, "emit")[-3:] == (("store_rows", False), ("flush", True), ("emit", False))
    inverted = recorded.json("flame", "--invert", "-d", 0, "--threshold-pct", 0)["root"]
    hot = inverted["children"][0]
    assert (hot["name"], hot["children"][0]["name"]) == ("blend", "shade")
    assert inverted["active_ns"] == root["active_ns"]


def test_neighbors_know_them(recorded):
    blend = recorded.json("neighbors", "blend")
    assert blend["function"]["inlined"] and blend["callers"][0]["name"] == "shade"
    emit = recorded.json("neighbors", "emit")
    assert emit["callers"][0]["name"] == "flush" and emit["callers"][0]["inlined"]
    store = recorded.json("neighbors", "store_rows")
    assert {r["name"] for r in store["callees"][:2]} == {"encode", "flush"}
    for answer in (blend, emit, store):
        total = answer["function"]["total_active_ns"]
        assert sum(r["active_ns"] for r in answer["callers"]) == total
        assert sum(r["active_ns"] for r in answer["callees"]) \
            + answer["function"]["self_active_ns"] == total


def test_totals_do_not_depend_on_them(recorded):
    top = recorded.json("top", "-n", 0)
    flame = recorded.json("flame", "-d", 0, "--threshold-pct", 0)
    lines = recorded.json("top", "-n", 0, "--group", "line")
    assert top["totals"] == flame["totals"] == lines["totals"]
    assert sum(r["self_active_ns"] for r in top["rows"]) == top["totals"]["active_ns"]
    assert sum(r["self_active_ns"] for r in lines["rows"]) == top["totals"]["active_ns"]


def test_patterns_meet_them(recorded):
    whole = recorded.json("top")["totals"]["samples"]
    with_it = recorded.json("top", "--focus", "shade")["totals"]["samples"]
    without = recorded.json("top", "--exclude", "shade")["totals"]["samples"]
    assert with_it + without == whole and with_it > 0.4 * whole


def test_lines(recorded):
    rows = {r["name"]: r for r in rows_of(recorded, "--group", "line")}
    blend_line = line_of("BURN_STEP(x, UINT64_C(6364136223846793005))")
    # The loop's own line and its body's.
    lines = {r["line"]: r for r in rows.values() if r.get("file", "").endswith("inlines.c")}
    hot = sum(lines[n]["self_samples"] for n in (blend_line - 1, blend_line) if n in lines)
    assert hot == pytest.approx(row_of(recorded, "blend")["self_samples"], rel=0.05)
    call = lines[line_of("    emit(n_iterations);")]
    assert call["total_samples"] == pytest.approx(row_of(recorded, "emit")["total_samples"],
                                                  rel=0.05)
    name = next(r["name"] for r in lines.values())
    assert name.rsplit(":", 1)[0] == "programs/inlines.c"


def test_text_marks_them(recorded):
    assert "blend (inlines) (inlined)" in recorded.ok("top").stdout
    assert "shade (inlines) (inlined)" in recorded.ok("flame").stdout


def test_a_program_of_g_plus_plus(shared, tmp_path):
    """Templates and lambdas, at -O2 -g as people build."""
    if place.find("g++") is None:
        pytest.skip("g++ is not installed")
    (tmp_path / "sum.cc").write_text(
        "#include <algorithm>\n#include <chrono>\n#include <cstdio>\n#include <vector>\n"
        "__attribute__((noinline)) double pass(std::vector<double> &v)\n"
        "{\n"
        "    std::for_each(v.begin(), v.end(), [](double &x) { x = x * 1.0000001 + 1e-9; });\n"
        "    return v[v.size() / 2];\n"
        "}\n"
        "int main()\n"
        "{\n"
        "    std::vector<double> v(4096, 1.0);\n"
        "    double sum = 0;\n"
        "    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);\n"
        "    while (std::chrono::steady_clock::now() < end)\n"
        "        for (int i = 0; i < 1000; i++) sum += pass(v);\n"
        "    printf(\"%f\\n\", sum);\n"
        "}\n")
    shared.run(place.find("g++"), "-O2", "-g", "-o", tmp_path / "sum", tmp_path / "sum.cc")
    shared.record("--", tmp_path / "sum")
    wait_until(lambda: any("for_each" in r["name"] for r in rows_of(shared)), what="std::for_each")
    rows = [r for r in rows_of(shared, "--focus", "for_each") if "lambda" in r["name"]]
    assert rows and all(r["inlined"] for r in rows)
    assert sum(r["total_pct"] for r in rows) > 50
