# SPDX-License-Identifier: MIT
"""Waits and wakeups of a recorded program beside what the program itself knows of them."""

import pathlib
import time

MS = 10 ** 6
US = 10 ** 3
REASONS = ("idle", "lock", "sem", "ipc", "ioR", "ioW", "ready", "sleep", "conn", "other")
NOBODY = "(timer or interrupt)"
# What a thread's stack ends at, by libc and its version.
STARTS = {"clone3", "__clone3", "clone", "__clone", "start_thread", "_start"}


def run_start_ns(run):
    """CLOCK_MONOTONIC at the run's first instant: times of answers count from there."""
    apart_ns = min((time.clock_gettime_ns(time.CLOCK_REALTIME)
                    - time.clock_gettime_ns(time.CLOCK_MONOTONIC) for _ in range(20)))
    return run["started_at_unix_ns"] - apart_ns


def slices_of_process_1():
    """How often each of its threads has got a CPU.

    Kernels of some sandboxes keep that process to themselves: while one of its threads is on a
    CPU they run no program of others there, not even for an interrupt. What it wakes then, nobody
    has seen being woken; stax says of such a wait how long it was, and names no waker.
    """
    found = {}
    for path in pathlib.Path("/proc/1/task").glob("*/schedstat"):
        try:
            found[path.parent.name] = int(path.read_text().split()[2])
        except OSError:
            pass  # it has ended meanwhile
    return found


def wakeups_unseen_at_most(before):
    """Of one thread, since slices_of_process_1() said `before`: it runs between two of them."""
    return sum(n - before.get(tid, 0) for tid, n in slices_of_process_1().items())


def names(stack, of_kernel=False):
    """Innermost first."""
    return [frame["name"] for frame in stack if (frame["kind"] == "kernel") == of_kernel]


def is_called_by(stack, callee, caller):
    """Both are there, and reach to the start of the thread."""
    of_user = names(stack)
    return (callee in of_user and caller in of_user
            and of_user.index(callee) < of_user.index(caller) and of_user[-1] in STARTS)


def by_tid(rows):
    found = {}
    for row in rows:
        found.setdefault(row["tid"], []).append(row)
    return found


def overlap_ns(start_ns, end_ns, row):
    row_end_ns = row["start_ns"] + row["duration_ns"]
    return max(0, min(end_ns, row_end_ns) - max(start_ns, row["start_ns"]))


def reaches(rows, start_ns, end_ns):
    """Those of the rows, in order of time, that share an instant with [start_ns, end_ns)."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle]["start_ns"] + rows[middle]["duration_ns"] <= start_ns:
            low = middle + 1
        else:
            high = middle
    while low < len(rows) and rows[low]["start_ns"] < end_ns:
        yield rows[low]
        low += 1
