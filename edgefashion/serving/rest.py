"""The server's HTTP side: KServe's endpoints in a uvicorn that no slow, huge or broken request holds up."""

from __future__ import annotations

import asyncio
import functools
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from kserve.protocol.rest.server import metrics_handler
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edgefashion.serving import extensions
from edgefashion.serving.coding import Coding
from edgefashion.serving.protocol import JSON_LENGTH, refusal_of
from edgefashion.serving.statuses import BUSY, DRAINING, LARGE, SLOW, RefusedError
from edgefashion.system.http_server import HttpServer, TimedConnection
from edgefashion.system.server_log import complain
from edgefashion.system.text import whole_number

if TYPE_CHECKING:
    import socket

    from edgefashion.serving.metrics import Metrics
    from edgefashion.serving.protocol import Plane, Repository

CONNECTIONS: Final = 500
"""At most. A request on one more is answered with 503."""

HEADER_S: Final = 10.0
"""Time for a connection's first request to come, for a request's header to be whole, and for a client to read on."""

HEADER_BYTES: Final = 1 << 16
"""The longest header of a request."""

KEEP_ALIVE_S: Final = 65
"""Time between two requests of a connection."""

LINGER_S: Final = 2.0
"""A client that is refused in mid-body may go on sending for so long, so that it reads why."""

BODIES: Final = 8
"""Memory for bodies, in requests of the largest size. Those that are still being sent count, too."""


class Connection(TimedConnection, HttpToolsProtocol):
    """One connection. It is cut off where a header never ends or the answer is not read; uvicorn would wait."""

    def __init__(self, *arguments: Any, header_s: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._header_s = header_s
        self._unread: asyncio.TimerHandle | None = None
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.start_timer(self._header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._unread:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        in_header = self.timed
        super().data_received(data)
        self._header_bytes = self._header_bytes + len(data) if in_header and self.timed else 0
        if self._header_bytes > HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The header is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.start_timer(self._header_s)

    def on_headers_complete(self) -> None:
        self.stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.cycle.more_body:
            self.start_timer(LINGER_S)
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self._header_s, self.abort)

    def resume_writing(self) -> None:
        if self._unread:
            self._unread.cancel()
        super().resume_writing()

    def on_time(self) -> None:
        """Cut the connection off, unless the late header is that of a next request while one is being answered."""
        if self.answering:
            self.start_timer(self._header_s)
        else:
            self.abort()


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
        # This route comes before KServe's own, whose parsing takes every body for text.
        app.router.add_route("/v2/models/{model_name}/infer", self._infer, methods=["POST"])
        # And this one, because KServe's would read a body of any size.
        app.router.add_route("/v2/models/{model_name}/versions/{version}/infer", self._infer, methods=["POST"])
        version = "/v2/models/{model_name}/versions/{version}"
        for path in (version, f"{version}/ready"):
            app.router.add_route(path, self._version, methods=["GET"])
        app.router.add_route("/v2/models/{model_name}", self._metadata, methods=["GET"])
        app.router.add_route("/metrics", metrics_handler, methods=["GET"])
        register_v2_endpoints(app, plane, repository)
        app.add_exception_handler(RequestValidationError, _invalid)
        app.add_exception_handler(HTTPException, _http_error)
        app.add_exception_handler(Exception, _error)
        for kind in _KSERVE_ERRORS:
            app.add_exception_handler(kind, _error)
        self.server = HttpServer(
            app,
            functools.partial(Connection, header_s=min(HEADER_S, timeout_s)),
            who="serve",
            log_level="critical",
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
        )

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

    async def _metadata(self, request: Request) -> Response:
        """As KServe's, which adds ``"versions": null``: the protocol knows a list there, or nothing."""
        name = request.path_params["model_name"]
        if name == "stats" and not self._plane.knows(name):  # Triton's address for the statistics of all models
            raise HTTPException(HTTPStatus.NOT_FOUND)
        try:
            return JSONResponse(await self._plane.model_metadata(name))
        except Exception as error:
            return _told(error)

    async def _version(self, request: Request) -> Response:
        name = request.path_params["model_name"]
        try:
            await self._plane.check_version(name, request.path_params["version"])
        except Exception as error:
            return _told(error)
        raise AssertionError("no model has a version")

    async def _answer(self, request: Request, name: str) -> Response:
        if not await self._plane.model_ready(name):
            raise RefusedError(BUSY, f"{name} is not ready yet")
        await self._plane.check_version(name, request.path_params.get("version"))
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
        length = whole_number(request.headers.get("content-length", "0"))
        if length is not None and length > self._max_bytes:
            raise RefusedError(LARGE, f"the request has {length:,} bytes, more than {limit}")
        coding = Coding(request.headers.get("content-encoding", ""))
        try:
            async with asyncio.timeout(self._timeout_s):
                async for sent in request.stream():
                    part = coding.decoded(sent, self._max_bytes + 1 - len(body))
                    body += part
                    self._held_bytes += len(part)
                    if len(body) > self._max_bytes:
                        raise RefusedError(LARGE, f"the request has more than {limit}")
                    if self._held_bytes > BODIES * self._max_bytes:
                        raise RefusedError(BUSY, "too much is being sent at once. Ask again soon")
        except TimeoutError as error:
            raise RefusedError(SLOW, f"the request was not whole within {self._timeout_s:g} s") from error
        coding.check_whole()


_HEADERS: Final = frozenset({JSON_LENGTH, "x-request-id"})


def _kserve_errors() -> tuple[type[Exception], ...]:
    from kserve import errors

    known = (errors.InvalidInput, errors.InferenceError, errors.ModelNotFound, errors.ModelNotReady)
    return (*known, errors.UnsupportedProtocol, errors.ServerNotReady, errors.ServerNotLive, NotImplementedError)


_KSERVE_ERRORS: Final = _kserve_errors()


def _told(error: Exception) -> Response:
    refusal, text = refusal_of(error)
    if refusal.outcome == "error":
        complain("a request failed", error, "serve")
    headers = {"retry-after": str(refusal.retry_after_s)} if refusal.retry_after_s else {}
    if refusal is DRAINING:
        headers["connection"] = "close"  # a next request on this connection would not be answered
    return JSONResponse({"error": text}, refusal.http, headers)


async def _error(_: Request, error: Exception) -> Response:
    return _told(error)


async def _invalid(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"the request is invalid: {error!s:.200}"}, HTTPStatus.BAD_REQUEST)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        said = f"this server has no such address. {extensions.ADDRESSES}"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        said = "this address is asked otherwise: infer by POST, all else by GET"
    return JSONResponse({"error": said}, error.status_code, error.headers)
