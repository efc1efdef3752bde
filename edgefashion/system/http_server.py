"""uvicorn as this package runs it: without its log and its signal handlers, and with a timer for each connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn

from edgefashion.system.server_log import complain

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class TimedConnection(asyncio.Protocol):
    """What a connection needs to be cut off in time: mix it into one of uvicorn's HTTP protocols.

    uvicorn itself waits without end for a first request, for the rest of a header, and for a client that does not
    read.
    """

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: Any
    """uvicorn's newest request and its answer; None before the first."""
    _timer: asyncio.TimerHandle | None = None

    @property
    def answering(self) -> bool:
        """True while a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def start_timer(self, seconds: float) -> None:
        """Call :meth:`on_time` in so many seconds, in place of an earlier timer."""
        self.stop_timer()
        self._timer = self.loop.call_later(seconds, self.on_time)

    def stop_timer(self) -> None:
        """Call :meth:`on_time` no more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    @property
    def timed(self) -> bool:
        """True while a timer runs."""
        return self._timer is not None

    def on_time(self) -> None:
        """Cut the connection off; to be overridden by who wants to look first."""
        self.abort()

    def abort(self) -> None:
        """Cut the connection off, whatever of it is still unsent."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_timer()
        super().connection_lost(exc)


class HttpServer(uvicorn.Server):
    """uvicorn with this package's settings. ``options`` are further ones of ``uvicorn.Config``.

    Args:
        app: the ASGI application.
        connection: makes the protocol of each connection: a class, or a partial of one.
        who: whose complaints these are, as :func:`edgefashion.system.server_log.complain` takes it.
        log_level: ``error`` has uvicorn's errors logged; ``critical`` has nothing logged.
        grace_s: seconds after which connections that are still open at the end are cut; None leaves them to uvicorn.
        options: what only one of the servers sets.
    """

    def __init__(
        self,
        app: Any,
        connection: Callable[..., asyncio.Protocol],
        *,
        who: str,
        log_level: str,
        grace_s: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=connection,  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=log_level,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
                **options,
            )
        )
        self._who, self._grace_s = who, grace_s

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, what: complain(what["message"], what.get("exception"), self._who)
        )
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._grace_s is not None:
            asyncio.get_running_loop().call_later(self._grace_s, self._cut)
        await super().shutdown(sockets)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
