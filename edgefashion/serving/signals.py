"""SIGTERM and Ctrl-C, noted from the first moment on.

As exceptions they could be raised inside the import of a library, which might swallow them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class Ending:
    """While this is entered, in the main thread, the two signals are only noted."""

    def __init__(self) -> None:
        self.received: int | None = None
        """The first signal's number."""
        self._tell: Callable[[], object] = lambda: None
        self._before: dict[int, Any] = {}

    def then(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` at the first signal; at once, if that has come."""
        self._tell = tell
        if self.received is not None:
            tell()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.received = self.received or number
        self._tell()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._tell = lambda: None
        for number, handler in self._before.items():
            signal.signal(number, handler)
