"""When a lost source is opened again."""

from __future__ import annotations

import time
from typing import Final

from edgefashion.system.backoff import Backoff

RETRY_S: Final = (0.25, 1.25)
"""First and longest wait before a lost source is opened again. The longest wait, its spread, the second that a silent
host is waited for and the opening together stay under 3 s, within which a source that is back is to be seen."""


STEADY_S: Final = 10.0
"""A source that was live for this long begins again with the first wait when it is lost."""


class Attempts:
    """Failures in a row to open a source or to keep it open, and when it is to be opened again."""

    def __init__(self, most: int | None) -> None:
        self.failures = 0
        self.due_s = time.monotonic()
        self.backoff = Backoff(*RETRY_S)
        self._most = most

    def put_off(self, now_s: float, *, failed: bool) -> bool:
        """Wait until the next attempt; False if there were as many failures as are allowed."""
        self.failures += failed
        self.due_s = now_s + self.backoff.next_s()
        return not failed or self._most is None or self.failures < self._most
