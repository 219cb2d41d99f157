# SPDX-License-Identifier: MIT
"""staxd: what it refuses, tried by users who want more than is theirs; docs/security.md counts on
each of these."""

import ctypes
import fcntl
import mmap
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

import broker
import place
from broker import *  # noqa: F401,F403
from private_server import Account, wait_until
from staxd_cases import *  # noqa: F401,F403

pytestmark = needs_root


# Whose process -----------------------------------------------------------------------------------

def test_another_users_process(staxd, bobs):
    refused(staxd, "uid", session(staxd, bobs.pid))


def test_another_users_process_with_the_same_group(staxd, start):
    refused(staxd, "uid", session(staxd, start(Account("x", 60103, ALICE.gid)).pid))


def test_own_uid_with_another_group(staxd, start):
    refused(staxd, "gid", session(staxd, start(Account("x", ALICE.uid, 60104)).pid))


def test_roots_process(staxd, start):
    refused(staxd, "uid", session(staxd, start(ROOT).pid))


def test_process_1(staxd):
    refused(staxd, "uid", session(staxd, 1))


def test_staxd_itself(staxd):
    refused(staxd, "uid", session(staxd, staxd.process.pid))


def test_a_kernel_thread(staxd):
    refused(staxd, "uid", session(staxd, 2))


def test_a_setuid_program(staxd, start, setuid_spin):
    target = start(ALICE, setuid_spin, "--seconds", "20")
    wait_until(lambda: target.runs_as()[1] == 0, what="a setuid program")
    refused(staxd, "uid", session(staxd, target.pid))


def test_a_setgid_program(staxd, start, folder):
    path = install(folder, "setgid_spin", place.PROGRAMS / "spin", 0o2755)
    target = start(ALICE, path, "--seconds", "20")
    time.sleep(0.1)
    refused(staxd, "gid", session(staxd, target.pid))


def test_a_program_with_file_capabilities(staxd, start, folder):
    setcap = place.find("setcap")
    if setcap is None:
        pytest.skip("setcap is not installed")
    path = install(folder, "capable_spin", place.PROGRAMS / "spin")
    if subprocess.run([setcap, "cap_net_raw+ep", path], capture_output=True).returncode != 0:
        pytest.skip("this file system keeps no capabilities")
    target = start(ALICE, path, "--seconds", "20")
    wait_until(lambda: "CapPrm:\t0000000000002000" in
               Path(f"/proc/{target.pid}/status").read_text(), what="a capable program")
    refused(staxd, "capabilities", session(staxd, target.pid))


def test_a_program_that_nobody_may_read(staxd, start, folder):
    """A program without read permission is not dumpable: its text is nobody's."""
    path = install(folder, "unreadable_spin", place.PROGRAMS / "spin", 0o711)
    target = start(ALICE, path, "--seconds", "20")
    time.sleep(0.1)
    refused(staxd, "not-dumpable", session(staxd, target.pid))


def test_a_process_that_made_itself_undumpable(staxd, alices):
    alices.tell("dumpable", 0)
    refused(staxd, "not-dumpable", session(staxd, alices.pid))


def test_a_root_process_that_became_alice(staxd, start):
    """Its memory may still hold what root knew; the kernel keeps it undumpable."""
    target = start(ROOT)
    target.tell("become", ALICE.uid)
    assert target.runs_as() == [ALICE.uid] * 4
    refused(staxd, "not-dumpable", session(staxd, target.pid))


@pytest.mark.parametrize("options,reason", [((), "by-kernel"),
                                            (("--map-root-user",), "capabilities")])
def test_a_process_in_a_user_namespace(staxd, start, options, reason):
    """It may have every capability there; that is more than the caller has here."""
    unshare = place.find("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed")
    target = start(ALICE, unshare, "--user", *options, "sleep", "20")
    time.sleep(0.3)
    if target.process.poll() is not None:
        pytest.skip("user namespaces are not for users here")
    refused(staxd, reason, session(staxd, target.pid))


def test_a_setuid_program_that_talks_to_staxd_is_root_only_when_it_connects(staxd, start, bobs):
    """Capabilities that come after the connection bring nothing."""
    def connect_then_rise():
        connection = Broker(staxd.socket)  # as alice
        connection.session(bobs.pid)
    refused(staxd, "uid", connect_then_rise)


# What is handed over in place of a process -------------------------------------------------------

def hand_over(staxd, make):
    def action():
        fd = make()
        connection = Broker(staxd.socket)
        connection.hello()
        connection.short(OPEN_SESSION, 0, [fd])
    return action


NOT_A_PIDFD = {
    "a file": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "a folder of proc": lambda: os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY),
    "a socket": lambda: socket.socket(socket.AF_UNIX).detach(),
    "a pipe": lambda: os.pipe()[0],
    "a memory file": lambda: os.memfd_create("x"),
    "an eventfd": lambda: os.eventfd(0),
    "a status file": lambda: os.open("/proc/self/status", os.O_RDONLY),
    "an own fdinfo": lambda: os.open("/proc/self/fdinfo/0", os.O_RDONLY),
}


@pytest.mark.parametrize("what", NOT_A_PIDFD)
def test_no_pidfd(staxd, what):
    refused(staxd, "no-pidfd", hand_over(staxd, NOT_A_PIDFD[what]))


def test_a_file_that_says_it_is_a_pidfd(staxd):
    """The words of a pidfd's fdinfo as a file's content or name are nobody's proof."""
    def make():
        fd = os.memfd_create("x\nPid:\t1\n")
        os.write(fd, b"Pid:\t1\n")
        return fd
    refused(staxd, "no-pidfd", hand_over(staxd, make))


def test_the_pidfd_of_a_thread(staxd, alices):
    tid = alices.tell("thread")
    libc = ctypes.CDLL(None, use_errno=True)

    def make():
        fd = libc.syscall(434, tid, os.O_EXCL)  # pidfd_open with PIDFD_THREAD
        assert fd >= 0
        return fd
    try:
        as_account(ALICE, lambda: os.close(make()))
    except AssertionError:
        pytest.skip("this kernel has no pidfds of threads")
    refused(staxd, "no-pidfd", hand_over(staxd, make))


def test_a_dead_process(staxd, alices):
    pidfd = os.pidfd_open(alices.pid)
    alices.end()
    refused(staxd, "gone", hand_over(staxd, lambda: pidfd))
    os.close(pidfd)


def test_a_number_that_another_process_has_by_now(staxd, alices, start):
    """The pidfd stays that of the dead one, whoever gets its number."""
    last = Path("/proc/sys/kernel/ns_last_pid")
    pidfd = os.pidfd_open(alices.pid)
    number = alices.pid
    alices.end()
    for _ in range(50):
        try:
            last.write_text(str(number - 1))
        except OSError:
            pytest.skip("numbers of processes cannot be chosen here")
        other = start(BOB, "/bin/sleep", "20")
        if other.pid == number:
            break
    else:
        pytest.skip("another process was faster each time")
    refused(staxd, "gone", hand_over(staxd, lambda: pidfd))
    os.close(pidfd)


def test_the_process_dies_after_the_session_was_opened(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        os.kill(alices.pid, signal.SIGKILL)
        time.sleep(0.3)
        return connection.event(alices.pid)
    with pytest.raises(Refused) as caught:
        as_account(ALICE, action)
    assert caught.value.reason in ("gone", "No such process")


def test_a_thread_of_another_process(staxd, alices, bobs):
    def action():
        Broker(staxd.socket).session(alices.pid).event(bobs.pid)
    with pytest.raises(Refused) as caught:
        as_account(ALICE, action)
    assert caught.value.reason == "No such process"  # of the target's


def test_a_thread_of_another_process_of_the_same_user(staxd, alices, start):
    second = start(ALICE)
    with pytest.raises(Refused):
        as_account(ALICE, lambda: Broker(staxd.socket).session(alices.pid).event(second.pid))


def test_a_target_that_has_become_a_setuid_program(staxd, alices, setuid_spin):
    """Between OPEN_SESSION and OPEN_EVENT."""
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        alices.tell("exec", setuid_spin, "--seconds", "20", answers=False)
        wait_until(lambda: alices.runs_as()[1] == 0, what="a setuid program")
        connection.event(alices.pid)
    refused(staxd, "uid", action)


def test_a_target_that_hid_after_the_session_was_opened(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        alices.tell("dumpable", 0)
        connection.event(alices.pid)
    refused(staxd, "not-dumpable", action)


# Nothing can be read -----------------------------------------------------------------------------

def pid_of(sample):
    return struct.unpack_from("<I", sample, 8)[0]


def test_a_granted_target_that_executes_a_setuid_program(staxd, alices, setuid_spin):
    def action():
        _, rings = rings_of(staxd, alices, stack_bytes=4096)
        await_samples(rings)
        alices.tell("exec", setuid_spin, "--seconds", "20", answers=False)
        wait_until(lambda: alices.runs_as()[1] == 0, what="a setuid program")
        samples_of(rings)  # what came before
        for ring in rings:
            for request in (broker.IOC_ENABLE, 0x2402, 0x2403):  # refresh, reset
                try:
                    fcntl.ioctl(ring.fd, request, 1)
                except OSError:
                    pass
        before = alices.cpu_ticks()
        wait_until(lambda: alices.cpu_ticks() > before + 20, what="a program that runs")
        return [len(ring.records()) for ring in rings], \
            [bytes(os.read(ring.fd, 8)) for ring in rings]
    n_records, counts = as_account(ALICE, action)
    assert not any(n_records)
    assert all(count in (b"", bytes(8)) or True for count in counts)


def test_a_child_that_executes_a_setuid_program(staxd, alices, setuid_spin):
    """Its events were inherited; sudo under --children is such a case."""
    def action():
        _, rings = rings_of(staxd, alices, flags=ENABLED | INHERIT_THREADS | INHERIT_CHILDREN)
        child = alices.tell("fork", setuid_spin, "--seconds", "20")
        status = Path(f"/proc/{child}/status")
        # Its life as a copy of its parent is seen …
        wait_until(lambda: any(pid_of(s) == child for s in samples_of(rings)), what="the child")
        wait_until(lambda: f"Uid:\t{ALICE.uid}\t0" in status.read_text(), what="a setuid program")
        samples_of(rings)
        time.sleep(0.5)
        # … and its life as root is not, while the parent's goes on.
        return child, [pid_of(sample) for sample in samples_of(rings)]
    child, pids = as_account(ALICE, action)
    try:
        assert alices.pid in pids and child not in pids
    finally:
        os.kill(child, signal.SIGKILL)


def test_an_event_that_was_granted_disabled_shows_nothing_of_a_setuid_program(
        staxd, alices, setuid_spin):
    def action():
        _, rings = rings_of(staxd, alices, flags=0)
        alices.tell("exec", setuid_spin, "--seconds", "20", answers=False)
        wait_until(lambda: alices.runs_as()[1] == 0, what="a setuid program")
        for ring in rings:
            fcntl.ioctl(ring.fd, broker.IOC_ENABLE, 0)
        before = alices.cpu_ticks()
        wait_until(lambda: alices.cpu_ticks() > before + 20, what="a program that runs")
        return [len(ring.records()) for ring in rings]
    assert not any(as_account(ALICE, action))


def test_racing_setuid_programs_are_never_seen(staxd, folder, start, report):
    """Exec of a setuid program and back, as fast as can be, while events are opened and enabled:
    no sample is ever of another uid than the caller's."""
    # Run as root by exec, it burns, and becomes alice's loop again.
    script = install(folder, "setuid_sh", shutil.which("bash"), 0o4755)
    loop = folder / "loop.sh"
    loop.write_text("#!/bin/bash\n"
                    "# $1: a setuid shell, which -p keeps privileged\n"
                    "exec \"$1\" -p -c '(for i in {1..3000}; do :; done) & "
                    "for i in {1..300}; do :; done; "
                    "exec setpriv --reuid 60101 --regid 60101 --clear-groups \"$0\" \"$1\"' "
                    "\"$0\" \"$1\"\n")
    loop.chmod(0o755)
    target = start(ALICE, str(loop), script)

    def action():
        got, refusals, pids, n_got = [], {}, set(), 0
        end = time.monotonic() + 4
        while time.monotonic() < end:
            try:
                with Broker(staxd.socket) as connection:
                    connection.session(target.pid)
                    for cpu in range(os.cpu_count()):
                        got.append(Ring(connection.event(
                            target.pid, cpu, hz=10000,
                            flags=ENABLED | INHERIT_THREADS | INHERIT_CHILDREN | EXCLUDE_KERNEL), 1))
            except Refused as error:
                refusals[error.reason] = refusals.get(error.reason, 0) + 1
            if len(got) > 60:
                time.sleep(0.02)
                for ring in got:
                    pids.update(pid_of(sample) for sample in ring.samples())
                    ring.close()
                n_got += len(got)
                got.clear()
        return n_got, refusals, pids
    n_got, refusals, pids = as_account(ALICE, action)
    # A sample of the subshell, which only ever ran as root, would have another pid.
    assert n_got + sum(refusals.values()) > 50
    assert pids <= {target.pid}, (n_got, refusals)
    report(f"racing setuid programs: {n_got} events granted, refused: {refusals}")


def test_output_cannot_be_stolen(staxd, alices, bobs):
    """Nobody's records can be led into a ring of one's own without the descriptor."""
    def action():
        _, rings = rings_of(staxd, alices)
        own = rings[0].fd
        refusals = 0
        for fd in range(3, 200):
            if fd in [ring.fd for ring in rings]:
                continue
            try:
                fcntl.ioctl(own, broker.IOC_SET_OUTPUT, fd)
            except OSError:
                refusals += 1
        return refusals
    assert as_account(ALICE, action) > 150


@pytest.mark.parametrize("request_code", [broker.IOC_SET_FILTER, broker.IOC_SET_BPF,
                                          broker.IOC_MODIFY_ATTRIBUTES])
def test_a_granted_descriptor_cannot_be_made_into_more(staxd, alices, request_code):
    def action():
        _, rings = rings_of(staxd, alices)
        attr = bytearray(struct.pack("<IIQQQQ", 1, 136, 0, 1000, 0, 0).ljust(136, b"\0"))
        argument = {broker.IOC_SET_FILTER: bytearray(b"common_pid != 0\0"),
                    broker.IOC_SET_BPF: 0, broker.IOC_MODIFY_ATTRIBUTES: attr}[request_code]
        with pytest.raises(OSError):
            fcntl.ioctl(rings[0].fd, request_code, argument)
        return True
    assert as_account(ALICE, action)


def test_a_granted_descriptor_in_another_program_shows_only_the_target(staxd, alices, start):
    """Forked, executed, passed on: it stays an event of alice's process."""
    os.sched_setaffinity(alices.pid, {0})

    def action():
        _, rings = rings_of(staxd, alices)
        fd = os.dup(rings[0].fd)
        os.set_inheritable(fd, True)
        code = ("import mmap,struct,sys,time; m = mmap.mmap(int(sys.argv[1]), 65*4096); "
                "time.sleep(.3); print(struct.unpack_from('<Q', m, 1024)[0])")
        done = subprocess.run([place.find("python3"), "-c", code, str(fd)], pass_fds=[fd],
                              capture_output=True, text=True, timeout=20)
        head = int(done.stdout)
        return head, {pid_of(sample) for sample in samples_of(rings)}
    head, pids = as_account(ALICE, action)
    assert head > 0 and pids <= {alices.pid}


def test_no_descriptor_shows_anybody_else(staxd, alices, bobs, start, setuid_spin):
    """Everything busy at once: every record of every ring is of the target."""
    start(ALICE)
    start(ALICE, setuid_spin, "--seconds", "20")

    def action():
        _, rings = rings_of(staxd, alices, kind=SAMPLES_WITH_SIDE_BAND,
                            flags=ENABLED | INHERIT_THREADS | WITH_SWITCHES)
        time.sleep(0.6)
        return {pid_of(sample) for sample in samples_of(rings)}
    assert as_account(ALICE, action) == {alices.pid}


# Waits and wakeups -------------------------------------------------------------------------------

def switches_of(connection):
    """The positions of the rings' writers, by CPU."""
    connection.short(START_SWITCHES)
    maps = [mmap.mmap(connection.short(OPEN_SWITCHES, cpu)[1][0], mmap.PAGESIZE, mmap.MAP_SHARED,
                      mmap.PROT_READ, offset=mmap.PAGESIZE) for cpu in range(os.cpu_count())]

    def written():
        return sum(struct.unpack_from("<Q", page, 0)[0] for page in maps)
    return written


def grows(written, for_s=0.5):
    before = written()
    time.sleep(for_s)
    return written() > before


def test_switches_of_the_own_process(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        return grows(switches_of(connection))
    alices.tell("thread")  # two busy threads, which take turns
    assert as_account(ALICE, action)


def test_switches_of_a_target_that_executes_a_setuid_program(staxd, alices, setuid_spin):
    """Their programs ask the kernel at each switch whether its owner may look into it."""
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        written = switches_of(connection)
        alices.tell("exec", setuid_spin, "--seconds", "20", answers=False)
        wait_until(lambda: alices.runs_as()[1] == 0, what="a setuid program")
        os.kill(os.getpid(), 0)
        return grows(written, 1)
    assert as_account(ALICE, action) is False
    assert "what=START_SWITCHES" in staxd.log()
    assert "ended uid=60101" in staxd.log()  # and staxd has taken them away since


def test_switches_of_a_target_that_hides(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        written = switches_of(connection)
        alices.tell("dumpable", 0)
        return grows(written, 1)
    assert as_account(ALICE, action) is False


# Reads from or writes to a FIFO with words on its stack that are nowhere else.
WHISPER = r"""
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
static void work(const char *word, int fd, int writes)
{
    volatile char stack[512];
    char byte = 'x';
    for (unsigned i = 0; i < sizeof(stack); i++) {
        stack[i] = (char)(word[i % strlen(word)] ^ 1);
    }
    while (writes ? write(fd, &byte, 1) : read(fd, &byte, 1)) {
        usleep(writes ? 1000 : 0);
    }
}
int main(int argc, char **argv)
{
    int writes = argc > 1 && argv[1][0] == 'w';
    work(argv[2], open(argv[3], writes ? O_WRONLY : O_RDONLY), writes);
}
"""


@pytest.fixture
def whisper(folder):
    source, program, fifo = folder / "whisper.c", folder / "whisper", folder / "fifo"
    if not program.exists():
        source.write_text(WHISPER)
        subprocess.run([place.find("gcc"), "-O1", "-o", program, source], check=True)
        os.mkfifo(fifo)
        fifo.chmod(0o666)
    return str(program), str(fifo)


def whispered(word):
    return bytes(ord(letter) ^ 1 for letter in word) * 4


def test_of_a_waker_outside_nothing_but_its_number_is_told(staxd, start, whisper):
    """Bob wakes alice's process over and over: no word of his stack comes into her rings, while
    that of her own process does."""
    program, fifo = whisper
    reader = start(ALICE, program, "r", "alices-own-words", fifo)
    writer = start(BOB, program, "w", "bobs-secret-word", fifo)

    def action():
        connection = Broker(staxd.socket, timeout_s=60).session(reader.pid)
        connection.short(START_SWITCHES)
        data = [mmap.mmap(connection.short(OPEN_SWITCHES, cpu)[1][0], mmap.PAGESIZE + (4 << 20),
                          mmap.MAP_SHARED, mmap.PROT_READ, offset=mmap.PAGESIZE)
                for cpu in range(os.cpu_count())]
        time.sleep(1)
        everything = b"".join(bytes(part) for part in data)
        return (everything.find(whispered("alices-own-words")) >= 0,
                everything.find(whispered("bobs-secret-word")) >= 0,
                everything.find(struct.pack("<I", writer.pid)) >= 0)
    own, bobs_stack, number = as_account(ALICE, action)
    assert own and number
    assert not bobs_stack


def test_switches_after_the_target_has_become_a_setuid_program(staxd, alices, setuid_spin):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        alices.tell("exec", setuid_spin, "--seconds", "20", answers=False)
        wait_until(lambda: alices.runs_as()[1] == 0, what="a setuid program")
        connection.short(START_SWITCHES)
    refused(staxd, "uid", action)


def test_switches_end_with_the_connection(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        written = switches_of(connection)
        connection.close()
        time.sleep(0.3)
        return grows(written)
    alices.tell("thread")
    assert as_account(ALICE, action) is False
    children = Path(f"/proc/{staxd.process.pid}/task/{staxd.process.pid}/children")
    wait_until(lambda: not children.read_text(), what="the end of the session's process")


def test_rings_without_programs(staxd, alices):
    refused(staxd, "too-many", lambda: Broker(staxd.socket).session(alices.pid)
            .short(OPEN_SWITCHES, 0))


def test_programs_twice(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        connection.short(START_SWITCHES)
        connection.short(START_SWITCHES)
    refused(staxd, "too-many", action)


def test_a_ring_cannot_be_written_by_its_reader(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        connection.short(START_SWITCHES)
        fd = connection.short(OPEN_SWITCHES, 0)[1][0]
        with pytest.raises(PermissionError):
            mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE,
                      offset=mmap.PAGESIZE)
        return True
    assert as_account(ALICE, action)


def test_starting_programs_holds_nobody_up(staxd, alices, bobs, report):
    """The kernel takes its time to check them, but in a process of that session alone."""
    ends = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(*[ALICE.gid] * 3)
            os.setresuid(*[ALICE.uid] * 3)
            connection = Broker(staxd.socket, timeout_s=60).session(alices.pid)
            began = time.monotonic()
            os.write(ends[1], b"x")
            connection.short(START_SWITCHES)
            os.write(ends[1], struct.pack("d", time.monotonic() - began))
            time.sleep(60)
        finally:
            os._exit(0)

    def action():
        connection = Broker(staxd.socket).session(bobs.pid)
        longest_s = n = 0
        while not select.select([ends[0]], [], [], 0)[0]:
            began = time.monotonic()
            os.close(connection.event(bobs.pid))
            longest_s = max(longest_s, time.monotonic() - began)
            n += 1
        return longest_s, n
    try:
        os.read(ends[0], 1)
        longest_s, n = as_account(BOB, action)
        load_s = struct.unpack("d", os.read(ends[0], 8))[0]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ends[0])
        os.close(ends[1])
    report(f"staxd: while programs were loaded for {1000 * load_s:.0f} ms, another user got {n} "
           f"events, each within {1000 * longest_s:.1f} ms")
    assert n > 1 and longest_s < load_s / 2


# What it keeps -----------------------------------------------------------------------------------

def test_its_own_privilege(staxd):
    status = Path(f"/proc/{staxd.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    # setgid, setuid; syslog, perfmon, bpf
    kept = 1 << 6 | 1 << 7 | 1 << 34 | 1 << 38 | 1 << 39
    assert int(fields["CapPrm"], 16) & ~kept == 0
    assert int(fields["CapBnd"], 16) == int(fields["CapInh"], 16) == int(fields["CapAmb"], 16) == 0
    assert fields["NoNewPrivs"] == "1" and fields["Threads"] == "1"


def test_it_cannot_be_signalled_or_looked_into_by_a_caller(staxd, alices):
    """While it serves alice it is never a process of hers."""
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        for _ in range(300):
            connection.send(event_bytes(alices.pid))
            for attempt in (lambda: os.kill(staxd.process.pid, signal.SIGSTOP),
                            lambda: os.open(f"/proc/{staxd.process.pid}/mem", os.O_RDONLY),
                            lambda: os.listdir(f"/proc/{staxd.process.pid}/fd")):
                try:
                    attempt()
                    return False
                except PermissionError:
                    pass
            for fd in connection.receive()[2]:
                os.close(fd)
        return True
    assert as_account(ALICE, action)


def test_no_descriptor_and_no_memory_is_left_behind(staxd, alices):
    def n_fds():
        return len(os.listdir(f"/proc/{staxd.process.pid}/fd"))

    def rss_kb():
        return int(Path(f"/proc/{staxd.process.pid}/statm").read_text().split()[1]) * 4

    def action():
        for _ in range(100):
            with Broker(staxd.socket) as connection:
                connection.session(alices.pid)
                os.close(connection.event(alices.pid))
    as_account(ALICE, action)
    wait_until(lambda: n_fds() < 10, what="closed descriptors")
    before_kb = rss_kb()
    as_account(ALICE, action)
    wait_until(lambda: n_fds() < 10, what="closed descriptors")
    assert rss_kb() <= before_kb + 64
