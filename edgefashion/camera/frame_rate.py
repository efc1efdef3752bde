"""Rate limiters: how often a frame is taken, and how often one is looked at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import threading

    from edgefashion.camera.sources.source import Source

EARLY: Final = 0.25
"""Share of a frame's time by which a live one may come too early. A camera at that very rate must not lose frames to
its jitter."""


class RateLimiter:
    """Says when the next of something is due, so that ``rate`` come in a second on average."""

    def __init__(self, rate: float, early: float = 0.0) -> None:
        """``rate`` a second; one may come too early by the share ``early`` of the time between two."""
        self._period_s = 1 / rate
        self._early_s = early * self._period_s
        self._due_s = 0.0

    def due_in_s(self, now_s: float) -> float:
        """Seconds until the next one is due, negative once it is."""
        return self._due_s - self._early_s - now_s

    def took(self, now_s: float) -> None:
        """One was taken: the next is due a period after this one was due, or after now where that is long past."""
        self._due_s = max(self._due_s + self._period_s, now_s + self._period_s - self._early_s)


class FrameRate:
    """When the loop takes the next frame of a source, and which frames it asks the network about."""

    def __init__(self, source: Source, *, highest_fps: float, answers_fps: float, real_time: bool) -> None:
        """The arguments are those of :class:`edgefashion.camera.loop.LoopOptions`."""
        live = source.live
        self._limited = live or real_time
        self._frames = RateLimiter(highest_fps if live else source.fps or 1.0, EARLY if live else 0.0)
        self._answers = RateLimiter(answers_fps, EARLY) if live and answers_fps < highest_fps else None

    def wait_for_frame(self, stop: threading.Event) -> None:
        """Wait until the next frame is wanted, or ``stop`` is set."""
        if self._limited:
            wait_s = self._frames.due_in_s(time.monotonic())
            if wait_s > 0:
                stop.wait(wait_s)
            self._frames.took(time.monotonic())

    def answer_is_due(self) -> bool:
        """True if the frame at hand is to be answered; false if it is only to be shown."""
        if self._answers is None:
            return True
        now_s = time.monotonic()
        if self._answers.due_in_s(now_s) > 0:
            return False
        self._answers.took(now_s)
        return True
