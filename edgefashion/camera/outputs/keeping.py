"""What the keys s and r keep of the camera: a snapshot, a clip. The disk is nothing the loop waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.camera.outputs import clips

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment

SNAPSHOT, CLIP = "s", "r"
BUSY: Final = "Still at the last one"


class Keeping:
    """Snapshots and clips in one folder, made when the first is asked for."""

    def __init__(self, folder: Path | None) -> None:
        """``folder`` None: nothing is kept, and who asks for it is told."""
        self._folder = folder
        self._clips: clips.Clips | None = None if folder is None else clips.Clips(folder)
        self._job: _Job | None = None

    @property
    def keeping(self) -> str | None:
        """Name of the clip that is being recorded; None where none is."""
        return self._clips.keeping if self._clips else None

    def ask(self, key: str, moment: Moment) -> str:
        """Begin what ``key`` asks for of ``moment``; returns what there is to say of it now."""
        folder, taken = self._folder, self._clips
        if folder is None or taken is None:
            return "Nothing is kept here: no folder was given for it"
        if self._job is not None:
            return BUSY
        if key == CLIP and taken.keeping:
            path = taken.stop()
            return f"Kept as {path.name}" if path else ""

        def work() -> str:
            folder.mkdir(parents=True, exist_ok=True)
            if key == SNAPSHOT:
                return f"Kept as {clips.snapshot(moment, folder).name}"
            return f"Recording to {taken.start().name}"

        try:
            self._job = _Job(work)
        except RuntimeError as error:  # no more threads are to be had just now
            return f"Not kept: {error}"
        return ""

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
            return f"The clip is lost: {error}", str(error)
        return note, failed

    def close(self) -> None:
        """Finish a clip that is being recorded."""
        if self._clips is not None:
            self._clips.close()


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
            self.error = str(error) or type(error).__name__

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()
