# SPDX-License-Identifier: MIT
"""Every frame has the best name that there is for it, at the time when it ran."""

import os
import re
import shutil
import subprocess

import pytest

import place


def rows_by_name(stax, *options):
    return {row["name"]: row for row in stax.json("top", "-n", 0, *options)["rows"]}


def paths(node, before=()):
    here = before + (node["name"],)
    yield here, node
    for child in node["children"]:
        yield from paths(child, here)


def all_paths(stax):
    return list(paths(stax.json("flame", "-d", 0, "--threshold-pct", 0)["root"]))


def test_cpp_and_rust_are_demangled(anybody):
    stax = anybody
    stax.truth("mangled", 200)
    names = rows_by_name(stax)
    for name in ("engine::Solver::step(int)", "engine::solver::run", "engine::advance"):
        assert name in names, sorted(names)
    assert not any(name.startswith(("_ZN", "_RN")) for name in names)


def test_stripped_is_image_and_offset(anybody):
    stax = anybody
    stax.truth("spin_stripped", "--seconds", 0.7)
    top = stax.json("top")
    row = top["rows"][0]
    assert re.fullmatch(r"spin_stripped\+0x[0-9a-f]+", row["name"]), row
    # One row for the function, wherever in it the samples are.
    assert row["self_samples"] > 0.9 * sum(each["self_samples"] for each in top["rows"])
    assert row["image"] == "spin_stripped" and row["kind"] == "user"


def test_vdso_kernel_and_recursion(stax):
    if place.event_paranoid() > 1 and os.geteuid() != 0:
        pytest.skip(f"no kernel frames: not root, perf_event_paranoid={place.event_paranoid()}")
    stax.truth("syscalls", 500)
    top = stax.json("top", "-n", 0)
    whole = top["totals"]["cpu_ns"]
    in_vdso = sum(r["self_active_ns"] for r in top["rows"] if r["kind"] == "vdso")
    in_kernel = sum(r["self_active_ns"] for r in top["rows"] if r["kind"] == "kernel")
    clock = open("/sys/devices/system/clocksource/clocksource0/current_clocksource").read().strip()
    if clock in ("tsc", "arch_sys_counter", "kvm-clock"):
        assert in_vdso > 0.15 * whole, (in_vdso, whole)
        names = {r["name"] for r in top["rows"] if r["kind"] == "vdso"}
        assert any("clock_gettime" in name for name in names), names
    assert in_kernel > 0.25 * whole, (in_kernel, whole)
    kernel = {r["name"] for r in top["rows"] if r["kind"] == "kernel"}
    assert not any(re.search(r"\+0x", name) for name in kernel), kernel
    under = [p for p, n in all_paths(stax) if n["kind"] == "kernel" and "read_zeros" in p]
    assert under, "kernel frames hang below the function that called the kernel"


def test_no_kernel_option_and_ordinary_users(other):
    other.truth("syscalls", 200)
    kinds = {r["kind"] for r in other.json("top", "-n", 0)["rows"]}
    if place.event_paranoid() > 1:
        assert "kernel" not in kinds
        assert any("perf_event_paranoid" in note for note in other.last_run()["notes"])
    other.truth("syscalls", 100, options=("--no-kernel",))
    assert "kernel" not in {r["kind"] for r in other.json("top", "-n", 0)["rows"]}


def test_recursion_counts_once(stax):
    stax.truth("syscalls", 300)
    rows = rows_by_name(stax)
    assert rows["recurse"]["total_samples"] == rows["recurse"]["self_samples"] \
        + sum(n["samples"] for p, n in all_paths(stax)
              if p.count("recurse") == 21 and p[-1] != "recurse" and p[-2] == "recurse")
    assert max(r["total_pct"] for r in rows.values()) <= 100.01
    assert any(p.count("recurse") == 21 for p, _ in all_paths(stax)), "all 21 levels are there"


def test_libraries_by_time(anybody):
    """Two libraries at one address: 2 : 1 of CPU, told apart by when each was mapped."""
    stax = anybody
    truth, _ = stax.truth("dlchurn", stax.bin / "tests" / "programs", 10, 30)
    assert truth["same"] == truth["rounds"], "the loader put them elsewhere"
    rows = rows_by_name(stax)
    assert rows["red_work"]["self_active_ns"] == pytest.approx(truth["red_cpu_ns"], rel=0.1)
    assert rows["blue_work"]["self_active_ns"] == pytest.approx(truth["blue_cpu_ns"], rel=0.1)
    assert rows["red_work"]["image"] == "libdl_red.so"


def test_program_that_is_deleted_while_it_runs(stax):
    copy = stax.folder / "doomed"
    shutil.copy(stax.program("spin"), copy)
    target = stax.popen(copy, "--seconds", 30)
    record = stax.start("record", "-q", "--pid", target.pid)
    stax.target_pid()
    copy.unlink()
    stax.await_samples(50)
    target.kill()
    record.wait(timeout=20)
    assert stax.json("top")["rows"][0]["name"] == "spin_here"


def test_program_that_is_gone_has_names(stax):
    """Names are taken while the target lives: nothing is left of it when they are asked for."""
    copy = stax.folder / "doomed"
    shutil.copy(stax.program("mangled"), copy)
    stax.record("--", copy, 50)
    copy.unlink()
    assert "engine::Solver::step(int)" in rows_by_name(stax)


def test_own_thread_names(stax):
    code = ("import threading,ctypes\n"
            "def go():\n ctypes.CDLL(None).prctl(15, b'the worker', 0, 0, 0)\n"
            " sum(i*i for i in range(3000000))\n"
            "t = threading.Thread(target=go); t.start(); t.join()\n")
    stax.record("--", "/usr/bin/python3", "-c", code)
    assert "the worker" in {row["name"] for row in stax.json("threads", "-n", 0)["rows"]}


def test_odd_names_cannot_drive_the_terminal(stax):
    copy = stax.folder / "ev\x1b[31mil\nname"
    shutil.copy(stax.program("spin_stripped"), copy)
    stax.record("--", copy, "--seconds", 0.3)
    for command in ("top", "flame", "threads", "list", "status"):
        out = stax.ok(command).stdout
        assert "\x1b" not in out and "\nname" not in out, out
    assert "ev\x1b[31mil\nname" in stax.last_run()["command"]


def test_c_plus_plus_compiled_here(stax):
    compiler = place.find("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    source = stax.folder / "t.cpp"
    source.write_text("namespace shop { template <typename T> struct cart { __attribute__((noinline)) "
                      "static T add(T n) { volatile T s = 0; for (T i = 0; i < n; i++) s = s + i; "
                      "return s; } }; }\nint main() { return (int)shop::cart<long>::add(400000000); }\n")
    subprocess.run([compiler, "-O2", "-fno-omit-frame-pointer", "-o", stax.folder / "t", source],
                   check=True)
    stax("record", "-q", "--", "./t")
    stax.await_names()
    assert "shop::cart<long>::add(long)" in rows_by_name(stax)
