# SPDX-License-Identifier: MIT
"""Subscriptions: results come when they changed, at most once per interval, never a backlog."""

import socket
import time

import pytest

from stax_client import RpcError


@pytest.fixture
def busy(stax):
    record = stax.start("record", "-q", "--", stax.program("shares"), "--seconds", 60)
    stax.await_samples(50)
    yield stax
    record.kill()


@pytest.mark.parametrize("method", ["profile.top", "profile.flame", "profile.threads", "run.status"])
def test_updates_come_and_grow(busy, method):
    with busy.client() as client:
        subscription = client.subscribe(method, min_interval_ms=50)
        updates = [client.next_update() for _ in range(5)]
        assert {u["subscription"] for u in updates} == {subscription}
        numbers = [u["sequence"] for u in updates]
        assert numbers == sorted(set(numbers))
        if method != "run.status":
            samples = [u["result"]["totals"]["samples"] for u in updates]
            assert samples == sorted(samples) and samples[-1] > samples[0]


def test_interval_is_kept(busy):
    with busy.client() as client:
        client.subscribe("profile.top", min_interval_ms=300)
        client.next_update()
        start_s = time.monotonic()
        for _ in range(3):
            client.next_update()
        assert time.monotonic() - start_s >= 0.8, "three intervals of 300 ms, less the jitter"


def test_unsubscribe(busy):
    with busy.client() as client:
        subscription = client.subscribe("profile.top", min_interval_ms=20)
        client.next_update()
        client.call("unsubscribe", subscription=subscription)
        client.updates.clear()
        with pytest.raises((TimeoutError, socket.timeout)):
            client.next_update(timeout_s=0.5)


def test_several_on_one_connection_and_queries_between(busy):
    with busy.client() as client:
        wanted = {client.subscribe("profile.top", 50), client.subscribe("profile.threads", 50)}
        assert len(wanted) == 2
        assert client.call("profile.top")["totals"]["samples"] > 0
        seen = set()
        for _ in range(50):
            seen.add(client.next_update()["subscription"])
            if seen == wanted:
                break
        assert seen == wanted


def test_parameters_are_used(busy):
    with busy.client() as client:
        client.subscribe("profile.top", 50, view={"exclude": ["work_50"]}, limit=3)
        result = client.next_update()["result"]
        assert len(result["rows"]) <= 3
        assert "work_50" not in {row["name"] for row in result["rows"]}


def test_slow_reader_gets_the_newest(busy):
    """Unread updates are replaced, not queued: the server stays small, the last one is fresh."""
    with busy.client() as client:
        client.subscribe("profile.flame", min_interval_ms=10)
        before_kb = busy.status_kb("VmRSS")
        busy.await_samples(busy.last_run()["samples"] + 400)
        assert busy.status_kb("VmRSS") - before_kb < 32 * 1024
        assert busy.is_healthy()
        now = busy.last_run()["samples"]
        for _ in range(2000):
            if client.next_update()["result"]["totals"]["samples"] >= now:
                return
    raise AssertionError("never caught up")


def test_quiet_run_sends_nothing(stax):
    stax.record("--", "true")
    with stax.client() as client:
        client.subscribe("profile.top", min_interval_ms=20)
        try:
            client.next_update(timeout_s=1)  # the state at the time of subscribing may come
        except (TimeoutError, socket.timeout):
            pass
        with pytest.raises((TimeoutError, socket.timeout)):
            client.next_update(timeout_s=0.5)


def test_end_of_the_run_is_told(busy):
    with busy.client() as client:
        client.subscribe("run.status", min_interval_ms=50)
        client.next_update()
        busy.ok("stop")
        for _ in range(50):
            if client.next_update()["result"]["active"] == []:
                return
    raise AssertionError("the end never came")


def test_bad_subscriptions(idle):
    with idle.client() as client:
        for params in ({"method": "run.stop"}, {"method": "subscribe"}, {"method": "no.such"}, {},
                       {"method": "profile.top", "params": {"limit": "x"}},
                       {"method": "profile.top", "min_interval_ms": -1}):
            with pytest.raises(RpcError):
                client.call("subscribe", **params)
        with pytest.raises(RpcError):
            client.call("unsubscribe", subscription=99)


def test_number_of_subscriptions_is_bounded(busy):
    with busy.client() as client:
        with pytest.raises(RpcError):
            for _ in range(2000):
                client.subscribe("run.status", 60000)
        assert busy.is_healthy()
