"""Pictures as small JPEG files for the page."""

from __future__ import annotations

import collections
import threading
from pathlib import Path
from typing import Final

from edgefashion.data import images
from edgefashion.errors import BadInputError

SMALL_PX: Final = 224
"""Longest edge of a picture among others; twice its size on the page's grid would gain nothing that is seen."""

LARGE_PX: Final = 1200
"""Longest edge of one that is looked at closer."""

MOST_BYTES: Final = 48_000_000
"""Of small pictures that are remembered: some five thousand."""

_AT_ONCE: Final = threading.Semaphore(2)
"""Pictures decoded at the same time: each may be of hundreds of megabytes."""


class Thumbs:
    """Small pictures, made when they are asked for and remembered."""

    def __init__(self) -> None:
        self._made: collections.OrderedDict[tuple[str, int, int, int], bytes] = collections.OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def of(self, path: Path) -> bytes | None:
        """The small picture of a file; None where it is gone or no picture."""
        try:
            found = path.stat()
        except OSError:
            return None
        # The same under another label. Photos of one size and time may be called alike, each in a folder of its own.
        key = (path.name, found.st_ino, found.st_size, found.st_mtime_ns)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        jpeg = shrunk(path, SMALL_PX)
        with self._lock:
            if jpeg is not None and key not in self._made:
                self._made[key] = jpeg
                self._bytes += len(jpeg)
                while self._bytes > MOST_BYTES:
                    self._bytes -= len(self._made.popitem(last=False)[1])
        return jpeg


def shrunk(path: Path, edge_px: int) -> bytes | None:
    """A file's picture as a JPEG whose longest edge is at most ``edge_px``; None where it cannot be read."""
    import cv2  # here, because the command's --help needs none

    with _AT_ONCE:
        try:
            with path.open("rb") as file:
                picture = images.decode_image(file, str(path), edge_px).image
        except (BadInputError, OSError):
            return None
        shrink = min(1.0, edge_px / max(picture.shape[:2]))
        size = (max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes())
