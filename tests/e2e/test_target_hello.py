# SPDX-License-Identifier: MIT
"""Programs that hand over a ring: who is taken, who is not, and when its gate is open."""

import json
import os
import socket
import subprocess
import sys

import pytest

import ring_producer
from private_server import wait_until


class Producer:
    """ring_producer.py, as a process."""

    def __init__(self, stax):
        self.process = subprocess.Popen(
            [sys.executable, ring_producer.__file__, str(stax.socket)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, **stax.account.popen_options())
        self.answer = json.loads(self.process.stdout.readline())
        self.pid = self.process.pid

    def report(self, n):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    @property
    def active(self):
        return self.report(0)["active"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def producer(stax):
    made = Producer(stax)
    yield made
    made.end()


def said(server, fds, **params):
    """The code of the answer to a hello, and whether the connection is of use afterwards."""
    with server.client() as client:
        ring_producer.hello(client.socket, fds, **params)
        answer = client.receive()
        assert client.call("server.info")["pid"] == server.process.pid
    for fd in fds:
        os.close(fd)
    return answer["error"]["data"]["code"] if "error" in answer else answer["result"]["version"]


def test_hello(idle):
    n_fds = idle.n_fds()
    memory = ring_producer.make_memory
    assert said(idle, [memory()]) == 1
    assert said(idle, [memory()], version=1, library="7.7") == 1
    assert said(idle, [memory()], version=3, oldest_version=1) == 1
    assert said(idle, [memory()], version=2) == "not_supported"
    assert said(idle, [memory()], version=-1) == "invalid_params"
    assert said(idle, [memory()], oldest_version=1) == "invalid_params"
    assert said(idle, []) == "invalid_params"
    assert said(idle, [os.open("/dev/zero", os.O_RDWR)]) == "invalid_params"
    assert said(idle, [memory(seals=3)]) == "invalid_params"
    assert said(idle, [memory(total=ring_producer.TOTAL + 4096)]) == "invalid_params"
    assert said(idle, [memory(words=ring_producer.state(version=2))]) == "invalid_params"
    assert said(idle, [memory(words=ring_producer.state(magic=b"STAXTR2\0"))]) == "invalid_params"
    assert said(idle, [memory(words=bytes(64))]) == "invalid_params"
    wait_until(lambda: idle.n_fds() <= n_fds, what="closed descriptors")


def test_hello_is_said_once(idle):
    with idle.client() as client:
        for expected in ("result", "error"):
            fd = ring_producer.make_memory()
            ring_producer.hello(client.socket, [fd])
            os.close(fd)
            assert expected in client.receive()


def test_descriptors_for_nobody(idle):
    """Whoever sends them with anything else has them closed, and is served as ever."""
    n_fds = idle.n_fds()
    with idle.client() as client, open("/dev/null", "rb") as null:
        request = json.dumps({"jsonrpc": "2.0", "id": 5, "method": "run.list"}).encode() + b"\n"
        for _ in range(50):
            ring_producer.send_with_fds(client.socket, request, [null.fileno()] * 60)
            assert client.receive()["result"] == {"runs": []}
        assert idle.n_fds() <= n_fds + 3
        ring_producer.send_with_fds(client.socket, request[:9], [null.fileno()] * 60)
    wait_until(lambda: idle.n_fds() <= n_fds, what="closed descriptors")
    assert idle.is_healthy()


def test_too_many_programs(idle):
    """There is room left for those who ask."""
    clients, answers = [], []
    for _ in range(200):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(idle.socket))
        fd = ring_producer.make_memory()
        ring_producer.hello(client, [fd])
        os.close(fd)
        answers.append(json.loads(client.makefile().readline()))
        clients.append(client)
    codes = [a["error"]["data"]["code"] for a in answers if "error" in a]
    assert len(answers) - len(codes) == 192 and set(codes) == {"limit"}
    with idle.client() as client:
        assert client.call("run.list") == {"runs": []}
    for client in clients:
        client.close()


def start(stax, producer):
    with stax.client() as client:
        client.call("run.start", pid=producer.pid)


def test_gate_and_spans(stax, producer):
    """The gate is open exactly while the process is recorded; what is reported then comes."""
    assert producer.answer["result"] == {"version": 1}
    before = producer.report(100)
    assert not before["active"] and before["tail"] == 0 and before["head"] == 100
    start(stax, producer)
    wait_until(lambda: producer.active, what="the open gate")
    producer.report(500)
    wait_until(lambda: producer.report(0)["tail"] == 600, what="spans taken")
    stax.ok("stop")
    wait_until(lambda: not producer.active, what="the closed gate")
    producer.report(50)
    run = stax.json("list")["runs"][-1]
    assert run["spans"] == 500, run
    counters = {c["name"]: c["value"] for c in stax.json("diagnose")["counters"]
                if c["room"] == "target"}
    assert counters["spans_received"] == 500 and counters["programs_connected"] == 1


def test_a_child_that_is_not_recorded(stax):
    """The target is the shell: what to do is said where the spans are missed."""
    script = f"'{sys.executable}' '{ring_producer.__file__}' '{stax.socket}' </dev/null; true"
    stax.ok("record", "-q", "--", "sh", "-c", script)
    said = "1 program that reports spans is a child of the target and not recorded"
    diagnosis = stax.json("diagnose")
    assert any(said in hint for hint in diagnosis["hints"])
    for view in ("lanes", "top"):
        assert said in json.dumps(stax.json("target", view))
    stax.ok("record", "-q", "--children", "--", "sh", "-c", script)
    assert said not in json.dumps(stax.json("diagnose"))


def test_next_run(stax, producer):
    """What was reported between two runs is in none."""
    for n in (30, 40):
        start(stax, producer)
        wait_until(lambda: producer.active, what="the open gate")
        producer.report(n)
        stax.ok("stop")
        wait_until(lambda: not producer.active, what="the closed gate")
        producer.report(5)
        assert stax.json("list")["runs"][-1]["spans"] == n


def test_last_words(stax, producer):
    """What a program reports right before it ends is not lost."""
    start(stax, producer)
    wait_until(lambda: producer.active, what="the open gate")
    producer.process.stdin.write("700\n")
    producer.process.stdin.close()
    producer.process.wait(20)
    wait_until(lambda: stax.json("list")["runs"][-1]["state"] == "stopped", what="the run's end")
    assert stax.json("list")["runs"][-1]["spans"] == 700
