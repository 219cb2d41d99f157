# SPDX-License-Identifier: MIT
"""stax setup, what it installs, and what is promised of it."""

import ctypes
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import broker
import place
from broker import Broker, Staxd, as_account
from private_server import wait_until
from staxd_cases import ALICE, Target, folder, needs_root  # noqa: F401

UNITS = place.SOURCE / "packaging" / "systemd"
INSTALLED = ["usr/local/libexec/stax/staxd", "etc/systemd/system/staxd.socket",
             "etc/systemd/system/staxd.service", "etc/sysusers.d/stax.conf"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root")


def files_below(root):
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file())


@pytest.fixture
def root():
    path = Path(tempfile.mkdtemp(prefix="stax-setup-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


# What it writes ----------------------------------------------------------------------------------

def test_an_ordinary_user_is_told_what_it_would_do(stranger):
    done = stranger("setup", "-y")
    assert done.returncode == 1 and "sudo" in done.stderr
    for path in INSTALLED:
        assert f"/{path}" in done.stdout


def test_without_a_terminal_it_wants_a_yes(bare, root):
    done = bare("setup", "--root", root)
    assert done.returncode == 1 and "--yes" in done.stderr
    assert files_below(root) == []


def test_install_twice_and_uninstall(bare, root):
    for _ in range(2):
        bare.ok("setup", "-y", "--root", root)
        assert files_below(root) == sorted(INSTALLED)
    daemon = root / INSTALLED[0]
    assert daemon.read_bytes() == (place.BUILD / "staxd").read_bytes()
    assert daemon.stat().st_mode & 0o7777 == 0o755
    assert daemon.stat().st_uid == os.geteuid()
    for name in ("staxd.service", "staxd.socket"):
        assert (root / "etc/systemd/system" / name).read_text() == (UNITS / name).read_text()
    bare.ok("setup", "-y", "--root", root, "--uninstall")
    assert files_below(root) == []
    assert not (root / "usr/local/libexec/stax").exists()
    bare.ok("setup", "-y", "--root", root, "--uninstall")  # of what is not there


def socket_unit(root):
    text = (root / "etc/systemd/system/staxd.socket").read_text()
    return re.findall(r"^Socket(?:Group|Mode)=(.*)$", text, re.MULTILINE)


def test_who_may_ask(bare, root):
    bare.ok("setup", "-y", "--root", root, "--open")
    assert socket_unit(root) == ["root", "0666"]
    bare.ok("setup", "-y", "--root", root, "--group", "daemon")
    assert socket_unit(root) == ["daemon", "0660"]
    bare.ok("setup", "-y", "--root", root)
    assert socket_unit(root) == ["stax", "0660"]
    assert bare("setup", "-y", "--root", root, "--open", "--group", "x").returncode == 2
    done = bare("setup", "-y", "--root", root, "--group", "no-such-group")
    assert done.returncode == 1 and "groupadd" in done.stderr
    done = bare("setup", "-y", "--root", root, "--group", "x\nExecStart=/bin/sh")
    assert done.returncode == 2
    assert socket_unit(root) == ["stax", "0660"]


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
@pytest.mark.parametrize("where", ["usr", "usr/local", "usr/local/libexec/stax"])
def test_a_folder_where_others_may_write(bare, root, where, mode):
    (root / where).mkdir(parents=True)
    (root / where).chmod(mode)
    done = bare("setup", "-y", "--root", root)
    assert done.returncode == 1 and "others can write" in done.stderr
    assert files_below(root) == []


@as_root
def test_a_folder_of_another_user(bare, root):
    (root / "usr").mkdir()
    os.chown(root / "usr", ALICE.uid, ALICE.gid)
    done = bare("setup", "-y", "--root", root)
    assert done.returncode == 1 and files_below(root) == []


def test_a_link_on_the_way(bare, root):
    (root / "elsewhere").mkdir()
    (root / "usr").symlink_to("elsewhere")
    done = bare("setup", "-y", "--root", root)
    assert done.returncode == 1 and files_below(root) == []


def test_a_link_in_the_place_of_the_program(bare, root):
    """It is replaced; what it named is not written to."""
    (root / "kept").write_text("kept")
    (root / "usr/local/libexec/stax").mkdir(parents=True)
    (root / INSTALLED[0]).symlink_to(root / "kept")
    bare.ok("setup", "-y", "--root", root)
    assert (root / "kept").read_text() == "kept"
    assert not (root / INSTALLED[0]).is_symlink()


def test_as_a_service_of_the_user(bare):
    bare.env.pop("XDG_CONFIG_HOME", None)
    bare.env.pop("XDG_RUNTIME_DIR", None)
    bare.folder.chmod(0o755)
    out = bare.ok("setup", "--user").stdout
    unit = bare.folder / ".config/systemd/user/stax-server.service"
    assert str(unit) in out
    assert f"ExecStart={bare.bin / 'stax-server'}" in unit.read_text()
    bare.ok("setup", "--user", "--uninstall")
    assert not unit.exists()


# The real thing ----------------------------------------------------------------------------------

def is_pristine():
    return not any(Path("/", path).exists() for path in INSTALLED) \
        and not Path("/run/staxd.sock").exists() and not has_account()


def has_account():
    return any(entry.pw_name == "staxd" for entry in pwd.getpwall()) \
        or any(entry.gr_name == "stax" for entry in grp.getgrall())


@as_root
def test_on_this_machine(bare, other_account):
    """Where no systemd is at work: installed, started by hand as it says, used, removed."""
    if Path("/run/systemd/system").exists():
        pytest.skip("systemd is at work here, and this is not to start a service")
    if not is_pristine():
        pytest.skip("staxd is installed here")
    daemon = None
    try:
        out = bare.ok("setup", "-y", "--open").stdout
        assert "systemd is not at work" in out
        command = re.search(r"^  (/usr/local/libexec/stax/staxd.*) &$", out, re.MULTILINE)[1]
        daemon = subprocess.Popen(command.split(), stderr=subprocess.DEVNULL)
        wait_until(lambda: Path("/run/staxd.sock").exists(), what="the socket")
        use_default_socket(other_account)
        assert "staxd is removed" in bare.ok("setup", "-y", "--uninstall").stdout
    finally:
        if daemon:
            daemon.terminate()
            daemon.wait()
        bare("setup", "-y", "--uninstall")
        Path("/run/staxd.sock").unlink(missing_ok=True)
    assert is_pristine()


def use_default_socket(account):
    """Nobody has to say where staxd is."""
    from private_server import PrivateServer
    path = tempfile.mkdtemp(prefix="stax-")
    os.chmod(path, 0o755)
    server = PrivateServer(path, account)
    try:
        if place.event_paranoid() >= 2:
            done = server.ok("record", "--", server.program("syscalls"), 100)
            assert "kernel frames" not in done.stderr
            status = server("status").stdout
            assert "staxd" in status and "kernel-stacks yes" in status, status
    finally:
        server.end_all()
        shutil.rmtree(path, ignore_errors=True)


# The units ---------------------------------------------------------------------------------------

def service():
    return (UNITS / "staxd.service").read_text()


def test_exposure():
    """systemd's own measure of how much a service could do; below 2 is what is promised."""
    program = place.find("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run([program, "security", "--offline=yes", UNITS / "staxd.service"],
                          capture_output=True, text=True)
    found = re.search(r"Overall exposure level for staxd.service: ([0-9.]+)", done.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze knows no --offline: {done.stderr.strip()}")
    assert float(found[1]) < 2.0
    verified = subprocess.run([program, "verify", "--man=no", UNITS / "staxd.service",
                               UNITS / "staxd.socket"], capture_output=True, text=True)
    problems = [line for line in verified.stderr.splitlines()
                if "is not executable" not in line and line.strip()]
    assert not problems


def allowed_calls():
    return {name for line in service().splitlines() if line.startswith("SystemCallFilter=")
            for name in line.partition("=")[2].split()}


@as_root
def test_every_system_call_it_makes_is_allowed(folder):
    strace = place.find("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trace = folder / "trace"
    path = folder / "traced.sock"
    process = subprocess.Popen([strace, "-f", "-qq", "-o", trace, place.BUILD / "staxd",
                                "--socket", path], stderr=subprocess.DEVNULL)
    target = Target(ALICE)
    try:
        wait_until(path.exists, what="the socket", timeout_s=20)
        time.sleep(0.2)

        def action():
            connection = Broker(path, timeout_s=60).session(target.pid)
            os.close(connection.event(target.pid))
            connection.short(broker.OPEN_KERNEL_NAMES)
            connection.short(broker.STATUS)
            try:
                connection.short(broker.START_SWITCHES)
                connection.short(broker.OPEN_SWITCHES, 0)
            except broker.Refused:
                pass
            time.sleep(0.5)
            try:
                Broker(path).ask(b"garbage!!")
            except broker.Refused:
                pass
        as_account(ALICE, action)
    finally:
        target.end()
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(pid), signal.SIGTERM)
        process.wait(10)
    made = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)[( ]", trace.read_text(), re.MULTILINE))
    # Those that make the socket are the service manager's work.
    by_hand = {"socket", "bind", "listen", "chmod", "fchmodat", "chown", "fchownat", "umask",
               "unlink", "unlinkat", "connect", "fchmod"}
    assert "perf_event_open" in made and "setfsuid" in made
    assert made - by_hand <= allowed_calls(), made - by_hand - allowed_calls()


def capabilities_of_the_service():
    numbers = {"CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SYSLOG": 34, "CAP_PERFMON": 38, "CAP_BPF": 39}
    line = re.search(r"^AmbientCapabilities=(.*)$", service(), re.MULTILINE)[1]
    return [numbers[name] for name in line.split()]


@as_root
def test_as_the_service_runs_it(folder):
    """Another user than root, ambient capabilities, a socket that is handed over."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = capabilities_of_the_service()
    own_uid = 60199
    own = folder / "service"
    own.mkdir()
    own.chmod(0o755)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(own / "staxd.sock"))
    os.chmod(own / "staxd.sock", 0o666)
    listener.listen()
    binary = own / "staxd"
    shutil.copy(place.BUILD / "staxd", binary)

    def become():
        os.dup2(listener.fileno(), 3)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
        os.setgroups([])
        os.setresgid(*[own_uid] * 3)
        os.setresuid(*[own_uid] * 3)
        mask = sum(1 << number for number in numbers)
        low, high = mask & 0xffffffff, mask >> 32
        header = struct.pack("Ii", 0x20080522, 0)
        data = struct.pack("IIIIII", low, low, low, high, high, high)
        assert libc.capset(header, data) == 0
        for number in numbers:
            assert libc.prctl(47, 2, number, 0, 0) == 0  # PR_CAP_AMBIENT_RAISE

    log = open(own / "log", "wb")
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(log.fileno(), 2)
            become()
            os.execv(binary, [str(binary)])
        finally:
            os._exit(1)
    target = Target(ALICE)
    bobs = Target(broker_account(60102))
    try:
        def action():
            connection = Broker(own / "staxd.sock", timeout_s=60).session(target.pid)
            rings = [broker.Ring(connection.event(target.pid, cpu))
                     for cpu in range(os.cpu_count())]
            time.sleep(0.5)
            samples = [sample for ring in rings for sample in ring.samples()]
            connection.short(broker.OPEN_KERNEL_NAMES)
            return len(samples)
        assert as_account(ALICE, action) > 20, (own / "log").read_text()
        with pytest.raises(broker.Refused) as caught:
            as_account(ALICE, lambda: Broker(own / "staxd.sock").session(bobs.pid) and None)
        assert caught.value.reason == "uid"
        status = Path(f"/proc/{pid}/status").read_text()
        assert f"Uid:\t{own_uid}\t{own_uid}\t{own_uid}\t{own_uid}" in status
        assert "CapBnd:\t0000" in status or "NoNewPrivs:\t1" in status
    finally:
        target.end()
        bobs.end()
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        listener.close()
        log.close()


def broker_account(uid):
    from private_server import Account
    return Account(f"u{uid}", uid, uid)


# What is written of it ---------------------------------------------------------------------------

def test_the_protocol_is_described_as_it_is():
    """docs/PROTOCOL.broker.md holds what `staxd --describe` prints."""
    described = subprocess.run([place.BUILD / "staxd", "--describe"], capture_output=True,
                               text=True, check=True).stdout
    text = (place.SOURCE / "docs" / "PROTOCOL.broker.md").read_text()
    assert described.strip() in text


def test_every_promise_names_a_test_that_exists():
    text = (place.SOURCE / "docs" / "security.md").read_text()
    named = re.findall(r"`(test_\w+)`", text)
    assert len(named) > 30
    code = "".join(path.read_text() for path in (place.SOURCE / "tests").rglob("test_*.py"))
    missing = [name for name in named if f"def {name}(" not in code]
    assert not missing


def code_lines(path):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return sum(bool(line.strip()) for line in text.splitlines())


def test_its_size(report):
    """Small enough to be read: lines of its .c files that are neither empty nor comment."""
    files = {suffix: [path for room in ("broker", "broker_wire")
                      for path in sorted((place.SOURCE / "src" / room).glob(f"*.{suffix}"))
                      if not path.name.endswith("_test.c")] for suffix in "ch"}
    n_lines = {suffix: sum(map(code_lines, paths)) for suffix, paths in files.items()}
    n_all = sum(len(path.read_text().splitlines()) for paths in files.values() for path in paths)
    report(f"staxd: {n_lines['c']} lines of code, {n_lines['h']} of declarations; "
           f"{n_all} with comments and empty lines")
    assert n_lines["c"] < 1000


def test_it_links_nothing_but_the_c_library():
    ldd = place.find("ldd")
    if ldd is None:
        pytest.skip("ldd is not installed")
    out = subprocess.run([ldd, place.BUILD / "staxd"], capture_output=True, text=True).stdout
    names = {line.split()[0].rsplit("/", 1)[-1].split(".")[0] for line in out.splitlines()}
    sanitizers = {"libasan", "libubsan", "libtsan", "libm", "libgcc_s", "libpthread", "libdl",
                  "librt", "libstdc++"}
    assert names - sanitizers <= {"linux-vdso", "libc", "ld-linux-x86-64", "ld-linux-aarch64"}
