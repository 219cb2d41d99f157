# SPDX-License-Identifier: MIT
"""pytest fixtures of the end-to-end cases; e2e/conftest.py imports them all."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time

import pytest

import place
from private_server import Account, PrivateServer, Stax

_reports = []


@pytest.fixture(scope="session", autouse=True)
def binaries():
    for path in (place.BUILD / "stax", place.BUILD / "stax-server", place.BUILD / "staxd",
                 place.PROGRAMS / "shares"):
        if not path.exists():
            pytest.exit(f"{path} is missing: build first (STAX_BUILD_DIR names another build)", 3)
    for name in place.REQUIRED:
        if place.find(name) is None:
            pytest.exit(f"{name} is needed by these tests and not installed", 3)


@pytest.fixture(scope="session")
def report():
    """report(text): a figure for the end of the run; nothing passes or fails by it."""
    return _reports.append


def pytest_terminal_summary(terminalreporter):
    if _reports:
        terminalreporter.section("figures")
        for line in _reports:
            terminalreporter.write_line(line)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Where cases run side by side, each worker has figures of its own."""
    _reports.extend(getattr(node, "workeroutput", {}).get("figures", []))


def pytest_sessionfinish(session, exitstatus):
    """All skipped is a skip for the build system: 77."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = list(_reports)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter else {}
    if exitstatus == 0 and stats.get("skipped") and not stats.get("passed"):
        session.exitstatus = 77


@contextlib.contextmanager
def _folder():
    # Short, because a socket's path may have 107 bytes; open, because another user works in it.
    path = tempfile.mkdtemp(prefix="stax-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _ended(stax):
    yield stax
    stax.end_all()


@pytest.fixture(scope="session")
def other_account():
    """A system user made for these tests; skips where one cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("not root: cannot become another user")
    import pwd
    name = f"staxe2e{os.getpid()}"
    useradd = place.find("useradd")
    if useradd is None:
        pytest.skip("useradd is not installed")
    made = subprocess.run([useradd, "--system", "--no-create-home", "--shell", "/bin/sh", name],
                          capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"useradd: {made.stderr.strip()}")
    entry = pwd.getpwnam(name)
    yield Account(name, entry.pw_uid, entry.pw_gid)
    for _ in range(20):  # the files may be locked, the last process not quite gone
        if subprocess.run([place.find("userdel"), name], capture_output=True).returncode == 0:
            break
        time.sleep(0.1)


def _need_events(account):
    reason = place.why_no_events(account.is_root)
    if reason:
        pytest.skip(reason)


@pytest.fixture
def bare():
    """The command line without a server."""
    with _folder() as folder, _ended(Stax(folder)) as stax:
        yield stax


@pytest.fixture
def idle():
    """A server that nobody has asked to record; works without permission to record."""
    with _folder() as folder, _ended(PrivateServer(folder)) as server:
        yield server


@pytest.fixture
def stax():
    _need_events(Account())
    with _folder() as folder, _ended(PrivateServer(folder)) as server:
        yield server


@pytest.fixture
def other(other_account):
    """A server, and commands, of an ordinary user."""
    _need_events(other_account)
    with _folder() as folder, _ended(PrivateServer(folder, other_account)) as server:
        yield server


@pytest.fixture
def stranger(other_account):
    """The command line of an ordinary user, without a server."""
    with _folder() as folder, _ended(Stax(folder, other_account)) as stax:
        yield stax


@pytest.fixture(params=["self", "other_user"])
def anybody(request):
    """Each case twice: as whoever runs the tests, and as an ordinary user."""
    return request.getfixturevalue("stax" if request.param == "self" else "other")


@pytest.fixture(scope="module")
def shared():
    """One server for a file's cases, which only look and never end it."""
    _need_events(Account())
    with _folder() as folder, _ended(PrivateServer(folder)) as server:
        yield server
