"""A whole run kept as a video: of a file every frame, of a camera at the speed of life."""

from __future__ import annotations

import collections
import contextlib
import errno
import math
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.camera.outputs import overlay
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    import cv2
    from numpy.typing import NDArray

    from edgefashion.camera.moment import Moment

LONGEST_GAP_S: Final = 2.0
"""A recording repeats frames to keep time up to this gap; a longer one is a cut."""

RESERVE_BYTES: Final = 200_000_000
"""Recording ends while so much of the disk is still free: the machine needs it for itself."""

CLOSE_LIMIT_S: Final = 10.0
"""How long the end of a run waits for a camera's recording to be finished."""

PART_S: Final = 3600.0
"""A camera's recording goes on in a new file after so long: one is whole only once it is finished, and what is needed
to finish it is held in memory."""

STUCK_S: Final = 30.0
"""How long a file's recording waits for the disk."""

_QUEUED: Final = 4
_TRIAL_WH: Final = (64, 64)
_TRIAL_FRAMES: Final = 2


class Recorder:
    """An .mp4 or .avi of the drawn frames. Raises :class:`BadInputError` if it cannot be written."""

    def __init__(self, path: Path, fps: float, *, called: str | None = None) -> None:
        """``called`` is the name that an error tells, where it will have another one once it is finished."""
        if path.suffix.lower() not in {".mp4", ".avi"}:
            raise BadInputError(f"--record {path}: give a name ending in .mp4 or .avi")
        if not path.absolute().parent.is_dir():
            raise BadInputError(f"--record {path}: its folder does not exist. Create it first")
        self._new = not path.exists()
        self._path, self._called = path, called or path.name
        self._fps = fps
        self._size_wh: tuple[int, int] | None = None
        self._finished = False
        try:
            path.open("ab").close()  # now, not at the first frame; what is there already stays until then
            if self._new:
                self._try_out()
        except OSError as error:
            self._leave_nothing()
            raise BadInputError(
                f"--record {path} cannot be written: {reason_of(error)}. Choose another place"
            ) from error
        self._since_s, self._written = -math.inf, 0  # of write_at, since the last gap
        self.frames = 0
        """Written so far."""

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Add a frame; later frames are scaled to the first one's size."""
        import cv2

        if self._size_wh is None:
            size_wh = (picture.shape[1], picture.shape[0])
            try:
                self._writer = self._opened(size_wh)
            except OSError as error:
                raise BadInputError(f"--record {self._path} cannot be written. Choose another place") from error
            self._size_wh = size_wh
        if (picture.shape[1], picture.shape[0]) != self._size_wh:
            picture = cv2.resize(picture, self._size_wh, interpolation=cv2.INTER_AREA)
        self._writer.write(picture)
        self.frames += 1

    def write_at(self, picture: NDArray[np.uint8], at_s: float) -> None:
        """Add a live frame taken at ``at_s`` seconds, as often as is due, or not at all: so the
        recording plays at the speed of life, whatever the camera's rate."""
        if at_s - (self._since_s + self._written / self._fps) > LONGEST_GAP_S:
            self._since_s, self._written = at_s, 0
        while self._since_s + self._written / self._fps <= at_s:
            self.write(picture)
            self._written += 1

    def close(self) -> None:
        """Finish the file; nothing is left of one that got no frame. May be called twice.

        Raises :class:`OSError` if it cannot be played to its end: FFmpeg says nothing of what it could not write.
        """
        if self._size_wh is None:
            self._leave_nothing()
            return
        finished, self._finished = self._finished, True
        if finished:
            return
        self._writer.release()
        if not is_whole(self._path, self.frames):
            if self._path.exists() and not self._path.stat().st_size:
                self._leave_nothing()
            raise OSError(f"{self._called} could not be written whole. Is the disk full?")

    def _opened(self, size_wh: tuple[int, int]) -> cv2.VideoWriter:
        import cv2

        codec = cv2.VideoWriter.fourcc(*("mp4v" if self._path.suffix.lower() == ".mp4" else "MJPG"))
        # By its whole path: FFmpeg takes what stands before a colon for a protocol. And by FFmpeg only, which is what
        # was tried out.
        try:
            name = str(self._path.absolute())
            name.encode()  # OpenCV would crash
            writer = cv2.VideoWriter(name, cv2.CAP_FFMPEG, codec, self._fps, size_wh)
        except (cv2.error, UnicodeError) as error:
            raise OSError("no video can be written under this name") from error
        if not writer.isOpened():
            raise OSError("no video can be written there")
        return writer

    def _try_out(self) -> None:
        """Write a small video, read it, and leave the file empty: what is found now ends no run in the middle.

        Raises :class:`OSError`.
        """
        writer = self._opened(_TRIAL_WH)
        for _ in range(_TRIAL_FRAMES):
            writer.write(np.zeros((_TRIAL_WH[1], _TRIAL_WH[0], 3), np.uint8))
        writer.release()
        if not is_whole(self._path, _TRIAL_FRAMES):
            raise OSError("a video that was written there cannot be read")
        self._path.open("wb").close()

    def _leave_nothing(self) -> None:
        if self._new:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def is_whole(path: Path, frames: int) -> bool:
    """Whether the video at ``path`` can be opened and has all of its ``frames``."""
    import cv2

    video = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    try:
        return video.isOpened() and round(video.get(cv2.CAP_PROP_FRAME_COUNT)) >= frames and video.grab()
    finally:
        video.release()


class Background:
    """Writes to a recorder in a thread of its own: neither the encoder nor a slow disk holds up who hands frames in.

    ``finish`` is called in that thread once the recorder is closed. What goes wrong there is kept in :attr:`error`.
    """

    def __init__(
        self,
        recorder: Recorder,
        folder: Path,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        finish: Callable[[], None] | None = None,
    ) -> None:
        self._recorder, self._folder, self._reserve_bytes = recorder, folder, reserve_bytes
        self._finish = finish
        self._waiting: collections.deque[tuple[NDArray[np.uint8], float | None]] = collections.deque()
        self._turn = threading.Condition()
        self._ended = False
        self.error: Exception | None = None
        """What ended it early, an :class:`OSError` or one of ours; frames handed in afterwards are lost."""
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def put(self, picture: NDArray[np.uint8], at_s: float | None) -> None:
        """Hand in a frame: one taken at ``at_s`` is left out where the disk is behind, any other waits its turn."""
        with self._turn:
            if at_s is None:
                self._turn.wait_for(lambda: len(self._waiting) < _QUEUED or self.error, STUCK_S)
                if len(self._waiting) >= _QUEUED and not self.error:
                    raise OSError(errno.EIO, f"the disk has not answered for {STUCK_S:.0f} s", str(self._folder))
            if len(self._waiting) < _QUEUED and not self.error:
                self._waiting.append((picture, at_s))
                self._turn.notify_all()

    def end(self) -> None:
        """No more frames come. Returns at once."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()

    def join(self, limit_s: float | None) -> None:
        """Wait until all is written, or for ``limit_s``."""
        self._thread.join(limit_s)

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._write_all()
        except Exception as error:  # told by whoever hands in the next frame
            self._fail(error)
        for finish in (self._recorder.close, self._finish):
            try:
                if finish:
                    finish()
            except Exception as error:
                self._fail(error)

    def _write_all(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                picture, at_s = self._waiting.popleft()
                self._turn.notify_all()
            # Not afterwards: FFmpeg says nothing of a disk that is full.
            check_room(self._folder, self._reserve_bytes)
            if at_s is None:
                self._recorder.write(picture)
            else:
                self._recorder.write_at(picture, at_s)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, OSError | EdgeFashionError):
            error = OSError(f"the recording cannot be written ({error})")
        with self._turn:
            self.error = self.error or error
            self._waiting.clear()
            self._turn.notify_all()


def check_room(folder: Path, reserve_bytes: int) -> None:
    """Raise :class:`OSError` unless so much of ``folder``'s disk is free."""
    if shutil.disk_usage(folder).free < reserve_bytes:
        raise OSError(errno.ENOSPC, f"less than {reserve_bytes / 1e6:,.0f} MB are free", str(folder))


def next_free(path: Path) -> Path:
    """``path``, or ``NAME-2``, ``NAME-3`` and so on where it exists."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


class Recording:
    """The whole run as one video (``--record FILE``): an :class:`~edgefashion.camera.moment.Output`.

    ``live`` frames keep time, and are left out where the disk is behind; of a file every frame is written.
    Opened ``again`` after a fault, it goes on in a file of its own, and so it does after each :data:`PART_S` of a
    live source. Raises :class:`BadInputError` if ``path`` cannot be written.
    """

    name: str = "recording"
    shows: bool = True

    def __init__(
        self, path: Path, fps: float, *, live: bool, again: bool = False, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self._path, self._fps, self._live, self._reserve_bytes = path, fps, live, reserve_bytes
        self._last: object = None
        self.keeping: str | None = None
        """Name of the file that is being written; None once it is closed."""
        self._began_s = 0.0
        self._ended: list[Background] = []
        self._told: set[Background] = set()
        """Those whose error has been raised."""
        self._background = self._begin(next_free(path) if again else path)

    def _begin(self, path: Path) -> Background:
        recorder = Recorder(path, self._fps)
        try:
            check_room(path.absolute().parent, self._reserve_bytes)
        except OSError:
            recorder.close()
            raise
        self.keeping, self._began_s = path.name, time.monotonic()
        return Background(recorder, path.absolute().parent, reserve_bytes=self._reserve_bytes)

    def take(self, moment: Moment) -> None:
        """Write ``moment`` if it has a new frame. Raises what kept an earlier one from being written."""
        self._check()
        if moment.image is None or moment.image is self._last or not moment.health.well:
            return
        self._last = moment.image
        if self._live and time.monotonic() - self._began_s > PART_S:
            self._background.end()
            self._ended = [*(part for part in self._ended if not part.over or part.error), self._background]
            self._background = self._begin(next_free(self._path))
        taken_s = moment.time_s if moment.taken_s is None else moment.taken_s
        self._background.put(overlay.drawn(moment), taken_s if self._live else None)

    def keys(self) -> str:
        """None are pressed here."""
        return ""

    def _check(self) -> None:
        if self._background.error:
            self._told.add(self._background)
            raise self._background.error
        for part in self._ended:
            if part.error and part not in self._told:
                self._told.add(part)
                raise part.error

    def close(self) -> None:
        """Finish the file; nothing is left of one that got no frame. May be called twice.

        Raises :class:`OSError` for one that could not be finished, if :meth:`take` has not raised it.
        """
        name, self.keeping = self.keeping, None
        self._background.end()
        for part in (*self._ended, self._background):
            part.join(CLOSE_LIMIT_S if self._live else None)
        if self._background not in self._told:
            self._check()
        if name and not self._background.over:
            raise OSError(f"{name} could not be finished within {CLOSE_LIMIT_S:.0f} s")
