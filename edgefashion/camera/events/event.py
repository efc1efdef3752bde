"""An event: its fields, its states, and what takes events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

ANSWERS: Final = ("garment", "none", "unknown")
"""Event states that answer a frame."""


CONDITIONS: Final = ("starting", "live", "stale", "reconnecting", "ended")
"""States of a source: not one frame yet; frames come; none for a second; lost, and being reopened; over."""


@dataclass(frozen=True)
class Event:
    """One line of the event stream: a stable answer that is new, a source's change of condition, or a fault."""

    time: str
    """UTC, ISO 8601 with milliseconds."""
    frame: int
    """The last frame's number in its source; -1 before the first."""
    state: str
    """One of :data:`ANSWERS` or :data:`CONDITIONS`, ``fault``: something besides the source failed or came back; or
    ``drift``: a day has departed from what is expected, or does so no more."""
    label: str | None = None
    """The main garment's likeliest label; also where the state is unknown, for whoever reads the log."""
    confidence: float | None = None
    latency_ms: float | None = None
    """From the frame leaving the source to its answer."""
    reason: str | None = None
    """Why a condition changed, or what failed; None of an answer."""
    garments: list[dict[str, Any]] | None = None
    """Of an answer: every garment in view, the main one first, as ``label``, ``confidence``, ``accepted``, ``box``,
    ``worn`` and ``id``; else None."""
    network: dict[str, Any] | None = None
    """What gives the answers: ``model``, ``revision``, ``sha256`` of its bundle, and whether it is on ``probation``."""
    drift: dict[str, Any] | None = None
    """Of the state ``drift``: ``measure``, ``day``, ``value``, ``expected``, ``test``, ``p`` and ``departs``; the line
    of another event has no such field."""


class EventSink(Protocol):
    """Where events go: a file, stdout, a broker. It must not block and raises nothing once it is open."""

    @property
    def gone(self) -> bool:
        """True once whoever read the events has left for good, as with ``| head``: nothing more will be written."""
        ...

    @property
    def lost(self) -> int:
        """Once it is closed: how many of the events it was told are written nowhere."""
        ...

    def tell(self, event: Event) -> None:
        """Take ``event``, to be written now or, where that fails, later."""
        ...

    def fault(self) -> str | None:
        """What keeps events from being written right now; None while all is well."""
        ...

    def close(self) -> None:
        """Write what can still be written, in a few seconds at most. May be called twice."""
        ...


def now() -> str:
    """The wall clock's time as events carry it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
