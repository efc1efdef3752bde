"""The one progress display: a bar on a terminal, a line now and then in a log file or a pipe. All of it on stderr.

Who redirects stderr gets a line at the start where the time can be told before, one for each stage, and at least one
every half a minute: what is done, how much of it, how long it will still take. Work of a few seconds writes nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as RichProgress

QUIET_S: Final = 15.0
"""Work shorter than this writes no line into a log."""

EVERY_S: Final = 30.0
"""Between two lines of one stage."""

FIRST_RATE_S: Final = 5.0
"""From so much work on its rate is a basis for telling how long the rest takes."""


class Display(Protocol):
    """Where progress is shown."""

    def open(self) -> None: ...

    def show(self, state: State, *, stage: bool) -> None:
        """Show ``state``; ``stage`` is true where another piece of work has begun."""
        ...

    def say(self, line: str) -> None:
        """Write a line that stays."""
        ...

    def close(self) -> None: ...


class State:
    """How far the work is."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.done = 0
        self.total: int | None = None
        self.told: str | None = None
        """The command's own words on how far it is; None: they are made of ``done`` and ``total``."""
        self.expected_s: float | None = None
        """How long all of it takes, as far as that was known before; None where it was not."""
        self.began = time.monotonic()
        self._stage_began, self._first_done = self.began, 0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began

    def begin(self, doing: str) -> None:
        """Another piece of work, of which nothing is known yet."""
        self.doing, self.done, self.total, self.told = doing, 0, None, None
        self._stage_began, self._first_done = time.monotonic(), 0

    def count(self, done: int, total: int | None) -> None:
        """How much is done, and of how much (None: not known)."""
        if total != self.total:
            # What was there when counting began (an earlier run's work) says nothing about how fast this one is.
            self._stage_began, self._first_done = time.monotonic(), done
        self.done, self.total = done, total

    def left_s(self) -> float | None:
        """Seconds the rest will take; None where nothing can be said."""
        if not self.total:
            return None
        share, spent_s = self.done / self.total, time.monotonic() - self._stage_began
        fresh = self.done - self._first_done
        by_rate = None if fresh <= 0 or spent_s < FIRST_RATE_S else spent_s / fresh * (self.total - self.done)
        if self.expected_s is None:
            return by_rate
        # At the start what was expected counts, from a quarter of the work on what was seen.
        seen = 0.0 if by_rate is None else min(1.0, 4 * share)
        return max(0.0, (1 - seen) * (self.expected_s - self.elapsed_s)) + seen * (by_rate or 0.0)

    def words(self) -> str:
        """How far it is, in words."""
        if self.told is not None:
            return self.told
        parts = [] if not self.total else [f"{self.done:,} of {self.total:,}"]
        left_s = self.left_s()
        if left_s is not None and self.done != self.total:
            parts.append(f"{in_words(left_s)} left")
        return ", ".join(parts)


class Log:
    """Progress in a log file or a pipe: whole lines."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._last_s: float | None = None
        self._ended = threading.Event()
        self._ticking = threading.Thread(target=self._tick, name="progress", daemon=True)

    def open(self) -> None:
        self._ticking.start()

    def show(self, state: State, *, stage: bool) -> None:
        if state.elapsed_s >= QUIET_S and (stage or self._is_due()):
            self._write(state)

    def say(self, line: str) -> None:
        if sys.stderr is None:  # closed: print() would write to stdout instead
            return
        # Nobody may read it any more: no reason to end the work.
        with self._lock, contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        self._ended.set()
        self._ticking.join()

    def _is_due(self) -> bool:
        return self._last_s is None or self._state.elapsed_s - self._last_s >= EVERY_S

    def _write(self, state: State) -> None:
        self._last_s = state.elapsed_s
        words = state.words()
        self.say(f"{clock(state.elapsed_s)}  {state.doing}" + (f": {words}" if words else ""))

    def _tick(self) -> None:
        """Write while one call of the library takes long and tells nothing."""
        wait_s = QUIET_S
        while not self._ended.wait(wait_s):
            if self._is_due():
                self._write(self._state)
            wait_s = 1.0


class Bar:
    """Progress on a terminal: one line that moves, gone when all is done."""

    def __init__(self, state: State) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            TimeElapsedColumn(),
        )
        self._rich: RichProgress = Progress(
            *columns,
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._rich.add_task(state.doing, total=None, told="")

    def open(self) -> None:
        self._rich.start()

    def show(self, state: State, *, stage: bool) -> None:  # noqa: ARG002  # a bar shows a stage like any step
        told = state.words()
        self._rich.update(self._task, description=state.doing, completed=state.done, total=state.total, told=told)

    def say(self, line: str) -> None:
        self._rich.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def close(self) -> None:
        self._rich.stop()


class Progress:
    """What a command tells while it works; use it as a context manager."""

    def __init__(self, doing: str) -> None:
        """``doing``: what is done first, in words."""
        self._state = State(doing)
        terminal = sys.stderr is not None and sys.stderr.isatty()
        on_terminal = terminal and os.environ.get("TERM") not in ("dumb", "unknown")
        self._display: Display = Bar(self._state) if on_terminal else Log(self._state)

    def __enter__(self) -> Progress:
        self._display.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.close()

    def expect(self, seconds: float, what: str) -> None:
        """Say before the work how long it will take, ``seconds``, and what of: ``"12 rows, 5 rounds"``."""
        self._state.expected_s = self._state.elapsed_s + seconds
        if seconds >= QUIET_S:
            self._display.say(f"{in_words(seconds)}: {what}")

    def stage(self, doing: str) -> None:
        """Begin another piece of work."""
        self._state.begin(doing)
        self._display.show(self._state, stage=True)

    def step(self, done: int, total: int | None, doing: str | None = None, told: str | None = None) -> None:
        """``done`` of ``total`` is done (None: not known). ``doing``: what is done now. ``told``: how far it is, in the
        command's own words."""
        self._state.count(done, total)
        self._state.doing, self._state.told = doing or self._state.doing, told
        self._display.show(self._state, stage=False)

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._display.say(line)


def clock(seconds: float) -> str:
    """``"1:05"``, or ``"1:02:05"`` from an hour on."""
    whole = int(seconds)
    hours = f"{whole // 3600}:{whole // 60 % 60:02}" if whole >= 3600 else str(whole // 60)
    return f"{hours}:{whole % 60:02}"


def in_words(seconds: float) -> str:
    """A duration as people say it: ``"about 40 seconds"``, ``"about 4 minutes"``, ``"about 3 hours"``."""
    if seconds < 90:
        tens = max(10, round(seconds / 10) * 10)
        return f"about {tens} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {round(seconds / 3600)} hours"
