"""The page's HTTP server in a thread of this process: bounded, silent but for errors, and gone within two seconds."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from edgefashion.errors import MissingError
from edgefashion.system.http_server import HttpServer, TimedConnection
from edgefashion.system.server_log import log_to_stderr

if TYPE_CHECKING:
    import socket

    from starlette.types import ASGIApp

CONNECTIONS: Final = 64
"""At most; one more is hung up on. The camera's own files must never lack descriptors."""

IDLE_S: Final = 10.0
"""A connection that asks for nothing for so long is hung up on."""

GRACE_S: Final = 0.5
"""Streams have this to end by themselves when the server closes; what then still hangs is cut."""

START_S: Final = 20.0
"""For the server's thread to listen."""


class Connection(TimedConnection, H11Protocol):
    """One connection, which is counted, may not idle, and can be cut off by the application."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.app_state = {**self.app_state, "abort": self.abort}
        self._last_cycle: Any = None
        """The newest request at the last look."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
            return
        self.start_timer(IDLE_S)

    def on_time(self) -> None:
        """Cut the connection off if nothing was asked since the last look and nothing is being answered."""
        if self.cycle is self._last_cycle and not self.answering:
            self.abort()
        else:
            self._last_cycle = self.cycle
            self.start_timer(IDLE_S)


class Server:
    """``app`` on ``sockets``, which it closes at its end. Raises :class:`MissingError` if it does not start."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket]) -> None:
        log_to_stderr()
        self._sockets = sockets
        self._uvicorn = HttpServer(
            app, Connection, who="page", log_level="error", grace_s=GRACE_S, loop="asyncio", timeout_keep_alive=5
        )
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()
        give_up_s = time.monotonic() + START_S
        while not self._uvicorn.started:
            if not self.alive or time.monotonic() > give_up_s:
                self.close()
                raise MissingError(f"the page's server does not start: {self.failure or 'it hangs'}. Try again")
            time.sleep(0.005)

    def _run(self) -> None:
        try:
            self._uvicorn.run(sockets=self._sockets)
        except BaseException as error:  # a thread has nobody to raise to: whoever asks is told
            self.failure = error
        finally:
            for one in self._sockets:
                one.close()

    @property
    def alive(self) -> bool:
        """True while it serves."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End it, with all its connections. May be called twice."""
        self._uvicorn.should_exit = True
        self._thread.join(5)
