# SPDX-License-Identifier: MIT
"""A client of stax-server: JSON-RPC 2.0, one document per line, on a Unix socket."""

import json
import socket


class RpcError(Exception):
    """The server's error object: number, message, data.code and data.hint."""

    def __init__(self, error):
        super().__init__(error.get("message"))
        self.number = error.get("code")
        self.message = error.get("message")
        self.data = error.get("data") or {}
        self.code = self.data.get("code")
        self.hint = self.data.get("hint")


class Client:
    def __init__(self, path, timeout_s=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")
        self.updates = []
        self.n_requests = 0

    def send(self, document):
        self.socket.sendall(document if isinstance(document, bytes)
                            else json.dumps(document).encode() + b"\n")

    def receive(self):
        """The next document, or None at the end of the connection."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def call(self, method, /, **params):
        self.n_requests += 1
        request = {"jsonrpc": "2.0", "id": self.n_requests, "method": method}
        if params:
            request["params"] = params
        self.send(request)
        while True:
            answer = self.receive()
            if answer is None:
                raise ConnectionError("the server closed the connection")
            if answer.get("method") == "update":
                self.updates.append(answer["params"])
            elif answer.get("id") == self.n_requests:
                if "error" in answer:
                    raise RpcError(answer["error"])
                return answer["result"]

    def subscribe(self, method, /, min_interval_ms=250, **params):
        return self.call("subscribe", method=method, params=params,
                         min_interval_ms=min_interval_ms)["subscription"]

    def next_update(self, timeout_s=10):
        self.socket.settimeout(timeout_s)
        while not self.updates:
            answer = self.receive()
            if answer is None:
                raise ConnectionError("the server closed the connection")
            self.updates.append(answer["params"])
        return self.updates.pop(0)

    def close(self):
        self.lines.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
