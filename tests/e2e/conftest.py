# SPDX-License-Identifier: MIT
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
sys.dont_write_bytecode = True

from fixtures import *  # noqa: E402,F401,F403
from fixtures import pytest_sessionfinish, pytest_terminal_summary  # noqa: E402,F401

# A shell that starts the tests in the background has them ignore SIGINT and SIGQUIT, and so
# would every target: the cases that interrupt one need what a terminal gives.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
