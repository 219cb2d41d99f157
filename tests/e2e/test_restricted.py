# SPDX-License-Identifier: MIT
"""Where something is refused: recording goes on with less, and says exactly what less."""

import os
from pathlib import Path

import pytest

from fixtures import _ended, _folder, _need_events
from private_server import Account, PrivateServer

MLOCK = Path("/proc/sys/kernel/perf_event_mlock_kb")
WAITS = ["/usr/bin/python3", "-c", "import time\n"
         "def rest(): time.sleep(0.05)\n"
         "for i in range(12): rest(); sum(range(200000))"]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: without it programs in the "
                                                          "kernel are refused anyway")


@pytest.fixture
def server(request):
    account = getattr(request, "param", None) or Account()
    started = []

    def start(**options):
        folder = _folder()
        path = folder.__enter__()
        ended = _ended(PrivateServer(path, options.pop("account", account), **options))
        started.append((folder, ended))
        return ended.__enter__()

    yield start
    for folder, ended in started:
        ended.__exit__(None, None, None)
        folder.__exit__(None, None, None)


def capabilities(stax):
    return {row["name"]: row for row in stax.json("status")["capabilities"]}


def sleeps(stax):
    """The main thread's sleeps."""
    return [row for row in stax.json("off-cpu", "-n", 0)["rows"] if row["reason"] == "sleep"]


@needs_root
@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
def test_without_programs_in_the_kernel(server, error):
    """As in a container that refuses bpf(2)."""
    _need_events(Account())
    stax = server(denied=f"bpf={error}")
    done = stax("record", "--", *WAITS)
    assert done.returncode == 0, done.stderr
    run = stax.last_run()
    assert run["samples"] > 0 and run["lost"] == 0
    assert any("bpf" in note.lower() or "program" in note for note in run["notes"]), run["notes"]
    rows = sleeps(stax)
    total_ns = sum(row["total_ns"] for row in rows)
    assert total_ns >= 12 * 50_000_000 * 0.9
    assert rows and all(row["approximate"] for row in rows)
    answer = stax.json("wakers")
    assert not answer["rows"] and "not recorded" in answer["hint"]


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
def test_without_perf_events(server, error):
    """As in a container with the usual filter: nothing can be recorded, and the error says why."""
    stax = server(denied=f"perf_event_open={error},bpf={error}")
    done = stax("record", "--", "/bin/true")
    assert done.returncode == 125
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: "), done.stderr
    assert "perf" in done.stderr and len(lines) >= 2, done.stderr  # and what to do
    assert stax.is_healthy()


def test_without_the_memory_of_the_target(server):
    """What lies beyond a copy of the stack is not known; everything else is."""
    _need_events(Account())
    stax = server(denied="process_vm_readv=EPERM")
    stax.ok("record", "-q", "--", *WAITS)
    run = stax.last_run()
    assert run["samples"] > 0 and run["lost"] == 0
    assert sum(row["total_ns"] for row in sleeps(stax)) >= 12 * 50_000_000 * 0.9


def test_tracefs_is_not_needed(server):
    """Waits, stacks and wakers come without it."""
    _need_events(Account())
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()
              if line.split()[2] == "tracefs"]
    if mounts:
        pytest.skip(f"tracefs is mounted here: {mounts[0]}")
    stax = server()
    stax.ok("record", "-q", "--", *WAITS)
    rows = sleeps(stax)
    assert sum(row["total_ns"] for row in rows) >= 12 * 50_000_000 * 0.9
    if stax.account.is_root:
        assert not any(row["approximate"] for row in rows)
        assert capabilities(stax)["wakeups"]["available"]


@needs_root
def test_a_tiny_allowance_of_locked_memory(server, other_account):
    """Rings shrink to what is allowed; where that is nothing, the error names the setting."""
    _need_events(other_account)
    before = MLOCK.read_text()
    try:
        MLOCK.write_text("40")
        stax = server(account=other_account)
        stax.ok("record", "-q", "--", *WAITS)
        run = stax.last_run()
        assert run["samples"] > 0
        MLOCK.write_text("0")
        stax = server(account=other_account)
        done = stax("record", "--", *WAITS, preexec_fn=None)
        if done.returncode == 125:
            assert "perf_event_mlock_kb" in done.stderr, done.stderr
        else:
            assert stax.last_run()["samples"] > 0
    finally:
        MLOCK.write_text(before)
