# SPDX-License-Identifier: MIT
"""top --group: the same time by function, by file, by line."""

import place
import pytest

GROUPS = ("function", "image", "line")


@pytest.fixture(scope="module")
def recorded(shared):
    shared.truth("shares", "--seconds", 2, "--threads", 2)
    return shared


@pytest.mark.parametrize("view", [
    (), ("--from", "0.5", "--to", "1.5"), ("--focus", "serve"), ("--exclude", "work_50")],
    ids=lambda view: " ".join(view) or "all")
def test_groups_agree(recorded, view):
    answers = {g: recorded.json("top", "-n", 0, "--group", g, *view) for g in GROUPS}
    totals = answers["function"]["totals"]
    for group, answer in answers.items():
        assert answer["group"] == group and answer["totals"] == totals
        assert sum(r["self_active_ns"] for r in answer["rows"]) == totals["active_ns"]
        assert sum(r["self_samples"] for r in answer["rows"]) == totals["samples"]
        assert all(r["self_active_ns"] <= r["total_active_ns"] <= totals["active_ns"]
                   for r in answer["rows"])
        assert answer["functions"] == len(answer["rows"])


def test_images_are_the_sum_of_their_functions(recorded):
    images = recorded.json("top", "-n", 0, "--group", "image")["rows"]
    functions = recorded.json("top", "-n", 0)["rows"]
    by_image = {}
    for row in functions:
        by_image[row["image"]] = by_image.get(row["image"], 0) + row["self_active_ns"]
    for row in images:
        if row["image"]:
            assert row["self_active_ns"] == by_image[row["image"]], row["name"]
    shares = next(r for r in images if r["name"] == "shares")
    assert shares["file"] == str(recorded.program("shares")) and shares["self_pct"] > 90
    assert "address" not in shares
    assert {"libc.so.6", "[kernel]"} & {r["name"] for r in images}


def test_total_counts_each_stack_once(recorded):
    rows = recorded.json("top", "-n", 0, "--group", "image", "--sort", "total")["rows"]
    assert rows[0]["total_samples"] <= recorded.json("top")["totals"]["samples"]
    assert rows[0]["total_pct"] <= 100


def test_lines(recorded):
    """Where there are lines they are named; where there are none the function is."""
    rows = recorded.json("top", "-n", 0, "--group", "line")["rows"]
    for row in rows:
        if row["line"]:
            assert row["name"] == "/".join(row["file"].split("/")[-2:]) + f":{row['line']}"
        else:
            assert row["name"].endswith(" (no line)") or row["image"] == ""
            assert "file" not in row


def test_text(recorded):
    lines = recorded.ok("top", "--group", "image").stdout.splitlines()
    assert "images by self time" in lines[0] and lines[1].endswith("image (path)")
    assert lines[2].endswith(f"shares ({recorded.program('shares')})")
    lines = recorded.ok("top", "--group", "line", "-n", 3).stdout.splitlines()
    assert "lines by self time" in lines[0] and len(lines) == 5
    assert recorded("top", "--group", "colour").returncode == 2


def test_a_real_program(shared):
    shared.record("--", place.find("python3"), "-c", "sum(i * i for i in range(9000000))")
    for group in GROUPS:
        answer = shared.json("top", "-n", 0, "--group", group)
        assert sum(r["self_active_ns"] for r in answer["rows"]) == answer["totals"]["active_ns"]
    images = shared.json("top", "--group", "image")["rows"]
    assert images[0]["name"].startswith(("python3", "libpython3"))
