"""Device, file, folder or URL to frames: every frame of a file, the newest of anything live.

OpenCV's capture says ``isOpened()`` of a dead stream and, without a time-out, a stalled URL blocks
``read()`` for good. So a live source is read in its own thread, which keeps one frame, the newest.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from edgefashion import data
from edgefashion.errors import BadInputError, MissingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OPEN_TIMEOUT_MS: Final = 5_000
READ_TIMEOUT_MS: Final = 3_000
RETRY_S: Final = (0.25, 5.0)
"""First and longest wait between attempts to reopen a live source; it doubles in between."""

_URL_SCHEMES: Final = ("http://", "https://", "rtsp://", "rtsps://", "rtmp://", "udp://", "tcp://")


@dataclass(frozen=True)
class Frame:
    """One picture with the time it was taken."""

    image: NDArray[np.uint8]
    """BGR (h, w, 3)."""
    time_s: float
    """``time.monotonic()`` when it left the source."""
    number: int
    """Its place in the source, from 0; a live source skips the numbers of dropped frames."""


class Source(Protocol):
    """Where frames come from. ``state`` is live, reconnecting or ended."""

    live: bool
    state: str
    fps: float

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; None if none came in time or the source has ended (see ``state``)."""
        ...

    def close(self) -> None:
        """Let go of the device, file or connection. May be called twice."""
        ...


def open_source(spec: str) -> Source:
    """Open a device number, a video or image file, a folder of images, or an http/rtsp URL.

    Raises :class:`MissingError` if a camera or stream is not there, :class:`BadInputError` for a
    path that does not exist or holds no pictures.
    """
    if spec.isdecimal() or spec.lower().startswith(_URL_SCHEMES):
        return _Live(spec)
    path = Path(spec)
    if not path.exists():
        raise BadInputError(f"{spec} does not exist. Give a camera number, a video, a folder of images or a URL")
    if path.is_dir() or path.suffix.lower() in data.IMAGE_SUFFIXES:
        return _Pictures(data.image_paths(path))
    return _Video(path)


class _Pictures:
    """A folder's images in order, one frame each; unreadable ones are told of and passed over."""

    live = False
    fps = 0.0

    def __init__(self, paths: list[Path]) -> None:
        self.state = "live"
        self._paths = enumerate(paths)

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 (a file never waits)
        for number, path in self._paths:
            try:
                image = data.read_image(path)
            except BadInputError as error:
                print(error, file=sys.stderr)
            else:
                return Frame(image, time.monotonic(), number)
        self.state = "ended"
        return None

    def close(self) -> None:
        self.state = "ended"


class _Video:
    """A video file, every frame in order."""

    live = False

    def __init__(self, path: Path) -> None:
        import cv2

        with data.quiet_cv2():
            self._capture = cv2.VideoCapture(str(path))
            if not self._capture.isOpened():
                raise BadInputError(f"{path} is no video OpenCV can read. Give a video or an image file")
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS)) or 30.0
        self.state = "live"
        self._number = -1

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 (a file never waits)
        ok, image = self._capture.read()
        if not ok:
            self.close()
            return None
        self._number += 1
        return Frame(image, time.monotonic(), self._number)

    def close(self) -> None:
        self.state = "ended"
        self._capture.release()


class _Live:
    """A camera or stream, read in a thread into a slot for one frame: the newest wins."""

    live = True

    def __init__(self, spec: str) -> None:
        self._spec = spec
        capture = self._open()
        if capture is None:
            what = f"camera {spec}" if spec.isdecimal() else spec
            raise MissingError(f"{what} cannot be opened. Check that it is there, or give --source a file or URL")
        self.state = "live"
        self.fps = 0.0
        self._slot: Frame | None = None
        self._changed = threading.Condition()
        self._closing = threading.Event()
        # A daemon: a driver that blocks for ever must not keep the process from ending.
        self._thread = threading.Thread(target=self._fill, args=(capture,), name="capture", daemon=True)
        self._thread.start()

    def _open(self) -> Any:
        import cv2

        with data.quiet_cv2():
            if self._spec.isdecimal():
                capture = cv2.VideoCapture(int(self._spec))
            else:
                limits = [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                    OPEN_TIMEOUT_MS,
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                    READ_TIMEOUT_MS,
                ]
                capture = cv2.VideoCapture(self._spec, cv2.CAP_FFMPEG, limits)
        if capture.isOpened():
            return capture
        capture.release()
        return None

    def _fill(self, capture: Any) -> None:
        number = 0
        while not self._closing.is_set():
            ok, image = capture.read()
            if ok:
                self._put("live", Frame(image, time.monotonic(), number))
                number += 1
                continue
            capture.release()
            self._put("reconnecting", None)
            reopened = self._reopen()
            if reopened is None:
                return
            capture = reopened
        capture.release()

    def _reopen(self) -> Any:
        wait_s, longest_s = RETRY_S
        while not self._closing.wait(wait_s):
            capture = self._open()
            if capture is not None:
                return capture
            wait_s = min(2 * wait_s, longest_s)
        return None

    def _put(self, state: str, frame: Frame | None) -> None:
        with self._changed:
            self.state, self._slot = state, frame
            self._changed.notify_all()

    def read(self, timeout_s: float) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self.state != "live", timeout_s)
            frame, self._slot = self._slot, None
            waiting = frame is None and self.state == "reconnecting"
        if waiting:
            self._closing.wait(min(timeout_s, 0.1))  # do not spin while there is nothing to read
        return frame

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=READ_TIMEOUT_MS / 1000 + 1)
        self.state = "ended"
