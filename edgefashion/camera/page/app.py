"""The page as a Starlette application: its files, its streams, and what monitors ask for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.camera.page import metrics
from edgefashion.camera.page.streams import BOUNDARY, Hub, Stream, events, picture_parts
from edgefashion.system import palette
from edgefashion.system.pages import access

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from edgefashion.camera.page.board import Board

_STYLE: Final = "/page.css"
_FILES: Final = {
    "/": ("page.html", "text/html"),
    _STYLE: ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_WITHIN_MARK: Final = b"/* WITHIN */"
"""Where the page holds :data:`access.WITHIN`."""


def application(board: Board, *, token: str | None, hosts: frozenset[str]) -> tuple[ASGIApp, Hub]:
    """The application, guarded by ``token`` or else by ``hosts``, and what its streams are made from."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    here = Path(__file__).with_name("static")
    files = {path: ((here / name).read_bytes(), media_type) for path, (name, media_type) in _FILES.items()}
    files[_STYLE] = palette.page_css().encode() + files[_STYLE][0], files[_STYLE][1]
    files["/"] = files["/"][0].replace(_WITHIN_MARK, access.WITHIN.encode()), files["/"][1]
    version = hashlib.sha256(b"".join(content for content, _ in files.values())).hexdigest()[:16]
    hub = Hub(board, version)
    tell = metrics.metrics(board, hub.viewers)

    async def file(request: Request) -> Response:
        content, media_type = files[request.scope["path"]]
        return Response(content, media_type=media_type)

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
        *(Route(path, file) for path in files),
        Route("/events", Stream(hub, "events", "text/event-stream", events), methods=["GET"]),
        Route("/picture.mjpg", mjpeg, methods=["GET"]),
        Route("/picture.jpg", picture),
        Route("/healthz", health),
        Route("/metrics", figures),
    ]
    return access.Access(Starlette(routes=routes), token=token, hosts=hosts, command="edgefashion camera"), hub
