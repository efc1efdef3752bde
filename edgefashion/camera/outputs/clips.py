"""What is kept on demand: short clips and snapshots, named by the time in UTC. Nothing is kept unasked."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.camera.outputs import overlay
from edgefashion.camera.outputs.recording import (
    CLOSE_LIMIT_S,
    RESERVE_BYTES,
    Background,
    Recorder,
    check_room,
    is_whole,
    next_free,
)
from edgefashion.errors import BadInputError
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment

SNAPSHOT: Final = "s"
CLIP: Final = "r"
"""The keys that ask for a snapshot, and for a clip's begin or end."""

LONGEST_S: Final = 60.0
"""A clip ends by itself after so long: who started it may have left."""

FPS: Final = 15.0
"""Half a camera's rate is plenty to see what happened, at half the work."""

_LEFT_BEHIND_S: Final = 3600.0
"""An unfinished clip of this age belongs to no running process: its own was killed."""

BUSY: Final = "Still at the last one"


class Clips:
    """Short clips of the screen, from :meth:`start` to :meth:`stop`.

    A clip appears in ``folder`` once it is finished and can be played, never before and never over another file.
    What keeps one from being written ends it and is raised by :meth:`take` or :meth:`start`, as :class:`OSError` or
    :class:`BadInputError`; the next clip can be started all the same.
    """

    def __init__(
        self, folder: Path, *, fps: float = FPS, longest_s: float = LONGEST_S, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self._folder, self._fps, self._longest_s, self._reserve_bytes = folder, fps, longest_s, reserve_bytes
        self._current: Background | None = None
        self._finishing: list[Background] = []
        self._path = folder
        self._until_s = 0.0
        self._last: object = None

    @property
    def keeping(self) -> str | None:
        """Name of the clip that is being recorded; None where none is."""
        return self._path.name if self._current else None

    def start(self) -> Path:
        """Begin a clip, unless one is being recorded; returns where it will be."""
        if self._current:
            return self._path
        if not self._folder.is_dir():
            raise BadInputError(f"{self._folder}, where clips are kept, is no folder. Create it, or name another one")
        check_room(self._folder, self._reserve_bytes)
        self._clear_away()
        path = next_free(self._folder / f"edgefashion-{_stamp()}.mp4")
        aside = path.with_name(f".{path.stem}.new-{secrets.token_hex(4)}.mp4")
        try:
            recorder = Recorder(aside, self._fps, called=path.name)
        except BadInputError as error:
            raise BadInputError(f"No clip can be written to {self._folder}. Choose another folder") from error
        self._current = Background(
            recorder,
            self._folder,
            reserve_bytes=self._reserve_bytes,
            finish=lambda: _finish(aside, path, recorder.frames),
        )
        self._path, self._last = path, None
        self._until_s = time.monotonic() + self._longest_s
        return path

    def stop(self) -> Path | None:
        """End the clip, which is finished in the background; returns where it will be, None where none is recorded."""
        if self._current is None:
            return None
        self._current.end()
        self._finishing.append(self._current)
        self._current = None
        return self._path

    def take(self, moment: Moment) -> None:
        """Write ``moment`` if a clip is being recorded and the frame is new. Raises what spoiled a clip."""
        current = self._current
        if current and (current.error or time.monotonic() >= self._until_s):
            self.stop()
        elif current and moment.image is not None and moment.image is not self._last:
            self._last = moment.image
            current.put(overlay.drawn(moment), moment.time_s)
        over = [clip for clip in self._finishing if clip.over]
        self._finishing = [clip for clip in self._finishing if clip not in over]
        for clip in over:
            if clip.error:
                raise clip.error

    def close(self) -> None:
        """Finish what is being recorded, in a few seconds. May be called twice."""
        self.stop()
        until_s = time.monotonic() + CLOSE_LIMIT_S
        for clip in self._finishing:
            clip.join(max(0.0, until_s - time.monotonic()))
        self._finishing = []

    def _clear_away(self) -> None:
        """Remove what a killed process has left unfinished."""
        for left in self._folder.glob(".edgefashion-*.new-*.mp4"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _LEFT_BEHIND_S:
                    left.unlink()


def snapshot(moment: Moment, folder: Path) -> Path:
    """Write what is on the screen as a PNG into ``folder``; returns its path.

    Raises :class:`BadInputError` before the first frame or without the folder, :class:`OSError` if it cannot be
    written.
    """
    from edgefashion.data import images

    if moment.image is None:
        raise BadInputError("There is no picture yet. Take the snapshot once the camera shows one")
    if not folder.is_dir():
        raise BadInputError(f"{folder}, where snapshots are kept, is no folder. Create it, or name another one")
    path = next_free(folder / f"edgefashion-{_stamp()}.png")
    images.write_png(path, overlay.drawn(moment))
    return path


class OnDemand:
    """What the keys s and r ask for, in one folder that is made when the first is pressed.

    The loop does not wait for the disk: what is asked for is done in a thread, one thing at a time.
    """

    def __init__(self, folder: Path | None) -> None:
        """``folder``: where clips and snapshots go. With None nothing is kept, and the screen says so."""
        self._folder = folder
        self._clips = None if folder is None else Clips(folder)
        self._job: _Job | None = None

    @property
    def keeping(self) -> str | None:
        """Name of the clip that is being recorded; None where none is."""
        return self._clips.keeping if self._clips else None

    def snapshot(self, moment: Moment) -> str:
        """Begin to keep a picture of ``moment``; returns what there is to say of it now."""
        return self._begin(lambda folder, _: f"Kept as {snapshot(moment, folder).name}")

    def start_or_stop_clip(self) -> str:
        """Begin a clip, or end the one that is being recorded; returns what there is to say of it now."""
        if self._job is None and self._clips is not None and self._clips.keeping:
            path = self._clips.stop()
            return f"Kept as {path.name}" if path else ""
        return self._begin(lambda _, clips: f"Recording to {clips.start().name}")

    def take(self, moment: Moment) -> tuple[str, str | None]:
        """Give the clip its frame. Returns a note, and what failed: None for no news, the empty text for success."""
        if self._clips is None:
            return "", None
        note, failed = "", None
        if self._job is not None:
            if not self._job.done:
                return "", None
            job, self._job = self._job, None
            note, failed = job.note or f"Not kept: {job.error}", job.error
        try:
            self._clips.take(moment)
        except Exception as error:  # a full disk ends the clip, not the camera
            return f"The clip is lost: {reason_of(error)}", reason_of(error)
        return note, failed

    def close(self) -> None:
        """Finish a clip that is being recorded."""
        if self._clips is not None:
            self._clips.close()

    def _begin(self, work: Callable[[Path, Clips], str]) -> str:
        folder, clips = self._folder, self._clips
        if folder is None or clips is None:
            return "Nothing is kept here: no folder was given for it"
        if self._job is not None:
            return BUSY

        def in_folder() -> str:
            folder.mkdir(parents=True, exist_ok=True)
            return work(folder, clips)

        try:
            self._job = _Job(in_folder)
        except RuntimeError as error:  # no more threads are to be had just now
            return f"Not kept: {error}"
        return ""


class _Job:
    """Something for a disk, done in a thread: it may take its time, or for ever."""

    def __init__(self, work: Callable[[], str]) -> None:
        self.note, self.error = "", ""
        self._work = work
        self._thread = threading.Thread(target=self._run, name="keeping", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.note = self._work()
        except Exception as error:
            self.error = reason_of(error)

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()


def _finish(aside: Path, path: Path, frames: int) -> None:
    """Give the clip its name if it can be played; that it cannot, its recorder tells."""
    try:
        if frames and is_whole(aside, frames):
            aside.replace(next_free(path))
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
