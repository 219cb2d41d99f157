# SPDX-License-Identifier: MIT
"""staxd: messages that no client of ours sends, floods, and what stands in place of its socket."""

import os
import signal
import socket
import struct
import subprocess
import time

import pytest

import broker
import place
from broker import *  # noqa: F401,F403
from private_server import Account, wait_until
from staxd_cases import *  # noqa: F401,F403

pytestmark = needs_root


# Messages ----------------------------------------------------------------------------------------

def greeted(staxd, data, fds=()):
    def action():
        connection = Broker(staxd.socket)
        connection.hello()
        connection.ask(data, fds)
    return action


def in_session(staxd, pid, data):
    def action():
        Broker(staxd.socket).session(pid).ask(data)
    return action


def test_another_version(staxd):
    refused(staxd, "version", lambda: Broker(staxd.socket).short(HELLO, VERSION + 1))


@pytest.mark.parametrize("verb", [0, STATUS + 1, 255, 0xffffffff])
def test_an_unknown_verb(staxd, verb):
    refused(staxd, "verb", greeted(staxd, struct.pack("<II", verb, 0)))


@pytest.mark.parametrize("verb", [OPEN_SESSION, OPEN_EVENT, OPEN_KERNEL_NAMES, STATUS,
                                  START_SWITCHES, OPEN_SWITCHES])
def test_before_hello(staxd, verb):
    data = event_bytes(1) if verb == OPEN_EVENT else struct.pack("<II", verb, 0)
    refused(staxd, "phase", lambda: Broker(staxd.socket).ask(data))


@pytest.mark.parametrize("verb", [OPEN_EVENT, OPEN_KERNEL_NAMES, START_SWITCHES, OPEN_SWITCHES])
def test_without_a_session(staxd, verb):
    data = event_bytes(1) if verb == OPEN_EVENT else struct.pack("<II", verb, 0)
    refused(staxd, "phase", greeted(staxd, data))


def test_hello_twice(staxd):
    refused(staxd, "phase", greeted(staxd, struct.pack("<II", HELLO, VERSION)))


def test_a_second_session(staxd, alices, start):
    second = start(ALICE)

    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        connection.short(OPEN_SESSION, 0, [os.pidfd_open(second.pid)])
    refused(staxd, "phase", action)


def test_a_session_without_a_descriptor(staxd):
    refused(staxd, "descriptors", greeted(staxd, struct.pack("<II", OPEN_SESSION, 0)))


@pytest.mark.parametrize("n", [2, 3, 250])
def test_more_descriptors_than_one(staxd, n):
    def action():
        fd = os.pidfd_open(os.getpid())
        connection = Broker(staxd.socket)
        connection.hello()
        connection.short(OPEN_SESSION, 0, [fd] * n)
    refused(staxd, "length", action)
    assert len(os.listdir(f"/proc/{staxd.process.pid}/fd")) < 30  # none was kept


def test_a_descriptor_with_a_verb_that_takes_none(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        connection.ask(event_bytes(alices.pid), [os.open("/dev/null", os.O_RDONLY)])
    refused(staxd, "descriptors", action)


@pytest.mark.parametrize("n_bytes", [1, 3, 4, 7])
def test_a_message_that_is_too_short(staxd, n_bytes):
    refused(staxd, "length", lambda: Broker(staxd.socket).ask(b"\1\0\0\0\1\0\0\0"[:n_bytes]))


def test_an_empty_message_ends_the_connection(staxd):
    with pytest.raises(Refused) as caught:
        as_account(ALICE, lambda: Broker(staxd.socket).ask(b""))
    assert caught.value.reason is None


@pytest.mark.parametrize("n_bytes", [9, 40, 41, 4096, 100000])
def test_a_message_that_is_too_long(staxd, n_bytes):
    data = struct.pack("<II", HELLO, VERSION).ljust(n_bytes, b"\0")
    refused(staxd, "length", lambda: Broker(staxd.socket).ask(data))


def test_half_an_event(staxd, alices):
    refused(staxd, "length", in_session(staxd, alices.pid, event_bytes(alices.pid)[:20]))


def test_garbage(staxd):
    """Noise of every length; each ends its connection, none more than that."""
    def action():
        import random
        rng = random.Random(4)
        n_refused = 0
        for n_bytes in range(1, 80):
            try:
                with Broker(staxd.socket) as connection:
                    connection.hello()
                    connection.ask(rng.randbytes(n_bytes))
            except Refused:
                n_refused += 1
        return n_refused
    assert as_account(ALICE, action) == 79


BAD_EVENTS = {
    "kind 0": ("kind", {"kind": 0, "period_ns": 1000000}),
    "an unknown kind": ("kind", {"kind": 5, "period_ns": 1000000}),
    "a huge kind": ("kind", {"kind": 0xffffffff, "period_ns": 1000000}),
    "an unknown flag": ("flags", {"flags": 1 << 6}),
    "all flags": ("flags", {"flags": 0xffffffff}),
    "switches with samples alone": ("flags", {"flags": WITH_SWITCHES}),
    "an anchor that is inherited": ("flags", {"kind": ANCHOR, "cpu": -1, "flags": INHERIT_THREADS}),
    "something in the padding": ("flags", {"zero": 1}),
    "any CPU": ("range", {"cpu": -1}),
    "CPU -2": ("range", {"cpu": -2, "kind": ANCHOR, "flags": 0}),
    "CPU 65535": ("range", {"cpu": 65535}),
    "CPU 2^31-1": ("range", {"cpu": 2**31 - 1}),
    "thread 0": ("range", {"tid": 0}),
    "thread -1: everybody": ("range", {"tid": -1}),
    "a huge thread": ("range", {"tid": 2**31 - 1}),
    "every 49 us": ("range", {"period_ns": 49999}),
    "period 0": ("range", {"period_ns": 0}),
    "a negative period": ("range", {"period_ns": 2**64 - 1}),
    "too much stack": ("range", {"stack_bytes": 65536}),
    "a stack of odd size": ("range", {"stack_bytes": 1001}),
    "a huge stack": ("range", {"stack_bytes": 0xfffffff8}),
    "a period for the side band": ("range", {"kind": SIDE_BAND, "period_ns": 1000000}),
    "a stack for the side band": ("range", {"kind": SIDE_BAND, "stack_bytes": 8}),
    "a huge watermark": ("range", {"wakeup_bytes": 0xffffffff}),
}


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_an_event_beyond_what_there_is(staxd, alices, what):
    reason, values = BAD_EVENTS[what]
    refused(staxd, reason, in_session(staxd, alices.pid,
                                      event_bytes(**{"tid": alices.pid, **values})))


def test_a_cpu_that_is_not_there(staxd, alices):
    with pytest.raises(Refused) as caught:
        as_account(ALICE, lambda: Broker(staxd.socket).session(alices.pid)
                   .event(alices.pid, cpu=60000))
    assert caught.value.reason in ("Invalid argument", "No such device")


@pytest.mark.parametrize("verb,word", [(OPEN_SESSION, 1), (STATUS, 1), (OPEN_KERNEL_NAMES, 1),
                                       (START_SWITCHES, 2), (OPEN_SWITCHES, 1 << 16)])
def test_an_unknown_flag(staxd, alices, verb, word):
    def action():
        connection = Broker(staxd.socket)
        if verb == OPEN_SESSION:
            connection.hello()
            connection.short(verb, word, [os.pidfd_open(alices.pid)])
        else:
            connection.session(alices.pid).short(verb, word)
    refused(staxd, "flags", action)


# Floods ------------------------------------------------------------------------------------------

def test_more_events_than_a_session_may_have(staxd, alices):
    def action():
        connection = Broker(staxd.socket).session(alices.pid)
        n = 0
        try:
            while True:
                os.close(connection.event(alices.pid, -1, ANCHOR, flags=EXCLUDE_KERNEL))
                n += 1
        except Refused as error:
            return n, error.reason
    n, reason = as_account(ALICE, action)
    assert 8192 <= n < 9000 and reason == "too-many"  # 16 more a second are forgiven
    assert staxd.refusals()[-1] == "too-many"


def test_more_sessions_than_a_user_may_have(staxd):
    def action():
        held = [Broker(staxd.socket) for _ in range(8)]
        for connection in held:
            connection.hello()
        try:
            Broker(staxd.socket).hello()
        finally:
            for connection in held:  # the others are none the worse
                connection.short(STATUS)
    n_before = len(staxd.refusals())
    with pytest.raises(Refused):
        as_account(ALICE, action)
    assert "too-many" in staxd.refusals()[n_before:]


def test_a_flood_of_connections_keeps_nobody_else_out(staxd, bobs):
    """Alice connects as fast as she can, from two processes; bob is served."""
    floods = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setresgid(*[ALICE.gid] * 3)
                os.setresuid(*[ALICE.uid] * 3)
                kept = []
                while True:
                    try:
                        kept.append(Broker(staxd.socket))
                        kept[-1].send(b"\xff" * 8)
                        del kept[:-20]
                    except OSError:
                        pass
            finally:
                os._exit(0)
        floods.append(pid)
    try:
        time.sleep(0.3)

        def action():
            longest_s = 0
            connection = Broker(staxd.socket).session(bobs.pid)
            for _ in range(100):
                began = time.monotonic()
                os.close(connection.event(bobs.pid))
                longest_s = max(longest_s, time.monotonic() - began)
            return longest_s
        longest_s = as_account(BOB, action)
    finally:
        for pid in floods:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert longest_s < 1


def test_a_flood_of_requests_is_held_back(staxd, alices):
    """After a burst, one uid gets so many a second, over all its connections."""
    def action():
        n = 0
        try:
            connection = Broker(staxd.socket).session(alices.pid)
            while n < 8100:
                connection.short(STATUS)
                n += 1
            began = time.monotonic()
            for _ in range(4000):
                connection.short(STATUS)
        except TimeoutError:
            return None
        return time.monotonic() - began
    assert as_account(ALICE, action) > 1  # 2000 a second


def test_a_caller_that_does_not_read(staxd, alices):
    """Answers are not waited for: the connection ends when no more fit."""
    n_before = len(staxd.refusals())

    def action():
        connection = Broker(staxd.socket, timeout_s=3).session(alices.pid)
        try:
            for _ in range(5000):
                connection.send(event_bytes(alices.pid))
        except OSError:
            return True
        return False
    assert as_account(ALICE, action)
    assert "slow" in staxd.refusals()[n_before:]


def test_a_connection_that_says_nothing_ends(staxd):
    n_before = len(staxd.refusals())

    def action():
        connection = Broker(staxd.socket, timeout_s=20)
        connection.hello()
        began = time.monotonic()
        with pytest.raises(Refused):
            connection.receive()
        return time.monotonic() - began
    assert 3 < as_account(ALICE, action) < 8
    assert "slow" in staxd.refusals()[n_before:]


def test_more_switch_watches_than_a_user_may_have(staxd, alices):
    def action():
        held = []
        for _ in range(3):
            connection = Broker(staxd.socket).session(alices.pid)
            connection.short(START_SWITCHES)
            held.append(connection)
    refused(staxd, "too-many", action)


def test_the_log_has_no_word_of_the_callers(staxd):
    def action():
        connection = Broker(staxd.socket)
        connection.ask(b"refused uid=0 pid=1\n\033[2J")
    refused(staxd, "verb", action)
    assert "\033" not in staxd.log() and "uid=0 pid=1\n" not in staxd.log()


# The socket --------------------------------------------------------------------------------------

def start_refused(folder, socket_path, *options):
    done = subprocess.run([place.BUILD / "staxd", "--socket", str(socket_path), *options],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 1, done
    return done.stderr


def test_a_symbolic_link_in_place_of_the_socket(folder):
    path = folder / "link.sock"
    path.symlink_to(folder / "elsewhere.sock")
    assert "File exists" in start_refused(folder, path)
    assert path.is_symlink() and not (folder / "elsewhere.sock").exists()


def test_a_file_in_place_of_the_socket(folder):
    path = folder / "file.sock"
    path.write_text("kept")
    assert "File exists" in start_refused(folder, path)
    assert path.read_text() == "kept"


def test_a_squatted_socket(folder):
    path = folder / "squatted.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as squatter:
        squatter.bind(str(path))
        os.chown(path, ALICE.uid, ALICE.gid)
        assert "File exists" in start_refused(folder, path)


@pytest.mark.parametrize("mode,owner", [(0o777, 0), (0o1777, 0), (0o775, 0), (0o755, ALICE.uid)])
def test_a_folder_where_others_may_write(folder, mode, owner):
    place_for_it = folder / f"open-{mode:o}-{owner}"
    place_for_it.mkdir()
    os.chown(place_for_it, owner, owner)
    place_for_it.chmod(mode)
    assert "not permitted" in start_refused(folder, place_for_it / "staxd.sock")


def test_a_folder_that_is_a_link(folder):
    link = folder / "folder-link"
    link.symlink_to(folder)
    assert "not permitted" in start_refused(folder, link / "staxd.sock")


def test_a_second_staxd(staxd):
    assert "in use" in start_refused(staxd.folder, staxd.socket)


def test_started_by_an_ordinary_user(folder):
    """It says so, and leaves nothing behind that waits for callers."""
    own = folder / "alices"
    own.mkdir(exist_ok=True)
    os.chown(own, ALICE.uid, ALICE.gid)
    binary = install(folder, "staxd", place.BUILD / "staxd")
    done = subprocess.run([binary, "--socket", str(own / "staxd.sock")], capture_output=True,
                          text=True, timeout=10, user=ALICE.uid, group=ALICE.gid, extra_groups=[])
    assert done.returncode == 1 and "root" in done.stderr


def test_only_the_group(folder, start):
    group_folder = folder / "group"
    group_folder.mkdir()
    group_folder.chmod(0o755)
    staxd = Staxd(group_folder, "--socket-group", "daemon")
    import grp
    member = Account("member", 60105, 60105)
    member.groups = [grp.getgrnam("daemon").gr_gid]
    try:
        assert staxd.socket.stat().st_mode & 0o777 == 0o660
        with pytest.raises(PermissionError):
            as_account(ALICE, lambda: Broker(staxd.socket) and None)
        assert as_account(member, lambda: Broker(staxd.socket).hello())[0] == VERSION
    finally:
        staxd.end()


def test_kernel_stacks_can_be_forbidden(folder, start):
    own = folder / "policy"
    own.mkdir()
    own.chmod(0o755)
    staxd = Staxd(own, "--no-kernel-stacks")
    target = start(ALICE)
    try:
        abilities = as_account(ALICE, lambda: Broker(staxd.socket).hello())[1]
        assert abilities & 3 == 0
        refused(staxd, "policy", lambda: Broker(staxd.socket).session(target.pid)
                .event(target.pid))
        refused(staxd, "policy", lambda: Broker(staxd.socket).session(target.pid)
                .event(target.pid, flags=NO_KERNEL_FRAMES))
        refused(staxd, "policy", lambda: Broker(staxd.socket).session(target.pid)
                .short(OPEN_KERNEL_NAMES))
        refused(staxd, "policy", lambda: Broker(staxd.socket).session(target.pid)
                .short(START_SWITCHES))

        def allowed():
            _, rings = rings_of(staxd, target, flags=ENABLED | EXCLUDE_KERNEL)
            await_samples(rings)
            time.sleep(0.3)
            return broker.has_kernel_frames(samples_of(rings))
        assert as_account(ALICE, allowed) is False
    finally:
        staxd.end()


def test_a_socket_that_is_handed_over_must_be_the_right_kind(folder):
    """As a service manager would, but a stream."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wrong:
        wrong.bind(str(folder / "stream.sock"))
        wrong.listen()
        done = run_activated(wrong.fileno())
    assert done.returncode == 1 and "Invalid argument" in done.stderr


def run_activated(fd, timeout=10):
    code = ("import os,sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_FDS'] = '1'; "
            "os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[2], sys.argv[2:])")
    return subprocess.run([place.find("python3"), "-c", code, str(fd), str(place.BUILD / "staxd")],
                          pass_fds=[fd], capture_output=True, text=True, timeout=timeout)
