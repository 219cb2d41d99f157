# SPDX-License-Identifier: MIT
"""Callers where it is easy to name wrong ones, or none: code that takes the place of other code,
stacks that grow, 32-bit code. See tests/programs/traps.c."""

import json
import sys

import pytest

import place

# Until the kernel's side has been told of what is mapped now: 20 ms, and the machine may be busy.
UNTOLD_MS = 60
MS_PER_SAMPLE = 1000 / 900


def stacks_of(stax):
    """[(frames from the outermost, samples that end there)] of the whole tree."""
    sys.setrecursionlimit(50000)  # of the reader of JSON
    found = []
    nodes = [((), stax.json("flame", "-d", 0, "--threshold-pct", 0)["root"])]
    while nodes:
        outer, node = nodes.pop()
        children = node.get("children", [])
        own = node["samples"] - sum(child["samples"] for child in children)
        if own:
            found.append((outer, own))
        nodes += [((*outer, child["name"]), child) for child in children]
    return found


def tally(stacks, wanted):
    return sum(samples for frames, samples in stacks if wanted(frames))


def ends_of(stax):
    return {end["cause"]: end["stacks"] for end in stax.json("diagnose")["unwind"]["ends"]}


def has_run(frames, *names):
    """The names stand beside each other, in this order."""
    return any(frames[i:i + len(names)] == names for i in range(len(frames)))


def check_callers(stax, report, works):
    """Each has one caller, but for a moment in which it is not known; then nothing is guessed."""
    stacks = stacks_of(stax)
    for work in works:
        total = tally(stacks, lambda frames: work in frames)
        right = tally(stacks, lambda frames: "main" in frames
                      and has_run(frames, "work_in_turn", work))
        guessed = [frames for frames, _ in stacks
                   if work in frames and frames.index(work) > 0
                   and frames[frames.index(work) - 1] != "work_in_turn"]
        report(f"{work} ({stax.account}): {right} of {total} stacks have its caller")
        assert total > 400
        assert total - right <= UNTOLD_MS / MS_PER_SAMPLE
        assert not guessed
    # What was not known is not said to be whole.
    ends = ends_of(stax)
    short = tally(stacks, lambda frames: set(works) & set(frames) and "_start" not in frames)
    assert sum(ends.values()) - ends.get("complete", 0) >= short, (ends, short)


def test_a_library_in_the_place_of_another(anybody, report):
    stax = anybody
    ran = stax.record("--", stax.program("traps"), "replaced", place.PROGRAMS, 900)
    stax.await_names()
    truth = json.loads(ran.splitlines()[0])
    if not truth["same"]:
        pytest.skip("the second library was loaded elsewhere")
    check_callers(stax, report, ("small_work", "large_work"))


def test_a_program_in_the_place_of_another(anybody, report):
    stax = anybody
    stax.record("--", stax.program("traps_exec"), 900)
    stax.await_names()
    check_callers(stax, report, ("first_work", "second_work"))


def test_a_stack_that_grows(stax, report):
    """Megabytes of it: where stacks are copied, its outer end is out of reach."""
    stax.record("--", stax.program("traps"), "pages", 1500)
    if "stacks walked there" not in stax.ok("diagnose").stdout:
        pytest.skip("stacks are not walked inside the kernel here")
    stax.await_names()
    stacks = stacks_of(stax)
    total = tally(stacks, lambda frames: True)
    orphans = tally(stacks, lambda frames: not {"main", "_start", "start_thread", "clone3"}
                    & set(frames))
    in_thread = tally(stacks, lambda frames: has_run(frames, "use_new_stack", "touch_pages"))
    report(f"a stack that grows ({stax.account}): {orphans} of {total} stacks hang in the air, "
           f"{in_thread} are in the recursion")
    assert total > 100
    # Threads that end have given their memory back already.
    assert orphans <= 0.08 * total
    assert in_thread > 0.3 * total


def test_32_bit_code(anybody, report):
    stax = anybody
    program = place.PROGRAMS / "traps_32_bit"
    if not program.exists():
        pytest.skip("the compiler makes no 32-bit code")
    stax.record("--", program)
    stax.await_names()
    stacks = stacks_of(stax)
    total = tally(stacks, lambda frames: True)
    right = tally(stacks, lambda frames: frames[:4] == ("_start", "outer_32", "middle_32",
                                                        "work_32"))
    report(f"32-bit code ({stax.account}): {right} of {total} stacks have the right callers")
    assert total > 400
    # now_ms() keeps no frame for a moment, as leaf functions do.
    assert right >= 0.98 * total
