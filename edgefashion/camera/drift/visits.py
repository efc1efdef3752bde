"""From moments to visits: one for each garment that is held up, however long, so that one garment counts once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment

GAP_S: Final = 2.0
"""A garment that is out of view for this long has left; what comes then is another visit."""

_LONGEST_STEP_S: Final = 1.0
"""Time between two moments that counts for what stood in the first, at most."""


@dataclass(frozen=True)
class Visit:
    """One garment, from when it came to when it left."""

    sure: bool
    """Whether the answer that stood longest was a name."""
    confidence: float
    """The mean while it stood."""


@dataclass
class _Stood:
    seconds: float = 0.0
    confidence: float = 0.0


@dataclass
class Visits:
    """Watches the main garment come and go."""

    _stood: dict[str, _Stood] = field(default_factory=dict)
    _at_s: float | None = None
    """When the last moment with a garment in view was; None while there is no visit."""

    def take(self, moment: Moment) -> Visit | None:
        """The visit that has ended by ``moment``, if one has."""
        seen = moment.shows if moment.health.well and moment.shows != "none" else None
        if self._at_s is not None and (not moment.health.well or moment.time_s - self._at_s > GAP_S):
            ended = self.end()
        else:
            ended = None
        if seen is None:
            return ended
        step_s = 0.0 if self._at_s is None else min(moment.time_s - self._at_s, _LONGEST_STEP_S)
        stood = self._stood.setdefault(seen, _Stood())
        # The first moment of an answer counts for something, however fast the frames come.
        stood.seconds += step_s or 1e-3
        stood.confidence += (step_s or 1e-3) * (moment.confidence or 0.0)
        self._at_s = moment.time_s
        return ended

    def end(self) -> Visit | None:
        """End the visit that goes on; None where none does."""
        stood, self._stood, self._at_s = self._stood, {}, None
        if not stood:
            return None
        state, longest = max(stood.items(), key=lambda each: each[1].seconds)
        return Visit(state == "garment", longest.confidence / longest.seconds)
