"""A device, a URL or a file, read by OpenCV; and why it cannot be, which FFmpeg tells in its log only."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera.sources.failures import EndedError, StreamLostError, by_ffmpeg
from edgefashion.camera.sources.frame import LONGEST_LOST_S, Pace
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OPEN_S: Final = 5.0
LISTEN_S: Final = 15.0
"""For what is sent to us to come: a picture from which a decoder can begin, which is sent every few seconds."""

DEVICE_LOST_S: Final = 6.0
"""A camera that is read by its driver may take this long for a frame: in the dark, or when it wakes up."""

FILM_LOST_S: Final = 20.0
"""A film, or a stream in segments, may take this long for the next piece."""

AHEAD_S: Final = 5.0
"""A film whose times leap ahead by more goes on at once."""

BEHIND_S: Final = 1.0
"""A film that is so late is played on from there: it does not run after its time."""

HIGHEST_FPS: Final = 1000.0
_PLAYED: Final = 0.9
"""Share of its length that a film must have been played for its end to be the end."""

_LOG_BYTES: Final = 65_536
_SDP_BYTES: Final = 65_536
_VIDEO_MAJOR: Final = 81
"""Of Video4Linux's devices, in Linux's list of devices."""


class FfmpegLog:
    """What FFmpeg writes to this process's stderr, from now on. It is kept in a pipe; what it cannot hold is lost."""

    def __init__(self) -> None:
        self._from: int | None = None
        os.environ.pop("OPENCV_FFMPEG_LOGLEVEL", None)  # with it, OpenCV would write it to stdout, and buffer it
        with contextlib.suppress(OSError, AttributeError):  # Windows before Python 3.12: no reasons there
            read, write = os.pipe()
            os.set_blocking(read, False)
            os.set_blocking(write, False)  # whoever writes must not wait for us
            os.dup2(write, 2)
            os.close(write)
            self._from = read

    def take(self) -> str:
        """What has been written since the last time."""
        if self._from is None:
            return ""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._from, _LOG_BYTES).decode(errors="replace")
        return ""


class OpenCV:
    """Frames by OpenCV. ``on_demand``: no frame is passed over, and none read ahead of need."""

    def __init__(self, log: FfmpegLog, *arguments: Any, on_demand: bool = False, lost_s: float | None = None) -> None:
        """``arguments`` are those of ``cv2.VideoCapture``; ``lost_s`` is the shortest time to wait for a frame.

        Raises :class:`StreamLostError` if it cannot be opened.
        """
        import cv2

        self.on_demand, self._log, self._lost_s = on_demand, log, lost_s
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        log.take()
        try:
            self.capture = cv2.VideoCapture(*arguments)
        except cv2.error as error:  # a device number beyond an int, for one
            raise StreamLostError("OpenCV knows no such device", "no device") from error
        if not self.capture.isOpened():
            self.capture.release()
            raise StreamLostError("nothing that can be read answers there")

    def gives_up_s(self, pace: Pace) -> tuple[float, float]:
        """How long :meth:`grab` waits, and how long whoever waits for it waits."""
        # OpenCV's own limit is the same for the whole of a connection: it is the longest, and the parent's counts.
        return LONGEST_LOST_S, pace.lost_s() if self._lost_s is None else pace.lost_s(self._lost_s)

    def grab(self, limit_s: float) -> None:  # noqa: ARG002 (see gives_up_s)
        """Wait for the next frame. Raises :class:`StreamLostError` when none can come any more."""
        if not self._grabbed():
            raise StreamLostError("no more frames come from it")

    def _grabbed(self) -> bool:
        import cv2

        try:
            return bool(self.capture.grab())
        except cv2.error:  # what cannot be decoded is a lost camera
            return False

    def picture(self) -> NDArray[np.uint8] | None:
        """The frame of the last :meth:`grab`, BGR (h, w, 3); None if it is spoiled."""
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

    @property
    def is_text(self) -> bool:
        """FFmpeg shows a text file as a film of a terminal."""
        import cv2

        return int(self.capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"ansi")

    @property
    def fps(self) -> float:
        """A file's own speed."""
        import cv2

        fps = float(self.capture.get(cv2.CAP_PROP_FPS))
        return fps if 0 < fps <= HIGHEST_FPS else 30.0  # a file may say nothing, or nonsense

    @property
    def frames(self) -> float:
        """How many frames it has; 0 where that is not known, as of what has no end."""
        import cv2

        return max(0.0, float(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def close(self) -> None:
        self.capture.release()


class Played(OpenCV):
    """What comes as fast as the network gives it, a film or a stream in segments: played by its own time stamps."""

    def __init__(self, log: FfmpegLog, *arguments: Any, ends: bool | None) -> None:
        """``ends``: whether it has an end, as a film has; None where its length is to tell."""
        super().__init__(log, *arguments, lost_s=FILM_LOST_S)
        self.ends = self.frames > 0 if ends is None else ends
        self._clock = PlayClock()
        self._at_s = 0.0
        self._has_first = self._grabbed()
        if self.ends and not self._has_first:  # FFmpeg opens pictures of some kinds, and decodes none of them
            self.capture.release()
            raise StreamLostError("nothing of it can be decoded")
        self.on_demand = self.ends  # the first frame waits until it is wanted: a film may have no other

    def grab(self, limit_s: float) -> None:  # noqa: ARG002
        """Wait for the next frame and its time. Raises :class:`EndedError` at a film's end."""
        import cv2

        if not self._has_first and not self._grabbed():
            raise self._over()
        self._has_first = self.on_demand = False
        self._at_s = float(self.capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        time.sleep(self._clock.wait_s(self._at_s, time.monotonic()))

    def _over(self) -> Exception:
        if not self.ends:
            return StreamLostError("no more frames come from it")
        whole_s = self.frames / self.fps
        if "ends prematurely" in self._log.take() or self._at_s < _PLAYED * whole_s - 1:
            return StreamLostError(f"the film broke off after {self._at_s:.0f} s", "broke off")
        return EndedError()


class PlayClock:
    """When a frame is due by its time stamp."""

    def __init__(self) -> None:
        self._began_s: float | None = None

    def wait_s(self, at_s: float, now_s: float) -> float:
        """Seconds from ``now_s`` until the frame is due that is ``at_s`` seconds from the beginning."""
        wait_s = 0.0 if self._began_s is None else self._began_s + at_s - now_s
        if self._began_s is None or not -BEHIND_S <= wait_s <= AHEAD_S:
            self._began_s, wait_s = now_s - at_s, 0.0
        return max(0.0, wait_s)


def open_url(
    log: FfmpegLog, url: str, *, paced: bool = False, ends: bool | None = None, with_login: bool = False
) -> OpenCV:
    """A stream by FFmpeg. Raises :class:`StreamLostError`, with the reason where FFmpeg tells one."""
    import cv2

    listens = url.startswith(("udp://", "rtp://"))
    open_s = LISTEN_S if listens else OPEN_S
    limits = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * open_s)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * LONGEST_LOST_S)),
    ]
    began_s = time.monotonic()
    try:
        arguments = (url, cv2.CAP_FFMPEG, limits)
        stream = Played(log, *arguments, ends=ends) if paced else OpenCV(log, *arguments)
    except StreamLostError as error:
        if told := by_ffmpeg(log.take(), with_login=with_login):
            raise told from error
        waited_s = time.monotonic() - began_s
        if waited_s > 0.9 * open_s:
            if listens:
                raise StreamLostError(f"nothing readable was sent for {open_s:.0f} s", "nothing sent") from error
            raise StreamLostError(f"no stream came for {waited_s:.0f} s", "silent") from error
        if paced:
            raise StreamLostError("what it sends is no video that can be read", "spoiled") from error
        raise StreamLostError("what answers there is no stream that can be read", "request") from error
    if stream.is_text:
        stream.close()
        raise StreamLostError("what it sends is a text, no video", "page")
    return stream


def open_file(log: FfmpegLog, path: str) -> OpenCV:
    """A film of this machine; raises :class:`StreamLostError` for what is none."""
    import cv2

    # FFmpeg only: OpenCV's other readers take a digit in the name for an image sequence's. And by its whole path:
    # FFmpeg takes what stands before a colon for a protocol.
    name = str(Path(path).absolute())
    try:
        name.encode()
    except UnicodeEncodeError:  # OpenCV would crash of a name that is no valid text
        name = f"/proc/self/fd/{os.open(path, os.O_RDONLY)}"
    film = OpenCV(log, name, cv2.CAP_FFMPEG, on_demand=True)
    if film.is_text:
        film.close()
        raise StreamLostError("it is a text")
    return film


def open_described(log: FfmpegLog, path: str) -> OpenCV:
    """The RTP stream that an .sdp file describes. Raises :class:`StreamLostError` for a file that describes none."""
    try:
        with Path(path).open("rb") as file:
            lines = file.read(_SDP_BYTES).splitlines()
    except OSError as error:
        raise StreamLostError(f"it cannot be read: {reason_of(error).lower()}", "no sdp") from error
    if not any(line.startswith(b"m=video ") for line in lines):
        what = "video" if any(line.startswith(b"m=") for line in lines) else "stream"
        raise StreamLostError(f"it describes no {what}", "no sdp")
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file,crypto,data,udp,rtp,tcp")
    try:
        return open_url(log, str(Path(path).absolute()))
    except StreamLostError as error:
        if error.kind in ("request", "silent"):
            raise StreamLostError("nothing of what it describes was sent", "nothing sent") from error
        raise


def open_device(log: FfmpegLog, name: str) -> OpenCV:
    """A camera of this machine, by its number or name."""
    import cv2

    try:
        if name.isdecimal():
            return OpenCV(log, int(name), lost_s=DEVICE_LOST_S)
        return OpenCV(log, name, cv2.CAP_V4L2, lost_s=DEVICE_LOST_S)
    except StreamLostError as error:
        if sys.platform != "linux":
            raise StreamLostError("no camera answers there", "no device") from error
        raise _by_device(f"/dev/video{name}" if name.isdecimal() else name) from error


def _by_device(path: str) -> StreamLostError:
    """Why Linux does not let a camera be opened."""
    try:
        found = os.stat(path)  # noqa: PTH116
        if not stat.S_ISCHR(found.st_mode) or os.major(found.st_rdev) != _VIDEO_MAJOR:
            return StreamLostError("it is no camera", "no camera")
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        match error.errno:
            case errno.ENOENT | errno.ENOTDIR | errno.ENXIO | errno.ENODEV:
                return StreamLostError("there is no such camera", "no device")
            case errno.EACCES | errno.EPERM:
                return StreamLostError("this user may not open it", "not allowed")
            case errno.EBUSY:
                return StreamLostError("another program uses it", "device")
        return StreamLostError(f"it cannot be opened: {reason_of(error).lower()}", "device")
    return StreamLostError("it gives no pictures", "device")
