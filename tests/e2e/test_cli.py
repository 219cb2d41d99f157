# SPDX-License-Identifier: MIT
"""Messages and exit codes: cli.md word by word. Results go to stdout, all else to stderr."""

import json
import re
import subprocess
from pathlib import Path

import pytest

USAGE, FAILED, OWN_FAILURE = 2, 1, 125
NEEDS_SERVER = (["status"], ["list"], ["wait"], ["stop"], ["top"], ["flame"], ["threads"],
                ["intervals"], ["wakers"], ["timeline"], ["why"], ["compare", 1, 2],
                ["diagnose"])


def refused(done, status, *words):
    """One `error:` line on stderr that has the words, nothing on stdout."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done
    for word in words:
        assert word in done.stderr, done
    assert done.stdout == "" and done.returncode == status, done
    return errors[0]


@pytest.mark.parametrize("command", NEEDS_SERVER, ids=lambda c: c[0])
def test_no_server(bare, command):
    refused(bare(*command), FAILED, "error: stax-server isn't running")


def test_no_server_says_how_to_start_it(bare):
    lines = bare("status").stderr.strip().splitlines()
    assert len(lines) >= 2 or "stax-server" in lines[0].split("isn't running", 1)[1]
    assert "stax-server" in bare("status").stderr.split("isn't running", 1)[1]


def test_record_without_server_or_autostart(bare):
    refused(bare("record", "--no-autostart", "--", "touch", "ran"), OWN_FAILURE,
            "stax-server isn't running")
    refused(bare("record", "--pid", 1), FAILED, "stax-server isn't running")
    assert not (bare.folder / "ran").exists()


@pytest.mark.parametrize("args", [
    [], ["frobnicate"], ["--frobnicate"], ["top", "--frobnicate"], ["top", "extra"],
    ["top", "-n"], ["top", "-n", "x"], ["top", "-n", "-1"], ["top", "--sort", "luck"],
    ["top", "--from", "abc"], ["top", "--tid", "x"], ["flame", "--threshold-pct", "101"],
    ["flame", "--mode", "luck"], ["threads", "-n", "1.5"],
    ["record"], ["record", "--pid", "1", "--", "true"], ["record", "--pid", "x"],
    ["record", "--pid", "-5"], ["record", "--pid", "0"], ["record", "-F", "0", "--", "true"],
    ["record", "-F", "abc", "--", "true"], ["record", "-F", "20001", "--", "true"],
    ["record", "-l", "-1", "--", "true"], ["record", "-l", "0", "--", "true"],
    ["record", "--max-memory", "much", "--", "true"],
    ["wait", "--for-samples", "1", "--for-seconds", "1"],
    ["wait", "--for-seconds", "1", "--until-symbol", "f"],
    ["wait", "--for-samples", "1", "--until-symbol", "f"],
    ["wait", "--timeout-ms", "soon"], ["--completions", "tcsh"], ["stop", "now"],
], ids=" ".join)
def test_wrong_usage(bare, args):
    done = bare(*args)
    assert done.returncode == USAGE and done.stdout == "", done
    assert done.stderr.startswith("error: ") or (not args and "Usage" in done.stderr), done


def test_usage_errors_name_the_word(idle):
    refused(idle("top", "--frobnicate"), USAGE, "--frobnicate", "stax top --help")
    refused(idle("frobnicate"), USAGE, "frobnicate", "stax --help")
    refused(idle("record", "--pid", 1, "--", "true"), USAGE, "--pid")
    refused(idle("wait", "--for-samples", 1, "--for-seconds", 1), USAGE, "--for-samples",
            "--for-seconds")


def test_help_everywhere(bare):
    commands = ["record", "status", "list", "wait", "stop", "top", "flame", "threads", "intervals",
                "wakers", "timeline", "why", "diagnose"]
    overview = bare.ok("--help").stdout
    for command in commands:
        assert re.search(rf"^  {command} ", overview, re.M), overview
        text = bare.ok(command, "--help").stdout
        assert text == bare.ok(command, "-h").stdout
        assert "Example" in text and f"stax {command}" in text
    for option in ("--frequency", "--time-limit", "--pid", "--no-kernel", "--max-memory"):
        assert option in bare.ok("record", "--help").stdout
    assert re.match(r"stax \d+\.\d+\.\d+", bare.ok("--version").stdout)
    assert bare.ok("-V").stdout == bare.ok("--version").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(bare, shell):
    script = bare.ok("--completions", shell).stdout
    for word in ("record", "diagnose", "threshold-pct", "time-limit"):
        assert word in script
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_nothing_recorded_yet(idle):
    assert idle.json("list")["runs"] == []
    assert idle.json("status")["active"] == []
    for command in ("stop", "wait"):
        refused(idle(command), FAILED, "no run is active")
    for command in ("top", "flame", "threads"):
        refused(idle(command), FAILED, "stax record")
        refused(idle(command, "--run", 99), FAILED, "99")


def test_status_tells_the_server(idle):
    status = idle.json("status")
    assert status["server_pid"] == idle.process.pid and status["version"]
    assert any(c["name"] == "on-cpu" for c in status["capabilities"])
    text = idle.ok("status").stdout
    assert str(idle.process.pid) in text and "on-cpu" in text
    for row in status["capabilities"]:
        assert row["available"] or row["reason"], row


def test_second_record_while_one_is_active(stax):
    first = stax.start("record", "-q", "--", stax.program("sleeper"))
    pid = stax.target_pid()
    done = stax("record", "--", "touch", "ran")
    line = refused(done, OWN_FAILURE, "stax wait", "stax stop")
    assert re.search(rf"another run is already active \(run 1, pid {pid}, .*sleeper", line), line
    assert not (stax.folder / "ran").exists()
    other = stax.sleeper()
    refused(stax("record", "--pid", other.pid), FAILED, "another run is already active (run 1")
    assert first.poll() is None and stax.json("status")["active"][0]["id"] == 1


def test_wait_forms(stax):
    stax.start("record", "-q", "--", stax.program("spin"), "--seconds", 30)
    stax.target_pid()
    stax.await_samples(50)
    assert stax.last_run()["samples"] >= 50
    stax.ok("wait", "--for-seconds", 0.1, "--timeout-ms", 20000)
    stax.ok("wait", "--until-symbol", "spin_here", "--timeout-ms", 20000)
    assert "timed out" in refused(stax("wait", "--timeout-ms", 50), FAILED)
    assert "timed out" in refused(
        stax("wait", "--until-symbol", "no_such_function", "--timeout-ms", 50), FAILED)
    waiting = stax.start("wait", "--for-samples", 10 ** 9)
    stax.ok("stop")
    assert waiting.wait(timeout=20) == 0


def test_stop_prints_a_summary(stax):
    target = stax.start("record", "-q", "--", stax.program("sleeper"), "--work-ms", 200)
    stax.await_samples(20)
    done = stax.ok("stop")
    assert re.search(r"\d+ samples", done.stdout + done.stderr) and "stax top" in done.stdout + done.stderr
    refused(stax("stop"), FAILED, "no run is active")
    assert target.poll() is None, "the launched target goes on"


def test_summary_of_record(stax):
    done = stax.ok("record", "--", stax.program("spin"), "--seconds", 0.5)
    assert json.loads(done.stdout)["program"] == "spin"
    assert "stax top" in done.stderr and "samples" in done.stderr and "\x1b" not in done.stderr
    quiet = stax.ok("record", "-q", "--", stax.program("spin"), "--seconds", 0.2)
    assert quiet.stderr == ""


def test_empty_views_hint(stax):
    stax.record("--", stax.program("sleeper"), "--seconds", 0.2)
    run = stax.last_run()["id"]
    for command in ("top", "flame"):
        done = stax.ok(command, "--run", run, "--focus", "no_such_function")
        assert "stax " in done.stderr, done


def test_json_is_one_document_and_text_is_plain(stax):
    stax.record("--", stax.program("spin"), "--seconds", 0.3)
    for command in ("status", "list", "top", "flame", "threads", "diagnose"):
        done = stax.ok(command, "--json")
        assert done.stderr == "" and isinstance(json.loads(done.stdout), dict)
        assert "\x1b" not in stax.ok(command).stdout
    assert "\x1b[" in stax.ok("top", "--color=always").stdout
    for word in ("active ms", "target ms", "samples", "spans", "function (image)", "spin_here"):
        assert word in stax.ok("top").stdout
    for word in ("cpu ms", "target ms", "off-CPU ms", "runq ms", "samples", "tid"):
        assert word in stax.ok("threads").stdout


def test_foreign_socket_is_refused(other, bare):
    """Root could use anybody's socket; a foreign one is refused all the same."""
    refused(bare("--server", other.socket, "status")
            if "--server" in bare.ok("--help").stdout
            else bare("status", "--server", other.socket), FAILED)


def test_frequency_above_the_hosts_limit_is_clamped(stax):
    from pathlib import Path
    limit = int(Path("/proc/sys/kernel/perf_event_max_sample_rate").read_text())
    if limit >= 20000:
        pytest.skip(f"perf_event_max_sample_rate={limit} allows all that stax takes")
    done = stax.ok("record", "-F", limit + 1, "--", "true")
    assert "perf_event_max_sample_rate" in done.stderr
    assert stax.last_run()["frequency_hz"] == limit


@pytest.mark.parametrize("paranoid", [3, 4])
def test_a_host_that_lets_no_user_profile(other, paranoid):
    """The administrator's wish counts also where the kernel itself knows no level above 2."""
    setting = Path("/proc/sys/kernel/perf_event_paranoid")
    before = setting.read_text()
    try:
        setting.write_text(f"{paranoid}\n")
        refused = other("record", "-q", "--", "true")
    except PermissionError as error:
        pytest.skip(f"perf_event_paranoid cannot be set here: {error}")
    finally:
        setting.write_text(before)
    assert refused.returncode == 125
    assert f"perf_event_paranoid={paranoid}" in refused.stderr
    assert "sudo sysctl kernel.perf_event_paranoid=2" in refused.stderr
    assert "sudo stax record" in refused.stderr
