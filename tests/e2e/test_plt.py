# SPDX-License-Identifier: MIT
"""A sample in a linker's stub: it has a name, and its caller is the function that called it."""

import subprocess

import pytest

import place

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
__attribute__((noinline)) long call_stubs(long n, const char *text) { long sum = 0; for (long i = 0; i < n; i++) { sum += CALLED; __asm__ volatile("" : "+r"(sum) : : "memory"); } return sum; }
__attribute__((noinline)) long outer(long n, char *text) { char copy[64]; strcpy(copy, text); return call_stubs(n, copy) + copy[1]; }
int main(int argc, char **argv) { (void)argc; double end = now() + atof(argv[1]); long sum = 0; while (now() < end) { sum += outer(100000, argv[1]); } printf("%ld\n", sum & 1); }
"""

LINKERS = {"bfd": "ld.bfd", "gold": "ld.gold", "lld": "ld.lld", "mold": "mold"}


def build(stax, linker, called, *options):
    for tool in ("gcc", LINKERS[linker]):
        if place.find(tool) is None:
            pytest.skip(f"{tool} is not installed")
    source = stax.folder / "stubs.c"
    source.write_text(SOURCE)
    program = stax.folder / "stubs"
    made = subprocess.run([place.find("gcc"), "-O2", "-fomit-frame-pointer", "-fno-builtin",
                           "-fno-optimize-sibling-calls", f"-fuse-ld={linker}",
                           f"-DCALLED={called}", *options, str(source), "-o", str(program)],
                          capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"{linker} {' '.join(options)}: {made.stderr.strip()[-200:]}")
    program.chmod(0o755)
    return program


def callers_of(stax, wanted):
    """caller → samples that passed from it to a function with that name."""
    found = {}

    def visit(node):
        for child in node.get("children", ()):
            if child["name"] == wanted:
                found[node["name"]] = found.get(node["name"], 0) + child["samples"]
            visit(child)

    visit(stax.json("flame", "-d", 0, "--threshold-pct", 0)["root"])
    return found


def check_stub(stax, report, what, stub, callee=None):
    stax.await_names()
    ends = {end["cause"]: end["stacks"] for end in stax.json("diagnose")["unwind"]["ends"]}
    in_stub = callers_of(stax, stub)
    report(f"{what}: {in_stub} samples in {stub}; {ends}")
    assert sum(in_stub.values()) > 2, in_stub
    assert set(in_stub) == {"call_stubs"}, in_stub
    assert set(callers_of(stax, "call_stubs")) == {"outer"}
    if callee:
        assert set(callers_of(stax, callee)) == {"call_stubs"}
    assert ends.get("complete", 0) >= 0.995 * sum(ends.values()), ends


@pytest.mark.parametrize("options", [["-Wl,-z,now"], ["-Wl,-z,lazy"],
                                     ["-Wl,-z,lazy", "-fcf-protection=full", "-Wl,-z,ibtplt"]],
                         ids=["now", "lazy", "ibt"])
@pytest.mark.parametrize("linker", list(LINKERS))
def test_stub(stax, report, linker, options):
    program = build(stax, linker, "labs(i)", *options)
    stax.record("--", program, 1.5)
    check_stub(stax, report, f"{linker} {options}", "labs@plt", "labs")


@pytest.mark.parametrize("linker", ["bfd", "lld", "mold"])
def test_stub_of_an_indirect_function(stax, report, linker):
    program = build(stax, linker, "strlen(text)", "-static")
    stax.record("--", program, 1.5)
    check_stub(stax, report, f"{linker} -static", "strlen@plt")


def test_stub_seen_by_an_ordinary_user(other, report):
    program = build(other, "lld", "labs(i)", "-Wl,-z,lazy")
    other.record("--", program, 1.5)
    check_stub(other, report, "lld, ordinary user", "labs@plt", "labs")
