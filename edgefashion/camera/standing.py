"""What stands after a frame: the answer, and every garment in view, as it is shown and told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgefashion.inference.preprocess import Box

Doubt = tuple[str, str]
"""Two labels that share what the network gives, in the order of the alphabet: the order of a frame would flicker."""


@dataclass(frozen=True)
class StandingGarment:
    """A garment in view."""

    label: str
    """Its name; the likeliest one where it is not accepted."""
    confidence: float
    """How sure the network is of it, from 0 to 1."""
    accepted: bool
    box: Box
    """(x, y, width, height) in pixels of the frame."""
    worn: float | None = None
    """Probability that somebody wears it; None where no finder looked."""
    id: int | None = None
    """Stays the same as long as the garment is in view; None where garments are not followed from frame to frame."""
    held: bool = True
    """Whether it counts as held up, hanging or lying: nobody wears it. Changes less often than ``worn`` passes 0.5."""
    doubt: Doubt | None = None
    """The labels it may be, where it is not accepted because two share."""
    in_frame: Box | None = None
    """Where the newest frame itself shows it; None where that frame does not."""

    @property
    def name(self) -> tuple[str | None, bool]:
        """What an event is told of when it changes: the name that is accepted, and whether the garment is held."""
        return (self.label if self.accepted else None), self.held

    def as_json(self) -> dict[str, Any]:
        """The fields of an entry of an event's ``garments``."""
        return {
            "label": self.label,
            "confidence": round(self.confidence, 3),
            "accepted": self.accepted,
            "box": list(self.box),
            "worn": None if self.worn is None else round(self.worn, 3),
            "id": self.id,
        }


@dataclass(frozen=True)
class StandingAnswer:
    """The answer in force after a frame."""

    state: str
    """One of :data:`edgefashion.camera.events.event.ANSWERS`."""
    label: str | None
    """The main garment's, in the state ``garment``."""
    confidence: float | None
    """How sure the newest frame that gave this answer was of it."""
    new: bool
    """True if it is to be told as an event: this frame confirmed it, or is a picture of its own."""
    doubt: Doubt | None = None
    """In the state ``unknown``: the labels it may be, where two share."""
    likeliest: str | None = None
    """In the state ``unknown``: the likeliest label, for whoever reads the log."""
    garments: tuple[StandingGarment, ...] = ()
    """Every garment in view, the main one first."""
    people: bool = False
    """Whether somebody is in view, as far as a finder looked."""
    several: bool = False
    """Whether the whole frame was looked at for all garments, not the guide's square for one."""

    @property
    def told_label(self) -> str | None:
        """The label of its event."""
        return self.likeliest if self.state == "unknown" else self.label
