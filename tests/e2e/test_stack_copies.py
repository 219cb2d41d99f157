# SPDX-License-Identifier: MIT
"""Samples that carry registers and stack: nothing is lost, and the size is what was asked for."""

import os
import subprocess

import pytest

import place
from fixtures import _ended, _folder, _need_events
from private_server import Account, PrivateServer, wait_until

PYTHON_WORK = """
import json, time
end = time.process_time() + 2
def deep(n):
    return deep(n - 1) if n else json.loads(json.dumps(list(range(2000))))
while time.process_time() < end:
    deep(60)
"""


@pytest.fixture
def copying():
    """A server that copies stacks even where the kernel would walk them itself."""
    _need_events(Account())
    with _folder() as folder, \
            _ended(PrivateServer(folder, env={"STAX_KERNEL_WALK": "0"})) as server:
        yield server


@pytest.fixture(params=["self", "other_user"])
def copier(request):
    return request.getfixturevalue("copying" if request.param == "self" else "other")


def counters(stax, may_lose_pct=0):
    """Of a ring that is too small for what a person asks for, a little may overflow. It is told."""
    diagnosis = stax.json("diagnose")
    values = {counter["name"]: counter["value"] for counter in diagnosis["counters"]}
    lost = {each["cause"]: each["count"] for each in diagnosis["lost"]}
    assert lost.pop("ring full") <= may_lose_pct / 100 * values["samples_read"], diagnosis["lost"]
    assert not any(lost.values()), diagnosis["lost"]
    return values


def c_source():
    lines = []
    for i in range(250):
        lines.append(f"double f{i}(double x, int n) {{ double s = {i}; "
                     f"for (int i = 0; i < n; i++) {{ s += x * i / (i + {i + 1}); "
                     f"switch (i % 7) {{ case 0: s *= 1.5; break; case 3: s -= {i}; }} }} "
                     f"return s > 9 ? f{max(i - 1, 0)}(s, n - 1) : s; }}")
    return "\n".join(lines) + "\n"


def command_of(stax, name):
    if place.find(name) is None:
        pytest.skip(f"{name} is not installed")
    if name == "python3":
        return [place.find(name), "-c", PYTHON_WORK]
    source = stax.folder / "big.c"
    source.write_text(c_source())
    os.chmod(source, 0o644)
    return [place.find(name), "-O2", "-c", source, "-o", stax.folder / "big.o"]


def check(stax, wanted_bytes, report, what):
    run = stax.last_run()
    # An ordinary user's ring holds eight copies of 64 KiB.
    values = counters(stax, 10 if wanted_bytes > 32768 and not stax.account.is_root else 0)
    assert run["lost"] == values["records_lost"] and run["samples"] > 50
    assert values["records_undecodable"] == values["queue_lost"] == 0
    assert values["samples_with_copy"] > 0.9 * values["samples_read"] or wanted_bytes == 0
    if wanted_bytes:
        assert values["stack_bytes_now"] == wanted_bytes
        assert 0 < values["stack_bytes_copied"] <= values["samples_with_copy"] * wanted_bytes
        assert values["bytes_per_sample"] < wanted_bytes + 8 * 256
    report(f"{what} ({stax.account}): {values['bytes_per_sample']} bytes per sample, "
           f"{values['stack_bytes_copied'] // max(values['samples_with_copy'], 1)} of stack, ring "
           f"{100 * values['ring_fill_max_bytes'] // values['ring_bytes']} % full at most, drain "
           f"{values['drain_cpu_ns'] / 1e3 / values['samples_read']:.1f} us per sample")
    return values


@pytest.mark.parametrize("size", ["512", "8K", "64K"])
@pytest.mark.parametrize("name", ["python3", "clang"])
def test_fixed_size(copier, name, size, report):
    stax = copier
    stax.ok("record", "-q", "--stack-bytes", size, "--", *command_of(stax, name))
    check(stax, {"512": 512, "8K": 8192, "64K": 65528}[size], report, f"{name}, {size}")


@pytest.mark.parametrize("name", ["python3", "clang"])
def test_automatic_size(anybody, name, report):
    stax = anybody
    stax.ok("record", "-q", "--", *command_of(stax, name))
    run, values = stax.last_run(), counters(stax)
    assert run["lost"] == 0 and run["samples"] > 50
    assert values["records_lost"] == values["records_undecodable"] == values["queue_lost"] == 0
    report(f"{name}, automatic ({stax.account}): {values['bytes_per_sample']} bytes per sample, "
           f"{values['stack_bytes_now']} of stack at the end")


@pytest.mark.parametrize("size", ["0", "16K"])
def test_redis(copier, size, report):
    stax = copier
    redis, bench = place.find("redis-server"), place.find("redis-benchmark")
    if redis is None or bench is None:
        pytest.skip("redis is not installed")
    path = stax.folder / "redis.sock"
    server = stax.popen(redis, "--port", "0", "--unixsocket", path, "--save", "", "--dir",
                        stax.folder, stdout=subprocess.DEVNULL)
    wait_until(path.exists, what="redis")
    options = ["--stack-bytes", size] if size != "0" else []
    record = stax.start("record", "-q", *options, "--pid", server.pid)
    assert stax.target_pid() == server.pid
    stax.run(bench, "-s", path, "-q", "-n", "100000", "-t", "set,get,lpush", "-P", "16",
             timeout=120)
    server.terminate()
    assert record.wait(timeout=30) == 0
    check(stax, 16384 if size == "16K" else 0, report, f"redis, {size}")


@pytest.mark.parametrize("how", ["option", "environment"])
def test_no_unwinding_no_copies(copier, how):
    stax = copier
    options, env = [], dict(stax.env)
    if how == "option":
        options = ["--no-dwarf-unwind"]
    else:
        env["STAX_DWARF_UNWIND"] = "0"
    stax.ok("record", "-q", *options, "--", *command_of(stax, "python3"), env=env)
    values = counters(stax)
    assert values["samples_read"] > 50
    assert values["samples_with_copy"] == values["stack_bytes_copied"] == 0
    assert values["stack_bytes_now"] == 0


def test_both_cpus(copier, report):
    """The largest copies that are made without being asked for: an ordinary user's rings are small."""
    stax = copier
    size, n_bytes = ("64K", 65528) if stax.account.is_root else ("32K", 32768)
    work = ("import os, time\nos.fork()\nend = time.monotonic() + 3\n"
            "while time.monotonic() < end: pass\n")
    stax.ok("record", "-q", "--children", "--stack-bytes", size, "--", place.find("python3"), "-c",
            work)
    check(stax, n_bytes, report, f"two processes, {size}")


@pytest.mark.parametrize("size", ["0", "63", "65537", "1M", "-8", "many"])
def test_sizes_that_make_no_sense(bare, size):
    refused = bare("record", "--stack-bytes", size, "--", "true")
    assert refused.returncode == 2
    assert "--stack-bytes" in refused.stderr and "Try" in refused.stderr


def test_sizes_without_unwinding(bare):
    refused = bare("record", "--stack-bytes", "8K", "--no-dwarf-unwind", "--", "true")
    assert refused.returncode == 2 and "--no-dwarf-unwind" in refused.stderr


@pytest.mark.parametrize("size", [1, 63, 65537, 4000000000])
def test_sizes_that_a_request_may_not_have(idle, size):
    with idle.client() as client:
        with pytest.raises(Exception, match="stack_bytes"):
            client.call("run.start", pid=os.getpid(), stack_bytes=size)
