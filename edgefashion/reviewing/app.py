"""The page as a Starlette application: its files, what it shows, and what it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.data import collected
from edgefashion.errors import BadInputError
from edgefashion.reviewing.thumbs import LARGE_PX, Thumbs, shrunk
from edgefashion.system.pages import access, files

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from edgefashion.reviewing.review import Review
    from edgefashion.reviewing.teaching import Teaching

_FILES: Final = {
    "/": "page.html",
    **{f"/{name}": name for name in ("review.css", "review.js", "grid.js", "server.js", "teach.js", "icon.svg")},
}

MOST_BYTES: Final = 200_000
"""Of a request: the names of five hundred pictures."""

PAGE: Final = 120
"""Pictures of a group that are told at once, where the page asks for no other number."""

_MOST_SHOWN: Final = 5_000


def application(review: Review, teaching: Teaching, *, token: str | None, hosts: frozenset[str]) -> ASGIApp:
    """The application, guarded by ``token`` or else by ``hosts``. Nothing changes but by a POST of the page itself."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    routes, version = files.routes(Path(__file__).with_name("static"), _FILES)
    thumbs = Thumbs()

    def state(_: Request) -> Response:
        told = review.state()
        return JSONResponse({**told, "page": version, "teaching": teaching.state()})

    def pictures(request: Request) -> Response:
        count = request.query_params.get("count", "")
        most = min(_MOST_SHOWN, int(count)) if count.isdecimal() and len(count) < 6 else PAGE
        return JSONResponse(review.group(request.query_params.get("group", "undecided"), most))

    def closer(request: Request) -> Response:
        return JSONResponse(review.closer(request.query_params.get("picture", "")))

    def jpeg(request: Request, make: Callable[[Path], bytes | None]) -> Response:
        name = request.query_params.get("picture", "")
        found = collected.find(review.folder.path, name) or review.deleted(name)
        content = make(found.path) if found else None
        if content is None:
            return PlainTextResponse("This picture is not there any more, or cannot be read.\n", 404)
        return Response(content, media_type="image/jpeg")

    def thumb(request: Request) -> Response:
        return jpeg(request, thumbs.of)

    def picture(request: Request) -> Response:
        return jpeg(request, lambda path: shrunk(path, LARGE_PX))

    def act(told: dict[str, Any]) -> dict[str, Any]:
        names = told.get("pictures", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BadInputError("pictures must be a list of their names")
        match told.get("what"):
            case "label" if isinstance(told.get("label"), str):
                return review.label(names, told["label"]).as_json()
            case "confirm":
                return review.confirm(names).as_json()
            case "delete":
                return review.delete(names).as_json()
            case "back":
                return review.back(names).as_json()
            case "undo" if isinstance(told.get("batch"), int):
                return review.undo(told["batch"]).as_json()
            case "teach":
                teaching.teach(resume=told.get("resume") is True)
                return {}
            case "stop" | "use" | "take_back" as what:
                getattr(teaching, what)()
                return {}
        raise BadInputError("this page asks for something that the server does not know. Load it again")

    async def do(request: Request) -> Response:
        if not access.of_the_page(request):
            return JSONResponse({"error": "only the page itself may change anything"}, 403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return JSONResponse({"error": "too much at once. Choose fewer pictures"}, 413)
        try:
            told = json.loads(body)
            if not isinstance(told, dict):
                raise ValueError
        except (ValueError, RecursionError):
            return JSONResponse({"error": "this is no JSON object"}, 400)
        return JSONResponse(await run_in_threadpool(act, told))

    async def refused(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": _in_words(error)}, 409)

    routes += [
        Route("/state", state),
        Route("/pictures", pictures),
        Route("/closer", closer),
        Route("/thumb", thumb),
        Route("/picture", picture),
        Route("/do", do, methods=["POST"]),
    ]
    page = Starlette(routes=routes, exception_handlers={BadInputError: refused, OSError: refused})
    return access.Access(page, token=token, hosts=hosts, command="edgefashion review")


def _in_words(error: Exception) -> str:
    """What went wrong, for a person: a full disk, a folder that may only be read."""
    if isinstance(error, OSError):
        return f"the disk says: {error.strerror or error}. What was done before stays done"
    return str(error)
