# SPDX-License-Identifier: MIT
"""A thousand questions of each kind from four clients while a recording runs."""

import gc
import threading
import time

KINDS = ("profile.top", "profile.flame", "profile.threads", "profile.intervals", "profile.wakers",
         "profile.timeline", "profile.why", "server.diagnostics", "run.status",
         "run.list")
N_CLIENTS, N_EACH = 4, 250


class Questioner(threading.Thread):
    def __init__(self, stax):
        super().__init__()
        self.stax, self.slowest_s, self.answers, self.error = stax, dict.fromkeys(KINDS, 0.0), {}, None

    def run(self):
        try:
            with self.stax.client() as client:
                for i in range(N_EACH):
                    for kind in KINDS:
                        start_s = time.perf_counter()
                        answer = client.call(kind)
                        spent_s = time.perf_counter() - start_s
                        self.slowest_s[kind] = max(self.slowest_s[kind], spent_s)
                        self.answers.setdefault(kind, []).append(answer)
        except Exception as error:  # told by the test, which is another thread
            self.error = error


def check_answers(answers):
    n = 0
    for kind in ("profile.top", "profile.flame", "profile.threads"):
        last = 0
        for answer in answers[kind]:
            totals, n = answer["totals"], n + 1
            assert answer["run"]["id"] == 1 and answer["run"]["sequence"] >= last
            last = answer["run"]["sequence"]
            if kind == "profile.flame":
                assert answer["root"]["active_ns"] == totals["active_ns"]
                assert answer["root"]["samples"] == totals["samples"]
            if kind == "profile.threads":
                assert sum(r["cpu_ns"] for r in answer["rows"]) == totals["cpu_ns"]
                assert sum(r["samples"] for r in answer["rows"]) == totals["samples"]
            if kind == "profile.top":
                assert all(r["total_active_ns"] <= totals["active_ns"] for r in answer["rows"])
    return n


def test_1000_of_each_kind_from_4_clients(anybody, report):
    stax = anybody
    record = stax.start("record", "-q", "--", stax.program("shares"), "--seconds", 120)
    stax.await_samples(200)
    clients = [Questioner(stax) for _ in range(N_CLIENTS)]
    gc.disable()  # all answers are kept: a collection would stop the clients for 100 ms
    for client in clients:
        client.start()
    for client in clients:
        client.join(timeout=120)
    gc.enable()
    assert not any(c.error for c in clients), [c.error for c in clients]
    run = stax.last_run()
    assert run["state"] == "recording" and run["lost"] == 0
    same = {}
    for client in clients:
        assert all(len(client.answers[kind]) == N_EACH for kind in KINDS)
        check_answers(client.answers)
        for kind in ("profile.top", "profile.flame", "profile.threads"):
            for answer in client.answers[kind]:
                totals = same.setdefault(answer["run"]["sequence"], answer["totals"])
                assert totals == answer["totals"], "one sequence, two totals"
    slowest = {kind: 1000 * max(c.slowest_s[kind] for c in clients) for kind in KINDS}
    report(f"{N_CLIENTS} clients × {N_EACH} of each kind while recording ({stax.account}), "
           f"slowest, with this client's own time: "
           + ", ".join(f"{k} {ms:.1f} ms" for k, ms in slowest.items()))
    stax.ok("stop")
    record.kill()
    assert stax.last_run()["lost"] == 0


def test_command_line_while_recording(stax):
    record = stax.start("record", "-q", "--", stax.program("shares"), "--seconds", 60)
    stax.await_samples(50)
    last = 0
    for _ in range(20):
        samples = stax.json("top")["totals"]["samples"]
        assert samples >= last > -1
        last = samples
        assert stax.json("flame")["run"]["state"] == "recording"
        assert stax.json("threads")["rows"]
    stax.ok("stop")
    record.kill()
    assert stax.last_run()["lost"] == 0 and last > 50
