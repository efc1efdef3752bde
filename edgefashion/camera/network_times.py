"""How long the networks take for a frame, precision beside precision."""

from __future__ import annotations

import collections
import statistics
from typing import Final

AB_PRECISIONS: Final = (("fp32", "fp16"), ("int8",))
"""What the key p changes between: of each side the first that a bundle has."""

KEPT: Final = 100
"""Frames that a median is taken over."""

COMPARED: Final = 30
"""Frames after which a network's time is told beside the other's."""


class NetworkTimes:
    """The latest times of each network and precision that was in use."""

    def __init__(self) -> None:
        self._taken_ms: dict[tuple[int, str], collections.deque[float]] = {}

    def add(self, place: int, precision: str, latency_ms: float) -> None:
        """The network of the key at ``place`` took so long for a frame."""
        self._taken_ms.setdefault((place, precision), collections.deque(maxlen=KEPT)).append(latency_ms)

    def begin(self, place: int, precision: str) -> None:
        """Forget what was measured of this one: it was some time ago, perhaps under another load."""
        self._taken_ms.pop((place, precision), None)

    def is_known(self, place: int, precision: str) -> bool:
        """True once enough frames are timed to compare."""
        return len(self._taken_ms.get((place, precision), ())) >= COMPARED

    def told(self, place: int) -> str:
        """The median times of a network's precisions, each as far as it has been used: ``FP32 5.0 ms, INT8 2.0 ms``."""
        known = [
            f"{precision.upper()} {statistics.median(taken_ms):.1f} ms"
            for precision in (one for side in AB_PRECISIONS for one in side)
            if (taken_ms := self._taken_ms.get((place, precision)))
        ]
        return ", ".join(known)
