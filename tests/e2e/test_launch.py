# SPDX-License-Identifier: MIT
"""A launched target behaves as if stax were not there."""

import json
import os
import pty
import signal
import time

import pytest

from private_server import is_alive, wait_until


def test_output_is_unchanged(anybody):
    stax = anybody
    done = stax.ok("record", "-q", "--", stax.program("exits"), "--stdout", "to out",
                   "--stderr", "to err")
    assert (done.stdout, done.stderr) == ("to out", "to err")


def test_binary_output_and_input(stax):
    done = stax.run(stax.bin / "stax", "record", "-q", "--", stax.program("exits"), "--bytes",
                    300000, text=False)
    assert done.stdout == bytes(i % 251 for i in range(300000))
    data = os.urandom(200000)
    done = stax.run(stax.bin / "stax", "record", "-q", "--", stax.program("exits"), "--copy",
                    text=False, input=data)
    assert done.stdout == data


@pytest.mark.parametrize("status", [0, 1, 2, 42, 125, 126, 127, 255])
def test_exit_status_is_passed_through(stax, status):
    done = stax("record", "-q", "--", stax.program("exits"), "--status", status)
    assert done.returncode == status and stax.last_run()["exit_status"] == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT,
                                    signal.SIGPIPE])
def test_death_by_signal_is_128_plus_n(anybody, number):
    stax = anybody
    done = stax("record", "-q", "--", stax.program("exits"), "--signal", int(number))
    assert done.returncode == 128 + number
    assert stax.last_run()["exit_status"] == 128 + number


def test_command_not_found_and_not_executable(stax):
    done = stax("record", "--", "./no-such-command")
    assert done.returncode == 127 and done.stderr.startswith("error: "), done
    assert "no-such-command" in done.stderr
    (stax.folder / "plain").write_text("text")
    done = stax("record", "--", "./plain")
    assert done.returncode == 126 and "plain" in done.stderr, done
    assert stax.json("status")["active"] == [], "nothing is left behind"


def test_path_lookup_and_double_dash_is_optional(stax):
    assert stax.record("true") == ""
    assert stax.ok("record", "-q", "-F", 99, "sh", "-c", "echo $0 $1", "-F", "7").stdout == "-F 7\n"
    assert stax.last_run()["frequency_hz"] == 99
    assert "sh -c" in stax.last_run()["command"]


def test_inherits_what_a_shell_would_give(stax):
    alone = json.loads(stax.run(stax.program("exits"), "--about").stdout)
    under = json.loads(stax.record("--", stax.program("exits"), "--about"))
    for key in ("fds", "blocked", "ignored", "cwd", "pgid_is_own", "tty"):
        assert under[key] == alone[key], key


def test_is_a_child_of_record(stax):
    record = stax.start("record", "-q", "--", stax.program("sleeper"))
    pid = stax.target_pid()
    assert int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1]) == record.pid


def test_on_a_terminal(stax):
    """A live line there, the target's terminal is the same, nothing is left in odd modes."""
    master, slave = pty.openpty()
    record = stax.start("record", "--", stax.program("exits"), "--about", "--work-ms", 1200,
                        stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(master)
    assert record.wait(timeout=20) == 0
    assert b'"tty": true' in seen and b"samples" in seen and b"stax top" in seen
    assert b"\r" in seen.replace(b"\r\n", b""), "a live line that rewrites itself"


def test_first_instruction_is_seen(stax):
    """Startup belongs to the target: ld.so is in its profile, stax is not."""
    stax.record("-F", 5000, "--", stax.program("exits"), "--work-ms", 50)
    rows = stax.json("top", "-n", 0)["rows"]
    assert any(r["image"].startswith("ld-linux") or r["image"].startswith("ld-2") for r in rows)
    assert not any(r["image"] in ("stax", "stax-server") for r in rows), rows


def test_interrupt_is_the_targets_own(stax):
    """Ctrl-C: the first is the target's, the second also ends the recording."""
    record = stax.start("record", "-q", "--", stax.program("sleeper"), start_new_session=True)
    pid = stax.target_pid()
    assert record.stdout.readline().startswith("ready")
    os.killpg(record.pid, signal.SIGINT)
    time.sleep(0.5)
    assert record.poll() is None and is_alive(pid)
    assert stax.json("status")["active"], "the first one does not end the recording"
    os.killpg(record.pid, signal.SIGINT)
    wait_until(lambda: stax.last_run()["state"] == "stopped", what="the end of the recording")
    assert is_alive(pid)
    os.kill(pid, signal.SIGTERM)
    out, _ = record.communicate(timeout=20)
    assert json.loads(out.splitlines()[-1])["int"] == 2


def test_kill_of_record_leaves_target_and_run(anybody):
    stax = anybody
    record = stax.start("record", "-q", "--", stax.program("sleeper"), "--work-ms", 100,
                        "--out", stax.folder / "truth")
    pid = stax.target_pid()
    assert record.stdout.readline().startswith("ready")
    record.kill()
    record.wait()
    stax.await_samples(stax.last_run()["samples"] + 30)
    assert is_alive(pid) and stax.json("status")["active"][0]["pid"] == pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: stax.last_run()["state"] == "stopped", what="the run's end")
    truth = json.loads((stax.folder / "truth").read_text())
    assert truth["term"] == 1 and truth["int"] == 0


def test_killed_target(anybody):
    stax = anybody
    record = stax.start("record", "-q", "--", stax.program("spin"), "--seconds", 30)
    stax.await_samples(50)
    os.kill(stax.target_pid(), signal.SIGKILL)
    assert record.wait(timeout=20) == 128 + signal.SIGKILL
    run = stax.last_run()
    assert (run["state"], run["exit_status"], run["lost"]) == ("stopped", 137, 0)
    assert run["samples"] >= 50 and stax.json("top")["rows"][0]["name"] == "spin_here"


def test_time_limit_leaves_the_target(stax):
    out = stax.record("-l", 0.5, "--", stax.program("sleeper"), "--seconds", 1.5, "--work-ms", 300)
    truth = json.loads(out.splitlines()[-1])
    run = stax.last_run()
    assert truth["wall_ns"] >= 1.5e9 and truth["term"] == 0
    assert run["state"] == "stopped" and "limit" in run["stop_reason"]
    assert 0.4e9 < run["duration_ns"] < truth["wall_ns"]


def test_many_in_a_row(stax):
    for i in range(20):
        assert stax.record("--", "echo", str(i)) == f"{i}\n"
    runs = stax.runs()
    assert [r["id"] for r in runs] == list(range(1, 21))
    assert all(r["state"] == "stopped" and r["lost"] == 0 for r in runs)


def test_autostart(bare):
    """record starts the server: detached, log in the state directory."""
    from stax_client import Client
    from place import why_no_events
    if why_no_events(os.geteuid() == 0):
        pytest.skip(why_no_events(os.geteuid() == 0))
    bare.env.pop("STAX_AUTOSTART")
    bare.env["PATH"] = f"{bare.bin}:{bare.env['PATH']}"
    try:
        assert bare.ok("record", "-q", "--", "echo", "hello").stdout == "hello\n"
        assert bare.json("list")["runs"][0]["state"] == "stopped"
        assert oct(bare.socket.stat().st_mode & 0o777) == "0o600"
        with Client(bare.socket) as client:
            pid = client.call("server.info")["pid"]
        assert os.getsid(pid) != os.getsid(0)
        assert [p for p in (bare.folder / "state").rglob("*") if p.is_file()]
    finally:
        if bare.socket.exists():
            with Client(bare.socket) as client:
                pid = client.call("server.info")["pid"]
                client.call("server.shutdown")
            wait_until(lambda: not is_alive(pid), what="the server's end")
