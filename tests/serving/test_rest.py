"""No slow, huge or broken HTTP request holds the server up."""

from __future__ import annotations

import contextlib
import select

import pytest
from helpers.serve import MAX_BYTES, ZEROS, Server, as_json


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_too_large(server: Server) -> None:
    """A request over the limit is refused: by what it announces, and by what it sends in chunks."""
    for path, status in ((b"edge", b"413"), (b"edge/versions/1", b"404")):  # which it reads no body of at all
        with server.connect() as announced:
            announced.sendall(b"POST /v2/models/%s/infer HTTP/1.1\r\nHost: x\r\n" % path)
            announced.sendall(b"Content-Length: 99999999999\r\n\r\n")
            assert announced.recv(1000).startswith(b"HTTP/1.1 " + status)
    with server.connect() as chunked:
        chunked.sendall(b"POST /v2/models/edge/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 100 * MAX_BYTES:  # without end, if it were let
                chunked.sendall(b"40000\r\n" + bytes(0x40000) + b"\r\n")
                sent += 0x40000
                chunked.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    assert chunked.recv(1000).startswith(b"HTTP/1.1 413")
                    break
                chunked.setblocking(True)
        assert sent < 20 * MAX_BYTES
    assert server.get("/v2/health/ready")[0] == 200


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_many_bodies_at_once(server: Server) -> None:
    """Bodies that are still being sent count as held: over the bound new bytes are refused, and then it goes on."""
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(server.connect()) for _ in range(12)]
        for sender in senders:
            sender.sendall(b"POST /v2/models/edge/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MAX_BYTES)
            with contextlib.suppress(ConnectionError):
                sender.sendall(bytes(MAX_BYTES - 1))
        refused = select.select(senders, [], [], 10)[0]
        assert refused
        assert refused[0].recv(1000).startswith(b"HTTP/1.1 503")
    assert server.post(as_json(ZEROS))[0] == 200


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_clients_that_leave(server: Server) -> None:
    """A client that leaves in mid-body is counted as gone, and not as the server's error."""
    with server.connect() as leaving:
        leaving.sendall(b"POST /v2/models/edge/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert server.get("/v2/health/ready")[0] == 200  # it has begun to read
    counted = 'edgefashion_requests_total{model="edge",outcome="%s",protocol="http"}'
    while counted % "gone" not in (text := server.get("/metrics")[1]):
        assert counted % "error" not in text


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_headers_without_end(server: Server) -> None:
    """A header that grows without end is cut off; the others are served meanwhile."""
    with server.connect() as slow, contextlib.suppress(ConnectionError):
        slow.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(20):
            slow.sendall(b"x: " + b"y" * 10_000 + b"\r\n")
        assert slow.recv(1000).startswith(b"HTTP/1.1 400")
    assert server.get("/v2/health/ready")[0] == 200
