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
    from starlette.routing import Route

    routes, version = files.routes(Path(__file__).with_name("static"), _FILES)
    answers = _Answers(review, teaching, version)
    routes += [
        Route("/state", answers.state),
        Route("/pictures", answers.pictures),
        Route("/closer", answers.closer),
        Route("/thumb", answers.thumb),
        Route("/picture", answers.picture),
        Route("/do", answers.do, methods=["POST"]),
    ]
    page = Starlette(routes=routes, exception_handlers={BadInputError: _refused, OSError: _refused})
    return access.Access(page, token=token, hosts=hosts, command="edgefashion review")


class _Answers:
    """What the page asks for, and what it wants done."""

    def __init__(self, review: Review, teaching: Teaching, version: str) -> None:
        """``version``: of the page's files; a page of another one loads itself again."""
        self._review, self._teaching, self._version = review, teaching, version
        self._thumbs = Thumbs()

    def state(self, _: Request) -> Response:
        return _json({**self._review.state(), "page": self._version, "teaching": self._teaching.state()})

    def pictures(self, request: Request) -> Response:
        count = request.query_params.get("count", "")
        most = min(_MOST_SHOWN, int(count)) if count.isdecimal() and len(count) < 6 else PAGE
        return _json(self._review.group(request.query_params.get("group", "undecided"), most))

    def closer(self, request: Request) -> Response:
        return _json(self._review.closer(request.query_params.get("picture", "")))

    def thumb(self, request: Request) -> Response:
        return self._jpeg(request, self._thumbs.of)

    def picture(self, request: Request) -> Response:
        return self._jpeg(request, lambda path: shrunk(path, LARGE_PX))

    def _jpeg(self, request: Request, make: Callable[[Path], bytes | None]) -> Response:
        from starlette.responses import PlainTextResponse, Response

        name = request.query_params.get("picture", "")
        found = collected.find(self._review.folder.path, name) or self._review.deleted(name)
        content = make(found.path) if found else None
        if content is None:
            return PlainTextResponse("This picture is not there any more, or cannot be read.\n", 404)
        return Response(content, media_type="image/jpeg")

    async def do(self, request: Request) -> Response:
        """Change something, as the body's JSON says."""
        from starlette.concurrency import run_in_threadpool

        if not access.of_the_page(request):
            return _json({"error": "only the page itself may change anything"}, 403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return _json({"error": "too much at once. Choose fewer pictures"}, 413)
        try:
            told = json.loads(body)
            if not isinstance(told, dict):
                raise ValueError
        except (ValueError, RecursionError):
            return _json({"error": "this is no JSON object"}, 400)
        return _json(await run_in_threadpool(self._act, told))

    def _act(self, told: dict[str, Any]) -> dict[str, Any]:
        names = told.get("pictures", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise BadInputError("pictures must be a list of their names")
        match told.get("what"):
            case "label" if isinstance(told.get("label"), str):
                return self._review.label(names, told["label"]).as_json()
            case "confirm":
                return self._review.confirm(names).as_json()
            case "delete":
                return self._review.delete(names).as_json()
            case "back":
                return self._review.back(names).as_json()
            case "undo" if isinstance(told.get("batch"), int):
                return self._review.undo(told["batch"]).as_json()
            case "teach":
                self._teaching.teach(resume=told.get("resume") is True)
                return {}
            case "stop" | "use" | "take_back" as what:
                getattr(self._teaching, what)()
                return {}
        raise BadInputError("this page asks for something that the server does not know. Load it again")


def _json(content: Any, status: int = 200) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(content, status)


async def _refused(_: Request, error: Exception) -> Response:
    return _json({"error": _in_words(error)}, 409)


def _in_words(error: Exception) -> str:
    """What went wrong, for a person: a full disk, a folder that may only be read."""
    if isinstance(error, OSError):
        return f"the disk says: {error.strerror or error}. What was done before stays done"
    return str(error)
