"""Frames read in a process of their own, which may hang or die of them.

The other end of :mod:`edgefashion.camera.sources.capture_process`. The first message has the ``source``, ``live`` and
the ``descriptor`` of the shared memory. Each of the others says what to ``do``, ``open`` or ``next``. The answers are
of these kinds:

- ``opened``, with ``fps``, a file's own speed;
- ``frame``, with ``number``, ``time_s`` and where it was ``put``;
- ``lost`` and, of a file, ``bad``, with a ``reason``;
- ``ended``, of a file.

A live source is read all the time, and a frame of it made only when one was asked for.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from edgefashion.camera.sources import mjpeg
from edgefashion.camera.sources.mjpeg import StreamLostError
from edgefashion.system.processes import Parent
from edgefashion.system.shared_pictures import PictureMemory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OPEN_TIMEOUT_MS: Final = 5_000
READ_TIMEOUT_MS: Final = 3_000
CONNECT_S: Final = (5.0, 1.0)
"""How long a host may take to accept a connection, at first and later: one without power does not refuse, it is
silent, and each attempt's wait is added to the time until it is seen to be back."""

HIGHEST_FPS: Final = 1000.0


class _Stream(Protocol):
    def grab(self) -> None: ...
    def picture(self) -> NDArray[np.uint8] | None: ...
    def close(self) -> None: ...


class _BadFileError(Exception):
    """No video that can be read."""


class _OpenCV:
    """A device, a URL or a file, by OpenCV."""

    def __init__(self, *arguments: Any, times_out: bool = False) -> None:
        import cv2

        self._times_out = times_out

        # FFmpeg has its own log, whose level OpenCV reads once, at the first capture.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self.capture = cv2.VideoCapture(*arguments)
        except cv2.error as error:  # a device number beyond an int, for one
            raise StreamLostError("OpenCV knows no such device") from error
        if not self.capture.isOpened():
            self.capture.release()
            raise StreamLostError("nothing answers there")

    def grab(self) -> None:
        import cv2

        began_s = time.monotonic()
        try:
            grabbed = self.capture.grab()
        except cv2.error:  # what cannot be decoded is a lost camera
            grabbed = False
        if self._times_out and time.monotonic() - began_s > 0.95 * READ_TIMEOUT_MS / 1000:
            # FFmpeg gave up waiting; what it may still hand out is an old frame its decoder held back.
            raise StreamLostError(f"it sent nothing for {READ_TIMEOUT_MS // 1000} s")
        if not grabbed:
            raise StreamLostError("no more frames come from it")

    def picture(self) -> NDArray[np.uint8] | None:
        import cv2
        import numpy as np

        try:
            read, image = self.capture.retrieve()
        except cv2.error:
            return None
        if not read or image is None or not image.size:
            return None
        if image.ndim == 2:  # a camera of grey pictures
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return np.asarray(image, np.uint8)

    def close(self) -> None:
        self.capture.release()


def _open(source: str, live: bool, connect_s: float) -> tuple[_Stream, float]:
    """The source and a file's own frames a second."""
    import cv2

    if not live:
        # FFmpeg only: OpenCV's other readers take a digit in the name for an image sequence's.
        try:
            video = _OpenCV(source, cv2.CAP_FFMPEG)
        except StreamLostError as error:
            raise _BadFileError(f"{source} is no video OpenCV can read. Give a video or an image file") from error
        # FFmpeg shows a text file as a film of a terminal.
        if int(video.capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"ansi"):
            raise _BadFileError(f"{source} is no video OpenCV can read. Give a video or an image file")
        fps = float(video.capture.get(cv2.CAP_PROP_FPS))
        return video, fps if 0 < fps <= HIGHEST_FPS else 30.0  # a file may say nothing, or nonsense
    if source.isdecimal():
        return _OpenCV(int(source)), 0.0
    if "://" not in source:
        return _OpenCV(source, cv2.CAP_V4L2), 0.0
    mjpeg.knock(source, connect_s)
    if source.lower().startswith("http://") and (pictures := mjpeg.connect(source)):
        return pictures, 0.0
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
    return _OpenCV(source, cv2.CAP_FFMPEG, limits, times_out=True), 0.0


class _Worker:
    def __init__(self, parent: Parent, source: str, live: bool, memory: PictureMemory) -> None:
        self._parent, self._source, self._live, self._memory = parent, source, live, memory
        self._number = -1

    def run(self) -> None:
        connect_s = CONNECT_S[0]
        while True:
            while self._parent.receive()["do"] != "open":  # a frame that was asked for before the source was lost
                pass
            stream: _Stream | None = None
            try:
                stream, fps = _open(self._source, self._live, connect_s)
                self._parent.send({"kind": "opened", "fps": fps})
                self._serve(stream)
            except StreamLostError as error:
                if self._live:
                    self._parent.send({"kind": "lost", "reason": str(error)})
                elif self._number < 0:
                    reason = f"{self._source} holds no frame that can be read. Give another video"
                    self._parent.send({"kind": "bad", "reason": reason})
                else:
                    self._parent.send({"kind": "ended"})
            except _BadFileError as error:
                self._parent.send({"kind": "bad", "reason": str(error)})
            finally:
                connect_s = CONNECT_S[1]
                if stream is not None:
                    stream.close()

    def _serve(self, stream: _Stream) -> None:
        wanted = False
        while True:
            if not (wanted or self._live):  # of a file no frame is passed over
                wanted = self._is_wanted(None)
            stream.grab()
            time_s = time.monotonic()
            self._number += 1
            wanted = wanted or self._is_wanted(0)
            picture = stream.picture() if wanted else None
            if picture is None:  # not wanted, or a spoiled picture; the next may be whole
                continue
            wanted = False
            try:
                put = self._memory.put(picture)
            except OSError as error:
                raise StreamLostError(f"no memory for its pictures: {error.strerror}") from error
            self._parent.send({"kind": "frame", "number": self._number, "time_s": time_s, "put": put})

    def _is_wanted(self, limit_s: float | None) -> bool:
        """Whether the parent asks for a frame, now or within ``limit_s`` seconds."""
        try:
            return bool(self._parent.receive(limit_s)["do"] == "next")
        except TimeoutError:
            return False


def main() -> None:
    """Serve one source until the parent closes our stdin."""
    parent = Parent()
    given = parent.receive()
    import cv2

    cv2.setNumThreads(1)  # turning one frame's colours is not worth waking the other cores
    _Worker(parent, given["source"], bool(given["live"]), PictureMemory(given["descriptor"])).run()


if __name__ == "__main__":
    main()
