"""A new revision's probation before the camera: watched, compared, and taken back where it is worse.

The loop tells what happens, which costs nothing. Files are read and written in a thread of their own, a few times a
minute.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.bundles import probation, revisions
from edgefashion.bundles.current import PLAIN, folder_of, keeps_history, model_dir_of
from edgefashion.bundles.running import Running, running
from edgefashion.camera import conduct
from edgefashion.camera.conduct import Conduct
from edgefashion.camera.probation_bounds import Bounds, worse
from edgefashion.errors import EdgeFashionError
from edgefashion.system.addresses import shown
from edgefashion.system.text import is_url, reason_of

if TYPE_CHECKING:
    from edgefashion.camera.standing import StandingAnswer
    from edgefashion.inference.classifier import Classifier

CHECK_S: Final = 5.0
"""How often it is compared."""
SAVE_S: Final = 30.0
"""How often what is known is written, while nothing changes."""
CLOSE_LIMIT_S: Final = 2.0


@dataclass
class _Outcome:
    """What the thread has found out."""

    of: Classifier
    running: Running
    next_look: int
    told: str = ""
    began: str = ""
    """The probation that the network in use is on."""
    taken_back: bool = False

    def take_back(self, folder: Path, on: probation.Probation, why: str) -> None:
        self.told, self.taken_back = _take_back(folder, on, why)


class Watch:
    """Watches the network in use, whichever it is."""

    def __init__(
        self, source: str = "", bounds: Bounds | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``source``: the camera's address; each camera of a computer has its own record."""
        self._file = f"conduct-{hashlib.sha256(shown(source).encode()).hexdigest()[:8]}.json"
        self._bounds, self._clock = bounds or Bounds(), clock
        self._used: Classifier | None = None
        self._model_dir: Path | None = None
        self._revision = ""
        self._known: dict[str, Conduct] = {}
        self._conduct = Conduct()
        self._in_view, self._timer = conduct.InView(), conduct.Timer()
        self.running = Running()
        """What runs now, for whoever tells it."""
        self.rollbacks = 0
        """How often a revision was taken back."""
        self._thread: threading.Thread | None = None
        self._outcome: _Outcome | None = None
        self._not_loaded = ""
        self._checked_s = self._saved_s = clock()

    # --- What the loop tells ------------------------------------------------------------------

    def use(self, classifier: Classifier) -> None:
        """This network is in use from now on; the same one again changes nothing."""
        if classifier is self._used:
            return
        self._used = classifier
        self._in_view, self._timer = conduct.InView(), conduct.Timer()
        self.running = running(classifier.name, classifier.source)
        place = classifier.source.parent if classifier.source is not None else None
        model_dir = None if place is None or self.running.sha256 is None else folder_of(place)
        if model_dir is None or place is None:
            self._model_dir, self._revision, self._conduct = None, "", Conduct()
            return
        revision = PLAIN if model_dir_of(place) in (None, place) else place.name
        if model_dir != self._model_dir:
            self._known = conduct.read(model_dir / self._file)
        elif self._revision:
            self._known = {**self._known, self._revision: self._conduct}
        self._model_dir, self._revision = model_dir, revision
        self._conduct = self._known.get(revision, Conduct()).copy()
        self._checked_s = 0.0  # soon: a probation may have begun

    def answered(self, frame_ms: float, answer: StandingAnswer) -> None:
        """A frame was answered by the network in use, which took so long; ``answer`` stands after it."""
        self._conduct.silent = 0
        self._timer.take(self._clock(), frame_ms, self._conduct)
        self._conduct.add_garments(self._in_view.take(answer))

    def silent(self, *, new: bool) -> None:
        """The network in use gave no answer to a frame; ``new``: it gave one to the frame before."""
        self._conduct.silent += 1
        self._conduct.faults += new

    def not_loaded(self, fault: str) -> None:
        """The revision in force cannot be loaded, and the one in use goes on."""
        self._not_loaded = fault
        self._checked_s = 0.0

    # --- What comes of it ---------------------------------------------------------------------

    def poll(self) -> str:
        """Look whether a revision was taken back: what to tell of it, once; else empty."""
        told = ""
        if self._thread is not None and not self._thread.is_alive():
            self._thread = None
            told = self._take_over()
        now_s = self._clock()
        if self._thread is None and self._model_dir is not None and now_s - self._checked_s >= CHECK_S:
            self._checked_s = now_s
            self._begin(self._model_dir)
        return told

    def _take_over(self) -> str:
        """Take over what the thread has found out about the network that is in use still."""
        found, self._outcome = self._outcome, None
        if found is None:
            return ""
        self.rollbacks += found.taken_back
        if found.of is self._used:
            self.running = found.running
            self._conduct.next_look = found.next_look
            if found.began and found.began != self._conduct.since:  # another stay in force says nothing of this one
                self._conduct = Conduct(since=found.began)
        return found.told

    def _begin(self, folder: Path) -> None:
        used, mine, not_loaded, self._not_loaded = self._used, self._conduct.copy(), self._not_loaded, ""
        assert used is not None
        if save := self._clock() - self._saved_s >= SAVE_S:
            self._saved_s = self._clock()
        known, revision = self._known, self._revision

        def check() -> None:
            found = _Outcome(used, running(used.name, used.source), mine.next_look)
            try:
                self._compare(folder, revision, mine, known.get, not_loaded, found)
                if save or found.taken_back:
                    self._save(folder, revision, mine)
                found.running = running(used.name, used.source)
            except Exception as error:  # a disk does what it likes; the camera goes on
                found.told = f"the probation of {folder.name} could not be looked at: {reason_of(error)}"
            self._outcome = found

        thread = threading.Thread(target=check, name="probation", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads are to be had just now
            thread.start()
            self._thread = thread

    def close(self) -> None:
        """Write what is known."""
        if self._thread is not None:
            self._thread.join(timeout=CLOSE_LIMIT_S)
        if self._model_dir is not None and (self._thread is None or not self._thread.is_alive()):
            self._save(self._model_dir, self._revision, self._conduct.copy())

    # --- In the thread ------------------------------------------------------------------------

    def _compare(
        self,
        folder: Path,
        revision: str,
        mine: Conduct,
        known: Callable[[str], Conduct | None],
        not_loaded: str,
        found: _Outcome,
    ) -> None:
        on = probation.running(folder)
        if on is None:
            return
        if on.revision != revision:
            if not_loaded:
                found.take_back(folder, on, f"it cannot be loaded ({not_loaded})")
            return
        found.began = on.began
        if mine.since != on.began:
            return
        old, at_end = known(on.previous), mine.seconds >= on.seconds
        why = worse(mine, old, self._bounds, at_end=at_end)
        while mine.garments >= found.next_look:
            found.next_look *= 2
        if why:
            found.take_back(folder, on, why)
        elif at_end:
            probation.end(folder, revision, "passed", _passed(mine, old))

    def _save(self, folder: Path, revision: str, mine: Conduct) -> None:
        if not keeps_history(folder):
            return  # nobody asked for a file beside a bundle; it is kept in memory, and written once there are two
        on = probation.running(folder)
        stays = {on.previous} if on else set()
        known = {name: each for name, each in self._known.items() if name in stays and name != revision}
        with contextlib.suppress(OSError):
            conduct.write(folder / self._file, {**known, revision: mine})


def _passed(new: Conduct, old: Conduct | None) -> str:
    if old is None or not old.garments:
        return "there was no record of the one before to compare with"
    if not new.garments:
        return "no garment was shown to it"
    share, before = sum(new.unsure) / new.garments, sum(old.unsure) / old.garments
    return f"not sure of {share:.0%} of {new.garments} garments, before of {before:.0%} of {old.garments}"


def _take_back(folder: Path, on: probation.Probation, why: str) -> tuple[str, bool]:
    """Put the revision before in force again; returns what to tell of it, and whether that is done.

    Nothing where somebody has put another in force since ``on`` was read, or its probation is over.
    """
    try:
        with revisions.changing(folder):
            if probation.running(folder) != on:
                return "", False
            was, now = revisions.rollback(folder, why, on.previous)
    except (EdgeFashionError, OSError) as error:
        return f"{on.revision} of {folder.name} is worse ({why}) and cannot be taken back: {reason_of(error)}", False
    return f"{was.id} of {folder.name} is taken back, {now.id} is in force again: {why}", True


def back_after_failed_load(model: str, error: EdgeFashionError) -> str:
    """Take back the revision in force of ``model``, which cannot be loaded at the start, where it is on probation.

    Returns what to tell of it; empty where nothing was taken back.
    """
    if is_url(model):
        return ""
    try:
        folder = revisions.folder(model)
        on = probation.running(folder)
    except (EdgeFashionError, OSError):
        return ""
    told, done = _take_back(folder, on, f"it cannot be loaded ({reason_of(error)})") if on is not None else ("", False)
    return told if done else ""
