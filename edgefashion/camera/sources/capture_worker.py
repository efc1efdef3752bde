"""Frames read in a process of their own, which may hang or die of them.

The other end of :mod:`edgefashion.camera.sources.capture_process`. The first message has the ``source``, ``live`` and
the ``descriptor`` of the shared memory. Each of the others says what to ``do``, ``open`` or ``next``. The answers are
of these kinds:

- ``ready``, once, before it opens anything;
- ``opened``, with ``fps``, a file's own speed, and ``lost_s``, how long the first frame may take;
- ``frame``, with ``number``, ``time_s``, where it was ``put``, and how long the next one may take until the source is
  stale (``stale_s``) or lost (``lost_s``);
- ``lost``, with a ``reason`` and its ``failure``, one of :data:`edgefashion.camera.sources.failures.KINDS`;
- ``bad``, of a file, with a ``reason``;
- ``ended``, of a file, or a film by URL.

A live source is read all the time, and a frame of it made only when one was asked for.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final, Protocol

from edgefashion.camera.sources import mjpeg, opencv, schemes
from edgefashion.camera.sources.failures import EndedError, StreamLostError, by_error
from edgefashion.camera.sources.frame import Pace
from edgefashion.camera.sources.http_answer import Answer, check_no_page
from edgefashion.camera.sources.opencv import FfmpegLog
from edgefashion.system.processes import Parent
from edgefashion.system.shared_pictures import PictureMemory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONNECT_S: Final = (5.0, 1.0)
"""How long a host may take to accept a connection, at first and later: one without power does not refuse, it is
silent, and each attempt's wait is added to the time until it is seen to be back."""

_PLAYLIST: Final = b"#EXTM3U"
_PEEKED_BYTES: Final = 64
_LONGEST_PLAYLIST_BYTES: Final = 2**20


class Stream(Protocol):
    """What is read: see :class:`edgefashion.camera.sources.opencv.OpenCV`."""

    @property
    def on_demand(self) -> bool: ...
    def gives_up_s(self, pace: Pace) -> tuple[float, float]: ...
    def grab(self, limit_s: float) -> None: ...
    def picture(self) -> NDArray[np.uint8] | None: ...
    def close(self) -> None: ...


class BadFileError(Exception):
    """No video that can be read."""


class Opener:
    """Opens a source, each time anew."""

    def __init__(self, source: str, live: bool, log: FfmpegLog) -> None:
        self._source, self._live, self._log = source, live, log
        self._connect_s = CONNECT_S[0]
        self._had_no_end = False

    def open(self) -> tuple[Stream, float]:
        """The source and a file's own frames a second. Raises :class:`StreamLostError` and :class:`BadFileError`."""
        connect_s, self._connect_s = self._connect_s, CONNECT_S[1]
        if not self._live:
            return self._film()
        scheme = schemes.scheme_of(self._source)
        if not scheme:
            described = schemes.is_described(self._source)
            return (opencv.open_described if described else opencv.open_device)(self._log, self._source), 0.0
        parts = schemes.split(self._source)
        if scheme in ("http", "https"):
            found = mjpeg.connect(self._source, connect_s)
            return (self._other(found) if isinstance(found, Answer) else found), 0.0
        if scheme not in schemes.CONNECTIONLESS and "listen" not in parts.query:
            _knock(parts.hostname or "", parts.port or schemes.PORTS[scheme] or 0, connect_s)
        url, account = schemes.for_ffmpeg(self._source), parts.username is not None
        return opencv.open_url(self._log, url, with_login=account), 0.0

    def _film(self) -> tuple[Stream, float]:
        try:
            film = opencv.open_file(self._log, self._source)
        except StreamLostError as error:
            raise BadFileError(f"{self._source} is no video OpenCV can read. Give a video or an image file") from error
        return film, film.fps

    def _other(self, answer: Answer) -> Stream:
        """What a web server offers and is no picture: a film, or a stream, by FFmpeg."""
        playlist = answer.peek(_PEEKED_BYTES).lstrip(b"\xef\xbb\xbf \r\n").startswith(_PLAYLIST)
        ends: bool | None = answer.length is not None
        if playlist:
            text = answer.peek(_LONGEST_PLAYLIST_BYTES)
            ends = b"#EXT-X-ENDLIST" in text if b"#EXTINF" in text else None  # a list of lists: FFmpeg sees
        url, kind = schemes.for_ffmpeg(answer.url), answer.kind
        answer.close()
        if not playlist:
            check_no_page(answer)
        with_login = schemes.split(url).username is not None
        if not (playlist or ends or kind.startswith(("video/mp4", "video/quicktime", "video/x-matroska"))):
            return opencv.open_url(self._log, url, with_login=with_login)
        played = opencv.open_url(self._log, url, paced=True, ends=ends, with_login=with_login)
        if isinstance(played, opencv.Played):
            if played.ends and self._had_no_end:  # its server has closed it: what it holds has been seen
                played.close()
                raise StreamLostError("the stream is over", "over")
            self._had_no_end = not played.ends
        return played


def _knock(host: str, port: int, timeout_s: float) -> None:
    """See that somebody listens there. Raises :class:`StreamLostError` otherwise."""
    try:
        socket.create_connection((host, port), timeout_s).close()
    except (ValueError, OverflowError) as error:  # a name that no name can be, a port beyond the largest
        raise StreamLostError("it is no address", "address") from error
    except OSError as error:
        raise by_error(error, timeout_s) from error


class _Worker:
    def __init__(self, parent: Parent, source: str, live: bool, memory: PictureMemory) -> None:
        self._parent, self._source, self._live, self._memory = parent, source, live, memory
        self._opener, self._pace = Opener(source, live, FfmpegLog()), Pace()
        self._number = -1

    def run(self) -> None:
        while True:
            while self._parent.receive()["do"] != "open":  # a frame that was asked for before the source was lost
                pass
            stream: Stream | None = None
            try:
                stream, fps = self._opener.open()
                _, lost_s = stream.gives_up_s(self._pace)
                self._parent.send({"kind": "opened", "fps": fps, "lost_s": lost_s})
                self._serve(stream)
            except EndedError:
                self._parent.send({"kind": "ended"})
            except StreamLostError as error:
                if self._live:
                    self._parent.send({"kind": "lost", "reason": str(error), "failure": error.kind})
                elif self._number < 0:
                    reason = f"{self._source} holds no frame that can be read. Give another video"
                    self._parent.send({"kind": "bad", "reason": reason})
                else:
                    self._parent.send({"kind": "ended"})
            except BadFileError as error:
                self._parent.send({"kind": "bad", "reason": str(error)})
            finally:
                if stream is not None:
                    stream.close()

    def _serve(self, stream: Stream) -> None:
        wanted, before_s = False, 0.0
        while True:
            if not wanted and stream.on_demand:
                wanted = self._is_wanted(None)
                before_s = time.monotonic()
            stream.grab(stream.gives_up_s(self._pace)[0])
            time_s = time.monotonic()
            if before_s:
                self._pace.add(time_s - before_s)
            before_s = time_s
            self._number += 1
            wanted = wanted or self._is_wanted(0)
            picture = stream.picture() if wanted else None
            if picture is None:  # not wanted, or a spoiled picture; the next may be whole
                continue
            wanted = False
            try:
                put = self._memory.put(picture)
            except OSError as error:
                if not self._live:  # else it would pass for the file's end
                    raise BadFileError(
                        f"{self._source}: no memory for its pictures ({error.strerror}). End other programs"
                    ) from error
                raise StreamLostError(f"no memory for its pictures: {error.strerror}") from error
            _, lost_s = stream.gives_up_s(self._pace)
            limits = {"stale_s": min(self._pace.stale_s, lost_s), "lost_s": lost_s}
            self._parent.send({"kind": "frame", "number": self._number, "time_s": time_s, "put": put, **limits})

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
    parent.send({"kind": "ready"})
    _Worker(parent, given["source"], bool(given["live"]), PictureMemory(given["descriptor"])).run()


if __name__ == "__main__":
    main()
