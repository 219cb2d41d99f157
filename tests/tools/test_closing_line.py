# SPDX-License-Identifier: MIT
import json

from load import load

closing_line = load("tests/support/closing_line.py")

JUNIT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="e2e.test_top" name="passes"/>
<testcase classname="e2e.test_top" name="fails"><failure message="x">y</failure></testcase>
<testcase classname="e2e.test_top" name="breaks"><error message="x">y</error></testcase>
<testcase classname="e2e.test_top" name="twice"/>
<testcase classname="e2e.test_top" name="twice"><error message="teardown"/></testcase>
<testcase classname="e2e.test_top" name="left_out"><skipped message="no redis"/></testcase>
</testsuite></testsuites>"""


def meson(*results):
    return "\n".join(json.dumps({"name": f"base/{i}", "result": result, "stdout": "a\nno perf\n"})
                     for i, result in enumerate(results)) + "\n"


def test_both_kinds_are_summed(tmp_path):
    (tmp_path / "build-asan.json").write_text(meson("OK", "OK", "FAIL", "TIMEOUT", "SKIP"))
    (tmp_path / "pytest.xml").write_text(JUNIT)
    lines, status = closing_line.closing_lines(tmp_path)
    assert lines[-1] == "3 passed, 5 failed, 2 skipped"
    assert status == 1
    assert "  1 x no redis" in lines and "  1 x no perf" in lines
    assert "  base/3 (timeout)" in lines


def test_all_passed(tmp_path):
    (tmp_path / "build-asan.json").write_text(meson("OK", "EXPECTEDFAIL"))
    assert closing_line.closing_lines(tmp_path) == (["", "2 passed, 0 failed, 0 skipped"], 0)


def test_nothing_ran_is_a_failure(tmp_path):
    lines, status = closing_line.closing_lines(tmp_path)
    assert (lines[-1], status) == ("0 passed, 0 failed, 0 skipped", 1)
    (tmp_path / "build-asan.json").write_text(meson("SKIP"))
    assert closing_line.closing_lines(tmp_path)[1] == 1
