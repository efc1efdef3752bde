"""Device, file, folder or URL to frames: every frame of a file, the newest of anything live.

OpenCV's capture says ``isOpened()`` of a dead stream and, without a time-out, a stalled URL blocks
``read()`` for good. So a live source is read in its own thread, which keeps one frame, the newest.
"""

from __future__ import annotations

import os
import re
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

CLOSE_TIMEOUT_S: Final = max(OPEN_TIMEOUT_MS, READ_TIMEOUT_MS) / 1000 + 1
"""How long closing waits for an open or a read that is under way."""

HIGHEST_FPS: Final = 1000.0
PICTURE_FPS: Final = 1.0
"""A folder's pictures in a second, where someone looks: in a window or a recording."""

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
    """Where frames come from. ``state`` is live, reconnecting or ended; ``fps`` is a file's own
    speed, 0 of a live source."""

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
    if not spec or not path.exists():  # an empty path would mean the current folder
        raise BadInputError(
            f"{spec or 'the empty name'} does not exist. Give a camera number, a video, a folder of images or a URL"
        )
    if path.is_dir() or path.suffix.lower() in data.IMAGE_SUFFIXES:
        return _Pictures(data.image_paths(path))
    return _Video(path)


def _capture(*arguments: Any) -> Any:
    """An OpenCV capture, or None if it cannot be opened; only our own line is printed then."""
    import cv2

    # FFmpeg has its own log, whose level OpenCV reads once, at the first capture.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with data.quiet_cv2():
        try:
            capture = cv2.VideoCapture(*arguments)
        except cv2.error:  # a device number beyond an int, for one
            return None
    if capture.isOpened():
        return capture
    capture.release()
    return None


class _Pictures:
    """A folder's images in order, one frame each; unreadable ones are told of and passed over."""

    live = False
    fps = PICTURE_FPS

    def __init__(self, paths: list[Path]) -> None:
        self.state = "live"
        self._paths = enumerate(paths)
        self._none_yet = True

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 (a file never waits)
        if self.state == "ended":
            return None
        for number, path in self._paths:
            try:
                image = data.read_image(path)
            except BadInputError as error:
                print(f"edgefashion: {error}", file=sys.stderr)
            else:
                self._none_yet = False
                return Frame(image, time.monotonic(), number)
        self.state = "ended"
        if self._none_yet:
            raise BadInputError("not one picture of the source can be read. Give others")
        return None

    def close(self) -> None:
        self.state = "ended"


class _Video:
    """A video file, every frame in order."""

    live = False

    def __init__(self, path: Path) -> None:
        import cv2

        # FFmpeg only: OpenCV's other readers take a digit in the name for an image sequence's.
        capture = _capture(str(path), cv2.CAP_FFMPEG)
        # FFmpeg shows a text file as a film of a terminal.
        if capture is None or int(capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"ansi"):
            raise BadInputError(f"{path} is no video OpenCV can read. Give a video or an image file")
        self._capture = capture
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps <= HIGHEST_FPS else 30.0  # a file may say nothing, or nonsense
        self.state = "live"
        self._path = path
        self._number = -1

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 (a file never waits)
        if self.state == "ended":
            return None
        ok, image = self._capture.read()
        if not ok:
            self.close()
            if self._number < 0:
                raise BadInputError(f"{self._path} holds no frame that can be read. Give another video")
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
            # A camera's URL often carries its password; a log is no place for it.
            what = f"camera {spec}" if spec.isdecimal() else re.sub(r"//[^/]*@", "//...@", spec)
            raise MissingError(f"{what} cannot be opened. Check that it is there, or give --source a file or URL")
        self.state = "live"
        self.fps = 0.0
        self._slot: Frame | None = None
        self._told = "live"
        self._changed = threading.Condition()
        self._closing = threading.Event()
        # A daemon: a driver that blocks for ever must not keep the process from ending.
        self._thread = threading.Thread(target=self._fill, args=(capture,), name="capture", daemon=True)
        self._thread.start()

    def _open(self) -> Any:
        import cv2

        if self._spec.isdecimal():
            return _capture(int(self._spec))
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
        return _capture(self._spec, cv2.CAP_FFMPEG, limits)

    def _fill(self, capture: Any) -> None:
        import cv2

        number = 0
        while not self._closing.is_set():
            try:
                ok, image = capture.read()
            except cv2.error:  # what cannot be decoded is a lost camera, not a dead thread
                ok, image = False, None
            if ok:
                self._put("live", Frame(image, time.monotonic(), number))
                number += 1
                continue
            capture.release()
            self._put("reconnecting", None)
            capture = self._reopen()
            if capture is None:
                return
        capture.release()

    def _reopen(self) -> Any:
        """A new capture; None once the source is being closed."""
        wait_s, longest_s = RETRY_S
        while not self._closing.wait(wait_s):
            capture = self._open()
            if capture is not None:
                return capture
            wait_s = min(2 * wait_s, longest_s)
        return None

    def _put(self, state: str, frame: Frame | None) -> None:
        with self._changed:
            if self._closing.is_set():  # a frame that was under way: ended stays ended
                return
            self.state, self._slot = state, frame
            self._changed.notify_all()

    def read(self, timeout_s: float) -> Frame | None:
        with self._changed:
            # A new state is told of at once, and once: while it lasts, there is only the wait.
            self._changed.wait_for(
                lambda: self._slot is not None or self.state != self._told or self._closing.is_set(), timeout_s
            )
            frame, self._slot, self._told = self._slot, None, self.state
        return frame

    def close(self) -> None:
        with self._changed:
            self._closing.set()
            self.state, self._slot = "ended", None
            self._changed.notify_all()
        self._thread.join(timeout=CLOSE_TIMEOUT_S)
