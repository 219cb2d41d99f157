# SPDX-License-Identifier: MIT
"""Names, lines and code of an archive are those of the recording, whatever lies on this machine."""

import os
import shutil
import subprocess
import tempfile

import pytest

import subjects
from private_server import Account, PrivateServer, wait_until

PROGRAM = """\
#include <cstdint>
#include <cstdlib>
#include <vector>
template <class T> static inline T mix(T a, T b)
{
    for (int i = 0; i < 8; i++)
        a = a * 31 + (b ^ (a >> 7)); // the hot line
    return a;
}
struct Point { double x, y; double norm() const { return x * x + y * y; } };
__attribute__((noinline)) unsigned churn(unsigned n)
{
    unsigned s = 1;
    for (unsigned i = 0; i < n; i++)
        s = mix(s, s + 17u) + i;
    return s;
}
__attribute__((noinline)) double shapes(int n)
{
    std::vector<Point> all;
    for (int i = 0; i < n; i++)
        all.push_back({i * 0.5, i * 0.25});
    double sum = 0;
    for (const auto &point : all)
        sum += point.norm();
    return sum;
}
int main(int, char **argv)
{
    double sum = 0;
    for (long i = 0; i < atol(argv[1]); i++)
        sum += churn(20000) + shapes(4000);
    return sum == 42;
}
"""


@pytest.fixture
def another():
    """A server that has recorded nothing."""
    with tempfile.TemporaryDirectory(prefix="stax-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PrivateServer(folder, Account())
        yield server
        server.end_all()


def build(folder, text, *options):
    source = folder / "shapes.cc"
    source.write_text(text)
    subprocess.run(["g++", "-g", "-O2", *options, "-o", folder / "shapes", source], check=True)
    return folder / "shapes"


def annotate(stax, function, *options):
    answer = stax.json("annotate", function, *options)
    del answer["run"]
    return answer


def sources_of(answer):
    return [line["source"].strip() for line in answer["lines"] if "source" in line]


def test_another_build_under_the_same_path(stax, another):
    folder = stax.folder / "own"
    folder.mkdir()
    program = build(folder, PROGRAM)
    stax.ok("record", "-q", "--", program, "1000")
    rows = stax.json("top", "-n", 6)["rows"]
    functions = [row["name"] for row in rows] + [row["address"] for row in rows if "address" in row]
    options = ((), ("--no-source",), ("--bytes",))
    expected = {(f, o): annotate(stax, f, *o) for f in functions for o in options}
    assert any(line.get("inlined") for line in expected["churn(unsigned int)", ()]["lines"])
    assert any("the hot line" in text for text in sources_of(expected["churn(unsigned int)", ()]))
    stax.ok("save", stax.folder / "run.stax")

    build(folder, "/* moved */\n" + PROGRAM.replace("the hot line", "another line"), "-O0")
    another.ok("open", stax.folder / "run.stax")
    for (function, option), answer in expected.items():
        assert annotate(another, function, *option) == answer, (function, option)
    # Who says where sources are means those.
    elsewhere = stax.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "shapes.cc").write_text(PROGRAM.replace("the hot line", "the same line"))
    mapped = annotate(another, "churn", "--source-map", f"{folder}={elsewhere}")
    assert any("the same line" in text for text in sources_of(mapped))
    # And what is saved from there is the same once more.
    another.ok("save", stax.folder / "again.stax")
    shutil.rmtree(folder)
    another.ok("open", stax.folder / "again.stax")
    for (function, option), answer in expected.items():
        assert annotate(another, function, *option) == answer, (function, option)


def instructions(answer):
    return [(line["address"], line.get("text"), line.get("bytes")) for line in answer["lines"]]


def test_made_code_of_a_run_that_goes_on(stax, another):
    """A map tells names and no code: that stands in memory, as long as the program lives."""
    try:
        command = subjects.launched("node --perf-basic-prof", stax, 30)
    except subjects.Missing as reason:
        pytest.skip(str(reason))
    with stax.start("record", "-q", "--", *command, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL) as recording:
        stax.await_samples(800)
        wait_until(lambda: any(row["kind"] == "jit" for row in stax.json("top", "-n", 5)["rows"]),
                   what="made code among the hottest")
        names = [row["name"] for row in stax.json("top", "-n", 20)["rows"] if row["kind"] == "jit"]
        live = {name: annotate(stax, name) for name in names[:3]}
        stax.ok("save", stax.folder / "live.stax")
        after = {name: annotate(stax, name) for name in live}
        stax.ok("stop")
        recording.terminate()
        recording.wait()
    another.ok("open", stax.folder / "live.stax")
    n_same = 0
    for name in live:
        if instructions(live[name]) == instructions(after[name]):  # not made anew meanwhile
            kept = annotate(another, name)
            assert kept["origin"] == live[name]["origin"] == "target memory"
            assert instructions(kept) == instructions(live[name])
            n_same += 1
    assert n_same > 0
