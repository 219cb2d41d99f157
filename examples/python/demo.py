#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A thread pool, a decorated function and coroutines that report themselves.

    stax record -- python3 demo.py
    stax target top
    stax target origins
"""

import asyncio
import concurrent.futures
import hashlib
import json
import sys

import stax_target

POOL = stax_target.Lane("thread pool", stax_target.EXECUTOR)
LOOP = stax_target.Lane("event loop", stax_target.IO)


@POOL.traced(name="hash", inside=("job",))
def digest(block):
    return hashlib.sha256(block * 2000).hexdigest()


def submit(pool, block):
    """The job remembers where it was queued."""
    origin = POOL.origin()

    def run():
        with POOL.span("job", origin):
            return digest(block)
    return pool.submit(run)


@LOOP.traced
async def fetch(i):
    # Coroutines overlap: each has a span of its own, however often they wait.
    await asyncio.sleep(0.001 * (i % 5))
    with LOOP.span("parse", inside=("fetch",)):
        return json.loads(json.dumps(list(range(1000))))


async def fetch_all(n):
    return await asyncio.gather(*(fetch(i) for i in range(n)))


def main(n=100):
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        futures = [submit(pool, b"%d" % i) for i in range(n)]
        concurrent.futures.wait(futures)
    asyncio.run(fetch_all(n))
    start_ns = stax_target.now_ns()
    POOL.report("exact", start_ns, start_ns + 1_000_000)
    print(json.dumps({"recorded": stax_target.recording_active(), **stax_target.stats()}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
