# SPDX-License-Identifier: MIT
"""What was saved answers as the run did, in a server that never saw it."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import place
import subjects
from private_server import Account, PrivateServer, wait_until

QUERIES = (
    ("top", "-n", 0), ("top", "-n", 0, "--sort", "total"), ("top", "-n", 0, "--sort", "off-cpu"),
    ("top", "-n", 0, "--group", "line"), ("top", "--from", "0.2", "--to", "0.7"),
    ("flame",), ("flame", "--mode", "off-cpu"), ("flame", "--mode", "wall"), ("flame", "--invert"),
    ("threads", "-n", 0), ("threads", "--from", "0.1"),
    ("off-cpu", "-n", 0), ("off-cpu", "-n", 0, "--by", "thread"),
    ("intervals", "-n", 0), ("intervals", "-n", 50, "--latest"),
    ("wakers", "-n", 0), ("timeline",), ("why",), ("counters",),
)
RUN_MEMBERS = ("id", "state", "memory_bytes")


def without_run(answer):
    """The number of the run and its state are another run's."""
    for member in RUN_MEMBERS:
        answer.get("run", {}).pop(member, None)
    return answer


def ask(stax, *query):
    return without_run(stax.json(*query))


def hottest(stax, count):
    rows = stax.json("top", "-n", count)["rows"]
    return [row["name"] for row in rows] + [row["address"] for row in rows if row.get("address")]


def all_answers(stax, functions, queries=QUERIES):
    answers = {query: ask(stax, *query) for query in queries}
    for function in functions:
        answers["annotate", function] = ask(stax, "annotate", function)
        answers["neighbors", function] = ask(stax, "neighbors", function)
    return answers


def assert_same(expected, answers, what):
    for query, answer in answers.items():
        assert answer == expected[query], f"{what}: {query}"


@pytest.fixture
def another():
    """A server that has recorded nothing."""
    with tempfile.TemporaryDirectory(prefix="stax-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PrivateServer(folder, Account())
        yield server
        server.end_all()


@pytest.fixture
def elsewhere(stax):
    """The same on a machine that has no program, no library, no debug file and no source."""
    with tempfile.TemporaryDirectory(prefix="stax-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PrivateServer(folder, Account(), has_mounts=os.geteuid() == 0)
        if os.geteuid() == 0:
            # Last what mount is in; the server has all of its own in memory.
            server.mount_empty(stax.folder, place.SOURCE / "tests", place.PROGRAMS, "/usr")
        yield server
        server.end_all()


def record(stax, command):
    stax.ok("record", "-q", "--", *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def own_program(stax):
    """A program that can be taken away, with debug information and source."""
    folder = stax.folder / "own"
    folder.mkdir()
    source = folder / "own.c"
    source.write_text("""
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
static inline __attribute__((always_inline)) uint64_t mix(uint64_t x) { x ^= x >> 31; return x * 7; }
__attribute__((noinline)) uint64_t churn(uint64_t n)
{
    volatile uint64_t sum = 1;
    for (uint64_t i = 0; i < n; i++) {
        sum += mix(sum + i);
    }
    return sum;
}
int main(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < 60; i++) {
        sum += churn(4000000);
        usleep(2000);
    }
    return sum == 42;
}
""")
    program = folder / "own"
    subprocess.run(["gcc", "-O2", "-g", "-o", program, source], check=True)
    return folder, program


def test_own_program_gone(stax, another):
    folder, program = own_program(stax)
    record(stax, [program])
    functions = hottest(stax, 4)
    expected = all_answers(stax, functions)
    assert any(line["source"] for line in expected["annotate", "churn"]["lines"] if "source" in line)
    stax.ok("save", stax.folder / "own.stax")
    stax.ok("save", stax.folder / "directory")
    shutil.rmtree(folder)
    for path in (stax.folder / "own.stax", stax.folder / "directory"):
        another.ok("open", path)
        assert_same(expected, all_answers(another, functions), path.name)
    assert another.json("list")["runs"][-1]["state"] == "opened"


def launched(name):
    return lambda stax: record(stax, subjects.launched(name, stax, 1))


def attached(name):
    def run(stax):
        with subjects.running(name, stax, 2) as pid:
            stax.ok("record", "-q", "-p", pid, "--time-limit", "1500ms")
    return run


def program(*arguments, options=()):
    return lambda stax: stax.record(*options, "--", stax.program(arguments[0]), *arguments[1:])


RECORDINGS = {
    "python3": launched("python3"),
    "node": launched("node --perf-prof"),
    "sqlite3": launched("sqlite3"),
    "postgres": attached("postgres"),
    "waits": program("waits", "--seconds", 1),
    "jit, whose code is replaced": program("jit", "--seconds", 2, "--dump", "--reuse"),
    "without off-CPU": program("shares", "--seconds", 1, options=("--no-off-cpu",)),
    "with a ring": program("waits", "--seconds", 1, options=("--ring", "20s")),
    "in little memory": program("pingpong", "--seconds", 2, options=("--max-memory", "24M")),
}


@pytest.mark.parametrize("name", list(RECORDINGS))
def test_saved_and_opened(stax, elsewhere, name):
    try:
        RECORDINGS[name](stax)
    except subjects.Missing as missing:
        pytest.skip(str(missing))
    path = stax.folder / "run.stax"
    stax.ok("save", path)  # waits for all names and lines; a first answer does not
    functions = hottest(stax, 4)
    queries = [query for query in QUERIES if stax(*query, "--json").returncode == 0]
    assert len(queries) > 8
    expected = all_answers(stax, functions, queries)
    expected[("diagnose",)] = ask(stax, "diagnose")  # it also counts what was asked
    queries.append(("diagnose",))
    stax.ok("save", path)
    run = stax.last_run()
    path = shutil.copy(path, elsewhere.folder)
    elsewhere.ok("open", path)
    assert_same(expected, all_answers(elsewhere, functions, queries), "opened")
    assert without_run({"run": elsewhere.last_run()}) == without_run({"run": run})
    # What was opened can be saved, and is the same again.
    again = elsewhere.folder / "again"
    elsewhere.ok("save", again)
    elsewhere.ok("open", again)
    assert_same(expected, all_answers(elsewhere, functions, queries), "opened twice")


def test_saved_while_recording(stax, another):
    with subjects.running("python3", stax, 20) as pid:
        recorder = stax.start("record", "-q", "-p", str(pid))
        stax.await_samples(300)
        path = stax.folder / "live.stax"
        stax.ok("save", path)
        stax("stop")
        recorder.wait(timeout=30)
    another.ok("open", path)
    run = another.json("list")["runs"][-1]
    assert run["samples"] >= 300
    assert run["stop_reason"] == "saved while it was being recorded"
    top = another.json("top")
    assert top["totals"]["samples"] == run["samples"]


def test_record_save(stax, another):
    stax.ok("record", "-q", "--save", stax.folder / "%n-%p.stax", "--", "sh", "-c",
            "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
    files = list(Path(stax.folder).glob("sh-*.stax"))
    assert len(files) == 1
    another.ok("open", files[0])
    listing = subprocess.run(["sqlite3", files[0], "-A", "-t"], capture_output=True, text=True,
                             check=True).stdout
    assert "manifest.json" in listing
    threads = subprocess.run(["sqlite3", files[0], "select sum(samples) from threads"],
                             capture_output=True, text=True, check=True).stdout
    assert int(threads) == another.json("top")["totals"]["samples"]
    missing = stax("record", "-q", "--save", stax.folder / "none" / "x.stax", "--", "true")
    assert missing.returncode == 125 and "error:" in missing.stderr


def test_refusals(stax, another):
    path = stax.folder / "nothing.stax"
    path.write_bytes(b"this is no archive")
    result = another("open", path)
    assert result.returncode == 1 and "error:" in result.stderr
    assert another("open", stax.folder / "absent.stax").returncode == 1
    result = another("save", stax.folder / "x.stax")
    assert result.returncode == 1 and "stax record" in result.stderr
    assert another.json("list")["runs"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: cannot mount")
def test_read_only_file_system():
    with tempfile.TemporaryDirectory(prefix="stax-") as folder:
        os.chmod(folder, 0o755)
        server = PrivateServer(folder, Account(), has_mounts=True)
        try:
            record(server, ["sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"])
            place_of_it = server.folder / "read-only"
            place_of_it.mkdir()
            server.mount_empty(place_of_it, options="ro")
            for path in (place_of_it / "x.stax", place_of_it / "x"):
                refused = server("save", path)
                assert refused.returncode == 1, refused
                assert "read-only" in refused.stderr and "save elsewhere" in refused.stderr
            assert server.is_healthy()
        finally:
            server.end_all()


def test_damaged(stax, another):
    """Whatever is cut off or changed: a clear error, or the rest with the damage named."""
    record(stax, ["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
    path = stax.folder / "whole.stax"
    stax.ok("save", path)
    whole = path.read_bytes()
    damaged = stax.folder / "damaged.stax"
    n_opened = n_told = 0
    for step in range(1, 40):
        at = len(whole) * step // 40
        for bytes_now in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:]):
            damaged.write_bytes(bytes_now)
            done = another("open", damaged)
            assert done.returncode in (0, 1), done
            if done.returncode == 1:
                assert done.stderr.startswith("error: "), done
            else:
                n_opened += 1
                n_told += "damaged" in done.stderr
                another.ok("top", "--json")
                another.ok("flame", "--json")
                another.ok("threads", "--json")
    assert n_opened > 0 and n_told > 0, (n_opened, n_told)
    another.ok("open", path)


def test_server_killed_while_saving(stax):
    """What stood there stands there, or the new one, whole."""
    record(stax, ["sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"])
    path = stax.folder / "run.stax"
    stax.ok("save", path)
    before = path.read_bytes()
    saver = stax.start("save", path)
    stax.process.kill()
    saver.wait(timeout=20)
    stax.process.wait(timeout=20)
    with tempfile.TemporaryDirectory(prefix="stax-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        fresh = PrivateServer(folder, Account())
        fresh.ok("open", path)
        fresh.end_all()
    assert path.stat().st_size >= len(before) // 2


def test_host_is_that_of_the_recording(stax, another):
    """Who opens an archive and saves it again is not where it was recorded."""
    record(stax, ["true"])
    path, again = stax.folder / "first", stax.folder / "again"
    stax.ok("save", path)
    manifest = json.loads((path / "manifest.json").read_text())
    run = json.loads((path / "run.json").read_text())
    assert run["host"] == manifest["host"] and run["host"]["os"] == os.uname().sysname
    run["host"]["kernel"] = "5.4.0-elsewhere"
    (path / "run.json").write_text(json.dumps(run))
    for member in manifest["members"]:
        del member["crc32"]
        member["bytes"] = (path / member["name"]).stat().st_size
    (path / "manifest.json").write_text(json.dumps(manifest))
    another.ok("open", path)
    another.ok("save", again)
    host = json.loads((again / "manifest.json").read_text())["host"]
    assert host == run["host"]


def test_small_tables_outlive_a_cut(stax, another):
    """What is cut off at the end are records: names and sums are all there."""
    stax.record("--", stax.program("pingpong"), "--seconds", 2)
    path, cut = stax.folder / "whole.stax", stax.folder / "cut.stax"
    stax.ok("save", path)
    another.ok("open", path)
    threads = ask(another, "threads")["rows"]
    whole = path.read_bytes()
    for share in (95, 85):
        cut.write_bytes(whole[:len(whole) * share // 100])
        done = another("open", cut)
        assert done.returncode == 0 and "lost" in done.stderr, done
        assert ask(another, "threads")["rows"] == threads


def test_a_run_that_is_always_the_same(elsewhere):
    """It takes next to nothing in a file, and is no bomb for that."""
    with tempfile.TemporaryDirectory(prefix="stax-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        server = PrivateServer(folder, Account(), options=["--allow-replay"])
        try:
            n_samples = 7_000_000
            with server.client(timeout_s=120) as client:
                client.call("run.start", replay=f"samples={n_samples},threads=1,stacks=1,depth=4,"
                                                "block=1")
            wait_until(lambda: server.last_run()["state"] == "stopped", 60, "the end of the replay")
            path = elsewhere.folder / "same.stax"
            server.ok("save", path)
            assert path.stat().st_size < n_samples / 10
            opened = elsewhere.ok("open", path)
            assert "damaged" not in opened.stderr, opened
            assert elsewhere.json("top")["totals"]["samples"] == n_samples
            expected, answer = (ask(stax, "top", "--from", "1") for stax in (server, elsewhere))
            assert answer == expected
        finally:
            server.end_all()
