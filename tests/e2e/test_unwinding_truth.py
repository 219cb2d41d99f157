# SPDX-License-Identifier: MIT
"""Outer frames that are easily taken for others. See tests/programs/callers.c."""

import json
import os
import tempfile

import pytest

import place
from private_server import Account, PrivateServer

LEVELS = 30


@pytest.fixture(params=["kernel", "copies", "small_copies", "other_user"])
def way(request):
    """(server, options of record): who walks, and what from."""
    if request.param == "other_user":
        yield request.getfixturevalue("other"), ()
        return
    reason = place.why_no_events(os.geteuid() == 0)
    if reason:
        pytest.skip(reason)
    env = {} if request.param == "kernel" else {"STAX_KERNEL_WALK": "0"}
    with tempfile.TemporaryDirectory(prefix="stax-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PrivateServer(folder, Account(), env=env)
        yield server, ("--stack-bytes", 2048) if request.param == "small_copies" else ()
        server.end_all()


def stacks_of(stax):
    """[(frames from the outermost, samples that end there)] of the whole tree."""
    found = []
    nodes = [((), stax.json("flame", "-d", 0, "--threshold-pct", 0)["root"])]
    while nodes:
        outer, node = nodes.pop()
        own = node["samples"] - sum(child["samples"] for child in node.get("children", ()))
        if own:
            found.append((outer, own))
        nodes += [((*outer, child["name"]), child) for child in node.get("children", ())]
    return found


def complete_of(stax):
    ends = {end["cause"]: end["stacks"] for end in stax.json("diagnose")["unwind"]["ends"]}
    return ends.get("complete", 0), sum(ends.values()), ends


@pytest.mark.parametrize("mode, tolerance_pct", [("phases", 4), ("quick", 6)])
def test_two_callers_with_frames_of_one_size(way, report, mode, tolerance_pct):
    stax, options = way
    ran = stax.record(*options, "--", stax.program("callers"), mode, 3)
    stax.await_names()
    truth = json.loads(ran.splitlines()[0])
    stacks = stacks_of(stax)
    short, long = (sum(n for frames, n in stacks if name in frames)
                   for name in ("short_phase", "long_phase"))
    complete, total, ends = complete_of(stax)
    true_pct = 100 * truth["short_ns"] / (truth["short_ns"] + truth["long_ns"])
    seen_pct = 100 * short / (short + long)
    report(f"{mode} ({stax.account}): short phase {seen_pct:.1f} %, in truth {true_pct:.1f} %; {ends}")
    if not options:
        assert complete >= 0.9 * total
        assert abs(seen_pct - true_pct) <= tolerance_pct
    elif abs(seen_pct - true_pct) > tolerance_pct:
        # Too little of the stack to tell: then it is said that stacks are cut.
        assert complete < 0.95 * total


@pytest.mark.parametrize("program", ["callers", "callers_fp"])
def test_a_thread_function_that_calls_itself(way, report, program):
    stax, options = way
    stax.record(*options, "--", stax.program(program), "recursion", 2)
    stax.await_names()
    depths = {}
    for frames, samples in stacks_of(stax):
        if "spin" in frames:
            depth = frames.count("call_itself")
            depths[depth] = depths.get(depth, 0) + samples
    complete, total, ends = complete_of(stax)
    report(f"{program} ({stax.account}): levels {depths}; {ends}")
    assert sum(depths.values()) > 200
    # A stack that is cut may have fewer of them, none that is whole.
    assert sum(n for depth, n in depths.items() if depth != LEVELS + 1) <= total - complete
    assert depths[LEVELS + 1] >= (0.8 if options else 0.95) * sum(depths.values())


def test_a_number_is_no_frame_pointer(way, report):
    if os.uname().machine != "x86_64":
        pytest.skip("the program has the code for x86-64 only")
    stax, options = way
    stax.record(*options, "--", stax.program("callers"), "number", 2)
    stax.await_names()
    # Where nothing says how to leave the code, its stacks are short, and said to be.
    alone = sum(n for frames, n in stacks_of(stax)
                if "compute_with_number" in frames and "call_number" not in frames)
    complete, total, ends = complete_of(stax)
    report(f"number ({stax.account}): {alone} stacks without a caller; {ends}")
    assert alone <= total - complete
