# SPDX-License-Identifier: MIT
"""Stacks of code without frame pointers reach their start, and every frame on them is one."""

import os
import re
import subprocess
import sys

import pytest

import place
from whole_stacks import check_whoever

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


def edges(stax, *options):
    """(caller, callee) → samples, of the whole tree, whatever its depth."""
    found = {}
    sys.setrecursionlimit(50000)  # of the reader of JSON
    nodes = [stax.json("flame", "-d", 0, "--threshold-pct", 0, *options)["root"]]
    while nodes:
        node = nodes.pop()
        for child in node.get("children", ()):
            key = (node["name"], child["name"])
            found[key] = found.get(key, 0) + child["samples"]
            nodes.append(child)
    return found


def check_chain(stax):
    """No function of the chain has another caller than the one before it."""
    seen = edges(stax)
    wrong = {}
    for (caller, callee), samples in seen.items():
        if caller == "(all)":
            continue  # where a stack is cut; check_whoever() counts those
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
    stax.record("--", stax.program("stacks"), mode, 2)
    stax.await_names()
    check_whoever(stax, report, mode)
    check_chain(stax)
    if mode == "signals":
        calls = edges(stax)
        into_handler = sum(n for (_, callee), n in calls.items() if callee == "in_handler")
        assert into_handler > 20 and calls.get(("on_alarm", "in_handler")) == into_handler, calls


@pytest.mark.parametrize("depth, frame_bytes", [(40, 4096), (200, 1000), (5000, 32)])
def test_deep_stacks(anybody, report, depth, frame_bytes):
    stax = anybody
    stax.record("--", stax.program("stacks"), "deep", 2, depth, frame_bytes)
    check_whoever(stax, report, f"{depth} frames of {frame_bytes} bytes")
    samples = stax.last_run()["samples"]
    stax.await_names()
    # By callers, because an answer goes 900 frames deep.
    calls = edges(stax, "--invert")
    assert calls[("work_at_the_end", "go_deep")] > 0.75 * samples


def test_recursion_that_comes_and_goes(anybody, report):
    """A copy holds some hundred levels of it, and the memory behind changes all the time."""
    stax = anybody
    # Until the kernel has the tables, for 20 to 60 ms, there are copies as root too.
    seconds = 8 if stax.account.is_root else 4
    stax.record("--", stax.program("stacks"), "down", seconds, 5000)
    check_whoever(stax, report, "5000 levels, down and up", copied_least_pct=50)


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
    check_whoever(stax, report, "C++ with exceptions")
    stax.await_names()
    # Most of it throws, which the compiler has put aside: thrower(int) [clone .cold].
    callers = {caller for caller, callee in edges(stax) if callee.startswith("thrower(int)")}
    assert callers - {"(all)"} == {"middle(int)"}  # while it is being left, nobody knows its caller


@pytest.mark.parametrize("linker", ["lld", "mold"])
def test_other_linkers(stax, report, linker):
    if place.find({"lld": "ld.lld"}.get(linker, linker)) is None:
        pytest.skip(f"{linker} is not installed")
    program = built(stax, CPP, "throws.cc", "g++", "-O2", f"-fuse-ld={linker}")
    stax.record("--", program, 2)
    check_whoever(stax, report, f"C++ linked by {linker}")


@pytest.mark.parametrize("how", ["-static", "-static-pie"])
def test_static_programs(stax, report, how):
    program = built(stax, CPP, "throws.cc", "g++", "-O2", how)
    stax.record("--", program, 2)
    check_whoever(stax, report, f"C++ {how}")


def test_rust(anybody, report):
    stax = anybody
    program = built(stax, RUST, "words.rs", "rustc", "-O", "-g")
    stax.record("--", program, 3)
    check_whoever(stax, report, "Rust")


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
