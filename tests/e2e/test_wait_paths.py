# SPDX-License-Identifier: MIT
"""Truth: is the stack that a wait is told with the one that it had, where registers do not tell?

A stack that a program in the kernel takes for the last one is not told again. The target waits in
one place by many ways, with the same registers on each; every wait is compared with what the target
knows of it.
"""

import pytest

from waiting import US, names

LEVELS = (("first_one", "first_two"), ("second_one", "second_two"), ("third_one", "third_two"))
LONG_NS = 50 * US
# While unwind tables are made, walks end early, and what they have read is all that can be compared.
N_FIRST = 1000


@pytest.fixture(autouse=True)
def told_by_the_kernel(stax):
    if not stax.account.is_root:
        pytest.skip("exact stacks of waits need privilege")


def path_of(row):
    """Which function of each level, and how deep; None where one is missing."""
    of_user = names(row["stack"])
    called = [[name in of_user for name in level] for level in LEVELS]
    if any(sum(level) != 1 for level in called):
        return None
    return sum(level[1] << bit for bit, level in enumerate(called)), of_user.count("go_down") - 1


def pairs_of(stax, mode, n_waits=10000):
    """Each wait that made the target sleep, and what was recorded of it, in their order.

    Where the kernel has told one switch less, which happens, nobody knows which: the next recording
    is taken.
    """
    for _ in range(4):
        truth, run = stax.truth("waitpaths", "--mode", mode, "--waits", n_waits)
        assert run["lost"] == 0
        stax.await_names()
        rows = sorted((row for row in stax.json("intervals", "-n", 0, "--tid", truth["tid"])["rows"]
                       if not row["open"]), key=lambda row: row["start_ns"])
        waits = [wait for wait in truth["waits"] if wait[2] > 0]
        if len(rows) == len(waits) == sum(wait[2] for wait in waits):
            break
    assert len(rows) == len(waits)
    # No wait is longer than the time that the target has measured around it.
    assert all(row["duration_ns"] <= wait[1] - wait[0] for row, wait in zip(rows, waits))
    return [(row, tuple(wait[3:])) for row, wait in zip(rows, waits)]


def shares(stax, mode):
    told = {}
    pairs = pairs_of(stax, mode)[N_FIRST:]
    for is_long in (True, False):
        of_kind = [(row, path) for row, path in pairs if (row["duration_ns"] > LONG_NS) == is_long]
        right = [path_of(row) == path for row, path in of_kind]
        told[is_long] = len(of_kind), sum(right) / len(right)
    return told


@pytest.mark.parametrize("mode", ["mixed", "runs"])
def test_each_wait_has_the_stack_that_it_had(stax, report, mode):
    told = shares(stax, mode)
    (n_long, right_long), (n_short, right_short) = told[True], told[False]
    report(f"wait paths, {mode}: of {n_long} waits over 50 us {100 * right_long:.2f} % with their "
           f"own stack, of {n_short} shorter ones {100 * right_short:.2f} %")
    assert n_long > 200 and n_short > 200
    assert right_long >= 0.99
    assert right_short >= 0.95
