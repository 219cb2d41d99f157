# SPDX-License-Identifier: MIT
import pytest
from load import load, write

check_layers = load("tools/check-layers")

LAYERS = """# a comment
base:
model:   base
os:
capture: base model
capture/linux: base capture
cli:     base model
"""

CLEAN = {
    "src/LAYERS": LAYERS,
    "src/base/text.h": '#include <stddef.h>\n',
    "src/base/text.c": '#include "base/text.h"\n',
    "src/base/meson.build": "",
    "src/model/event.h": '#include "base/text.h"\n',
    "src/capture/capture.h": '#include "model/event.h"\n',
    "src/capture/linux/ring.c": '#include <linux/perf_event.h>\n#include "capture/capture.h"\n',
    "src/capture/linux/meson.build": "",
}


def problems_with(tmp_path, extra):
    write(tmp_path, {**CLEAN, **extra})
    return check_layers.check(tmp_path)


def test_a_clean_tree_has_no_problems(tmp_path):
    assert problems_with(tmp_path, {}) == []


@pytest.mark.parametrize("path, text, expected", [
    ("src/base/up.h", '#include "model/event.h"\n', "base/ may not include model/"),
    ("src/base/up.h", '  #  include "model/event.h"\n', "base/ may not include model/"),
    ("src/cli/top.h", '#include "capture/capture.h"\n', "cli/ may not include capture/"),
    ("src/capture/x.h", '#include "capture/linux/ring.c"\n', "may not include capture/linux/"),
    ("src/base/near.h", '#include "text.h"\n', "not a path from src/ on"),
    ("src/base/near.h", '#include "../base/text.h"\n', "not a path from src/ on"),
    ("src/base/near.h", '#include "base/gone.h"\n', "not a path from src/ on"),
    ("src/base/near.h", '#include <base/text.h>\n', "is ours"),
    ("src/model/os.h", "#include <linux/types.h>\n", "is of an operating system"),
    ("src/cli/os.h", "#include <sys/epoll.h>\n", "is of an operating system"),
    ("src/capture/os.h", "#include <mach/mach.h>\n", "is of an operating system"),
    ("src/attic/x.c", "", "no line in src/LAYERS"),
    ("src/model/new.c", "", "src/model: no meson.build"),
])
def test_a_broken_rule_is_named(tmp_path, path, text, expected):
    problems = problems_with(tmp_path, {path: text})
    assert len(problems) == 1, problems
    assert expected in problems[0]
    assert problems[0].startswith(path.rsplit("/", 1)[0])


def test_a_comment_is_no_include(tmp_path):
    assert problems_with(tmp_path, {"src/base/up.h": ' * #include "model/event.h"\n'}) == []


def test_a_header_that_the_build_makes_exists(tmp_path):
    made = {"src/model/meson.build": "custom_target('tables', output: ['tables.h'])\n",
            "src/cli/x.h": '#include "model/tables.h"\n'}
    assert problems_with(tmp_path, made) == []


def test_the_name_of_a_file_says_its_system(tmp_path):
    text = "#include <sys/epoll.h>\n"
    assert problems_with(tmp_path, {"src/cli/watch_linux.h": text,
                                    "src/base/watch_test.c": text}) == []


def test_an_internal_header_stays_in_its_folder(tmp_path):
    inside = {"src/model/x_internal.h": "", "src/model/x.h": '#include "model/x_internal.h"\n'}
    assert problems_with(tmp_path, inside) == []
    problems = problems_with(tmp_path, {"src/cli/x.h": '#include "model/x_internal.h"\n'})
    assert ["own folder" in problem for problem in problems] == [True]


def test_headers_in_a_circle(tmp_path):
    problems = problems_with(tmp_path, {
        "src/model/a.h": '#include "model/b.h"\n',
        "src/model/b.h": '#include "model/c.h"\n',
        "src/model/c.h": '#include "model/a.h"\n',
    })
    assert len(problems) == 1
    assert "model/a.h -> model/b.h -> model/c.h -> model/a.h" in problems[0]


@pytest.mark.parametrize("layers, expected", [
    (LAYERS.replace("base:\n", "base: cli\n"), "in a circle: base -> cli -> base"),
    (LAYERS + "web: nowhere\n", "names nowhere"),
    (LAYERS + "base:\n", "a second line"),
    (LAYERS + "two words\n", "not `room: rooms`"),
])
def test_layers_that_make_no_sense(tmp_path, layers, expected):
    problems = problems_with(tmp_path, {"src/LAYERS": layers})
    assert any(expected in problem for problem in problems), problems


def test_the_rooms_of_this_tree_are_no_circle():
    layers, problems = check_layers.parse_layers(
        (check_layers.pathlib.Path(check_layers.__file__).parents[1] / "src/LAYERS").read_text())
    assert problems == []
    assert check_layers.find_circle(layers) is None
    assert "cli" in layers and "aggregate" not in layers["cli"]
