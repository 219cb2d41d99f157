# SPDX-License-Identifier: MIT
"""Hostile and careless clients: an error or a closed connection, nobody else affected."""

import json
import os
import socket

import pytest

from private_server import wait_until
from stax_client import RpcError

PARSE, INVALID, NO_METHOD, BAD_PARAMS = -32700, -32600, -32601, -32602


@pytest.fixture(autouse=True)
def others_are_unaffected(idle):
    """A client that was there before is answered afterwards; the server keeps nothing."""
    with idle.client() as bystander:
        assert bystander.call("server.info")["pid"] == idle.process.pid
        fds = idle.n_fds()
        yield
        assert bystander.call("run.list")["runs"] == []
        wait_until(lambda: idle.n_fds() <= fds, what="closed descriptors")
    assert idle.is_healthy() and idle.process.poll() is None


def error_of(client, document):
    client.send(document if isinstance(document, bytes) else json.dumps(document).encode() + b"\n")
    answer = client.receive()
    assert answer is None or "error" in answer, answer
    return answer and answer["error"]["code"]


@pytest.mark.parametrize("line, code", [
    (b"\n", None), (b"{\n", PARSE), (b"nonsense\n", PARSE), (b"\xff\xfe\x00\n", PARSE),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "a\xff"}\n', PARSE),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "x"} trailing\n', PARSE),
    (b"null\n", INVALID), (b"42\n", INVALID), (b'"text"\n', INVALID), (b"[]\n", INVALID),
    (b"{}\n", INVALID), (b'{"jsonrpc": "1.0", "id": 1, "method": "run.list"}\n', INVALID),
    (b'{"jsonrpc": "2.0", "id": 1}\n', INVALID),
    (b'{"jsonrpc": "2.0", "id": {}, "method": "run.list"}\n', INVALID),
    (b'{"jsonrpc": "2.0", "id": 1, "method": 7}\n', INVALID),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "no.such"}\n', NO_METHOD),
    (b'{"jsonrpc": "2.0", "id": 1, "method": ""}\n', NO_METHOD),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "profile.top", "params": 3}\n', (INVALID, BAD_PARAMS)),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "profile.top", "params": {"limit": "x"}}\n', BAD_PARAMS),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "profile.top", "params": {"limit": -1}}\n', BAD_PARAMS),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "profile.top", "params": {"limit": 1e99}}\n', BAD_PARAMS),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "run.start", "params": {"pid": true}}\n', BAD_PARAMS),
], ids=lambda v: v[:60].decode("latin1").strip() if isinstance(v, bytes) else "")
def test_malformed(idle, line, code):
    with idle.client() as client:
        client.send(line)
        if code is not None:
            answer = client.receive()
            assert answer["error"]["code"] in (code if isinstance(code, tuple) else (code,)), answer
            assert answer["error"]["message"] and answer["error"]["data"]["code"]
        client.close()


def test_errors_name_the_member(idle):
    with idle.client() as client:
        with pytest.raises(RpcError) as caught:
            client.call("profile.top", view={"tids": [1, "two"]})
    assert caught.value.number == BAD_PARAMS and "tids" in caught.value.message


def test_stable_codes(idle):
    with idle.client() as client:
        for method, params, code in (("run.stop", {}, "no_active_run"),
                                     ("run.wait", {}, "no_active_run"),
                                     ("profile.top", {"view": {"run": 99}}, "no_such_run"),
                                     ("run.select", {"run": 99}, "no_such_run")):
            with pytest.raises(RpcError) as caught:
                client.call(method, **params)
            assert caught.value.code == code, (method, caught.value.message)


def test_unknown_members_are_ignored(idle):
    with idle.client() as client:
        assert client.call("run.list", frobnicate={"a": [1, 2]})["runs"] == []


def test_valid_after_invalid_on_one_connection(idle):
    with idle.client() as client:
        assert error_of(client, b"nonsense\n") == PARSE
        assert client.call("run.list")["runs"] == []


def test_ids_come_back_as_they_went(idle):
    with idle.client() as client:
        for identity in (0, -5, 2 ** 53, "text", "ü\"\\", ""):
            client.send({"jsonrpc": "2.0", "id": identity, "method": "run.list"})
            assert client.receive()["id"] == identity
        client.send({"jsonrpc": "2.0", "method": "run.list"})  # a notification: no answer
        assert client.call("run.list")["runs"] == []


@pytest.mark.parametrize("n_bytes", [(1 << 20) + 1, 8 << 20])
def test_oversized(idle, n_bytes):
    with idle.client(timeout_s=10) as client:
        try:
            client.send(b'{"jsonrpc": "2.0", "id": 1, "method": "' + b"x" * n_bytes + b'"}\n')
            answer = client.receive()
            assert answer is None or answer["error"]["code"] in (INVALID, PARSE, -32000)
        except (BrokenPipeError, ConnectionResetError):
            pass


def test_almost_oversized_is_answered(idle):
    request = b'{"jsonrpc": "2.0", "id": 1, "method": "run.list", "params": {"x": "%s"}}\n'
    with idle.client() as client:
        client.send(request % (b"y" * ((1 << 20) - len(request) - 100)))
        assert client.receive()["result"]["runs"] == []


def test_endless_line_without_newline(idle):
    """A line that never ends costs the server no more than the limit."""
    before_kb = idle.status_kb("VmRSS")
    with idle.client(timeout_s=5) as client:
        try:
            for _ in range(64):
                client.send(b"x" * (1 << 20))
            while client.receive() is not None:
                pass
        except (OSError, ValueError):
            pass
    assert idle.status_kb("VmRSS") - before_kb < 16 * 1024


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [33, 100000])
def test_deeply_nested(idle, opening, closing, depth):
    nested = opening * depth + b"1" + closing * depth
    with idle.client() as client:
        line = b'{"jsonrpc": "2.0", "id": 1, "method": "run.list", "params": {"x": %s}}\n' % nested
        assert error_of(client, line) in (PARSE, INVALID, BAD_PARAMS, None)


def test_half_sent_and_gone(idle):
    for part in (b"", b"{", b'{"jsonrpc": "2.0", "id": 1, "met'):
        with idle.client() as client:
            client.send(part)


def test_sent_byte_by_byte_and_many_at_once(idle):
    line = b'{"jsonrpc": "2.0", "id": 1, "method": "run.list"}\n'
    with idle.client() as client:
        for i in range(len(line)):
            client.send(line[i:i + 1])
        assert client.receive()["result"]["runs"] == []
        client.send(line * 50)
        assert all(client.receive()["result"]["runs"] == [] for _ in range(50))


def test_asks_and_never_reads(idle):
    """Requests in flight and what waits to be sent are bounded."""
    before_kb = idle.status_kb("VmRSS")
    with idle.client(timeout_s=2) as client:
        line = b'{"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}\n'
        try:
            for _ in range(3000):
                client.send(line)
        except OSError:
            pass
        assert idle.is_healthy()
        assert idle.status_kb("VmRSS") - before_kb < 64 * 1024


def test_many_connections(idle):
    clients = []
    try:
        for _ in range(200):
            try:
                clients.append(idle.client(timeout_s=5))
            except OSError:
                break
        answered = 0
        for client in clients:
            try:
                answered += client.call("run.list")["runs"] == []
            except (OSError, ConnectionError):
                pass
        assert answered >= 32
    finally:
        for client in clients:
            client.close()


def test_gone_while_waited_for(idle):
    """Clients that vanish in the middle of a long request."""
    for _ in range(20):
        client = idle.client()
        client.send({"jsonrpc": "2.0", "id": 1, "method": "server.diagnostics"})
        client.socket.shutdown(socket.SHUT_RDWR)
        client.close()


def test_garbage(idle):
    for seed in range(40):
        with idle.client(timeout_s=0.2) as client:
            try:
                client.send(os.urandom(512) + b"\n")
                client.receive()
            except (OSError, ValueError):
                pass


def test_socket_is_private(idle, stranger):
    """Mode 0600; and where that is not kept, the peer's uid is checked."""
    assert oct(idle.socket.stat().st_mode & 0o777) == "0o600"
    stranger.env["STAX_SERVER_SOCKET"] = str(idle.socket)
    for mode in (0o600, 0o666):
        os.chmod(idle.socket, mode)
        done = stranger("list")
        assert done.returncode == 1 and done.stderr.startswith("error: "), done


def test_other_pids_are_checked(idle):
    with idle.client() as client:
        for pid in (0, -1, 2 ** 40, 2 ** 62):
            with pytest.raises(RpcError):
                client.call("run.start", pid=pid)
        assert client.call("run.status")["active"] == []


def test_replay_needs_its_option(idle):
    with idle.client() as client, pytest.raises(RpcError) as caught:
        client.call("run.start", replay="samples=1000")
    assert "allow-replay" in caught.value.message + (caught.value.hint or "")
