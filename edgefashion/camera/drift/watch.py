"""Counts what a camera answers, by hour and day, and tells when a day departs from what is expected.

Nothing of a picture is kept, only sums. A day is judged once, when it is over, or at the next start where the camera
was off by then. See :mod:`edgefashion.camera.drift.days` for what it is held against.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.bundles.running import running
from edgefashion.camera.drift import store
from edgefashion.camera.drift.days import Days, Departure, Expected
from edgefashion.camera.drift.visits import Visit, Visits
from edgefashion.camera.figures import Counts, Figures
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment
    from edgefashion.inference.classifier import Classifier

LOOK_S: Final = 60.0
"""How often it is noted whether a garment is in view, and how bright the picture is."""
SAVE_S: Final = 60.0
"""The most that a crash or a power cut loses of the counts."""
BELIEVED_S: Final = 2 * 3600.0
"""A date before the day's is taken for today's once the clock has stood there for so long.

A machine without a battery, or with an old one, starts with a date long past, and has the right one as soon as it
reaches a time server; where summer time ends at midnight the day before comes back for an hour. Neither ends a day. Who
sets a clock right that was ahead means it.
"""
TOLD_S: Final = 1.0
"""How often the figures are made anew for page and metrics."""
CLOSE_S: Final = 3.0


class DayWatch:
    """Takes every moment of a live camera. It waits for no disk: a thread of its own reads and writes the file."""

    def __init__(
        self,
        path: Path | None,
        expected_of: Callable[[Classifier], Expected | None],
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        """``path``: the file of the days; None remembers none over a restart. ``expected_of``: what the report of a
        network says; it may read files.

        Raises :class:`OSError` where the file cannot be read.
        """
        self.fault = ""
        """Why the file cannot be written; empty while all is well."""
        self.figures = Figures()
        self._path, self._expected_of, self._clock = path, expected_of, clock
        self._networks = store.read(path) if path else {}
        self._visits = Visits()
        self._classifier: Classifier | None = None
        self._days: Days | None = None
        self._report: Expected | None = None
        self._earlier_since_s: float | None = None
        """Since when the clock has stood before the day that is counted."""
        self._looked_s = self._told_s = float("-inf")
        self._saved_s = time.monotonic()
        self._pending: str | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._save, name="days", daemon=True)
        self._thread.start()

    def take(self, moment: Moment, classifier: Classifier) -> list[Departure]:
        """Count ``moment``; returns what a day that is over by now has changed."""
        if classifier is not self._classifier:
            self._begin_network(classifier)
        assert self._days is not None
        ended = self._visits.take(moment)
        now = self._clock()
        changes = self._turn_to(now.date().isoformat(), moment.time_s)
        counts = self._days.hour(now.hour)
        if ended is not None:
            _add(counts, ended)
        if moment.health.well and moment.image is not None and moment.time_s - self._looked_s >= LOOK_S:
            self._looked_s = moment.time_s
            counts.looks += 1
            counts.empty += moment.shows == "none"
            counts.light += float(moment.image[::8, ::8].mean())
        self._tell(counts)
        return changes

    def _turn_to(self, date: str, time_s: float) -> list[Departure]:
        """The clock says that today is ``date``; what a day that is over by it has changed."""
        days = self._days
        assert days is not None
        if not date < days.date:
            self._earlier_since_s = None
            if date == days.date:
                return []
            self._told_s = float("-inf")
            if days.date:
                return days.end(date, self._report)
            days.date = date
            return []
        # No day is over: what is counted meanwhile is counted to this one, under whichever date.
        if self._earlier_since_s is None:
            self._earlier_since_s = time_s
        if time_s - self._earlier_since_s >= BELIEVED_S:
            days.date, self._earlier_since_s = date, None
        return []

    def _begin_network(self, classifier: Classifier) -> None:
        if self._days is not None and (ended := self._visits.end()) is not None and self._days.hours:
            _add(self._days.hours[max(self._days.hours)], ended)
        self._classifier, self._earlier_since_s = classifier, None
        name = identity(classifier)
        # To the end: the one used last is dropped last.
        self._days = self._networks.pop(name, Days())
        self._networks[name] = self._days
        self._report = self._expected_of(classifier)

    def _tell(self, hour: Counts) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s < TOLD_S:
            return
        self._told_s = now_s
        assert self._days is not None
        expected = self._days.expected(self._report)
        copy = Counts()
        copy.add(hour)
        self.figures = Figures(copy, self._days.today, expected, tuple(self._days.departing))
        if now_s - self._saved_s >= SAVE_S:
            self._hand_over()

    # --- The file -------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Have the thread write what is known now."""
        if self._path is None:
            return
        self._saved_s = time.monotonic()
        text = store.text_of(self._networks)
        with self._changed:
            self._pending = text
            self._changed.notify_all()

    def _save(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending is not None or self._closed)
                text, self._pending = self._pending, None
                closed = self._closed
            if text is not None and self._path is not None:
                try:
                    store.write(self._path, text)
                    self.fault = ""
                except OSError as error:
                    self.fault = f"the figures of the days are not written: {reason_of(error)}"
            elif closed:
                return

    def close(self) -> None:
        """Write what was counted, in a few seconds at most. May be called twice."""
        if self._closed:
            return
        if self._days is not None:
            if (ended := self._visits.end()) is not None and self._days.hours:
                _add(self._days.hours[max(self._days.hours)], ended)
            self._hand_over()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(CLOSE_S)


def _add(counts: Counts, visit: Visit) -> None:
    counts.visits += 1
    counts.unsure += not visit.sure
    counts.confidence += visit.confidence


def identity(classifier: Classifier) -> str:
    """What its days are kept under: another network or revision, or other labels or thresholds, begin anew."""
    of = running(classifier.name, classifier.source).sha256
    if of is None:  # another machine's, or no bundle
        what = json.dumps([classifier.labels, classifier.rule.as_json()], sort_keys=True)
        of = hashlib.sha256(what.encode()).hexdigest()
    return f"{classifier.name}-{of[:12]}"
