# SPDX-License-Identifier: MIT
"""Programs that people run: by launch and by --pid, as root and as an ordinary user."""

import json
import os
import signal
import subprocess

import pytest

import place
from private_server import wait_until

PYTHON_WORK = ("def collatz(n):\n    steps = 0\n    while n != 1:\n"
               "        n = n // 2 if n %% 2 == 0 else 3 * n + 1\n        steps += 1\n"
               "    return steps\nprint(max(collatz(i) for i in range(1, %d)))\n")
SQL_WORK = ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < %d) "
            "SELECT count(DISTINCT x %% 1000), sum(length(hex(x * 7919))) FROM n;")
NODE_WORK = ("let n = 0; const end = Date.now() + %d; while (Date.now() < end) { n += "
             "JSON.stringify(JSON.parse(JSON.stringify([...Array(200).keys()]))).length; } "
             "console.log(n > 0);")


def c_source(n_functions):
    lines = ["double sin(double);", "double sqrt(double);", "int printf(const char *, ...);"]
    for i in range(n_functions):
        lines.append(f"double f{i}(double x, int n) {{ double s = {i}; for (int i = 0; i < n; i++) "
                     f"{{ s += sin(x * i + {i}) / (i + 1); if (s > 1e6) {{ s = sqrt(s) - x; }} "
                     f"switch (i % 7) {{ case 0: s *= 1.5; break; case 3: s -= {i}; break; "
                     f"default: s += x; }} }} printf(\"%f\", s); return s; }}")
    return "\n".join(lines) + "\nint main(void) { return (int)f1(1, 2); }\n"


def need(name):
    path = place.find(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


class Program:
    """What to run, what is expected in its profile; some CPU seconds of it."""

    def __init__(self, stax, name):
        self.functions, self.images, self.children = (), (), False
        folder = stax.folder
        if name == "python3":
            self.command = [need("python3"), "-c", PYTHON_WORK % 100000]
            self.images = ("python3",)
            self.functions = ("_PyEval_EvalFrameDefault",)
        elif name == "sqlite3":
            self.command = [need("sqlite3"), ":memory:", SQL_WORK % 2500000]
            self.images = ("libsqlite3.so", "sqlite3")
        elif name == "xz":
            data = folder / "data"
            data.write_bytes(b"".join(b"%d line of text %d\n" % (i, i * i) for i in range(80000)))
            os.chmod(data, 0o644)
            self.command = [need("xz"), "-9", "-k", "-c", "-T1", data]
            self.images = ("liblzma.so",)
        elif name == "gcc":
            source = folder / "big.c"
            source.write_text(c_source(300))
            os.chmod(source, 0o644)
            cc1 = subprocess.run([need("gcc"), "-print-prog-name=cc1"], capture_output=True,
                                 text=True, check=True).stdout.strip()
            self.command = [cc1, "-quiet", "-O2", source, "-o", folder / "big.s"]
            self.images = ("cc1",)
        elif name == "node":
            self.command = [need("node"), "-e", NODE_WORK % 1500]
            self.images = ("node",)


NAMES = ("python3", "sqlite3", "xz", "gcc", "node")


def check_profile(stax, program, run):
    assert run["state"] == "stopped" and run["lost"] == 0, run
    top = stax.json("top", "-n", 0)
    assert top["totals"]["samples"] == run["samples"] > 100
    mine = sum(r["self_active_ns"] for r in top["rows"]
               if r["image"] and r["image"].startswith(program.images))
    assert mine > 0.3 * top["totals"]["active_ns"], [(r["name"], r["image"], r["self_pct"])
                                                     for r in top["rows"][:10]]
    names = {r["name"] for r in top["rows"]}
    assert set(program.functions) <= names
    flame = stax.json("flame", "-d", 0)
    assert flame["root"]["active_ns"] == top["totals"]["active_ns"] and flame["root"]["children"]
    assert stax.ok("top").stdout and stax.ok("flame").stdout and stax.ok("threads").stdout


@pytest.mark.parametrize("name", NAMES)
def test_launch(anybody, name, report):
    stax = anybody
    program = Program(stax, name)
    alone = stax.run(*program.command, text=False)
    assert alone.returncode == 0, alone
    under = stax.run(stax.bin / "stax", "record", "-q", "--", *program.command, text=False)
    assert (under.returncode, under.stdout, under.stderr) == (0, alone.stdout, alone.stderr)
    check_profile(stax, program, stax.last_run())
    run = stax.last_run()
    report(f"{name} ({stax.account}): {run['samples']} samples, {run['intervals']} intervals, "
           f"{run['threads']} threads, {run['lost']} lost")


@pytest.mark.parametrize("name", NAMES)
def test_attach(anybody, name):
    """A shell holds the program back until the recording of its process runs."""
    stax = anybody
    program = Program(stax, name)
    alone = stax.run(*program.command, text=False)
    target = stax.popen("sh", "-c", 'read go; exec "$@"', "sh", *program.command, text=False,
                        stdin=subprocess.PIPE)
    record = stax.start("record", "-q", "--pid", target.pid)
    stax.target_pid()
    out, err = target.communicate(b"go\n", timeout=60)
    assert record.wait(timeout=20) == 0
    assert (target.returncode, out, err) == (0, alone.stdout, alone.stderr)
    check_profile(stax, program, stax.last_run())


def test_gcc_driver_is_recorded_without_its_children(stax):
    source = stax.folder / "big.c"
    source.write_text(c_source(40))
    stax.record("--", need("gcc"), "-O2", "-c", source, "-o", stax.folder / "big.o")
    assert (stax.folder / "big.o").stat().st_size > 10000
    rows = stax.json("top", "-n", 0)["rows"]
    assert "cc1" not in {r["image"] for r in rows}


def redis_command(stax):
    return [need("redis-server"), "--port", "0", "--unixsocket", stax.folder / "redis.sock",
            "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", stax.folder]


def redis_load(stax):
    benchmark = need("redis-benchmark")
    wait_until((stax.folder / "redis.sock").exists, what="redis' socket")
    done = stax.run(benchmark, "-s", stax.folder / "redis.sock", "-n", 120000, "-c", 20, "-q",
                    "-t", "set,get,lpush")
    assert done.returncode == 0 and "requests per second" in done.stdout


def check_redis(stax, report):
    run, top = stax.last_run(), stax.json("top", "-n", 0)
    assert run["lost"] == 0 and run["samples"] > 100
    assert any(r["image"].startswith(("redis-server", "redis-check")) for r in top["rows"])
    threads = stax.json("threads", "-n", 0)["rows"]
    assert len(threads) >= 4 and max(r["cpu_ns"] for r in threads) > 0.2e9
    report(f"redis-server ({stax.account}): {run['samples']} samples, {run['intervals']} "
           f"intervals, {run['lost']} lost")


def test_redis_launched(anybody, report):
    stax = anybody
    record = stax.start("record", "-q", "--", *redis_command(stax), stdout=subprocess.DEVNULL)
    pid = stax.target_pid()
    redis_load(stax)
    os.kill(pid, signal.SIGTERM)
    assert record.wait(timeout=30) == 0, "redis ends with status 0 on SIGTERM"
    check_redis(stax, report)


def test_redis_attached(anybody, report):
    stax = anybody
    redis = stax.popen(*redis_command(stax), stdout=subprocess.DEVNULL)
    wait_until((stax.folder / "redis.sock").exists, what="redis' socket")
    record = stax.start("record", "-q", "--pid", redis.pid)
    stax.target_pid()
    redis_load(stax)
    stax.ok("stop")
    assert record.wait(timeout=20) == 0
    check_redis(stax, report)
    redis.send_signal(signal.SIGTERM)
    assert redis.wait(timeout=20) == 0, "unharmed: it ends as it always does"
