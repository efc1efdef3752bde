"""Device, file, folder or URL to frames: every frame of a file, the newest of anything live.

Devices, URLs and videos are read in a child process, see :mod:`edgefashion.camera.sources.capture`.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Final, Protocol

from edgefashion.camera.sources.capture import Capture
from edgefashion.camera.sources.frame import Frame
from edgefashion.camera.sources.schemes import is_device, is_stream, is_there, looks_like_host, resolved
from edgefashion.data import images
from edgefashion.data.picture_walk import LeftOut
from edgefashion.errors import BadInputError
from edgefashion.system import files
from edgefashion.system.addresses import shown

__all__ = ["PICTURE_FPS", "Frame", "Source", "is_device", "is_stream", "open_source"]

PICTURE_FPS: Final = 1.0
"""A folder's pictures in a second, where someone looks: in a window or a recording."""


class Source(Protocol):
    """Where frames come from."""

    live: bool
    """True of a camera or stream: it gives its newest frame and may come back after it was lost."""
    state: str
    """One of :data:`edgefashion.camera.events.event.CONDITIONS`."""
    reason: str
    """Why, as a phrase, where the state is not live."""
    fps: float
    """A file's own speed; 0 of a live source."""
    apart: bool
    """True where each frame is a picture of its own, false where it follows upon the one before."""
    losses: int
    """Times it went from live to lost."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; None if none came in time or the state has changed."""
        ...

    def reopen(self, reason: str) -> None:
        """Give up the connection of a live source and make a new one."""
        ...

    def close(self) -> None:
        """Let go of the device, file or connection. May be called twice."""
        ...


def open_source(
    spec: str, *, wait: bool = False, max_failures: int | None = None, stop: threading.Event | None = None
) -> Source:
    """Open a device number or name, a video or image file, a folder of images, or a URL.

    A live source that is lost is opened anew, until it has failed ``max_failures`` times in a row. So is what a URL
    names; but a film there is played once, by its own time. Raises :class:`MissingError` if a camera or stream is not
    there, and :class:`BadInputError` if it refuses what was given, both unless it is to ``wait`` for it; and
    :class:`BadInputError` for a path that does not exist or holds no pictures, and for a URL that is not read here.
    ``stop``, once set, ends the waiting for a source that takes its time.
    """
    asked = resolved(spec)
    spec = files.seen_by_others(asked)  # another process reads it
    if is_device(spec) or is_stream(spec):
        # A camera's URL often carries its password; a log is no place for it.
        called = f"camera {spec}" if is_device(spec) else shown(spec)
        live = Capture(spec, live=True, called=called, max_failures=max_failures)
        return live if wait else _opened(live, stop)
    path = Path(spec)
    if not spec or not is_there(path):  # an empty path would mean the current folder
        what = "a camera number, a video, a folder of images or a URL"
        if looks_like_host(spec):
            what = f"rtsp://{shown(spec)} or http://{shown(spec)} if it is a network camera, else {what}"
        raise BadInputError(f"{shown(asked) or 'the empty name'} does not exist. Give {what}")
    if path.is_dir() or images.is_still(path):
        left_out = LeftOut()
        pictures = _Pictures(images.image_paths(path, left_out))
        if told := left_out.told():
            print(f"edgefashion: {told}", file=sys.stderr)
        return pictures
    return _opened(Capture(str(path), live=False, called=str(path)), stop)


def _opened(capture: Capture, stop: threading.Event | None) -> Capture:
    """``capture`` once it is open."""
    try:
        if not capture.wait_until_open(stop or threading.Event()):
            raise capture.error()
    except BaseException:
        capture.close()
        raise
    return capture


class _Pictures:
    """A folder's images in order, one frame each; unreadable ones are told of and passed over."""

    live = False
    fps = PICTURE_FPS
    losses = 0
    apart = True

    def __init__(self, paths: list[Path]) -> None:
        self.state, self.reason = "live", ""
        self._paths = enumerate(paths)
        self._none_yet = True

    def read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 (a file never waits)
        if self.state == "ended":
            return None
        for number, path in self._paths:
            try:
                image = images.read_image(path)
            except BadInputError as error:
                print(f"edgefashion: {error}", file=sys.stderr)
            else:
                self._none_yet = False
                return Frame(image, time.monotonic(), number)
        self.state, self.reason = "ended", "the last picture has been seen"
        if self._none_yet:
            raise BadInputError("not one picture of the source can be read. Give others")
        return None

    def reopen(self, reason: str) -> None:
        """There is nothing to open anew."""

    def close(self) -> None:
        self.state = "ended"
