"""A receiver of webhooks to be told how to answer: rightly, with any status, or as no server should."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

WELL = "204"


@dataclass
class Posted:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    answered: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.body)
        return fields


@dataclass
class Receiver:
    """Answers as ``answers`` say, one a request, and then well.

    An answer is a status (``"503"``), a status and headers (``"429 Retry-After: 1"``), or ``reset``, ``hang up``,
    ``stall``, ``drip``, ``garbage``, ``short``, ``endless``.
    """

    answers: list[str] = field(default_factory=list)
    always: str = WELL
    posted: list[Posted] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                how = receiver.answers.pop(0) if receiver.answers else receiver.always
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posted.append(Posted(self.path, headers, body, how))
                with contextlib.suppress(OSError):
                    _answer(self, how)

            def do_GET(self) -> None:
                self.do_POST()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "/hook", login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.port}{path}"

    @property
    def taken(self) -> list[int]:
        """The frames of the events that were taken, in the order in which they came."""
        return [each.event["frame"] for each in self.posted if each.answered.startswith("2")]


def _answer(handler: http.server.BaseHTTPRequestHandler, how: str) -> None:
    status, _, header = how.partition(" ")
    if status.isdigit():
        handler.send_response(int(status))
        if header:
            name, _, value = header.partition(": ")
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.close_connection = True
    connection = handler.connection
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == "stall":
        time.sleep(2)
    elif how == "drip":
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
    elif how == "garbage":
        connection.sendall(b"\x00\xff SSH-2.0 SECRET\r\n\r\n")
    elif how == "short":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew")
    elif how == "endless":
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            connection.sendall(bytes(4096))
    connection.close()
