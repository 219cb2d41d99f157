# SPDX-License-Identifier: MIT
"""Recording through staxd: what an ordinary user gets where the host forbids it."""

import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from broker import Staxd
from private_server import wait_until
from staxd_cases import folder, needs_root  # noqa: F401

pytestmark = needs_root

PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")


@contextlib.contextmanager
def paranoid(level):
    before = PARANOID.read_text()
    try:
        PARANOID.write_text(f"{level}\n")
    except PermissionError as error:
        pytest.skip(f"perf_event_paranoid cannot be set here: {error}")
    try:
        yield
    finally:
        PARANOID.write_text(before)


@pytest.fixture
def staxd(folder):
    name = f"{time.monotonic_ns()}.sock"
    staxd = Staxd(folder, socket_name=name)
    yield staxd
    staxd.end()


def kernel_names(stax):
    return {row["name"] for row in stax.json("top", "-n", "200")["rows"]
            if row.get("image") == "[kernel]"}


def record(stax, staxd, *command, options=()):
    return stax.ok("record", "--daemon-socket", staxd.socket, *options, "--", *command)


@pytest.mark.parametrize("level", [2, 3, 4])
def test_kernel_stacks_of_the_own_program(other, staxd, level):
    with paranoid(level):
        done = record(other, staxd, other.program("syscalls"), 300)
    assert "kernel frames" not in done.stderr
    assert other.last_run()["samples"] > 300
    assert "staxd" in other("diagnose").stdout
    other.await_names()
    names = kernel_names(other)
    assert any("read" in name for name in names), names  # with their names, not addresses
    assert "what=samples" in staxd.log() and "what=OPEN_KERNEL_NAMES" in staxd.log()
    assert "refused" not in staxd.log()


@pytest.mark.parametrize("level", [2, 4])
def test_waits_and_wakeups_of_the_own_program(other, staxd, level):
    """Exact, with their stacks in the kernel and who woke whom."""
    script = ("import os, threading, time\n"
              "r, w = os.pipe()\n"
              "def reader():\n"
              "    while os.read(r, 1) != b'q': pass\n"
              "thread = threading.Thread(target=reader); thread.start()\n"
              "for _ in range(100): time.sleep(0.004); os.write(w, b'x')\n"
              "os.write(w, b'q'); thread.join()\n")
    with paranoid(level):
        record(other, staxd, "python3", "-c", script)
    threads = other.json("threads")["rows"]
    assert {row["tid"] for row in threads} and len(threads) == 2
    off_cpu = other("off-cpu").stdout
    assert "ipc" in off_cpu and "sleep" in off_cpu and "read" in off_cpu
    wakers = other("wakers").stdout
    assert "timer or interrupt" in wakers and "write" in wakers


def test_attaching(other, staxd):
    with paranoid(4):
        target = other.sleeper()
        process = other.start("record", "-q", "--daemon-socket", staxd.socket, "--time-limit", "1",
                              "--pid", target.pid)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        other.end_sleeper(target)
    assert other.last_run()["state"] == "stopped"


def test_children(other, staxd):
    with paranoid(3):
        record(other, staxd, "sh", "-c", f"{other.program('spin')} --seconds 0.3; "
               f"{other.program('spin')} --seconds 0.3", options=["--children"])
    assert "spin" in other("top", "-n", "5").stdout


def test_without_staxd_at_2_one_line_says_what_is_missing(other, folder):
    with paranoid(2):
        done = other.ok("record", "--daemon-socket", folder / "nobody.sock", "--",
                        other.program("syscalls"), 100)
    notes = [line for line in done.stderr.splitlines() if "kernel frames" in line]
    assert len(notes) == 1 and "sudo stax setup" in notes[0] and "paranoid=2" in notes[0]
    assert other.last_run()["samples"] > 50


@pytest.mark.parametrize("level", [3, 4])
def test_without_staxd_above_2_the_error_says_what_to_type(other, folder, level):
    with paranoid(level):
        refused = other("record", "-q", "--daemon-socket", folder / "nobody.sock", "--", "true")
    assert refused.returncode == 125
    assert f"perf_event_paranoid={level}" in refused.stderr
    assert "sudo stax setup" in refused.stderr
    assert "sudo sysctl kernel.perf_event_paranoid=2" in refused.stderr


def test_no_kernel_needs_no_staxd_at_2(other, staxd):
    with paranoid(2):
        record(other, staxd, other.program("syscalls"), 100, options=["--no-kernel"])
    assert "granted" not in staxd.log()


def test_no_kernel_above_2(other, staxd):
    with paranoid(4):
        record(other, staxd, other.program("syscalls"), 100, options=["--no-kernel"])
    assert not kernel_names(other)
    assert "what=OPEN_KERNEL_NAMES" not in staxd.log()


def test_where_kernel_stacks_are_forbidden(other, folder):
    strict = Staxd(folder, "--no-kernel-stacks", socket_name="strict.sock")
    try:
        with paranoid(4):
            record(other, strict, other.program("syscalls"), 200)
        assert other.last_run()["samples"] > 100 and not kernel_names(other)
        with paranoid(2):
            done = record(other, strict, other.program("syscalls"), 100)
        assert "forbids kernel stacks" in done.stderr
    finally:
        strict.end()


def test_root_needs_no_staxd(stax, staxd):
    record(stax, staxd, stax.program("spin"), "--seconds", 0.3)
    assert "granted" not in staxd.log()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_staxd_gone_in_the_middle_of_a_recording(other, staxd, how):
    """What is open goes on; new threads that inherited go on being seen, too."""
    with paranoid(4):
        process = other.start("record", "-q", "--daemon-socket", staxd.socket, "--",
                              other.program("churn"), "--seconds", 3)
        other.await_samples(100)
        os.kill(staxd.process.pid, how)
        out, err = process.communicate(timeout=90)
    try:
        assert process.returncode == 0, err
        run = other.last_run()
        truth = json.loads(out.splitlines()[-1])
        assert run["state"] == "stopped" and run["lost"] == 0
        # Samples until the end: as long as the target ran.
        assert run["duration_ns"] > 2.5e9
        on_cpu_ns = sum(row["cpu_ns"] for row in other.json("threads")["rows"])
        assert on_cpu_ns > 0.5 * truth.get("cpu_ns", on_cpu_ns)
    finally:
        os.kill(staxd.process.pid, signal.SIGCONT) if how == signal.SIGSTOP else None


def test_a_listener_that_is_not_root_is_not_asked(other, folder):
    """Somebody else's socket at the place where staxd is looked for."""
    path, own = folder / "squatter.sock", folder / "own"
    own.mkdir()
    os.chown(own, 60102, 60102)
    own.chmod(0o755)
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(60102, 60102, 60102)
            os.setresuid(60102, 60102, 60102)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(str(own / "x"))
                listener.listen()
                os.chmod(own / "x", 0o666)
                connection, _ = listener.accept()
                data = connection.recv(64)
                (own / "asked").write_bytes(data or b"-" if data else b"")
        finally:
            os._exit(0)
    try:
        wait_until(lambda: (own / "x").exists(), what="the squatter")
        path.symlink_to(own / "x")
        time.sleep(0.1)
        with paranoid(2):
            done = other.ok("record", "--daemon-socket", path, "--", "true")
        assert "not root" in done.stderr
        assert not (own / "asked").exists() or (own / "asked").read_bytes() == b""
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_socket_that_is_not_for_this_user(other, folder):
    closed = Staxd(folder, "--socket-group", "daemon", socket_name="closed.sock")
    try:
        with paranoid(2):
            done = other.ok("record", "--daemon-socket", closed.socket, "--", "true")
        assert "usermod -aG" in done.stderr
    finally:
        closed.end()
