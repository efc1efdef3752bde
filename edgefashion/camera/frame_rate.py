"""So many a second, on average, of what comes when it likes."""

from __future__ import annotations


class Pace:
    """Says when the next is due."""

    def __init__(self, rate: float, early: float = 0.0) -> None:
        """``rate`` a second; one may come by the share ``early`` of their distance too soon."""
        self._period_s = 1 / rate
        self._early_s = early * self._period_s
        self._due_s = 0.0

    def due_in_s(self, now_s: float) -> float:
        """Seconds until the next one is due, negative once it is."""
        return self._due_s - self._early_s - now_s

    def took(self, now_s: float) -> None:
        """One was taken: the next is due along the same grid, unless that has fallen behind."""
        self._due_s = max(self._due_s + self._period_s, now_s + self._period_s - self._early_s)
