"""An output that is opened anew whenever it fails, without the loop waiting for it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from edgefashion.system.backoff import Backoff
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment, Output

RETRY_S: Final = (1.0, 30.0)
"""First and longest wait before an output is opened again."""

CLOSE_LIMIT_S: Final = 3.0
"""How long closing waits for one that is being opened or closed."""

STEADY_S: Final = 60.0
"""An output that worked for this long begins again with the first wait."""


class ReopeningOutput:
    """One output that is working, has failed, or is being opened again in a thread.

    The caller opens it for the first time: what cannot be opened at the start is an error and no fault.
    """

    def __init__(self, opened: Output, reopen: Callable[[], Output] | None) -> None:
        """``reopen`` makes another one; None for an output that is given up when it fails."""
        self.name, self.shows, self.keeps = opened.name, opened.shows, opened.keeping is not None
        self.failure = ""
        """What failed first in the whole run, also in closing; empty if nothing did."""
        self._output: Output | None = opened
        self._reopen = reopen
        self._opening: threading.Thread | None = None
        self._result: Output | Exception | None = None
        self._backoff = Backoff(*RETRY_S)
        self._due_s = 0.0
        self._opened_s = time.monotonic()
        self._closing = False
        self._shutting: threading.Thread | None = None

    def take(self, moment: Moment) -> str | None:
        """Hand ``moment`` on. Returns what fails as a phrase, the empty text if it works again, None otherwise."""
        if self._output is None:
            return self._return(moment)
        try:
            self._output.take(moment)
        except Exception as error:  # a screen, a disk, a network: none of them ends the camera
            return self._failed(error)
        # One that mends itself says what it lacks, and is not opened anew for it.
        return getattr(self._output, "lacks", None)

    def keys(self) -> str:
        """The keys pressed in it."""
        if self._output is None:
            return ""
        try:
            return self._output.keys()
        except Exception:  # take() will meet it too, and tell
            return ""

    @property
    def keeping(self) -> str | None:
        """Name of the file that it is writing; None where it writes none."""
        return self._output.keeping if self._output is not None else None

    def close(self) -> None:
        """Close it; one that is being opened is closed as soon as it is open."""
        self._closing = True
        for thread in (self._opening, self._shutting):
            if thread is not None:
                thread.join(timeout=CLOSE_LIMIT_S)
        for one in (self._output, self._result):
            if one is not None and not isinstance(one, Exception):
                try:
                    one.close()
                except Exception as error:  # it is gone either way; of what it was to keep something may be missing
                    self.failure = self.failure or reason_of(error)
        self._output = self._result = None

    def _failed(self, error: Exception) -> str:
        output, self._output = self._output, None
        if time.monotonic() - self._opened_s > STEADY_S:
            self._backoff.reset()
        self._later()
        if output is not None:
            self._shutting = _start(lambda: close_quietly(output), f"close {self.name}")
        self.failure = self.failure or reason_of(error)
        return reason_of(error)

    def _later(self) -> None:
        self._due_s = time.monotonic() + self._backoff.next_s()

    def _return(self, moment: Moment) -> str | None:
        """Open it anew when that is due, and put it to work when it is open."""
        if self._opening is None:
            closed = self._shutting is None or not self._shutting.is_alive()
            if self._reopen is not None and closed and time.monotonic() >= self._due_s:
                self._opening = _start(self._open, f"open {self.name}")
                if self._opening is None:
                    self._later()
            return None
        if self._opening.is_alive():
            return None
        self._opening = None
        result, self._result = self._result, None
        if result is None or isinstance(result, Exception):
            self._later()
            return None  # told when it failed; that it still does is no news
        self._output, self._opened_s = result, time.monotonic()
        failed = self.take(moment)
        return "" if failed is None else failed

    def _open(self) -> None:
        assert self._reopen is not None
        try:
            opened = self._reopen()
        except Exception as error:
            self._result = error
            return
        self._result = opened
        if self._closing:  # nobody waits for it any more
            close_quietly(opened)


def _start(work: Callable[[], None], name: str) -> threading.Thread | None:
    """A thread at ``work``; None where no more threads can be had just now."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


class Closable(Protocol):
    """Anything that can be closed."""

    def close(self) -> None: ...


def close_quietly(one: Closable) -> None:
    """Close ``one``; that it fails is no news: it is gone either way."""
    with contextlib.suppress(Exception):
        one.close()
