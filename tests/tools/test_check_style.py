# SPDX-License-Identifier: MIT
import pytest
from load import load, write

check_style = load("tools/check-style")

HEAD = "/* SPDX-License-Identifier: MIT */\n"
HEADER = HEAD + "#pragma once\n\n/*\n * x - y\n *\n * Owner:   z\n * Threads: one\n */\n"


def problems_with(tmp_path, files):
    write(tmp_path, files)
    return check_style.check(tmp_path)[0]


def test_a_clean_tree_has_no_problems(tmp_path):
    assert problems_with(tmp_path, {
        "src/base/text.h": HEADER + "uint64_t born_at_ns;\nuint64_t clock_time(void);\n",
        "src/base/text.c": HEAD + "/* TODO(#12): perf */\ntypedef uint32_t stack_id;\n"
                                  "typedef int (*on_struct_cb)(struct text *text);\n",
        "include/stax/x.h": HEAD + "#ifndef STAX_X_H\ntypedef struct stax_x {\n",
        "src/base/text_test.c": HEAD + "    assert_true(1);\n        skip();\n",
        "src/query/top.c": HEAD + '/* perf */ char *s = "perf"; int perform, superficial;\n',
        "tools/do": "#!/usr/bin/env python3\n# SPDX-License-Identifier: MIT\nx = 1\n",
        "tests/e2e/test_x.py": "# SPDX-License-Identifier: MIT\n@pytest.mark.skipif(x)\n"
                               "def f():\n    pass\n",
    }) == []


@pytest.mark.parametrize("path, text, expected", [
    ("src/base/a.c", "int a;\n", "SPDX"),
    ("src/base/a.h", HEAD + "/* Owner Threads */\n", "no #pragma once"),
    ("src/base/a.h", HEAD + "#pragma once\n", "does not name Owner"),
    ("include/stax/a.h", HEAD + "#pragma once\n", "no #ifndef STAX_"),
    ("src/base/a.c", HEAD + "uint64_t start_time;\n", "start_time has no unit"),
    ("src/base/a.c", HEAD + "int64_t duration;\n", "duration has no unit"),
    ("src/base/a.c", HEAD + "typedef struct a a_t;\n", "typedef"),
    ("src/base/a.c", HEAD + "typedef enum { A } a;\n", "typedef"),
    ("src/base/a.c", HEAD + "// TO" + "DO: later\n", "TODO(#issue)"),
    ("src/base/a.c", HEAD + "/* FIX" + "ME */\n", "TODO(#issue)"),
    ("src/base/a.c", HEAD + "char *p = alloca(3);\n", "alloca"),
    ("src/query/a.c", HEAD + "int perf_count;\n", "the word perf"),
    ("src/aggregate/a.c", HEAD + "int n_perf;\n", "the word perf"),
    ("src/base/a_test.c", HEAD + "int main(void) { return 0; }\n", "asserts nothing"),
    ("src/base/a_test.c", HEAD + "assert_true(1);\n    skip();\n", "skip without a condition"),
    ("tests/e2e/test_a.py", "# SPDX-License-Identifier: MIT\n@pytest.mark.skip\n"
                            "def f():\n    pass\n", "skip without a condition"),
    ("tests/e2e/a.py", "x = 1\n", "SPDX"),
    ("tests/e2e/a.py", "# SPDX-License-Identifier: MIT\nx = (\n", "was never closed"),
    ("src/base/utils.c", HEAD, "`utils` says nothing"),
    ("tests/common/seed.bin", "", "`common` says nothing"),
    ("src/base/long.c", HEAD + "int a;\n" * 801, "802 lines"),
])
def test_a_broken_rule_is_named(tmp_path, path, text, expected):
    problems = problems_with(tmp_path, {path: text})
    assert len(problems) == 1, problems
    assert expected in problems[0]


def test_long_files_and_missing_tests_are_only_told(tmp_path):
    write(tmp_path, {"src/base/a.c": HEAD + "int a;\n" * 650})
    problems, notes = check_style.check(tmp_path)
    assert problems == []
    assert len(notes) == 2
    assert "651 lines" in notes[0]
    assert "without a test" in notes[1] and "src/base/a.c" in notes[1]


def test_exceptions_need_a_reason_and_a_need(tmp_path):
    long = HEAD + "int a;\n" * 900
    files = {"src/base/a.c": long, "tools/exceptions": "src/base/a.c: one table\n"}
    assert problems_with(tmp_path, files) == []
    assert "no reason" in problems_with(tmp_path, {"tools/exceptions": "src/base/a.c:\n"})[0]
    problems = problems_with(tmp_path, {"src/base/a.c": HEAD,
                                        "tools/exceptions": "src/base/a.c: one table\n"})
    assert ["no exception any more" in problem for problem in problems] == [True]
    problems = problems_with(tmp_path, {"tools/exceptions": "src/gone.c: one table\n"})
    assert ["does not exist" in problem for problem in problems] == [True]
