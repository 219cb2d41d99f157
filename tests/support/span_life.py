# SPDX-License-Identifier: MIT
"""A target that goes on reporting spans through the ctypes binding, and obeys lines on stdin.

    spans          says how many spans this process has reported, and its counts
    fork           a child that reports on a lane of its own until it is killed; says its pid
    exec           this program over again, in the same process
    end            ends

Every 2 ms one span on the lane "life", while somebody records.
"""

import json
import os
import select
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "python"))
import stax_target  # noqa: E402


def report(lane, counts):
    if stax_target.recording_active():
        if not counts["seen_ns"]:
            counts["seen_ns"] = stax_target.now_ns()
        with lane.span("tick"):
            pass
        counts["spans"] += 1
    elif counts["seen_ns"]:
        counts["unseen_ns"], counts["seen_ns"] = stax_target.now_ns(), 0


def tick(lane, counts):
    while True:
        report(lane, counts)
        time.sleep(0.002)


def say(**words):
    print(json.dumps(words), flush=True)


def main():
    lane = stax_target.Lane("life", stax_target.EXECUTOR)
    counts = {"spans": 0, "seen_ns": 0, "unseen_ns": 0}
    threading.Thread(target=tick, args=(lane, counts), daemon=True).start()
    say(ready=os.getpid())
    # Unbuffered: what is left in a buffer would be gone after exec().
    while True:
        select.select([0], [], [])
        word = b""
        while not word.endswith(b"\n"):
            byte = os.read(0, 1)
            if not byte:
                return
            word += byte
        if word == b"spans\n":
            say(**counts, **stax_target.stats())
        elif word == b"fork\n":
            child = os.fork()
            if child == 0:
                child_lane = stax_target.Lane("child", stax_target.EXECUTOR)
                tick(child_lane, {"spans": 0, "seen_ns": 0, "unseen_ns": 0})
            say(child=child)
        elif word == b"exec\n":
            os.execv(sys.executable, [sys.executable, *sys.argv])
        elif word == b"end\n":
            return


if __name__ == "__main__":
    main()
