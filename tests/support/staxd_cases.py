# SPDX-License-Identifier: MIT
"""What the cases about staxd share: users, targets that do as they are told, and refusals."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import place
from broker import Broker, Refused, Ring, Staxd, as_account
from private_server import Account, wait_until

needs_root = [
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: cannot start staxd"),
    pytest.mark.skipif(place.event_paranoid() is None, reason="this kernel has no perf events"),
]

# Numbers that nobody here has.
ALICE = Account("alice", 60101, 60101)
BOB = Account("bob", 60102, 60102)
ROOT = Account("root", 0, 0)

# A busy program that does as it is told.
TARGET = """
import ctypes, os, select, sys, threading
libc = ctypes.CDLL(None)
def burn():
    while True:
        pass
def obey(word, args):
    if word == "exec":
        os.execv(args[0], args)
    elif word == "dumpable":
        libc.prctl(4, int(args[0]), 0, 0, 0)
    elif word == "fork":
        pid = os.fork()
        if pid == 0:
            for _ in range(2000000): pass
            os.execv(args[0], args)
        return pid
    elif word == "thread":
        thread = threading.Thread(target=burn, daemon=True)
        thread.start()
        return thread.native_id
    elif word == "become":
        os.setgroups([]); os.setresgid(*[int(args[0])] * 3); os.setresuid(*[int(args[0])] * 3)
    elif word == "exit":
        os._exit(0)
print("ready", flush=True)
while True:
    if select.select([0], [], [], 0)[0]:
        words = sys.stdin.readline().split()
        print("done", obey(words[0], words[1:]), flush=True)
    for _ in range(10000):
        pass
"""


@pytest.fixture(scope="module")
def folder():
    path = tempfile.mkdtemp(prefix="staxd-")
    os.chmod(path, 0o755)
    yield Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def daemon(folder):
    staxd = Staxd(folder)
    yield staxd
    staxd.end()


@pytest.fixture
def staxd(daemon):
    """One for all cases; whatever a case does, it serves afterwards."""
    yield daemon
    assert wait_until(daemon.is_well, what="staxd serving")


class Target:
    def __init__(self, account, *command):
        self.process = subprocess.Popen(
            [*command] or [place.find("python3"), "-c", TARGET], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1, env={"PATH": "/usr/bin:/bin"}, cwd="/",
            user=account.uid, group=account.gid, extra_groups=[])
        self.pid = self.process.pid
        if not command:
            assert self.process.stdout.readline() == "ready\n"

    def tell(self, *words, answers=True):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        if answers:
            answer = self.process.stdout.readline().split()
            assert answer[:1] == ["done"]
            return None if answer[1] == "None" else int(answer[1])

    def cpu_ticks(self):
        return int(Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[11])

    def runs_as(self):
        return [int(word) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines()
                if line.startswith("Uid:") for word in line.split()[1:]]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def start():
    targets = []

    def start_one(account=ALICE, *command):
        targets.append(Target(account, *command))
        return targets[-1]

    yield start_one
    for target in targets:
        target.end()


@pytest.fixture
def alices(start):
    return start(ALICE)


@pytest.fixture
def bobs(start):
    return start(BOB)


def install(folder, name, source, mode=0o755, owner=0):
    path = folder / name
    if not path.exists():
        shutil.copy(source, path)
        os.chown(path, owner, owner)
        os.chmod(path, mode)
    return str(path)


@pytest.fixture
def setuid_spin(folder):
    """A program that burns time as root, whoever starts it."""
    return install(folder, "setuid_spin", place.PROGRAMS / "spin", 0o4755)


def refused(staxd, reason, action, account=ALICE):
    """The action is refused for that reason, and the log says so."""
    n_before = len(staxd.refusals())
    with pytest.raises(Refused) as caught:
        as_account(account, action)
    assert caught.value.reason == reason
    assert reason in wait_until(lambda: staxd.refusals()[n_before:], what="a line of the log")


def session(staxd, pid):
    return lambda: Broker(staxd.socket).session(pid) and None


def rings_of(staxd, target, **options):
    """Descriptors of the target's samples on each CPU, mapped."""
    connection = Broker(staxd.socket).session(target.pid)
    return connection, [Ring(connection.event(target.pid, cpu, **options))
                        for cpu in range(os.cpu_count())]


def samples_of(rings):
    return [sample for ring in rings for sample in ring.samples()]


def await_samples(rings):
    wait_until(lambda: samples_of(rings), what="samples")
