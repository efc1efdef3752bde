"""Answers that do not end: events and pictures, for as long as someone watches, however slowly."""

from __future__ import annotations

import asyncio
import collections
import json
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera.page.picture import Pictures

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from edgefashion.camera.page.board import Board

VIEWERS: Final = 16
"""Of each stream at most; one more is told to come back."""

STUCK_S: Final = 10.0
"""A viewer that does not take a part in this time is cut off."""

TICK_S: Final = 0.1
PULSE_S: Final = 0.5
"""Events come at least this often: the page sees by it that the server is there."""

STILL_S: Final = 5.0
"""A picture that does not change is sent again after this: so a viewer that has gone is noticed."""

SLOW_S: Final = 1.0
"""Between the pictures of a viewer who asked for little motion."""

BOUNDARY: Final = "picture"
_HEAD: Final = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
_AT_ONCE: Final = [(b"x-accel-buffering", b"no"), (b"content-encoding", b"identity")]
"""Headers that keep proxies from holding parts back: until nginx has a bufferful, or Caddy enough to compress."""

_NEWS: Final = ("show", "condition", "headline", "detail", "kept", "note", "model", "precision", "picture")


@dataclass
class Hub:
    """What every answer of the page is made from. For the server's event loop, but for ``stopping``."""

    board: Board
    version: str
    """Of the page's files: a page left open over an update sees by it that it is old."""
    pictures: Pictures = field(init=False)
    stopping: bool = False
    open: collections.Counter[str] = field(default_factory=collections.Counter)
    """Open streams, by kind."""
    watching: collections.Counter[str] = field(default_factory=collections.Counter)
    """Open picture streams, by the name their page gave itself."""

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.board)

    def viewers(self) -> dict[str, int]:
        """Open streams, by kind."""
        return {kind: self.open[kind] for kind in ("events", "picture")}


Watched = Callable[[], bool]
"""Whether the viewer is still there and the server goes on."""

Parts = Callable[[Hub, "Request", Watched], AsyncGenerator[bytes, None]]


async def events(hub: Hub, request: Request, watched: Watched) -> AsyncGenerator[bytes, None]:
    """Server-sent events: what the page shows, at once when it is new and every :data:`PULSE_S` for its figures."""
    viewer = request.query_params.get("viewer", "")
    yield b"retry: 1000\n\n"
    told: list[Any] = []
    due_s = 0.0
    while watched():
        shown = hub.board.shown() | {"page": hub.version, "picture": hub.watching[viewer] > 0}
        news = [*(shown[name] for name in _NEWS), len(shown["answers"]) and shown["answers"][0]["number"]]
        news += [
            garment["label"] for garment in shown["garments"]
        ]  # where they are is in the picture, ten times a second
        if news != told or time.monotonic() >= due_s:
            told, due_s = news, time.monotonic() + PULSE_S
            yield f"data: {json.dumps(shown)}\n\n".encode()
        await asyncio.sleep(TICK_S)


async def picture_parts(hub: Hub, request: Request, watched: Watched) -> AsyncGenerator[bytes, None]:
    """Motion JPEG: each picture once, or again after :data:`STILL_S`; a slow viewer skips to the newest."""
    viewer = request.query_params.get("viewer", "")
    pause_s = SLOW_S if "slow" in request.query_params else 0.0
    seen, again_s = 0, 0.0
    hub.watching[viewer] += 1
    try:
        # A browser shows a picture when the next one's head comes: so that comes along at once.
        yield _HEAD
        while watched():
            shot = await hub.pictures.newest()
            now_s = time.monotonic()
            if shot and (shot.number != seen or now_s >= again_s):
                seen, again_s = shot.number, now_s + STILL_S
                yield shot.jpeg + b"\r\n" + _HEAD
                await _rest(pause_s, watched)
            await asyncio.sleep(max(0.01, min(TICK_S, hub.pictures.due_s - time.monotonic())))
    finally:
        hub.watching[viewer] -= 1
        if not hub.watching[viewer]:
            del hub.watching[viewer]


async def _rest(seconds: float, watched: Watched) -> None:
    until_s = time.monotonic() + seconds
    while watched() and time.monotonic() < until_s:
        await asyncio.sleep(TICK_S)


class Stream:
    """An ASGI endpoint that sends what a generator gives until its viewer leaves, gets stuck, or the server ends."""

    def __init__(self, hub: Hub, kind: str, media_type: str, parts: Parts) -> None:
        self._hub = hub
        self._kind = kind
        self._media_type = media_type
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse, Response

        if scope["method"] == "HEAD":
            await Response(media_type=self._media_type)(scope, receive, send)
            return
        if self._hub.open[self._kind] >= VIEWERS:
            full = f"{VIEWERS} viewers are watching already. Close one and load this again.\n"
            await PlainTextResponse(full, 503, {"Retry-After": "5"})(scope, receive, send)
            return
        self._hub.open[self._kind] += 1
        leaving = asyncio.create_task(_left(receive))
        parts = self._parts(self._hub, Request(scope), lambda: not (self._hub.stopping or leaving.done()))
        try:
            headers = [(b"content-type", self._media_type.encode()), (b"connection", b"close"), *_AT_ONCE]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for part in parts:
                await send(_body(part))
                # Sent means taken over by a buffer. Nothing more until that is empty: then the newest.
                async with asyncio.timeout(STUCK_S):
                    await send(_body(b""))
            await send(_body(b"", more=False))
        except TimeoutError:
            scope["state"]["abort"]()
            await leaving
        finally:
            leaving.cancel()
            await parts.aclose()
            self._hub.open[self._kind] -= 1


def _body(part: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": part, "more_body": more}


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
