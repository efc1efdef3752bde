"""uvicorn in a thread of this process: bounded, silent but for errors, and gone within two seconds."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from edgefashion.errors import MissingError
from edgefashion.system.complaints import complain, log_to_stderr

if TYPE_CHECKING:
    from starlette.types import ASGIApp

CONNECTIONS: Final = 64
"""At most; one more is hung up on. The camera's own files must never lack descriptors."""

IDLE_S: Final = 10.0
"""A connection that asks for nothing for so long is hung up on."""

GRACE_S: Final = 0.5
"""Streams have this to end by themselves when the server closes; what then still hangs is cut."""

START_S: Final = 20.0


class Connection(H11Protocol):
    """One connection, which is counted, may not idle, and can be cut from the application.

    uvicorn itself waits for a first request without end, and flushes to who does not read without end.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.app_state = {**self.app_state, "abort": self.abort}
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle:
            self._idle.cancel()
        super().connection_lost(exc)

    def abort(self) -> None:
        """Cut the connection, whatever of it is still unsent."""
        self.transport.abort()

    def _watch(self) -> None:
        self._idle = self.loop.call_later(IDLE_S, self._look, self.cycle)

    def _look(self, cycle: Any) -> None:
        if self.cycle is cycle and (cycle is None or cycle.response_complete):
            self.abort()  # nothing was asked since the last look, and nothing is being answered
        else:
            self._watch()


class Uvicorn(uvicorn.Server):
    """The server, which cuts off at its end who does not leave."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, what: complain(what["message"], what.get("exception"))
        )
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(GRACE_S, self._cut)
        await super().shutdown(sockets)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Server:
    """``app`` on ``sockets``, which it closes at its end. Raises :class:`MissingError` if it does not start."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket]) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        log_to_stderr()
        self._sockets = sockets
        self._uvicorn = Uvicorn(config)
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
