#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program that reports spans, written by the specification (docs/PROTOCOL.target-ring.md) and by
nothing else.

    ring_producer.py SOCKET

Says hello, prints the answer, and then for each line of its input, a number, reports so many spans
of 1 ms, one every 10 us, and prints {"active": …, "tail": …, "head": …}. Ends with its input.
"""

import array
import ctypes
import fcntl
import json
import mmap
import os
import socket
import struct
import sys
import time

PAGE, SLOTS, LANES, NAMES, TEXT_BYTES = 4096, 131072, 1024, 65536, 2 << 20
LANES_AT = 2 * PAGE
NAMES_AT = LANES_AT + LANES * 16
TEXT_AT = NAMES_AT + NAMES * 16
SLOTS_AT = TEXT_AT + TEXT_BYTES
TOTAL = SLOTS_AT + SLOTS * 64

F_ADD_SEALS = 1033
SEALS = 1 | 2 | 4  # seal, shrink, grow


def state(version=1, magic=b"STAXTR1\0"):
    return magic + struct.pack("<10IQII", version, 64, SLOTS, LANES, NAMES, TEXT_BYTES, LANES_AT,
                               NAMES_AT, TEXT_AT, SLOTS_AT, TOTAL, os.getpid(), 0)


def make_memory(seals=SEALS, total=TOTAL, words=None):
    """The descriptor of a ring, or of what nearly is one."""
    fd = os.memfd_create("ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, total)
    os.pwrite(fd, words if words is not None else state(), PAGE)
    fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


def send_with_fds(sock, data, fds):
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                 if fds else [])


def hello(sock, fds, **params):
    """Sends it; the answer is the next line of the server."""
    params = params or {"version": 1}
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "target.hello", "params": params})
    send_with_fds(sock, line.encode() + b"\n", fds)


class Ring:
    def __init__(self, fd):
        self.memory = mmap.mmap(fd, TOTAL)
        self.n_names = self.n_lanes = self.n_text = 0

    def word(self, at):
        return ctypes.c_uint64.from_buffer(self.memory, at)

    @property
    def active(self):
        return ctypes.c_uint32.from_buffer(self.memory, 0).value

    @property
    def tail(self):
        return self.word(64).value

    @property
    def head(self):
        return self.word(PAGE + 128).value

    def name(self, text, parent=0):
        data = text.encode()
        self.memory[TEXT_AT + self.n_text:TEXT_AT + self.n_text + len(data)] = data
        self.n_names += 1
        at = NAMES_AT + self.n_names * 16
        self.memory[at + 4:at + 16] = struct.pack("<III", parent, self.n_text, len(data))
        ctypes.c_uint32.from_buffer(self.memory, at).value = 1
        self.n_text += len(data)
        return self.n_names

    def lane(self, text, kind=0):
        name = self.name(text)
        self.n_lanes += 1
        at = LANES_AT + self.n_lanes * 16
        self.memory[at + 4:at + 16] = struct.pack("<III", kind, name, 0)
        ctypes.c_uint32.from_buffer(self.memory, at).value = 1
        return self.n_lanes

    def span(self, lane, name, start_ns, end_ns, origin=(0, 0, 0), tid=0):
        """One thread reports, so the position is reserved by adding."""
        position = self.head
        if position - self.tail >= SLOTS:
            return False
        self.word(PAGE + 128).value = position + 1
        at = SLOTS_AT + position % SLOTS * 64
        self.memory[at + 8:at + 56] = struct.pack("<HHIIIQQQII", 1, 0, name, lane, tid, start_ns,
                                                  end_ns, *origin)
        self.word(at).value = position + 1
        return True


def main():
    fd = make_memory()
    ring = Ring(fd)
    ring.name("(other)")
    lane, name = ring.lane("by hand", kind=5), ring.name("request")
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        hello(server, [fd])
        print(server.makefile().readline().strip(), flush=True)
        for line in sys.stdin:
            for _ in range(int(line)):
                end_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                ring.span(lane, name, end_ns - 1000000, end_ns,
                          origin=(end_ns - 1000000, os.getpid(), os.getpid()), tid=os.getpid())
                time.sleep(1e-5)
            print(json.dumps({"active": ring.active, "tail": ring.tail, "head": ring.head}),
                  flush=True)


if __name__ == "__main__":
    main()
