# SPDX-License-Identifier: MIT
"""A staxd of its own for a test, and a client that can also misbehave."""

import array
import ctypes
import fcntl
import mmap
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import place

VERSION = 1
HELLO, OPEN_SESSION, OPEN_EVENT, START_SWITCHES, OPEN_SWITCHES, OPEN_KERNEL_NAMES, STATUS = \
    range(1, 8)
ANCHOR, SIDE_BAND, SAMPLES, SAMPLES_WITH_SIDE_BAND = range(1, 5)
EXCLUDE_KERNEL, NO_KERNEL_FRAMES, INHERIT_THREADS, INHERIT_CHILDREN, WITH_SWITCHES, ENABLED = \
    (1 << n for n in range(6))
REFUSALS = ["granted", "length", "verb", "phase", "descriptors", "version", "flags", "kind",
            "range", "no-pidfd", "gone", "uid", "gid", "capabilities", "not-dumpable",
            "by-kernel", "changed", "policy", "too-many", "slow"]

IOC_ENABLE, IOC_DISABLE, IOC_PERIOD, IOC_SET_OUTPUT, IOC_SET_FILTER, IOC_ID, IOC_SET_BPF, \
    IOC_MODIFY_ATTRIBUTES = (0x2400, 0x2401, 0x40082404, 0x2405, 0x40082406, 0x80082407,
                             0x40042408, 0x4008240B)
RECORD_SAMPLE = 9
_libc = ctypes.CDLL(None, use_errno=True)


def period_of(hz):
    return 1_000_000_000 // hz


class Refused(Exception):
    """What staxd answered instead of granting; reason None: it hung up without a word."""

    def __init__(self, status):
        self.reason = None if status is None else \
            REFUSALS[status] if status > 0 else os.strerror(-status)
        super().__init__(self.reason)


class Broker:
    """A connection, as whoever makes it."""

    def __init__(self, path, timeout_s=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # As the server's own client: where many wait to be let in, it waits with them. A timeout of
        # Python's makes the socket one that does not.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                               struct.pack("ll", timeout_s, 0))
        self.socket.connect(str(path))
        self.socket.settimeout(timeout_s)

    def send(self, data, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], ancillary)

    def receive(self):
        """status, (version, abilities, n_events), descriptors."""
        size = socket.CMSG_SPACE(253 * 4)
        try:
            data, ancillary, _, _ = self.socket.recvmsg(64, size, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            data, ancillary = b"", []
        if not data:
            raise Refused(None)
        fds = array.array("i")
        for _, _, part in ancillary:
            fds.frombytes(part[:len(part) - len(part) % 4])
        verb, status, *values, _ = struct.unpack("<IiIIII", data)
        return status, values, list(fds)

    def ask(self, data, fds=()):
        try:
            self.send(data, fds)
        except BrokenPipeError:
            raise Refused(None) from None
        status, values, got = self.receive()
        if status != 0:
            for fd in got:
                os.close(fd)
            raise Refused(status)
        return values, got

    def short(self, verb, word=0, fds=()):
        return self.ask(struct.pack("<II", verb, word), fds)

    def hello(self):
        return self.short(HELLO, VERSION)[0]

    def session(self, pid):
        """HELLO and OPEN_SESSION for a process by its number."""
        pidfd = os.pidfd_open(pid)
        try:
            self.hello()
            self.short(OPEN_SESSION, 0, [pidfd])
        finally:
            os.close(pidfd)
        return self

    def event(self, tid, cpu=0, kind=SAMPLES, hz=1000, stack_bytes=0, flags=ENABLED, **raw):
        """A descriptor."""
        return self.ask(event_bytes(tid, cpu, kind, hz, stack_bytes, flags, **raw))[1][0]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def event_bytes(tid, cpu=0, kind=SAMPLES, hz=1000, stack_bytes=0, flags=ENABLED, period_ns=None,
                wakeup_bytes=0, verb=OPEN_EVENT, zero=0):
    if period_ns is None:
        period_ns = period_of(hz) if kind in (SAMPLES, SAMPLES_WITH_SIDE_BAND) else 0
    return struct.pack("<IIiiQIIII", verb, kind, tid, cpu, period_ns, stack_bytes, wakeup_bytes,
                       flags, zero)


class Ring:
    """The records of a descriptor, as its holder can read them."""

    def __init__(self, fd, n_pages=64):
        self.fd = fd
        self.n_pages = n_pages
        self.map = mmap.mmap(fd, (1 + n_pages) * mmap.PAGESIZE,
                             mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.tail = 0

    def records(self):
        """(type, bytes after the header) of each that came since the last look."""
        head = struct.unpack_from("<Q", self.map, 1024)[0]
        size = self.n_pages * mmap.PAGESIZE
        found = []
        while self.tail < head:
            at = mmap.PAGESIZE + self.tail % size
            kind, _, length = struct.unpack_from("<IHH", self.map, at)
            end = mmap.PAGESIZE + size
            data = self.map[at:min(at + length, end)]
            data += self.map[mmap.PAGESIZE:mmap.PAGESIZE + length - len(data)]
            found.append((kind, data[8:]))
            self.tail += length
        struct.pack_into("<Q", self.map, 1032, self.tail)
        return found

    def samples(self):
        return [data for kind, data in self.records() if kind == RECORD_SAMPLE]

    def close(self):
        self.map.close()
        os.close(self.fd)


def chain_of(sample):
    """The addresses of a SAMPLES record without a copy of the stack."""
    # identifier, pid/tid, time, cpu, period, then the chain
    n = struct.unpack_from("<Q", sample, 40)[0]
    return struct.unpack_from(f"<{n}Q", sample, 48)


def has_kernel_frames(samples):
    context_kernel = 2**64 - 128
    return any(context_kernel in chain_of(sample) for sample in samples)


def as_account(account, function):
    """Runs function() in a child that is that user for good; what it returned, or its exception."""
    import pickle
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(read_fd)
            # Everything of the parent's is left behind: what counts is who asks.
            os.setgroups(account.groups if hasattr(account, "groups") else [])
            os.setresgid(account.gid, account.gid, account.gid)
            os.setresuid(account.uid, account.uid, account.uid)
            _libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: as after any exec
            try:
                answer = (True, function())
            except Exception as error:
                answer = (False, error if isinstance(error, (AssertionError, OSError))
                          else error.reason if isinstance(error, Refused) else repr(error))
                if isinstance(error, Refused):
                    answer = (None, error.reason)
            with os.fdopen(write_fd, "wb") as out:
                pickle.dump(answer, out)
            code = 0
        finally:
            os._exit(code)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as answer:
        data = answer.read()
    os.waitpid(pid, 0)
    if not data:
        raise AssertionError("the child died")
    is_well, value = pickle.loads(data)
    if is_well is None:
        error = Refused(None)
        error.reason = value
        raise error
    if not is_well:
        raise value if isinstance(value, Exception) else AssertionError(value)
    return value


class Staxd:
    """The daemon, started by hand as root on a socket of its own."""

    def __init__(self, folder, *options, socket_name="staxd.sock"):
        self.folder = Path(folder)
        self.socket = self.folder / socket_name
        self.log_path = self.folder / f"{socket_name}.log"
        self.options = options
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(place.BUILD / "staxd"), "--socket", str(self.socket), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": "/usr/bin:/bin"})
        end = time.monotonic() + 10
        while "listens" not in self.log() and self.process.poll() is None:
            assert time.monotonic() < end, "staxd does not listen"
            time.sleep(0.01)

    def log(self):
        return self.log_path.read_text()

    def refusals(self):
        """The reasons of every refusal in the log."""
        return [line.rsplit("reason=", 1)[1] for line in self.log().splitlines()
                if "refused" in line]

    def is_well(self):
        """It serves an ordinary request."""
        if self.process.poll() is not None:
            return False
        with Broker(self.socket) as broker:
            return broker.hello()[0] == VERSION

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)
