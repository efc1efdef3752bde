"""The server's HTTP side: KServe's endpoints in a uvicorn that no slow, huge or broken request holds up."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from kserve.protocol.rest.server import metrics_handler
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edgefashion.serving.admission import BUSY, DRAINING, LARGE, SLOW, RefusedError
from edgefashion.serving.protocol import JSON_LENGTH, why
from edgefashion.system.complaints import complain

if TYPE_CHECKING:
    import socket

    from edgefashion.serving.metrics import Metrics
    from edgefashion.serving.protocol import Plane, Repository

CONNECTIONS: Final = 500
"""At most; one more is told 503."""

HEADER_S: Final = 10.0
"""A request's header is whole within this time at most, a first one comes, and an answer is read on."""

HEADER_BYTES: Final = 1 << 16
KEEP_ALIVE_S: Final = 65
LINGER_S: Final = 2.0
"""So long a client that was refused in mid-body may go on sending, so that it reads why."""

BODIES: Final = 8
"""So many requests of the largest size are held in memory at once, those that are still being sent included."""


class Connection(HttpToolsProtocol):
    """One connection, cut off where a header never ends; uvicorn itself would wait."""

    def __init__(self, *arguments: Any, header_s: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._header_s = header_s
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._cut_after(self._header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_live()
        if self._unread:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        in_header = self._timer is not None
        super().data_received(data)
        self._header_bytes = self._header_bytes + len(data) if in_header and self._timer else 0
        if self._header_bytes > HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The header is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._cut_after(self._header_s)

    def on_headers_complete(self) -> None:
        self._let_live()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._let_live()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.cycle.more_body:
            self._cut_after(LINGER_S)
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self._header_s, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread:
            self._unread.cancel()
        super().resume_writing()

    def _cut_after(self, seconds: float) -> None:
        self._let_live()
        self._timer = self.loop.call_later(seconds, self._cut)

    def _let_live(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:  # the next request has begun while one is being answered
            self._cut_after(self._header_s)


class HttpServer(uvicorn.Server):
    """uvicorn, which leaves the signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Http:
    """The application and its server, on a socket that listens already."""

    def __init__(
        self, plane: Plane, repository: Repository, metrics: Metrics, *, max_bytes: int, timeout_s: float
    ) -> None:
        self._plane = plane
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._held_bytes = 0
        app = FastAPI(title="edgefashion", docs_url=None, redoc_url=None, openapi_url=None)
        # Before KServe's own: it does without FastAPI's parsing, which knows no bytes that are no text.
        app.router.add_route("/v2/models/{model_name}/infer", self._infer, methods=["POST"])
        # And bounds what it reads: KServe's own, with a version, would take any body whole.
        app.router.add_route("/v2/models/{model_name}/versions/{version}/infer", self._infer, methods=["POST"])
        app.router.add_route("/metrics", metrics_handler, methods=["GET"])
        register_v2_endpoints(app, plane, repository)
        app.add_exception_handler(RequestValidationError, _invalid)
        app.add_exception_handler(HTTPException, _http_error)
        app.add_exception_handler(Exception, _error)
        for kind in _KSERVE_ERRORS:
            app.add_exception_handler(kind, _error)
        config = uvicorn.Config(
            app,
            http=functools.partial(Connection, header_s=min(HEADER_S, timeout_s)),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
        self.server = HttpServer(config)

    async def serve(self, listening: socket.socket) -> None:
        """Serve until :meth:`stop`."""
        await self.server.serve([listening])

    def stop(self) -> None:
        """End once what is being answered is answered, or a second later."""
        self.server.should_exit = True

    async def _infer(self, request: Request) -> Response:
        name = request.path_params["model_name"]
        try:
            with self._metrics.watch(name, "http"):
                return await self._answer(request, name)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
        except Exception as error:
            return _told(error)

    async def _answer(self, request: Request, name: str) -> Response:
        if "version" in request.path_params:
            raise NotImplementedError(f"models have no versions here. Ask /v2/models/{name[:40]}/infer")
        if not await self._plane.model_ready(name):
            raise RefusedError(BUSY, f"{name} is not ready yet")
        body = bytearray()
        try:
            await self._read(request, body)
            headers = {key: value for key, value in request.headers.items() if key in _HEADERS}
            asked = self._plane.decode_inference_request(body, headers, name)
            answer, _ = await self._plane.infer(name, asked, headers)
            content, json_length = answer.to_rest()
        finally:
            self._held_bytes -= len(body)
        if json_length is None:
            return JSONResponse(content)
        told = {JSON_LENGTH: str(json_length)}
        return Response(content, headers=told, media_type="application/octet-stream")

    async def _read(self, request: Request, body: bytearray) -> None:
        limit = f"{self._max_bytes / 1e6:g} MB"
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max_bytes:
            raise RefusedError(LARGE, f"the request has {int(length):,} bytes, more than {limit}")
        try:
            async with asyncio.timeout(self._timeout_s):
                async for part in request.stream():
                    body += part
                    self._held_bytes += len(part)
                    if len(body) > self._max_bytes:
                        raise RefusedError(LARGE, f"the request has more than {limit}")
                    if self._held_bytes > BODIES * self._max_bytes:
                        raise RefusedError(BUSY, "too much is being sent at once. Ask again soon")
        except TimeoutError as error:
            raise RefusedError(SLOW, f"the request was not whole within {self._timeout_s:g} s") from error


_HEADERS: Final = frozenset({JSON_LENGTH, "content-encoding", "x-request-id"})


def _kserve_errors() -> tuple[type[Exception], ...]:
    from kserve import errors

    known = (errors.InvalidInput, errors.InferenceError, errors.ModelNotFound, errors.ModelNotReady)
    return (*known, errors.UnsupportedProtocol, errors.ServerNotReady, errors.ServerNotLive, NotImplementedError)


_KSERVE_ERRORS: Final = _kserve_errors()


def _told(error: Exception) -> Response:
    reason, text = why(error)
    if reason.outcome == "error":
        complain("a request failed", error, "serve")
    headers = {"retry-after": str(reason.retry_after_s)} if reason.retry_after_s else {}
    if reason is DRAINING:
        headers["connection"] = "close"  # its next request would find nobody
    return JSONResponse({"error": text}, reason.http, headers)


async def _error(_: Request, error: Exception) -> Response:
    return _told(error)


async def _invalid(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"the request is invalid: {error!s:.200}"}, HTTPStatus.BAD_REQUEST)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
