# SPDX-License-Identifier: MIT
"""Truth: what threads wait for, as an ordinary user through staxd at perf_event_paranoid 4; by the
very checks that a recording as root has to pass."""

import functools

import pytest

from broker import Staxd
from fixtures import _ended, _folder
from private_server import PrivateServer
from staxd_cases import folder, needs_root  # noqa: F401
from test_broker import paranoid
from test_waits import (intervals, record, test_blocked_and_run_queue_agree_with_the_kernel,  # noqa: F401
                        test_nothing_is_lost, test_running_runq_and_blocked_make_the_wall,
                        test_total_per_cause, test_views_agree, test_waits_over_50_us)

pytestmark = needs_root


@pytest.fixture(scope="module")
def mine(other_account, folder):  # noqa: F811
    staxd = Staxd(folder, socket_name="waits.sock")
    try:
        with _folder() as own, _ended(PrivateServer(own, other_account)) as server:
            server.truth = functools.partial(server.truth,
                                             options=["--daemon-socket", staxd.socket])
            with paranoid(4):
                recorded = record(server)
            assert "what=START_SWITCHES" in staxd.log()
            yield recorded
    finally:
        staxd.end()


@pytest.fixture
def recorded(mine):
    return mine
