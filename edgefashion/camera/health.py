"""How the loop is doing: what it counts and times, as the :class:`~edgefashion.camera.moment.Health` of a moment."""

from __future__ import annotations

import collections
import statistics
import time
from typing import Final

from edgefashion.camera.moment import Health

RECENT: Final = 30
"""Answers that the frame rate and the latency are taken from."""


class HealthMeter:
    """Counts and times the answers of a run."""

    def __init__(self) -> None:
        self.answered = 0
        """Frames answered so far."""
        self._began_s = time.monotonic()
        self._times_s: collections.deque[float] = collections.deque(maxlen=RECENT)
        self._latencies_ms: collections.deque[float] = collections.deque(maxlen=RECENT)

    @property
    def uptime_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began_s

    def count(self, latency_ms: float) -> None:
        """A frame was answered, so long after it had left its source."""
        self.answered += 1
        self._times_s.append(time.monotonic())
        self._latencies_ms.append(latency_ms)

    def forget_rate(self) -> None:
        """The source is lost: the frame rate is counted anew."""
        self._times_s.clear()

    def health(
        self,
        *,
        condition: str,
        reason: str,
        taken_s: float | None,
        reconnects: int,
        faults: int,
        failing: tuple[str, ...] = (),
    ) -> Health:
        """The health of now. ``taken_s`` is when the newest frame left its source, None before the first."""
        times_s = self._times_s
        span_s = times_s[-1] - times_s[0] if len(times_s) > 1 else 0.0
        return Health(
            condition=condition,
            reason=reason,
            frame_age_s=None if taken_s is None else time.monotonic() - taken_s,
            fps=(len(times_s) - 1) / span_s if span_s else 0.0,
            latency_ms=statistics.median(self._latencies_ms) if self._latencies_ms else None,
            uptime_s=self.uptime_s,
            frames=self.answered,
            reconnects=reconnects,
            faults=faults,
            failing=failing,
        )
