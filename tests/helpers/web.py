"""What the page's tests share: moments made of real frames, a loop that hands them on, plain HTTP."""

from __future__ import annotations

import dataclasses
import functools
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import numpy as np

from edgefashion.camera import demo_clip
from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.page.page import Page
from edgefashion.data import fashion_mnist
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKEN = "a-token-nobody-guesses-1"
REASON = "the stream has stopped answering"


@functools.cache
def scene(number: int) -> NDArray[np.uint8]:
    """A camera's frame, 1280x720, of one of the first test images."""
    return demo_clip.scene_of(fashion_mnist.load("test")[0][number])


def live(label: str | None = "Pullover", confidence: float | None = 0.974, number: int = 1, **other: Any) -> Moment:
    """A moment in which the garment of a frame was found and answered; without a label, one of an empty wall."""
    image = scene(number) if label else np.full((720, 1280, 3), demo_clip.BACKGROUND, np.uint8)
    guide = preprocess.guide_box(1280, 720)
    found = preprocess.find(image, within=guide)
    facts: dict[str, Any] = {
        "health": Health("live", fps=29.7, latency_ms=4.1, uptime_s=93_784.0, frames=2_000_000, reconnects=2),
        "state": "garment" if label else "none",
        "image": image,
        "guide": guide,
        "box": found.box if found else None,
        "model": "kiosk",
        "precision": "int8",
        "details": True,
    }
    return Moment(time.monotonic(), label=label, confidence=confidence, **(facts | other))


def lost(condition: str = "reconnecting", reason: str = REASON) -> Moment:
    """A moment after the source was lost, the last frame and answer still in it."""
    return dataclasses.replace(live(), health=Health(condition, reason, frame_age_s=14.0, reconnects=3))


class Loop:
    """Hands a moment to a page thirty times a second, as the camera's loop does, until it is paused or left."""

    def __init__(self, page: Page, moment: Moment | None = None) -> None:
        self.page = page
        self._moment = moment
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)
        self.handed = 0
        """Moments handed on so far."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def show(self, moment: Moment | None) -> None:
        """Hand on this moment from now on; None hands on nothing."""
        self._moment = moment

    def _run(self) -> None:
        while not self._end.wait(1 / 30):
            if self._moment is not None:
                moment, now_s = self._moment, time.monotonic()
                if moment.health.well and moment.image is not None:  # a camera gives new pictures, however alike
                    moment = dataclasses.replace(moment, image=moment.image.copy())
                taken_s = now_s - (0.02 if moment.health.well else 14.0)
                self.page.take(dataclasses.replace(moment, time_s=now_s, taken_s=taken_s))
                self.handed += 1


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(page: Page) -> http.client.HTTPConnection:
    place = urlsplit(page.url)
    assert place.hostname
    return http.client.HTTPConnection("127.0.0.1" if place.hostname == "0.0.0.0" else place.hostname, place.port, 20)


def get(page: Page, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask once, as nothing but what is given; underscores in a header's name stand for hyphens."""
    connection = connect(page)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = b"" if answer.headers.get_content_type() in ("text/event-stream", "multipart/x-mixed-replace") else None
        return Answer(answer.status, dict(answer.headers.items()), answer.read() if body is None else body)
    finally:
        connection.close()


def events(page: Page) -> Iterator[dict[str, Any]]:
    """What the event stream tells, as it comes."""
    connection = connect(page)
    try:
        connection.request("GET", "/events?viewer=test")
        answer = connection.getresponse()
        assert answer.headers.get_content_type() == "text/event-stream"
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))
    finally:
        connection.close()


def ask_and_never_read(page: Page, path: str) -> socket.socket:
    """A viewer's connection that asks and then takes nothing."""
    place = urlsplit(page.url)
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.connect((place.hostname, place.port))
    viewer.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
    return viewer


def unsent_bytes(page: Page) -> list[int]:
    """What the server holds in its own memory for each connection."""
    connections = list(page._server._uvicorn.server_state.connections)
    return [connection.transport.get_write_buffer_size() for connection in connections]
