"""What all event sinks share, and the one for stdout. Events are JSON Lines.

A file's sink is in :mod:`edgefashion.camera.events.file`, a broker's in :mod:`edgefashion.camera.events.mqtt`.

A sink takes an event at once and writes it in a thread of its own, so that a full disk, a slow network or
a reader that has stopped reading never holds up the loop. What cannot be written waits, in order.
"""

from __future__ import annotations

import json
import math
import os
import select
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import asdict
from typing import Any, Final

from edgefashion.camera.events.event import Event
from edgefashion.system.backoff import Backoff
from edgefashion.system.text import reason_of

CAPACITY: Final = 10_000
"""Events that wait while they cannot be written; from then on the oldest are dropped, and told of."""

CLOSE_S: Final = 3.0
"""How long closing waits for what can still be written."""

RETRY_S: Final = (0.25, 2.0)
"""First and longest wait between attempts to write; up to half of each is left out at random."""

STUCK_S: Final = 5.0
"""A single write that has taken this long is told of as a fault."""

_TICK_S: Final = 0.2
_OWN_STATE: Final = ("drift",)
"""Fields that only the line of an event of the same state has."""
_BATCH: Final = 100


def line(event: Event) -> str:
    """``event`` as one line of JSON, its fields in order; a number that JSON does not know is null, however deep."""
    told = asdict(event).items()
    fields = {name: _plain(value) for name, value in told if name not in _OWN_STATE or value is not None}
    return json.dumps(fields, allow_nan=False)


def _plain(value: Any) -> Any:
    """What JSON knows: of a number or an array of numpy's Python's own, of anything else that it does not the text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def backoff() -> Backoff:
    """How long to wait before each next attempt to write."""
    return Backoff(*RETRY_S, spread=(0.5, 1))


class _Dropped(Event):
    """Says how many events were dropped. It is the sink's own, and is not counted as one that was told."""


class Sink(ABC):
    """An :class:`EventSink`: a bounded buffer and the one thread that writes it away."""

    gone = False
    """True once whoever read the events has left for good, as with ``| head``: nothing more will be written."""
    lost = 0
    """Once it is closed: how many of the events it was told are written nowhere."""
    kept = 0
    """Once it is closed: how many events wait in a file for the next start."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[Event] = deque()
        self._dropped = 0
        self._dropped_ever = 0
        self._last_dropped: Event | None = None
        self._fault: str | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def tell(self, event: Event) -> None:
        """Take ``event``, to be written now or, where that fails, later."""
        with self._changed:
            if self._closed or self.gone:
                return
            if len(self._waiting) >= self._capacity:
                self._last_dropped = self._waiting.popleft()
                self._dropped += 1
                self._dropped_ever += 1
            self._waiting.append(event)
            self._changed.notify_all()

    def fault(self) -> str | None:
        """What keeps events from being written right now; None while all is well."""
        return self._fault

    def close(self) -> None:
        """Write what can still be written, in a few seconds at most. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S + 1)
        self.lost = self._unwritten() + len(self._waiting) + self._dropped_ever

    @abstractmethod
    def _run(self) -> None:
        """Write events away until the sink is closed."""

    @abstractmethod
    def _unwritten(self) -> int:
        """How many of the events told the thread has taken and not written."""

    def _take(self, most: int) -> list[Event]:
        """The oldest waiting events, off the buffer; where some before them were dropped, first how many."""
        with self._changed:
            taken: list[Event] = []
            if self._dropped and self._last_dropped:
                reason = f"{self._dropped:,} events dropped: more than {self._capacity:,} were waiting to be written"
                taken = [_Dropped(self._last_dropped.time, self._last_dropped.frame, "fault", reason=reason)]
                self._dropped = 0
            return taken + [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the sink's being closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)


class Writer(Sink):
    """A sink of lines: takes them off the buffer, and tries again where they cannot be written."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._lines: deque[tuple[Event, bytes]] = deque()
        self._began_s: float | None = None

    def fault(self) -> str | None:
        """What keeps events from being written right now; None while all is well."""
        began_s = self._began_s
        if began_s is not None and time.monotonic() - began_s > STUCK_S:
            return "writing is stuck: nobody reads, or the disk does not answer"
        return self._fault

    @abstractmethod
    def _write(self, data: bytes) -> None:
        """Write one line. Raises :class:`OSError` where it could not be, and has then left nothing half done
        that the next call with the same line does not mend.
        """

    @abstractmethod
    def _look_after(self) -> None:
        """Called a few times a second, with or without events."""

    @abstractmethod
    def _let_go(self) -> None:
        """Close what is open."""

    def _unwritten(self) -> int:
        return sum(told(event) for event, _ in list(self._lines))

    def _run(self) -> None:
        pauses = backoff()
        while not self.gone:
            self._began_s = None
            closed = self._refill()
            try:
                self._began_s = time.monotonic()
                while self._lines:
                    self._write(self._lines[0][1])
                    self._lines.popleft()
                    self._began_s = time.monotonic()
                self._look_after()
            except BrokenPipeError:
                self.gone, self._began_s = True, None
                self._fault = "whoever read the events has left"
            except Exception as error:  # whatever fails, this thread goes on: the camera runs for months
                self._fault, self._began_s = reason_of(error), None
                if closed:
                    break
                self._pause(pauses.next_s())
            else:
                self._fault = None
                pauses.reset()
                if closed and not self._waiting:
                    break
        try:
            self._let_go()
        except OSError as error:
            self._fault = reason_of(error)

    def _refill(self) -> bool:
        """Take lines if none is left over, waiting a little for them; whether the sink is closed."""
        with self._changed:
            if not self._lines:
                self._changed.wait_for(lambda: self._closed or self._waiting, _TICK_S)
                self._lines.extend((event, f"{line(event)}\n".encode()) for event in self._take(_BATCH))
            return self._closed


class Stream(Writer):
    """A sink that writes to a file descriptor: stdout, or a device. Each line is one write, buffered nowhere."""

    def __init__(self, descriptor: int, name: str, capacity: int = CAPACITY, *, owned: bool = False) -> None:
        super().__init__(capacity)
        self._descriptor = descriptor
        self._name = name
        self._owned = owned
        self._done = 0
        self._thread.start()

    def _write(self, data: bytes) -> None:
        while self._done < len(data):
            try:
                self._done += os.write(self._descriptor, data[self._done :])
            except BlockingIOError:  # someone made the pipe so; it is full
                time.sleep(_TICK_S / 10)
                if self._closed:
                    raise
        self._done = 0

    def _look_after(self) -> None:
        # Else a reader that has left would be noticed at the next event only, which may be tomorrow's.
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._descriptor, 0)
            if any(event & select.POLLERR for _, event in poll.poll(0)):
                raise BrokenPipeError

    def _let_go(self) -> None:
        if self._owned:
            os.close(self._descriptor)


def told(event: Event) -> bool:
    """Whether ``event`` was told to the sink, and is not its own word of dropped ones."""
    return not isinstance(event, _Dropped)
