"""Frames read in a process of their own, which may hang or die of them: the other end of :mod:`edgefashion.camera.sources.capture`.

The first line of stdin is JSON: ``source``, ``live`` and the ``descriptor`` of the shared memory (no argument: a
camera's URL may hold its password). Then comes a command a line, ``open`` or ``next``. What comes of it is a JSON line:
``{"opened": fps}``, ``{"frame": number, "time_s": ..., "put": ...}``, ``{"lost": reason}``, ``{"ended": true}`` or, of
a file, ``{"bad": message}``. A live source is read all the time, and a frame of it made only when one was asked for.
The end of stdin ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from edgefashion.camera.sources import mjpeg
from edgefashion.camera.sources.mjpeg import StreamLostError
from edgefashion.system.processes import leave_ending_to_the_parent
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
    if "://" in source:
        mjpeg.knock(source, connect_s)
    if source.lower().startswith("http://") and (pictures := mjpeg.connect(source)):
        return pictures, 0.0
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
    return _OpenCV(source, cv2.CAP_FFMPEG, limits, times_out=True), 0.0


class _Worker:
    def __init__(self, source: str, live: bool, memory: PictureMemory) -> None:
        self._source, self._live, self._memory = source, live, memory
        self._to_open, self._wanted = threading.Event(), threading.Event()
        self._number = -1
        # Whatever a library prints must not get between our lines.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)

    def _listen(self) -> None:
        for line in sys.stdin:
            (self._to_open if line.startswith("open") else self._wanted).set()
        os._exit(0)  # the camera may hold the main thread for ever

    def _say(self, **message: Any) -> None:
        try:
            print(json.dumps(message), file=self._out, flush=True)
        except OSError:
            os._exit(0)  # nobody listens any more

    def run(self) -> None:
        threading.Thread(target=self._listen, name="commands", daemon=True).start()
        connect_s = CONNECT_S[0]
        while True:
            self._to_open.wait()
            self._to_open.clear()
            self._wanted.clear()
            stream: _Stream | None = None
            try:
                stream, fps = _open(self._source, self._live, connect_s)
                self._say(opened=fps)
                self._serve(stream)
            except StreamLostError as error:
                if self._live:
                    self._say(lost=str(error))
                elif self._number < 0:
                    self._say(bad=f"{self._source} holds no frame that can be read. Give another video")
                else:
                    self._say(ended=True)
            except _BadFileError as error:
                self._say(bad=str(error))
            finally:
                connect_s = CONNECT_S[1]
                if stream is not None:
                    stream.close()

    def _serve(self, stream: _Stream) -> None:
        while True:
            if not self._live:  # of a file no frame is passed over
                self._wanted.wait()
            stream.grab()
            time_s = time.monotonic()
            self._number += 1
            if not self._wanted.is_set():
                continue
            picture = stream.picture()
            if picture is None:  # one spoiled picture; the next may be whole
                continue
            self._wanted.clear()
            try:
                put = self._memory.put(picture)
            except OSError as error:
                raise StreamLostError(f"no memory for its pictures: {error.strerror}") from error
            self._say(frame=self._number, time_s=time_s, put=put)


def main() -> None:
    """Serve one source until stdin ends."""
    leave_ending_to_the_parent()
    given = json.loads(sys.stdin.readline())
    import cv2

    cv2.setNumThreads(1)  # turning one frame's colours is not worth waking the other cores
    _Worker(given["source"], bool(given["live"]), PictureMemory(given["descriptor"])).run()


if __name__ == "__main__":
    main()
