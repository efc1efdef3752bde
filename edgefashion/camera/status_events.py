"""The loop's events: its answers, its source's condition and its faults, each change once, to every sink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgefashion.camera.events.event import Event, now
from edgefashion.errors import printable
from edgefashion.system.addresses import without_secrets

if TYPE_CHECKING:
    from edgefashion.camera.events.event import EventSink


class StatusEvents:
    """Tells events to the sinks, and knows the source's condition and what fails besides it."""

    def __init__(self, sinks: Sequence[EventSink], *, live: bool) -> None:
        """Of a file, which is not ``live``, only trouble is told: that it is there was clear before."""
        self.frame = -1
        """The last frame's number, which every event carries."""
        self.faults = 0
        """Faults so far."""
        self.state, self.reason = ("starting" if live else "live"), ""
        """The source's condition, one of :data:`edgefashion.camera.events.event.CONDITIONS`, and why it is in it."""
        self.network: dict[str, Any] | None = None
        """What gives the answers, as every event tells it."""
        self._failing: dict[str, str] = {}
        self._sinks = sinks
        self._told: set[tuple[str, str]] = set()

    def tell(
        self,
        state: str,
        label: str | None = None,
        confidence: float | None = None,
        latency_ms: float | None = None,
        reason: str | None = None,
        garments: list[dict[str, Any]] | None = None,
        drift: dict[str, Any] | None = None,
    ) -> None:
        """Tell an event of now."""
        confidence = None if confidence is None else round(confidence, 3)
        latency_ms = None if latency_ms is None else round(latency_ms, 1)
        reason = printable(without_secrets(reason)) if reason else None  # it may quote a library, or a file's name
        network = self.network
        event = Event(now(), self.frame, state, label, confidence, latency_ms, reason, garments, network, drift)
        for sink in self._sinks:
            sink.tell(event)

    def change(self, state: str, reason: str) -> bool:
        """Tell a new condition of the source, or a new reason for it; returns whether answers are void from now on."""
        condition = (state, without_secrets(reason))
        if condition == (self.state, self.reason) or (state == "starting" and not reason):
            return False
        was = self.state
        self.state, self.reason = condition
        if state == "live":
            self._told.clear()
            self.tell(state)
            return False
        # A stale source's reason counts the seconds; an ended one's is told at the very end.
        known = state == was and (state == "stale" or condition in self._told)
        if not known and state != "ended":
            self._told.add(condition)
            self.tell(state, reason=self.reason)
        return state != was

    @property
    def failing(self) -> tuple[str, ...]:
        """What fails right now, by its name."""
        return tuple(self._failing)

    def is_failing(self, what: str) -> bool:
        """True while ``what`` fails."""
        return what in self._failing

    def fail(self, what: str, text: str) -> bool:
        """Note that ``what`` fails, and how; the empty text says that it works. Told, and returned, is what is new."""
        if text == self._failing.get(what, ""):
            return False
        if text:
            self._failing[what] = text
            self.faults += 1
            self.tell("fault", reason=f"{what}: {text}")
        else:
            del self._failing[what]
            self.tell("fault", reason=f"{what}: works again")
        return True

    def check_sinks(self) -> bool:
        """Tell which sinks fail; returns whether there are some and nobody listens to any of them any more."""
        if self._sinks and all(sink.gone for sink in self._sinks):
            return True
        for place, sink in enumerate(self._sinks):
            name = "events" if len(self._sinks) == 1 else f"events {place + 1}"
            self.fail(name, sink.fault() or "")
        return False
