"""Every text that tells a person how the camera is doing: the same in the window, on the page and in a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgefashion.camera.moment import Kept


@dataclass(frozen=True)
class Words:
    """What is said in a state without a garment's name."""

    headline: str
    """Large, where a garment's name would stand. On the page some 18 letters have room."""
    detail: str
    """Below it, where no reason is known."""
    short: str = "Live"
    """The state of the camera in a word or two."""


WORDS: Final = {
    "none": Words("Show me a garment", "Hold it in the middle of the picture"),
    "unknown": Words("Not sure", "Turn it to the camera, or bring it closer"),
    "starting": Words("No picture yet", "Waiting for the camera", "Starting"),
    "stale": Words("No new picture", "The camera has stopped sending", "No new picture"),
    "reconnecting": Words("Camera lost", "Connecting to it again", "Reconnecting"),
    "ended": Words("Finished", "The source has ended", "Finished"),
    "stopped": Words("Not answering", "The program has stopped handing on pictures", "Not answering"),
}
"""By a state of an answer, a condition of the source, or ``stopped``: the camera's loop hands on nothing any more."""

NOTHING_KEPT: Final = "Nothing is recorded"

_GARMENT: Final = Words("", "")


def words(show: str) -> Words:
    """What to say of a key of :data:`WORDS`; of a garment, whose name is said, no headline and no detail."""
    return WORDS.get(show, _GARMENT)


def detail(show: str, reason: str) -> str:
    """What to say below the headline: the reason as a sentence where there is one."""
    return reason[:1].upper() + reason[1:] if reason else words(show).detail


def kept(now: Kept) -> str:
    """What is stored of the pictures right now, as a sentence for who stands before the camera."""
    return f"Recording to {' and '.join(now.files)}" if now.files else NOTHING_KEPT
