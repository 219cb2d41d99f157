# SPDX-License-Identifier: MIT
"""A stax-server of its own for a test, and the command line that talks to it."""

import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import place
from stax_client import Client

_identity = threading.Lock()  # effective ids belong to the whole process


class Account:
    """Who runs a command: None is whoever runs the tests."""

    def __init__(self, name=None, uid=None, gid=None):
        self.name, self.uid, self.gid = name, uid, gid

    @property
    def is_root(self):
        return (os.geteuid() if self.uid is None else self.uid) == 0

    def popen_options(self):
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def __repr__(self):
        return self.name or ("root" if self.is_root else "self")


def wait_until(condition, timeout_s=10, what="the condition"):
    """Polls; a bound on waiting for what must come, never a measurement."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {timeout_s} s")


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Stax:
    """The command line with an environment of its own. Starts no server."""

    def __init__(self, folder, account=None):
        self.folder = Path(folder)
        self.account = account or Account()
        self.socket = self.folder / "stax.sock"
        self.bin = self._bin()
        self.started = []
        self.stolen_before_ms = 0
        self.stolen_before_ms = self.stolen_ms()
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("STAX_", "XDG_", "MALLOC_"))}
        self.env.update(STAX_SERVER_SOCKET=str(self.socket), STAX_AUTOSTART="0", NO_COLOR="1", TERM="xterm",
                        HOME=str(self.folder), XDG_STATE_HOME=str(self.folder / "state"),
                        XDG_CACHE_HOME=str(self.folder / "cache"),
                        STAX_SERVER_WS_BIND="127.0.0.1:0", LC_ALL="C.UTF-8")
        if self.account.uid is not None:
            os.chown(self.folder, self.account.uid, self.account.gid)

    def _bin(self):
        """The build; or a copy of what is needed where another user may not look into it."""
        probe = subprocess.run(["test", "-x", str(place.BUILD / "stax")],
                               **self.account.popen_options())
        if probe.returncode == 0:
            return place.BUILD
        copy = self.folder / "bin"
        (copy / "tests").mkdir(parents=True)
        for name in ("stax", "stax-server"):
            shutil.copy(place.BUILD / name, copy / name)
        shutil.copytree(place.PROGRAMS, copy / "tests" / "programs",
                        ignore=shutil.ignore_patterns("*.p"))
        subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
        return copy

    def program(self, name):
        return str(self.bin / "tests" / "programs" / name)

    def popen(self, *command, **options):
        """Starts any command as the account, to be ended with the test."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "text": True, "env": self.env,
                   "cwd": self.folder, **self.account.popen_options(), **options}
        process = subprocess.Popen([str(word) for word in command], **options)
        self.started.append(process)
        return process

    def run(self, *command, timeout=60, input=None, **options):
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = self.popen(*command, **options)
        try:
            out, err = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{command} did not end within {timeout} s\n{out}\n{err}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def __call__(self, *args, **options):
        """`stax ARGS`; stdout, stderr and returncode as they came."""
        return self.run(self.bin / "stax", *args, **options)

    def start(self, *args, **options):
        return self.popen(self.bin / "stax", *args, **options)

    def ok(self, *args, **options):
        """`stax ARGS`, which must succeed."""
        done = self(*args, **options)
        assert done.returncode == 0, f"stax {' '.join(map(str, args))}: {done}"
        return done

    def json(self, *args, **options):
        return json.loads(self.ok(*args, "--json", **options).stdout)

    def client(self, **options):
        """A connection; the server sees who opened it, so that is done as the account."""
        if self.account.uid is None:
            return Client(self.socket, **options)
        with _identity:
            own = os.geteuid(), os.getegid()
            os.setegid(self.account.gid)
            os.seteuid(self.account.uid)
            try:
                return Client(self.socket, **options)
            finally:
                os.seteuid(own[0])
                os.setegid(own[1])

    def runs(self):
        return self.json("list")["runs"]

    def last_run(self):
        return self.runs()[-1]

    def target_pid(self):
        """Of the active run; waits for it to begin."""
        def active():
            runs = self.json("status")["active"]
            return runs and runs[0]["pid"]
        return wait_until(active, what="an active run")

    def await_samples(self, n):
        """Waits for the active run to begin and to hold n samples."""
        self.target_pid()
        self.ok("wait", "--for-samples", n, "--timeout-ms", 20000)

    def await_names(self):
        """Names are loaded in the background; until then image+0xoffset stands in their place."""
        wait_until(lambda: not any(image["state"] == "loading"
                                   for image in self.json("diagnose")["images"]),
                   what="loaded symbols")

    def record(self, *args, **options):
        """`stax record -q ARGS` of a command that must succeed; its stdout."""
        out = self.ok("record", "-q", *args, **options).stdout
        self.await_names()
        return out

    def stolen_ms(self):
        """What a hypervisor took from all CPUs since this object was made.

        A thread's CPU clock leaves it out where the kernel knows of it, wall clocks do not.
        """
        ticks = int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])
        return 1000 * ticks / os.sysconf("SC_CLK_TCK") - self.stolen_before_ms

    def truth(self, *args, options=(), **popen_options):
        """Records one of tests/programs; its truth and the finished run."""
        out = self.record(*options, "--", self.program(args[0]), *args[1:], **popen_options)
        return json.loads(out.splitlines()[-1]), self.last_run()

    def sleeper(self, *args, seconds=60):
        """A target to attach to, ready when this returns."""
        process = self.popen(self.program("sleeper"), "--seconds", seconds, *args)
        assert process.stdout.readline().startswith("ready"), process.stderr.read()
        return process

    def end_sleeper(self, process):
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
        return json.loads(out.splitlines()[-1])

    def end_strays(self):
        """Targets outlive their `stax record`; they are known by their environment."""
        mark = f"STAX_SERVER_SOCKET={self.socket}\0".encode()
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) not in self.spared_pids():
                try:
                    if mark in Path(f"/proc/{entry}/environ").read_bytes():
                        os.kill(int(entry), signal.SIGKILL)
                except OSError:
                    pass  # gone meanwhile, or somebody else's

    def spared_pids(self):
        return {os.getpid()}

    def end_all(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream and not stream.closed:
                    stream.close()
            process.wait()
        self.end_strays()


class PrivateServer(Stax):
    """A Stax whose server runs."""

    def __init__(self, folder, account=None, options=(), env=(), denied="", has_mounts=False):
        """`denied`: system calls that are refused to the server, as tests/programs/deny says.

        `has_mounts`: it sees a tree of files of its own, for mount(). Root only.
        """
        super().__init__(folder, account)
        self.env.update(env)
        under = [self.program("deny"), denied, "--"] if denied else []
        under += ["unshare", "--mount", "--propagation", "private"] if has_mounts else []
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            [*under, str(self.bin / "stax-server"), *options], env=self.env, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            **self.account.popen_options())
        wait_until(self._listens, what="a listening server")

    def mount_empty(self, *folders, options="mode=755"):
        """Nothing is in these any more, for the server; all others see what was there."""
        script = " && ".join(f"mount -t tmpfs -o {options} none '{folder}'" for folder in folders)
        subprocess.run(["nsenter", "-t", str(self.process.pid), "--mount", "sh", "-c", script],
                       check=True)

    def _listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"stax-server ended with {self.process.returncode}: "
                                 + (self.folder / "server.log").read_text())
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
            return True
        except OSError:
            return False

    def is_healthy(self):
        with self.client(timeout_s=10) as client:
            return client.call("server.info")["pid"] == self.process.pid

    def spared_pids(self):
        return {os.getpid(), self.process.pid}

    def is_making_ready(self):
        """What the next recording begins with: it is held from then on."""
        for entry in Path(f"/proc/{self.process.pid}/task").glob("*/comm"):
            with contextlib.suppress(OSError):
                if entry.read_text() == "stax-ready\n":
                    return True
        return False

    def n_fds(self):
        """All but files: those that names are read from stay open, but not once per run."""
        # Once it answers it has begun to make them.
        wait_until(lambda: self.is_healthy() and not self.is_making_ready(),
                   what="programs that are ready")
        files = collections.Counter()
        for entry in os.scandir(f"/proc/{self.process.pid}/fd"):
            try:
                status = os.stat(entry.path)
            except FileNotFoundError:
                continue  # closed meanwhile
            is_file = stat.S_ISREG(status.st_mode)
            files[(status.st_dev, status.st_ino) if is_file else None] += 1
        n_others = files.pop(None, 0)
        assert all(n <= 3 for n in files.values()), files
        return n_others

    def status_kb(self, field):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise KeyError(field)

    def stop(self):
        """Asks it to end; returns its status, None when it had to be killed."""
        if self.process.poll() is None:
            try:
                with self.client(timeout_s=5) as client:
                    client.call("server.shutdown")
            except (OSError, ValueError):
                self.process.terminate()
            except Exception:  # an older server without the method
                self.process.terminate()
        try:
            return self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        finally:
            self.log.close()

    def end_all(self):
        super().end_all()
        status = self.stop()
        assert status is not None, "stax-server did not end when asked to"
        assert status in (0, -signal.SIGTERM, -signal.SIGKILL), \
            f"stax-server ended with {status}: " + (self.folder / "server.log").read_text()[-4000:]
