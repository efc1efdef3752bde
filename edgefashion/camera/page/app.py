"""The page as a Starlette application: its files, its streams, and what monitors ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.camera.page import metrics
from edgefashion.camera.page.streams import BOUNDARY, Hub, Stream, events, picture_parts
from edgefashion.system.pages import access, files

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from edgefashion.camera.page.board import Board

_FILES: Final = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js", "/icon.svg": "icon.svg"}


def application(board: Board, *, token: str | None, hosts: frozenset[str]) -> tuple[ASGIApp, Hub]:
    """The application, guarded by ``token`` or else by ``hosts``, and what its streams are made from."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    file_routes, version = files.routes(Path(__file__).with_name("static"), _FILES)
    hub = Hub(board, version)
    tell = metrics.metrics(board, hub.viewers)

    async def picture(_: Request) -> Response:
        shot = await hub.pictures.newest()
        if shot is None:
            return PlainTextResponse("No picture has come yet.\n", 503, {"Retry-After": "1"})
        return Response(shot.jpeg, media_type="image/jpeg")

    async def health(_: Request) -> Response:
        facts = board.health()
        return JSONResponse(facts, 200 if facts["healthy"] else 503)

    async def figures(_: Request) -> Response:
        return Response(tell(), headers={"Content-Type": metrics.CONTENT_TYPE})

    mjpeg = Stream(hub, "picture", f"multipart/x-mixed-replace; boundary={BOUNDARY}", picture_parts)
    routes = [
        *file_routes,
        Route("/events", Stream(hub, "events", "text/event-stream", events), methods=["GET"]),
        Route("/picture.mjpg", mjpeg, methods=["GET"]),
        Route("/picture.jpg", picture),
        Route("/healthz", health),
        Route("/metrics", figures),
    ]
    return access.Access(Starlette(routes=routes), token=token, hosts=hosts, command="edgefashion camera"), hub
