# SPDX-License-Identifier: MIT
"""The flight recorder: record --ring keeps the last seconds, --on freezes them.

The program knows when it was held up; every stall has to be in a run of its own with what was
before it, and nothing else may have been frozen.
"""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from fixtures import _ended, _folder
from private_server import PrivateServer, wait_until
from stax_client import RpcError
from waiting import MS, run_start_ns

S = 1_000_000_000
RING_NS = 3 * S
STALLS = 20


def parts_of(server, run):
    return [r for r in server.runs() if r["frozen_from"] == run["id"]]


def test_every_stall_is_frozen_with_what_was_before_it(stax, report):
    target = (stax.program("stalls"), "--stalls", STALLS, "--every-ms", 900, "--stall-ms", 150,
              "--near-ms", 50)
    with stax.start("record", "--ring", "3", "--on", "lock>100ms", "--", *target,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out, told = process.communicate(timeout=60)
    truth = json.loads(out.splitlines()[-1])
    run = [r for r in stax.runs() if r["frozen_from"] == 0][-1]
    parts = parts_of(stax, run)
    start_ns = run_start_ns(run)
    assert process.returncode == 0 and run["lost"] == 0, told
    assert len(truth["stalls"]) >= STALLS
    assert len(parts) == len(truth["stalls"]), (parts, truth)

    shortest_ns = RING_NS
    for part, stall in zip(parts, truth["stalls"]):
        begins_ns = run_start_ns(part)
        ends_ns = begins_ns + part["duration_ns"]
        assert ends_ns > stall["end_ns"] - 5 * MS, (part, stall)
        history_ns = stall["start_ns"] - begins_ns
        # The ring is full once the run is as old as that.
        promised_ns = min(RING_NS, stall["start_ns"] - start_ns)
        assert history_ns > promised_ns - 60 * MS, (history_ns, promised_ns)
        if promised_ns == RING_NS:
            shortest_ns = min(shortest_ns, history_ns)
        found = re.fullmatch(r"frozen: thread (\d+) \(worker\) was blocked (\d+) ms \(lock\)",
                             part["stop_reason"])
        assert found and int(found[1]) == truth["worker_tid"], part["stop_reason"]
        assert abs(int(found[2]) - (stall["end_ns"] - stall["start_ns"]) / MS) < 30
        line = f"stax: run {part['id']} {part['stop_reason']}; stax save --run {part['id']}"
        assert line in told
        held = stax.json("intervals", "--run", part["id"], "--reason", "lock", "-n", 9)["rows"]
        assert min(abs(begins_ns + row["start_ns"] - stall["start_ns"]) for row in held) < 20 * MS
    report(f"flight recorder: {len(parts)} of {len(truth['stalls'])} stalls frozen, none false; "
           f"shortest history {shortest_ns / S:.3f} s of {RING_NS / S:.0f}")

    # The recording is what is meant without a number, and it has its totals to the end.
    assert stax.json("threads")["run"]["id"] == run["id"]
    assert f"frozen {len(parts)} times, the last of them run " in told
    part = parts[-1]
    assert stax.json("list")["runs"][-1]["state"] == "stopped"
    assert part["stop_reason"] in stax.ok("list").stdout

    path = f"{stax.folder}/stall.stax"
    stax.ok("save", "--run", part["id"], path)
    stax.ok("open", path)
    for view in ("top", "threads", "off-cpu", "wakers", "flame"):
        frozen = stax.json(view, "--run", part["id"])
        opened = stax.json(view)
        frozen.pop("run"), opened.pop("run")
        assert frozen == opened, view


def test_a_signal_freezes_and_is_not_the_targets(stax):
    with stax.start("record", "--ring", "2", "--on", "SIGUSR2", "--", stax.program("sleeper"),
                    "--seconds", "2.5", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True) as process:
        wait_until(lambda: stax.runs(), what="the run")
        time.sleep(1)
        process.send_signal(signal.SIGUSR2)
        wait_until(lambda: len(stax.runs()) == 2, what="the frozen part")
        run, part = stax.runs()
        # Both at once: the recording goes on, and is what questions are about.
        assert (run["state"], part["state"]) == ("recording", "stopped")
        assert part["frozen_from"] == run["id"] and part["stop_reason"] == "frozen: SIGUSR2"
        assert stax.json("threads")["run"]["id"] == run["id"]
        rows = stax.json("threads", "--run", part["id"])["rows"]
        assert [r["tid"] for r in rows] == [run["pid"]]
        out, told = process.communicate(timeout=30)
    assert json.loads(out.splitlines()[-1])["usr2"] == 0
    assert f"stax: run {part['id']} frozen: SIGUSR2" in told


def test_a_request_freezes_any_run(stax):
    stax.record("--", stax.program("stalls"), "--stalls", 2, "--every-ms", 600)
    run = stax.last_run()
    with stax.client() as client:
        part = client.call("run.freeze", run=run["id"], back_ns=500 * MS)
        assert part["stop_reason"] == "frozen on request" and part["frozen_from"] == run["id"]
        assert part["duration_ns"] == 500 * MS
        whole = client.call("profile.threads", view={"run": part["id"]})["totals"]
        ranged = client.call("profile.threads", view={"run": run["id"], "from_ns": -500 * MS,
                                                      "to_ns": run["duration_ns"]})["totals"]
        assert whole == ranged


def test_an_hour_takes_no_more_memory_than_a_minute(report):
    """A stream of an hour, played as fast as it is taken."""
    hour_ns, ring_ns = 3600 * S, 10 * S
    with _folder() as folder, _ended(PrivateServer(folder, options=("--allow-replay",))) as server:
        with server.client() as client:
            run = client.call("run.start", ring_ns=ring_ns, frequency_hz=900, replay=(
                f"samples=6M,threads=16,cpus=4,stacks=2000,switches=3M,duration_ns={hour_ns},"
                "block=1"))
            seen = []
            while not seen or seen[-1][1]["state"] == "recording":
                time.sleep(0.2)
                info = [r for r in client.call("run.list")["runs"] if r["id"] == run["id"]][0]
                seen.append((server.status_kb("VmRSS"), info))
        figures = [(info["duration_ns"] / S, info["memory_bytes"] >> 10, rss_kb)
                   for rss_kb, info in seen]
        late = [f for f in figures if f[0] > 600]
        assert len(late) > 4 and figures[-1][0] > 3500, figures
        shown = [late[i * (len(late) - 1) // 4] for i in range(5)]
        report("flight recorder, an hour played: " + ", ".join(
            f"{at:.0f} s {memory_kb / 1024:.1f} MiB (RSS {rss_kb / 1024:.0f})"
            for at, memory_kb, rss_kb in shown))
        memory = [f[1] for f in late]
        assert max(memory) < 1.15 * min(memory) + 1024, figures
        rss = [f[2] for f in late]
        assert max(rss) < 1.15 * min(rss) + 8192, figures
        totals = server.json("threads")["totals"]
        assert totals["samples"] == seen[-1][1]["samples"] > 5_900_000


def test_rings_without_end_are_refused(stax):
    with stax.client() as client:
        day_ns, forever_ns = 86400 * S, 2 ** 63 - 1
        for ring_ns, wait_ns in ((forever_ns, 5 * MS), (day_ns, forever_ns)):
            with pytest.raises(RpcError) as refused:
                client.call("run.start", pid=os.getpid(), ring_ns=ring_ns,
                            triggers=[{"on": "lock", "longer_than_ns": wait_ns}])
            assert refused.value.code == "invalid_params"


@pytest.mark.parametrize("options, what", [
    (("--on", "lock>5ms"), "--ring"),
    (("--ring", "5", "--on", "lock"), "lock>5ms"),
    (("--ring", "5", "--on", "locks>5ms"), "off-cpu"),
    (("--ring", "5", "--on", "lock>soon"), "100ms"),
    (("--ring", "0.01",), "--ring"),
    (("--ring", "5", "--no-off-cpu", "--on", "lock>5ms"), "--no-off-cpu"),
])
def test_wrong_usage_teaches(bare, options, what):
    done = bare("record", *options, "--", "true")
    assert done.returncode == 2 and what in done.stderr, done
