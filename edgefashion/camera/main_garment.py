"""Which of several garments is the one that is asked about: its name is the answer, in large letters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgefashion.camera.standing import StandingGarment

LEAD: Final = 1.3
"""Another garment takes the main one's place where its rank is so many times the main one's ..."""

LEAD_S: Final = 0.5
"""... for so long."""

RIM: Final = 0.5
"""A garment in a corner ranks as one of this share of its area in the middle."""


class MainGarment:
    """Puts the main garment first, and changes it no oftener than need be."""

    def __init__(self) -> None:
        self._id: int | None = None
        self._rival: int | None = None
        self._since_s = 0.0

    def __call__(
        self, time_s: float, garments: Sequence[StandingGarment], frame_wh: tuple[int, int]
    ) -> tuple[StandingGarment, ...]:
        """The ``garments`` of a frame at ``time_s`` seconds, the main one first, then the others by their rank."""
        ranked = by_rank(garments, frame_wh)
        first = next((garment for garment in ranked if garment.id == self._id), None)
        if not ranked:
            self.reset()
            return ()
        best = ranked[0]
        if first is None or self._takes_over(time_s, best, first, frame_wh):
            self._id, self._rival, first = best.id, None, best
        return (first, *(garment for garment in ranked if garment is not first))

    def reset(self) -> None:
        """Forget which one it was."""
        self._id = self._rival = None

    def _takes_over(
        self, time_s: float, best: StandingGarment, first: StandingGarment, frame_wh: tuple[int, int]
    ) -> bool:
        if best.held != first.held:  # somebody holds one up: who does that wants its name
            return True
        if best is first or rank(best, frame_wh) < LEAD * rank(first, frame_wh):
            self._rival = None
            return False
        if best.id != self._rival:
            self._rival, self._since_s = best.id, time_s
        return time_s - self._since_s >= LEAD_S


def by_rank(garments: Sequence[StandingGarment], frame_wh: tuple[int, int]) -> list[StandingGarment]:
    """Held ones before worn ones, and of these the largest first, one in the middle before one at the rim."""
    return sorted(garments, key=lambda garment: (not garment.held, -rank(garment, frame_wh)))


def rank(garment: StandingGarment, frame_wh: tuple[int, int]) -> float:
    """A garment's area in pixels, less where it lies towards the frame's rim."""
    x, y, w, h = garment.box
    width, height = frame_wh
    away = math.hypot(x + w / 2 - width / 2, y + h / 2 - height / 2) / (math.hypot(width, height) / 2)
    return w * h * (1 - RIM * min(1.0, away))
