"""What both HTTP servers share: settings, timers of connections, a clean end."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("uvicorn", reason='uvicorn is not installed (pip install "edgefashion[web]")')

from uvicorn.protocols.http.h11_impl import H11Protocol

from edgefashion.system import server_log
from edgefashion.system.http_server import HttpServer, TimedConnection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATIENCE_S = 20.0


class Timed(TimedConnection, H11Protocol):
    """A connection that is cut off a tenth of a second after it began, unless it is answering."""

    looks = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.start_timer(0.1)

    def on_time(self) -> None:
        type(self).looks += 1
        if self.answering:
            self.start_timer(0.1)
        else:
            self.abort()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once, or never."""
    if scope["path"] == "/slow":
        await asyncio.sleep(PATIENCE_S)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def serve(meanwhile: Callable[[HttpServer, tuple[str, int]], Awaitable[None]], **options: Any) -> None:
    """Serve ``app`` while ``meanwhile`` runs, then end; the signal handlers are what they were all the time."""

    async def run() -> None:
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = HttpServer(app, Timed, who="test", log_level="critical", **options)
            serving = asyncio.create_task(server.serve([listening]))
            while not server.started:
                await asyncio.sleep(0.01)
            assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
            await meanwhile(server, listening.getsockname())
            server.should_exit = True
            await asyncio.wait_for(serving, PATIENCE_S)

    asyncio.run(run())


async def ask(place: tuple[str, int], path: str) -> bytes:
    """All that is said until the other side hangs up."""
    reader, writer = await asyncio.open_connection(*place)
    if path:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def test_answers_without_a_name() -> None:
    """A request is answered, and the answer does not say what the server is."""

    async def meanwhile(_: HttpServer, place: tuple[str, int]) -> None:
        said = await ask(place, "/")
        assert said.startswith(b"HTTP/1.1 200")
        assert said.endswith(b"ok")
        assert b"server:" not in said.lower()

    serve(meanwhile)


def test_a_timer_cuts_off_who_asks_nothing() -> None:
    """A connection's timer ends it while it is not answering, and lets it live while it is."""

    async def meanwhile(_: HttpServer, place: tuple[str, int]) -> None:
        assert await ask(place, "") == b""
        Timed.looks = 0
        slow = asyncio.create_task(ask(place, "/slow"))
        while Timed.looks < 3:
            await asyncio.sleep(0.01)
        assert not slow.done()
        slow.cancel()

    serve(meanwhile, grace_s=0.1)


def test_who_does_not_leave_is_cut_off() -> None:
    """At its end the server cuts off, after the time of grace, connections that are still being answered."""

    async def meanwhile(server: HttpServer, place: tuple[str, int]) -> None:
        slow = asyncio.create_task(ask(place, "/slow"))
        while not server.server_state.tasks:
            await asyncio.sleep(0.01)
        server.should_exit = True
        assert await slow == b""
        assert server.server_state.tasks  # not because its answer was given up

    serve(meanwhile, grace_s=0.1)


def test_errors_of_the_event_loop_are_complaints(capfd: pytest.CaptureFixture[str]) -> None:
    """What fails where nobody waits for it is one line on stderr, under the server's name."""
    server_log._said.clear()

    async def meanwhile(*_: object) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "a callback failed", "exception": OSError("x")})

    serve(meanwhile)
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err == "edgefashion: test: a callback failed: OSError: x\n"
