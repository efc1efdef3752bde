"""What the sinks share that deliver to another machine: an outbox between the camera's loop and the network."""

from __future__ import annotations

import time

from edgefashion.camera.events.event import Event
from edgefashion.camera.events.outbox import Outbox
from edgefashion.camera.events.sink import CLOSE_S, Sink


class Outgoing(Sink):
    """A sink whose events go into an :class:`~edgefashion.camera.events.outbox.Outbox`, and leave it when they have
    arrived."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__(0)  # nothing waits here
        self._outbox = outbox
        self._closed_s = float("inf")

    def tell(self, event: Event) -> None:
        """Take ``event``, to be delivered now or, where that fails, later."""
        if not self._closed:
            self._outbox.put(event)

    def fault(self) -> str | None:
        """What keeps events from being delivered, or their file from being written, right now; None if nothing does."""
        return self._fault or self._outbox.fault or None

    def close(self) -> None:
        """Deliver what can still be delivered, in a few seconds at most. May be called twice."""
        with self._changed:
            self._closed, self._closed_s = True, min(self._closed_s, time.monotonic())
            self._changed.notify_all()
        with self._outbox.changed:
            self._outbox.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S + 1)
        self._outbox.close(CLOSE_S)
        self.lost = self._outbox.lost
        self.kept = self._outbox.kept

    @property
    def _closed_for_s(self) -> float:
        """Seconds since it was closed; less than none before that."""
        return time.monotonic() - self._closed_s

    def _unwritten(self) -> int:
        return len(self._outbox)
