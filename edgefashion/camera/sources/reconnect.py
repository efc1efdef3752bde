"""When a lost source is opened again."""

from __future__ import annotations

import time
from typing import Final

from edgefashion.camera.sources.failures import KINDS
from edgefashion.system.backoff import Backoff

STEADY_S: Final = 10.0
"""A source that was live for this long begins again with the first wait when it is lost."""


class Attempts:
    """Failures in a row to open a source or to keep it open, and when it is to be opened again."""

    def __init__(self, most: int | None) -> None:
        self.failures = 0
        self.due_s = time.monotonic()
        self._most = most
        self._backoffs: dict[tuple[float, float], Backoff] = {}

    def put_off(self, now_s: float, kind: str, *, failed: bool) -> bool:
        """Wait until the next attempt after a failure of ``kind``; False if there were as many as are allowed."""
        self.failures += failed
        retry_s = KINDS[kind].retry_s
        # One for each pace: that a camera was off for a while must not put off the second try of a login, nor the
        # other way round.
        backoff = self._backoffs.setdefault(retry_s, Backoff(*retry_s))
        self.due_s = now_s + backoff.next_s()
        return not failed or self._most is None or self.failures < self._most

    def steady(self) -> None:
        """The source does well: its next loss is the first again."""
        for backoff in self._backoffs.values():
            backoff.reset()
