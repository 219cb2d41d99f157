# SPDX-License-Identifier: MIT
"""One function, instruction by instruction: samples where they fell, sums as in top."""

import collections
import os
import re
import subprocess
import time

import pytest

import place

# Each source line has a number of its own in the test that looks for it.
INLINED_C = """\
#include <stdint.h>
#include <stdlib.h>
static inline __attribute__((always_inline)) uint64_t mix_bits(uint64_t x)
{
    for (int i = 0; i < 40; i++)
        x = x * 6364136223846793005u + 1442695040888963407u; /* the hot line */
    return x;
}
__attribute__((noinline)) uint64_t first_user(uint64_t x) { return mix_bits(x) ^ 1; }
__attribute__((noinline)) uint64_t second_user(uint64_t x) { return mix_bits(mix_bits(x)) ^ 2; }
int main(int argc, char **argv)
{
    uint64_t x = argc;
    for (long i = 0; i < atol(argv[1]); i++)
        x = first_user(x) + second_user(x);
    return x == 0;
}
"""

CPP = """\
#include <cstdint>
#include <cstdlib>
namespace engine {
template <typename T> struct Solver {
    T state;
    __attribute__((noinline)) T solve(long n) {
        for (long i = 0; i < n; i++)
            state = state * 6364136223846793005u + 1442695040888963407u; // the hot line
        return state;
    }
};
}
int main(int, char **argv) { engine::Solver<uint64_t> s{1}; return s.solve(atol(argv[1])) == 0; }
"""

RUST = """\
#[inline(never)]
fn solve(n: u64) -> u64 {
    let mut state: u64 = n;
    for i in 0..n {
        state = state.wrapping_mul(6364136223846793005).rotate_left((i & 7) as u32); // the hot line
    }
    state
}
fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    println!("{}", solve(n));
}
"""


@pytest.fixture(scope="module")
def recorded(shared):
    """Run 1: shares, two threads."""
    shared.truth("shares", "--seconds", 3, "--threads", 2)
    return shared


def build(stax, name, text, *command):
    """A program made from source, in the test's folder."""
    source = stax.folder / name
    source.write_text(text)
    if place.find(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    binary = stax.folder / name.replace(".", "_")
    done = stax.run(place.find(command[0]), *command[1:], "-o", binary, source)
    assert done.returncode == 0, done.stderr
    return binary, source


def settled(stax, *args):
    """The answer once debug information has been read."""
    answer = {}
    for _ in range(30):
        answer = stax.json("annotate", *args)
        if not any("still being read" in note for note in answer.get("notes", [])):
            return answer
        time.sleep(0.2)
    return answer


def check_sums(answer):
    own = [line for line in answer["lines"] if "inlined" not in line]
    inlined = [line for line in answer["lines"] if "inlined" in line]
    assert sum(line["samples"] for line in own) == answer["self_samples"]
    assert sum(line["self_active_ns"] for line in own) == answer["self_active_ns"]
    assert sum(line["samples"] for line in inlined) == answer["inlined_samples"]
    assert sum(line["self_active_ns"] for line in inlined) == answer["inlined_active_ns"]


def check_against_top(stax, *view, least=1):
    """Every function of top has the same sums when it is annotated.

    Annotating makes the server read debug information, which tells what was inlined; what top says
    afterwards is compared.
    """
    rows = stax.json("top", "-n", 0, *view)["rows"]
    compared = 0
    for row in (row for row in rows if row["self_samples"] >= least):
        same = [r for r in rows if r["name"] == row["name"] and not r.get("inlined")]
        if row.get("inlined") or row["name"].startswith("(") or "+0x" in row["name"]:
            continue
        wanted = f"{row['image']}+{row['address']}" if len(same) > 1 else row["name"]
        answer = settled(stax, wanted, "--no-source", *view)
        assert answer["name"] == row["name"]
        sums = [(r["self_samples"], r["self_active_ns"])
                for r in stax.json("top", "-n", 0, *view)["rows"] if not r.get("inlined") and
                all(r.get(key) == row[key] for key in ("name", "image", "address"))]
        # A function of which all is inlined code has no row.
        assert [(answer["self_samples"], answer["self_active_ns"])] == (sums or [(0, 0)]), row
        check_sums(answer)
        compared += 1
    return compared


def test_samples_fall_where_perf_annotate_has_them(recorded, report):
    perf = place.find("perf")
    if perf is None:
        pytest.skip("perf is not installed")
    data = recorded.folder / "perf.data"
    done = recorded.run(perf, "record", "-q", "-e", "cpu-clock", "-F", "997", "-o", data, "--",
                        recorded.program("shares"), "--seconds", 3, "--threads", 2)
    if done.returncode != 0:
        pytest.skip(f"perf record: {done.stderr.strip().splitlines()[-1]}")
    script = recorded.run(perf, "script", "-i", data, "-F", "ip,sym,symoff").stdout
    for name in ("work_50", "work_30", "work_20"):
        offsets = collections.Counter(
            int(m.group(1), 16) for m in re.finditer(rf"\b{name}\+0x([0-9a-f]+)", script))
        answer = recorded.json("annotate", name)
        start = int(answer["address"], 16)
        ours = {int(line["address"], 16) - start: line["pct"] for line in answer["lines"]}
        theirs = {offset: 100 * n / offsets.total() for offset, n in offsets.items()}
        assert offsets.total() > 100 and set(theirs) <= set(ours), (theirs, ours)
        worst = max(abs(ours[o] - theirs.get(o, 0)) for o in ours)
        # Two runs of some hundred samples each: five standard deviations of a share.
        assert worst < 12, (ours, theirs)
        hottest = max(theirs, key=theirs.get)
        assert ours[hottest] > 20, (ours, theirs)
        report(f"annotate {name}: shares per instruction within {worst:.1f} points of perf")


def test_instructions_are_those_of_objdump(recorded):
    answer = recorded.json("annotate", "work_50")
    listing = subprocess.run(["objdump", "-d", "-M", "intel", "--disassemble=work_50",
                              recorded.program("shares")], capture_output=True, text=True).stdout
    theirs = re.findall(r"^ +([0-9a-f]+):\t((?:[0-9a-f]{2} )+)", listing, re.MULTILINE)
    # objdump splits long ones over two lines.
    theirs = {int(a, 16): b.strip() for a, b in theirs}
    ours = [(int(line["address"], 16), line["bytes"]) for line in answer["lines"]]
    joined = " ".join(b for _, b in ours)
    assert joined == " ".join(b for a, b in sorted(theirs.items()) if a < ours[-1][0] + 16)[:len(joined)]
    assert {a for a, _ in ours} <= set(theirs)


def test_sums_are_those_of_top(recorded):
    assert check_against_top(recorded, "--run", 1) >= 4


@pytest.mark.parametrize("view", [("--from", "1", "--to", "2"), ("--exclude", "serve"),
                                  ("--focus", "render"), ("--from", "-1.5")])
def test_sums_are_those_of_top_in_views(recorded, view):
    assert check_against_top(recorded, "--run", 1, *view) >= 1


def test_sums_of_one_thread(recorded):
    tid = recorded.json("threads", "--run", 1)["rows"][0]["tid"]
    assert check_against_top(recorded, "--run", 1, "--tid", tid) >= 3


def test_by_address(recorded):
    row = next(r for r in recorded.json("top", "--run", 1)["rows"] if r["name"] == "work_30")
    inside = hex(int(row["address"], 16) + 9)
    for wanted in (row["address"], inside, f"shares+{row['address']}", f"shares+{inside}"):
        answer = recorded.json("annotate", wanted, "--run", 1)
        assert (answer["name"], answer["self_samples"]) == ("work_30", row["self_samples"]), wanted
    for nowhere in ("0x3", "shares+0x4"):  # the second is in the ELF header: no code
        done = recorded("annotate", nowhere, "--run", 1)
        assert done.returncode == 1 and nowhere in done.stderr


def test_by_run_time_address(stax):
    target = stax.popen(stax.program("shares"), "--seconds", 20)
    stax.ok("record", "-q", "-l", 1, "-p", target.pid)
    maps = open(f"/proc/{target.pid}/maps").read()
    start, offset = re.search(r"^([0-9a-f]+)-\S+ r-xp ([0-9a-f]+) .*/shares$", maps, re.M).groups()
    row = next(r for r in stax.json("top")["rows"] if r["name"] == "work_50")
    headers = subprocess.run(["readelf", "-lW", stax.program("shares")],
                             capture_output=True, text=True).stdout
    file_offset, image_addr = re.search(r"LOAD +(0x\w+) (0x\w+) .* R E ", headers).groups()
    ip = int(start, 16) + int(row["address"], 16) - int(image_addr, 16) + int(file_offset, 16) \
        - int(offset, 16)
    target.kill()
    assert stax.json("annotate", hex(ip + 4))["name"] == "work_50"


def test_ambiguous_name_takes_the_hottest(recorded):
    done = recorded.ok("annotate", "WORK_", "--run", 1)
    assert "work_50 (shares)" in done.stdout.splitlines()[0]
    assert "is taken as work_50" in done.stderr
    assert "work_30" in done.stderr and "work_20" in done.stderr
    answer = recorded.json("annotate", "WORK_", "--run", 1)
    assert [c["name"] for c in answer["candidates"]][:2] == ["work_30", "work_20"]
    assert recorded.json("annotate", "/^work_[23]0$/", "--run", 1)["name"] == "work_30"


def test_no_match_offers_the_hottest(recorded):
    for options in ((), ("--json",)):
        done = recorded("annotate", "no_such_function", "--run", 1, *options)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith("error: ") and "no_such_function" in done.stderr
        assert "work_50, work_30, work_20" in done.stderr
    assert recorded("annotate").returncode == 2
    assert recorded("annotate", "work_50", "--source-map", "x").returncode == 2


def test_text_has_marks_and_bytes(recorded):
    lines = recorded.ok("annotate", "work_50", "--run", 1, "--bytes", "--no-source").stdout.splitlines()
    assert re.search(r"% +samples +address +bytes +instruction", lines[2])
    assert sum(line.startswith("> ") for line in lines) == 1
    assert any("→" in line for line in lines) and any("↑" in line for line in lines)
    assert not any("\033" in line for line in lines)
    short = recorded.ok("annotate", "work_50", "--run", 1, "--no-source", "--context", 0).stdout
    assert "without samples" in short and len(short.splitlines()) < len(lines)
    coloured = recorded.ok("annotate", "work_50", "--run", 1, "--color", "always").stdout
    assert "\033[31m" in coloured


def test_function_without_a_symbol(stax):
    stax.truth("spin_stripped", "--seconds", 0.7)
    row = stax.json("top")["rows"][0]
    answer = stax.json("annotate", row["name"])
    assert answer["name"] == row["name"] and answer["self_samples"] == row["self_samples"]
    assert row["name"].endswith("+" + answer["address"])
    check_sums(answer)
    # A place in it is the same function.
    busy = max(answer["lines"], key=lambda line: line.get("samples", 0))
    inside = stax.json("annotate", "spin_stripped+" + busy["address"])
    assert inside["address"] == answer["address"]
    assert inside["self_samples"] == row["self_samples"]
    # The unwind information knows where the function ends.
    assert any(line.get("flow") == "return" for line in answer["lines"])


def test_kernel_and_vdso_functions(stax):
    if place.event_paranoid() > 1 and os.geteuid() != 0:
        pytest.skip(f"no kernel frames: not root, perf_event_paranoid={place.event_paranoid()}")
    stax.truth("syscalls", 500)
    rows = stax.json("top", "-n", 0)["rows"]
    kernel = next(r for r in rows if r["kind"] == "kernel")
    answer = stax.json("annotate", kernel["address"])
    assert answer["name"] == kernel["name"] and answer["kind"] == "kernel"
    assert answer["self_samples"] == kernel["self_samples"]
    check_sums(answer)
    if os.access("/proc/kcore", os.R_OK):
        assert answer["origin"] == "kernel memory" and all("text" in x for x in answer["lines"])
    else:
        assert any("/proc/kcore" in note for note in answer["notes"])
        assert answer["lines"] and not any("text" in line for line in answer["lines"])
        assert "/proc/kcore" in stax.ok("annotate", kernel["address"]).stderr
    vdso = [r for r in rows if r["kind"] == "vdso"]
    if vdso:
        answer = stax.json("annotate", f"[vdso]+{vdso[0]['address']}")
        assert answer["self_samples"] == vdso[0]["self_samples"]
        assert all("text" in line for line in answer["lines"])


def test_source_between_instructions(stax):
    binary, source = build(stax, "inlined.c", INLINED_C, "gcc", "-O2", "-g")
    stax.record("--", binary, 4000000)
    answer = settled(stax, "second_user")
    assert answer["language"] == "c" and answer["inlined_samples"] > 0
    check_sums(answer)
    hot = max(answer["lines"], key=lambda line: line["samples"])
    assert (hot["inlined"], os.path.basename(hot["file"]), hot["line"]) == ("mix_bits", source.name, 6)
    assert any("the hot line" in line.get("source", "") for line in answer["lines"])
    text = stax.ok("annotate", "second_user").stdout
    assert re.search(r"^inlined\.c:6 \(inlined mix_bits\) .*the hot line", text, re.MULTILINE)
    assert "the hot line" not in stax.ok("annotate", "second_user", "--no-source").stdout
    assert "inlined.c is newer" not in stax.ok("annotate", "second_user").stderr
    os.utime(source, (time.time() + 60, time.time() + 60))
    assert "inlined.c is newer than the program" in stax.ok("annotate", "second_user").stderr
    check_against_top(stax)


def test_function_that_exists_only_inlined(stax):
    binary, _ = build(stax, "inlined.c", INLINED_C, "gcc", "-O2", "-g")
    stax.record("--", binary, 4000000)
    settled(stax, "first_user")
    settled(stax, "second_user")
    answer = stax.json("annotate", "mix_bits")
    row = next(r for r in stax.json("top", "-n", 0)["rows"] if r["name"] == "mix_bits")
    assert row["inlined"] and answer["inlined"] and answer["lines"] == []
    assert answer["self_samples"] == row["self_samples"]
    assert answer["self_active_ns"] == row["self_active_ns"]
    into = answer["inlined_into"]
    assert {i["name"] for i in into} == {"first_user", "second_user"}
    assert sum(i["self_samples"] for i in into) == row["self_samples"]
    text = stax.ok("annotate", "mix_bits").stdout
    command = re.search(r"stax (annotate \S+) +second_user", text).group(1).split()
    assert stax.json(*command)["name"] == "second_user"


def test_cpp_source_and_name(stax):
    binary, _ = build(stax, "solver.cc", CPP, "g++", "-O2", "-g")
    stax.record("--", binary, 400000000)
    answer = settled(stax, "engine::Solver<unsigned long>::solve")
    assert answer["name"].startswith("engine::Solver<unsigned long>::solve(")
    assert answer["language"] == "c++"
    assert any("the hot line" in line.get("source", "") for line in answer["lines"])
    check_sums(answer)


def test_rust_source(stax):
    # Debian's, or whichever is there.
    rustc = "/usr/bin/rustc" if os.access("/usr/bin/rustc", os.X_OK) else place.find("rustc")
    if rustc is None:
        pytest.skip("rustc is not installed")
    source = stax.folder / "solve.rs"
    source.write_text(RUST)
    binary = stax.folder / "solve"
    done = stax.run(rustc, "-O", "-g", "-o", binary, source,
                    env={**stax.env, "HOME": os.environ.get("HOME", "/")})
    if done.returncode != 0:
        pytest.skip(f"rustc: {done.stderr.strip()[:100]}")
    stax.record("--", binary, 400000000)
    answer = settled(stax, "solve::solve")
    assert answer["language"] == "rust"
    assert any("the hot line" in line.get("source", "") for line in answer["lines"])
    check_sums(answer)


def test_source_map(stax):
    away = stax.folder / "away"
    away.mkdir()
    binary, source = build(stax, "solver.cc", CPP, "g++", "-O2", "-g",
                           f"-ffile-prefix-map={stax.folder}=/build/solver")
    stax.record("--", binary, 300000000)
    source.rename(away / source.name)
    name = "engine::Solver<unsigned long>::solve"
    answer = settled(stax, name)
    assert not any("source" in line for line in answer["lines"])
    assert any("--source-map" in note for note in answer["notes"])
    answer = settled(stax, name, "--source-map", f"/build/solver={away}")
    assert any("the hot line" in line.get("source", "") for line in answer["lines"])
    done = stax.ok("annotate", name, "--source-map", "/nowhere=/else", "--source-map",
                   f"/build/solver={away}")
    assert "the hot line" in done.stdout


def test_code_that_the_program_made(stax):
    node = place.find("node")
    if node is None:
        pytest.skip("node is not installed")
    script = stax.folder / "hot.js"
    script.write_text("function hotLoop(n) {\n    let s = 0;\n    for (let i = 0; i < n; i++)\n"
                      "        s = (s * 31 + i) % 1000003; // the hot line\n    return s;\n}\n"
                      "let t = 0;\nfor (let k = 0; k < 300; k++) t += hotLoop(1000000);\n"
                      "console.log(t);\n")
    stax.record("--", node, "--perf-prof", script)
    rows = [r for r in stax.json("top", "-n", 0)["rows"] if "hotLoop" in r["name"]]
    answer = stax.json("annotate", rows[0]["name"])
    assert (answer["kind"], answer["origin"]) == ("jit", "record")
    assert answer["self_samples"] == rows[0]["self_samples"] > 50
    assert answer["self_active_ns"] == rows[0]["self_active_ns"]
    check_sums(answer)
    assert all("text" in line for line in answer["lines"])
    assert any(line.get("flow") == "branch" and line["samples"] for line in answer["lines"])


def test_while_it_is_recorded(stax):
    target = stax.popen(stax.program("shares"), "--seconds", 30)
    stax.start("record", "-q", "-p", target.pid)
    stax.await_samples(300)
    slowest_s = 0
    before = 0
    for _ in range(5):
        began = time.monotonic()
        answer = stax.json("annotate", "work_50")
        slowest_s = max(slowest_s, time.monotonic() - began)
        assert answer["run"]["state"] == "recording"
        assert answer["self_samples"] >= before
        check_sums(answer)
        before = answer["self_samples"]
        time.sleep(0.2)
    assert slowest_s < 2
    stax.ok("stop")
    target.kill()


@pytest.mark.parametrize("command", [
    ("python3", "-c", "sum(i * i for i in range(6000000))"),
    ("sqlite3", ":memory:", "with recursive c(x) as (select 1 union all select x+1 from c limit "
                            "1500000) select sum(x * x) from c;"),
    ("sh", "-c", "exec xz -0 -k -c /usr/bin/python3 >/dev/null"),
])
def test_real_programs(stax, report, command):
    program = place.find(command[0])
    stax.record("--", program, *command[1:])
    rows = stax.json("top", "-n", 8)["rows"]
    row = next(r for r in rows if r["kind"] == "user")
    began = time.monotonic()
    answer = settled(stax, row["name"])
    took_s = time.monotonic() - began
    check_sums(answer)
    assert answer["self_samples"] + answer["inlined_samples"] > 0
    texts = [line for line in answer["lines"] if "text" in line]
    assert len(texts) == len(answer["lines"])
    assert not any(line["text"].startswith(".byte") for line in texts if line["samples"])
    check_against_top(stax, least=3)
    report(f"annotate {row['name']} ({command[0]}): {len(texts)} instructions in {took_s:.2f} s")
