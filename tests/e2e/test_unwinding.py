# SPDX-License-Identifier: MIT
"""Stacks of code without frame pointers reach their start, and every frame on them is one."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import place

COMPLETE_PCT = 99.5
JIT_COMPLETE_PCT = 95.0
PEER = place.BUILD / "tests" / "peers" / "stopped_stacks"

CPP = r"""
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>
static double now() { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
struct Guard { std::string text; explicit Guard(int n) : text(100, char('a' + n % 26)) {} ~Guard() { if (text.size() == 1) puts("x"); } };
__attribute__((noinline)) int thrower(int n) { Guard guard(n); if (n % 3 == 0) throw std::runtime_error(guard.text); return n; }
__attribute__((noinline)) int middle(int n) { Guard guard(n); return thrower(n) + 1; }
__attribute__((noinline)) int catcher(int n) { try { return middle(n); } catch (const std::exception &error) { return int(error.what()[0]); } }
__attribute__((noinline)) int sorter(int n) { std::vector<std::string> all; for (int i = 0; i < 200; i++) all.push_back(std::to_string(i * 7919 % (n + 100))); std::sort(all.begin(), all.end()); return int(all[0].size()); }
int main(int, char **argv) { double end = now() + atof(argv[1]); long sum = 0; for (int n = 0; now() < end; n++) { sum += catcher(n); sum += sorter(n % 50); } printf("%ld\n", sum & 1); }
"""

RUST = r"""
use std::collections::HashMap;
use std::time::{Duration, Instant};
#[inline(never)]
fn count(words: &[String]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for word in words { *counts.entry(word.clone()).or_insert(0) += 1; }
    counts
}
#[inline(never)]
fn sorted(words: &[String]) -> Vec<String> { let mut all = words.to_vec(); all.sort(); all }
fn main() {
    let seconds: f64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let words: Vec<String> = (0..500).map(|i| format!("{}", i * 7919 % 251)).collect();
    let mut sum = 0;
    while Instant::now() < end { sum += count(&words).len() + sorted(&words)[0].len(); }
    println!("{}", sum & 1);
}
"""

PYTHON = """
import json, re, sys, time
end = time.time() + float(sys.argv[1])
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
while time.time() < end:
    fib(15); json.loads(json.dumps([{"a": i, "b": [1, 2]} for i in range(100)])); re.findall("(a+)(b*)c", "aaabbbcaac" * 20)
"""

SQL = ("with recursive c(x) as (select 1 union all select x + 1 from c where x < 3000000) "
       "select sum(x * x % 7), count(distinct x % 1000) from c;")

NODE = ("const end = Date.now() + 3000; function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); } "
        "while (Date.now() < end) { fib(20); JSON.stringify({a: [1, 2, 3]}); [3, 1, 2].sort(); }")


def check_complete(stax, report, what, least_pct=COMPLETE_PCT):
    diagnosis = stax.json("diagnose")
    assert not any(lost["count"] for lost in diagnosis["lost"]), diagnosis["lost"]
    ends = {end["cause"]: end["stacks"] for end in diagnosis["unwind"]["ends"]}
    counters = {c["name"]: c["value"] for c in diagnosis["counters"]}
    total = sum(ends.values())
    assert total > 100, ends
    pct = 100 * ends.get("complete", 0) / total
    report(f"{what} ({stax.account}): {pct:.2f} % of {total} stacks complete, "
           f"{counters['bytes_per_sample']} bytes per sample; {ends}")
    assert pct >= least_pct, (ends, [t for t in diagnosis["unwind"]["tables"] if t["cut_stacks"]])
    assert diagnosis["stacks"]["complete"] * 100 >= least_pct * diagnosis["stacks"]["total"]


def edges(stax, *options):
    """(caller, callee) → samples, of the whole tree."""
    found = {}

    def visit(node):
        for child in node.get("children", ()):
            key = (node["name"], child["name"])
            found[key] = found.get(key, 0) + child["samples"]
            visit(child)

    visit(stax.json("flame", "-d", 0, "--threshold-pct", 0, *options)["root"])
    return found


def check_chain(stax):
    """No function of the chain has another caller than the one before it."""
    seen = edges(stax)
    wrong = {}
    for (caller, callee), samples in seen.items():
        if match := re.fullmatch(r"chain_(\d+)", callee):
            number = int(match[1])
            right = ["follow", "main", "start_thread"] if number == 0 else [f"chain_{number - 1}"]
            if caller not in right:
                wrong[caller, callee] = samples
        if callee == "work_at_the_end" and caller != "chain_59":
            wrong[caller, callee] = samples
    assert not wrong, wrong
    assert seen[("chain_58", "chain_59")] > 100


@pytest.mark.parametrize("mode", ["chain", "libc", "signals", "threads"])
def test_chain_of_sixty(anybody, report, mode):
    stax = anybody
    stax.record("--", stax.program("stacks"), mode, 3)
    stax.await_names()
    check_complete(stax, report, mode)
    check_chain(stax)
    if mode == "signals":
        calls = edges(stax)
        into_handler = sum(n for (_, callee), n in calls.items() if callee == "in_handler")
        assert into_handler > 20 and calls.get(("on_alarm", "in_handler")) == into_handler, calls


@pytest.mark.parametrize("depth, frame_bytes", [(40, 4096), (200, 1000), (5000, 32)])
def test_deep_stacks(anybody, report, depth, frame_bytes):
    stax = anybody
    stax.record("--", stax.program("stacks"), "deep", 3, depth, frame_bytes)
    check_complete(stax, report, f"{depth} frames of {frame_bytes} bytes")
    samples = stax.last_run()["samples"]
    stax.await_names()
    calls = edges(stax)
    assert calls[("go_deep", "work_at_the_end")] > 0.9 * samples


def test_recursion_that_comes_and_goes(anybody, report):
    stax = anybody
    stax.record("--", stax.program("stacks"), "down", 4, 5000)
    check_complete(stax, report, "5000 levels, down and up")


def built(stax, source, name, *command):
    if place.find(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    path = stax.folder / name
    path.write_text(source)
    program = path.with_suffix("")
    subprocess.run([place.find(command[0]), *command[1:], str(path), "-o", str(program)],
                   check=True, capture_output=True)
    os.chmod(program, 0o755)
    return program


def test_cpp_with_exceptions(anybody, report):
    stax = anybody
    program = built(stax, CPP, "throws.cc", "g++", "-O2", "-g")
    stax.record("--", program, 3)
    check_complete(stax, report, "C++ with exceptions")
    stax.await_names()
    callers = {caller for caller, callee in edges(stax) if callee == "thrower(int)"}
    assert callers == {"middle(int)"}


@pytest.mark.parametrize("linker", ["lld", "mold"])
def test_other_linkers(stax, report, linker):
    if place.find({"lld": "ld.lld"}.get(linker, linker)) is None:
        pytest.skip(f"{linker} is not installed")
    program = built(stax, CPP, "throws.cc", "g++", "-O2", f"-fuse-ld={linker}")
    stax.record("--", program, 2)
    check_complete(stax, report, f"C++ linked by {linker}")


@pytest.mark.parametrize("how", ["-static", "-static-pie"])
def test_static_programs(stax, report, how):
    program = built(stax, CPP, "throws.cc", "g++", "-O2", how)
    stax.record("--", program, 2)
    check_complete(stax, report, f"C++ {how}")


def test_rust(anybody, report):
    stax = anybody
    program = built(stax, RUST, "words.rs", "rustc", "-O", "-g")
    stax.record("--", program, 3)
    check_complete(stax, report, "Rust")


def command_of(stax, name):
    if place.find(name) is None:
        pytest.skip(f"{name} is not installed")
    exe = place.find(name)
    if name == "python3":
        return [exe, "-c", PYTHON, "3"]
    if name == "sqlite3":
        return [exe, ":memory:", SQL]
    if name == "xz":
        return [exe, "-9", "-k", "-c", place.find("gdb") or exe, exe]
    if name == "node":
        return [exe, "-e", NODE]
    source = stax.folder / "throws.cc"
    source.write_text(CPP * 1)
    if name == "gcc":
        compiler = subprocess.run([exe, "-print-prog-name=cc1plus"], capture_output=True, text=True)
        cc1plus = compiler.stdout.strip()
        if not os.path.isabs(cc1plus):
            pytest.skip("g++ is not installed")
        return [cc1plus, "-quiet", "-O2", "-D_GNU_SOURCE", "-imultiarch", "x86_64-linux-gnu",
                str(source), "-o", "/dev/null"]
    return [exe, "-O2", "-c", str(source), "-fintegrated-cc1", "-o", "/dev/null"]


@pytest.mark.parametrize("name", ["python3", "sqlite3", "xz", "gcc", "clang-14", "node"])
def test_real_programs(anybody, report, name):
    stax = anybody
    command = command_of(stax, name)
    stax.record("-q", "--", *command, stdout=subprocess.DEVNULL)
    check_complete(stax, report, name, JIT_COMPLETE_PCT if name == "node" else COMPLETE_PCT)


def test_without_unwinding(stax):
    stax.record("--no-dwarf-unwind", "--", stax.program("stacks"), "chain", 1)
    diagnosis = stax.json("diagnose")
    assert diagnosis["unwind"]["enabled"] is False
    assert diagnosis["unwind"]["stacks"] == 0
    assert {c["name"]: c["value"] for c in diagnosis["counters"]}["samples_with_copy"] == 0


def test_switched_off_by_the_environment(stax):
    stax.record("--", stax.program("stacks"), "chain", 1,
                env={**stax.env, "STAX_DWARF_UNWIND": "0"})
    assert stax.json("diagnose")["unwind"]["enabled"] is False


@pytest.mark.parametrize("name, stack_bytes", [("python3", 65528), ("python3", 1024),
                                               ("sqlite3", 65528), ("stacks", 4096),
                                               ("node", 65528)])
def test_against_an_independent_unwinder(stax, report, name, stack_bytes):
    if not PEER.exists():
        pytest.skip("built without libdw")
    if os.geteuid() != 0:
        pytest.skip("stops processes that are not its children: root only")
    command = {
        "python3": lambda: [place.find("python3"), "-c", PYTHON, "60"],
        "sqlite3": lambda: [place.find("sqlite3"), ":memory:", SQL.replace("3000000", "90000000")],
        "stacks": lambda: [stax.program("stacks"), "libc", "60"],
        "node": lambda: [place.find("node"), "-e", NODE.replace("3000", "60000")],
    }
    if name != "stacks" and place.find(name) is None:
        pytest.skip(f"{name} is not installed")
    target = subprocess.Popen([str(word) for word in command[name]()], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.7)
        result = subprocess.run([PEER, str(target.pid), "300", str(stack_bytes)], timeout=120,
                                capture_output=True, text=True, check=True)
    finally:
        target.kill()
        target.wait()
    tally = json.loads(result.stdout)
    report(f"{name}, {stack_bytes} bytes of stack: {tally}")
    assert tally["compared"] == 300
    assert tally["wrong"] == 0, result.stderr
    assert tally["complete"] >= 0.995 * tally["compared"], result.stderr
