"""An event on its way to another machine, and the word that stands for those that were dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from edgefashion.camera.events.event import Event
from edgefashion.camera.events.sink import line


@dataclass(frozen=True)
class Message:
    """An event on its way. ``run`` and ``seq`` name it for good, so that who gets it twice can tell."""

    number: int
    """Its place in the outbox: greater than that of each older one."""
    run: str
    """16 hex digits, new at every start of the program that told it."""
    seq: int
    """1, 2, 3, ... within the run; where one is missing, it was dropped."""
    line: str
    """The event as a line of JSON."""
    dropped: int = 0
    """Of the message that stands for dropped ones: how many."""

    @property
    def id(self) -> str:
        """The name as one word."""
        return f"{self.run}-{self.seq}"


def gap(last: Message, dropped: int) -> Message:
    """What stands for ``dropped`` messages, of which ``last`` was the last."""
    fields = fields_of(last.line)
    reason = f"{dropped:,} events dropped: more were waiting than there is room for"
    event = Event(fields["time"], fields["frame"], "fault", reason=reason)
    return Message(last.number, last.run, last.seq, line(event), dropped)


def fields_of(text: str) -> dict[str, Any]:
    """The fields of an event's line. Raises :class:`ValueError` or :class:`RecursionError` for what is none."""
    fields = json.loads(text)
    if not isinstance(fields, dict) or "time" not in fields or "frame" not in fields:
        raise ValueError("no event")
    return fields
