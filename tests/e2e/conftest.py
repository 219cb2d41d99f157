# SPDX-License-Identifier: MIT
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
sys.dont_write_bytecode = True

from fixtures import *  # noqa: E402,F401,F403
from fixtures import (pytest_sessionfinish, pytest_terminal_summary,  # noqa: E402,F401
                      pytest_testnodedown)

# Files that say the same beside each other on the CPUs of one machine: they measure no time but a
# target's own, no rate and no loss, and change no setting of the host. All others run alone.
SIDE_BY_SIDE = """
    annotate archive attach doctor exec_fork export flame_invert group import inlines jit kept_code
    launch names neighbors plt programs rpc schema server setup stack_ends staxd
    staxd_messages subscribe symbol_files target_files target_hello target_hostile
    target_lifecycle target_views lane_views unwinding unwinding_traps views
""".split()

# A shell that starts the tests in the background has them ignore SIGINT and SIGQUIT, and so
# would every target: the cases that interrupt one need what a terminal gives.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_configure(config):
    config.addinivalue_line("markers", "side_by_side: other cases may run meanwhile")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem.removeprefix("test_") in SIDE_BY_SIDE:
            item.add_marker("side_by_side")
