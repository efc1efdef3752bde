"""A frame, its number, and how long the next one may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


STALE_S: Final = 1.0
"""Without a frame for this long an answer is not of now; for a camera slower than that, three of its intervals."""


LOST_S: Final = 6.0
"""Without a frame for this long a source is given up. A stream that times out by itself (3 s) says so earlier."""


@dataclass(frozen=True)
class Frame:
    """One picture with the time it was taken."""

    image: NDArray[np.uint8]
    """BGR (h, w, 3)."""
    time_s: float
    """``time.monotonic()`` when it left the source."""
    number: int
    """Its place in the source, from 0; a live source skips the numbers of dropped frames."""


class Numbering:
    """The numbers of a source's frames, over all the processes that have read it, and how fast they come."""

    def __init__(self) -> None:
        self.next = 0
        self._base = 0
        self._last_s = self._interval_s = 0.0

    def add(self, number: int, time_s: float, *, first: bool) -> int:
        """Take frame ``number`` of the present process, ``first`` after a loss; returns its number in the source."""
        if first:
            self._base = self.next - number
            self._interval_s = 0.0
        else:
            self._interval_s += 0.2 * (min(time_s - self._last_s, LOST_S) - self._interval_s)
        self.next, self._last_s = self._base + number + 1, time_s
        return self._base + number

    @property
    def stale_s(self) -> float:
        """How long the next frame may take."""
        return max(STALE_S, min(3 * self._interval_s, LOST_S / 2))
