# SPDX-License-Identifier: MIT
"""A producer of target spans that does not keep to docs/PROTOCOL.target-ring.md.

Connects, waits until it is recorded, does what its first argument says, and ends.
"""

import ctypes
import os
import random
import socket
import struct
import sys
import time

import ring_producer
from ring_producer import (LANES_AT, NAMES, NAMES_AT, PAGE, SLOTS, SLOTS_AT, TEXT_AT, TEXT_BYTES,
                           TOTAL)

HEAD_AT = PAGE + 128


class Producer(ring_producer.Ring):
    def __init__(self):
        self.fd = ring_producer.make_memory()
        super().__init__(self.fd)
        self.name("(other)")

    def hello(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ["STAX_SERVER_SOCKET"])
        ring_producer.hello(self.socket, [self.fd])
        return self.socket.makefile().readline()

    def put(self, at, kind, *values):
        struct.pack_into(kind, self.memory, at, *values)

    def await_recording(self, timeout_s=20):
        end = time.monotonic() + timeout_s
        while not self.active and time.monotonic() < end:
            time.sleep(0.001)
        return self.active

    def details(self, lane, name, n_details):
        """A span that says that so many slots behind it are its own."""
        at = SLOTS_AT + 64 * (self.head % SLOTS)
        self.put(at + 8, "<HHIIIQQ", 1, n_details, name, lane, 0, now_ns() - 1000, now_ns())
        self.word(at).value = self.head + 1
        self.word(HEAD_AT).value = self.head + 1

    def await_taken(self, timeout_s=20):
        end = time.monotonic() + timeout_s
        while self.tail != self.head and time.monotonic() < end:
            time.sleep(0.001)


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def honest(producer, n_spans=200):
    lane, name = producer.lane("honest lane", 1), producer.name("honest span")
    for _ in range(n_spans):
        producer.span(lane, name, now_ns() - 1000, now_ns())
    producer.await_taken()


def random_bytes(producer):
    honest(producer)
    chance = random.Random(7)
    for _ in range(40):
        for at in (SLOTS_AT, LANES_AT, NAMES_AT, PAGE + 64):
            n_bytes = 64 if at == PAGE + 64 else 65536
            data = chance.randbytes(n_bytes)
            at += 0 if at == PAGE + 64 else 64 * chance.randrange(512)
            producer.memory[at:at + len(data)] = data
        time.sleep(0.005)


def lying_indices(producer):
    honest(producer)
    for head in (2 ** 64 - 1, 2 ** 63, 0, SLOTS * 5 + 3, 1, 2 ** 32):
        producer.put(HEAD_AT, "<Q", head)
        time.sleep(0.03)


def name_flood(producer):
    lane = producer.lane("flood")
    for i in range(1_000_000):
        # The same entries again and again: a million names, of which the ring holds the newest.
        entry = 2 + i % (NAMES - 2)
        if entry * 16 >= 16 * NAMES or producer.n_text + 8 > TEXT_BYTES:
            producer.n_text = 64
        data = b"n%07d" % i
        producer.memory[TEXT_AT + producer.n_text:TEXT_AT + producer.n_text + 8] = data
        producer.put(NAMES_AT + 16 * entry, "<IIII", 1, 0, producer.n_text, 8)
        producer.n_text += 8
        if i % 20 == 0:
            producer.span(lane, entry, now_ns() - 1000, now_ns())
    producer.await_taken()


def odd_times(producer):
    honest(producer)
    lane, name = producer.lane("odd times"), producer.name("odd")
    for start_ns, end_ns in ((now_ns(), now_ns() + 10 ** 12), (2 ** 64 - 2, 2 ** 64 - 1), (0, 1),
                             (now_ns(), now_ns() - 10 ** 9), (0, 2 ** 64 - 1)):
        producer.span(lane, name, start_ns, end_ns, (2 ** 64 - 1, 2 ** 32 - 1, 2 ** 32 - 1))
    producer.await_taken()


def odd_numbers(producer):
    honest(producer)
    for lane, name, n_details in ((2 ** 32 - 1, 1, 0), (1, 2 ** 32 - 1, 0), (0, 0, 0), (1, 1, 65535)):
        producer.details(lane, name, n_details)
    producer.name("inside of itself", producer.n_names + 1)
    producer.span(1, producer.n_names, now_ns() - 1000, now_ns())
    producer.put(NAMES_AT + 16 * (producer.n_names + 1), "<IIII", 1, 0, 2 ** 32 - 4, 2 ** 32 - 1)
    producer.span(1, producer.n_names + 1, now_ns() - 1000, now_ns())
    time.sleep(0.1)


def endless_names(producer):
    """Each inside of the one before it, and the outermost of them is not there."""
    honest(producer)
    lane, first = 1, 500
    for entry in range(first, first + 65000):
        producer.put(NAMES_AT + 16 * entry, "<IIII", 1, entry - 1, 64, 8)
    for i in range(20000):
        producer.span(lane, first + 64999 - i % 30000, now_ns() - 1000, now_ns())
    producer.await_taken()


def half_written(producer):
    """A slot that is reserved and never published; what comes behind it is."""
    honest(producer)
    producer.put(HEAD_AT, "<Q", producer.head + 1)
    honest(producer)
    time.sleep(1.5)


def punched(producer):
    """The memory is taken away, as far as the kernel allows that with these seals."""
    honest(producer)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate(producer.fd, 3, ctypes.c_long(0), ctypes.c_long(TOTAL))
    try:
        os.ftruncate(producer.fd, 0)
    except OSError:
        pass
    time.sleep(0.1)


BEHAVIOURS = (honest, random_bytes, lying_indices, name_flood, odd_times, odd_numbers,
              endless_names, half_written, punched)

if __name__ == "__main__":
    producer = Producer()
    assert "result" in producer.hello()
    assert producer.await_recording()
    {b.__name__: b for b in BEHAVIOURS}[sys.argv[1]](producer)
