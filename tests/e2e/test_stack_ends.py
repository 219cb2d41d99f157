# SPDX-License-Identifier: MIT
"""Stacks of programs that people run reach the start of their threads, and have no wrong frame.

As root they are walked inside the kernel where it can be done; STAX_KERNEL_WALK=0 and an ordinary
user get them from copied stack bytes.
"""

import json
import os
import subprocess
import tempfile

import pytest

import place
import subjects
from private_server import Account, PrivateServer
from whole_stacks import COMPLETE_PCT, COPIED_LEAST_PCT, check_complete

SECONDS = 2
LEAST_PCT = {"chromium": 98.0, "chromium's renderer": 98.0}
JIT_LEAST_PCT = 95.0
# There is only so much that can be copied 900 times a second.
COPIED_LEAST_PCT_OF_DEEP = 90.0
# A look at a sleeper tells no frame pointer, and nearly all of its code is left by nothing else.
COPIED_LEAST_PCT_OF_CHROMIUM = 80.0
DEEP = ("gcc", "clang")
COPIED_AS_ROOT = ("python3", "sqlite3", "node --perf-prof", "redis")

PEER = place.BUILD / "tests" / "peers" / "stopped_stacks"
PEER_MOMENTS = 150


@pytest.fixture(params=["kernel", "copies", "other_user"])
def way(request):
    """Who walks, and a server that has it so."""
    if request.param == "other_user":
        yield request.param, request.getfixturevalue("other")
        return
    reason = place.why_no_events(os.geteuid() == 0)
    if reason:
        pytest.skip(reason)
    env = {"STAX_KERNEL_WALK": "0"} if request.param == "copies" else {}
    with tempfile.TemporaryDirectory(prefix="stax-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PrivateServer(folder, Account(), env=env)
        yield request.param, server
        server.end_all()


def least_pct(name, way):
    if name.startswith(("node", "java")):
        return JIT_LEAST_PCT
    if way == "kernel":
        return LEAST_PCT.get(name, COMPLETE_PCT)
    if name.startswith("chromium"):
        return COPIED_LEAST_PCT_OF_CHROMIUM
    return COPIED_LEAST_PCT_OF_DEEP if name in DEEP else COPIED_LEAST_PCT


def need_kernel_walk(stax, way):
    if way == "kernel" and "walked there" not in stax.json("diagnose")["backend"]:
        pytest.skip("this host takes no program that walks inside the kernel")


def skip_what_is_enough(name, way):
    if way == "copies" and name not in COPIED_AS_ROOT:
        pytest.skip("the ordinary user's case has it")


@pytest.mark.parametrize("name", list(subjects.COMMANDS))
def test_launched(way, name, report):
    way, stax = way
    skip_what_is_enough(name, way)
    try:
        command = subjects.launched(name, stax, SECONDS)
    except subjects.Missing as missing:
        pytest.skip(str(missing))
    stax.ok("record", "-q", "--", *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    need_kernel_walk(stax, way)
    check_complete(stax, report, f"{name}, {way}", least_pct(name, way),
                   may_lose=way != "kernel")


@pytest.mark.parametrize("name", list(subjects.ATTACHED))
def test_attached(way, name, report):
    way, stax = way
    skip_what_is_enough(name, way)
    try:
        with subjects.running(name, stax, SECONDS) as pid:
            stax.ok("record", "-q", "-p", pid, "--time-limit", f"{SECONDS}s")
            need_kernel_walk(stax, way)
            check_complete(stax, report, f"{name}, {way}", least_pct(name, way),
                           may_lose=way != "kernel",
                           may_lose_pct=5 if name.startswith("chromium") else 0)
    except subjects.Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("name, stack_bytes", [
    ("python3", 65528), ("python3", 1024), ("sqlite3", 65528), ("xz", 65528), ("gcc", 65528),
    ("clang", 65528), ("redis", 65528), ("postgres", 65528), ("node", 65528)])
def test_against_an_independent_unwinder(bare, report, name, stack_bytes):
    if not PEER.exists():
        pytest.skip("built without libdw")
    if os.geteuid() != 0:
        pytest.skip("stops processes that are not its children: root only")
    try:
        with subjects.running(name, bare, 30) as pid:
            result = subprocess.run([PEER, str(pid), str(PEER_MOMENTS), str(stack_bytes)],
                                    timeout=120, capture_output=True, text=True, check=True)
    except subjects.Missing as missing:
        pytest.skip(str(missing))
    tally = json.loads(result.stdout)
    report(f"{name}, {stack_bytes} bytes of stack, against libdwfl: {tally}")
    assert tally["compared"] == PEER_MOMENTS
    assert tally["wrong"] == 0, result.stderr
    if stack_bytes > 8192:  # behind the end of a small copy nothing is guessed
        assert tally["complete"] >= int(0.995 * tally["compared"]), result.stderr
