"""A frame, its number, and how long the next one may take."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


STALE_S: Final = 1.0
"""Without a frame for this long an answer is not of now; for a camera slower than that, three of its intervals."""

UNKNOWN_STALE_S: Final = 5.0
"""The same while the camera's pace is not known."""

LOST_S: Final = 3.0
"""Without a frame for this long a source is given up; a slower one after three of its intervals."""

UNKNOWN_LOST_S: Final = 20.0
"""The same while the source's pace is not known."""

LONGEST_LOST_S: Final = 60.0
"""A source without a frame for this long is given up, however slow it is."""

HANGS_S: Final = 3.0
"""So long after a reader should have given up by itself it is held to hang."""

_KNOWN: Final = 5
"""Intervals from which a pace is known. Some cameras send their first picture twice."""

_KEPT: Final = 9


@dataclass(frozen=True)
class Frame:
    """One picture with the time it was taken."""

    image: NDArray[np.uint8]
    """BGR (h, w, 3)."""
    time_s: float
    """``time.monotonic()`` when it left the source."""
    number: int
    """Its place in the source, from 0; a live source skips the numbers of dropped frames."""


class Pace:
    """How fast frames come, and how long the next one may take by that."""

    def __init__(self) -> None:
        self._intervals_s: collections.deque[float] = collections.deque(maxlen=_KEPT)

    def add(self, interval_s: float) -> None:
        """A frame came, so long after the one before it."""
        self._intervals_s.append(interval_s)

    @property
    def stale_s(self) -> float:
        """How long the next frame may take until the last answer is not of now any more."""
        return self._limit_s(STALE_S, UNKNOWN_STALE_S)

    def lost_s(self, least_s: float = LOST_S) -> float:
        """How long the next frame may take until the source is given up; ``least_s`` or longer."""
        return self._limit_s(least_s, max(least_s, UNKNOWN_LOST_S))

    def _limit_s(self, least_s: float, unknown_s: float) -> float:
        # The longest, not the mean: some send in bursts.
        if len(self._intervals_s) < _KNOWN:
            return unknown_s
        return min(max(least_s, 3 * max(self._intervals_s)), LONGEST_LOST_S)


class Numbering:
    """The numbers of a source's frames, over all the processes that have read it."""

    def __init__(self) -> None:
        self.next = 0
        self._base = 0

    def add(self, number: int, *, first: bool) -> int:
        """Take frame ``number`` of the present process, ``first`` after a loss; returns its number in the source."""
        if first:
            self._base = self.next - number
        self.next = self._base + number + 1
        return self._base + number
