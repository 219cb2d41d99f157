# SPDX-License-Identifier: MIT
"""Targets that become another program, and targets that have children."""

import json
import subprocess

import pytest


def by_name(stax, *options):
    sums = {}
    for row in stax.json("top", "-n", 0, *options)["rows"]:
        sums[row["name"]] = sums.get(row["name"], 0) + row["self_active_ns"]
    return sums


def test_exec_twice(anybody):
    stax = anybody
    truth, run = stax.truth("execs", 400)
    sums = by_name(stax)
    for image in truth["images"]:
        assert sums[image["function"]] == pytest.approx(image["cpu_ns"], rel=0.25), sums
    assert run["lost"] == 0 and run["pid"] == truth["pid"]
    rows = {r["name"]: r["image"] for r in stax.json("top", "-n", 0)["rows"]}
    assert rows["work_in_first"] == "execs" and rows["work_in_third"] == "execs_third"


def test_exec_of_an_attached_shell(stax):
    """exec while attached: the same process, another program."""
    shell = stax.popen("sh", "-c", f"read go; exec {stax.program('execs')} 150",
                       stdin=subprocess.PIPE)
    record = stax.start("record", "-q", "--pid", shell.pid)
    stax.target_pid()
    out, _ = shell.communicate("go\n", timeout=30)
    assert record.wait(timeout=20) == 0
    assert json.loads(out)["pid"] == stax.last_run()["pid"] == shell.pid
    assert {"work_in_first", "work_in_second", "work_in_third"} <= set(by_name(stax))


def test_exec_from_another_thread(stax):
    """The exec'ing thread takes the process' id; all others end."""
    code = ("import threading,os\n"
            "def go():\n sum(i*i for i in range(2000000))\n"
            f" os.execv('{stax.program('spin')}', ['spin', '--seconds', '0.5'])\n"
            "t = threading.Thread(target=go); t.start(); t.join()\n")
    truth = json.loads(stax.record("--", "/usr/bin/python3", "-c", code))
    before_exec_ns = truth["cpu_ns"] - by_name(stax)["spin_here"]
    assert 0 < before_exec_ns < 0.5 * truth["cpu_ns"]


def test_children_are_not_recorded(anybody):
    stax = anybody
    truth, run = stax.truth("forker", 4, 150)
    sums = by_name(stax)
    assert truth["children"] == 4 and "child_only" not in sums
    assert sums["parent_only"] == pytest.approx(4 * 150e6, rel=0.15)
    threads = stax.json("threads", "-n", 0)
    assert [row["tid"] for row in threads["rows"]] == [truth["pid"]]
    assert run["lost"] == 0


def test_shell_pipeline(stax):
    done = stax("record", "-q", "--", "sh", "-c", "seq 1 1000 | sort -n | tail -1; exit 3")
    assert (done.stdout, done.returncode) == ("1000\n", 3)


WORK = ("import time\n"
        "def work():\n"
        " for _ in range(10):\n"
        "  time.sleep(0.05)\n"
        "  sum(range(20000))\n")


@pytest.mark.parametrize("leave", [
    # The first thread ends, the process lives on …
    "import ctypes, platform\n"
    "threading.Thread(target=work).start()\n"
    "number = 60 if platform.machine() == 'x86_64' else 93\n"
    "ctypes.CDLL(None).syscall(number, 0)\n",
    # … or another thread executes a program in its place.
    "import sys\n"
    "def go():\n"
    " os.execv(sys.executable, ['python3', '-S', '-c', WORK + 'work()'])\n"
    "threading.Thread(target=go).start()\n"
    "time.sleep(9)\n",
], ids=["exit", "exec"])
def test_a_child_outlives_its_first_thread(stax, leave):
    """Waits of a child are told as long as any thread of it lives."""
    code = (f"WORK = {WORK!r}\nexec(WORK)\nimport os, threading\n"
            f"if os.fork() == 0:\n exec({leave!r})\nos.wait()\n")
    stax.record("--children", "--", "/usr/bin/python3", "-c", code)
    rows = stax.json("threads", "-n", 0)["rows"]
    worker = max((row for row in rows if row["tid"] != stax.last_run()["pid"]),
                 key=lambda row: row["cpu_ns"] + row["off_cpu_ns"])
    waits = stax.json("intervals", "-n", 0, "--tid", worker["tid"], "--reason", "sleep")
    assert len([row for row in waits["rows"] if row["duration_ns"] > 45e6]) == 10, worker
    assert worker["cpu_ns"] < 0.3e9
