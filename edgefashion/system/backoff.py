"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random
from typing import Final

LOGIN_S: Final = (60.0, 1800.0)
"""First and longest wait after a refused login: many cameras and servers lock an account that fails a few times."""


class Backoff:
    """Waits that double from ``first_s`` to ``longest_s`` seconds.

    Each is multiplied by a random number from ``spread``, so that a shop's kiosks do not all knock at once.
    """

    def __init__(self, first_s: float, longest_s: float, spread: tuple[float, float] = (0.75, 1.25)) -> None:
        self._first_s, self._longest_s, self._spread = first_s, longest_s, spread
        self._wait_s = first_s

    def next_s(self) -> float:
        """Seconds to wait before the next attempt; the wait after it is twice as long."""
        wait_s = self._wait_s * random.uniform(*self._spread)
        self._wait_s = min(2 * self._wait_s, self._longest_s)
        return wait_s

    def reset(self) -> None:
        """Begin again with the first wait: what failed has worked since."""
        self._wait_s = self._first_s
