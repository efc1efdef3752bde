"""Every text that tells a person how the camera is doing: the same in the window, on the page and in a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgefashion.bundles.current import PLAIN

if TYPE_CHECKING:
    from edgefashion.bundles.running import Running
    from edgefashion.camera.moment import Kept, Moment
    from edgefashion.camera.standing import Doubt, StandingGarment


@dataclass(frozen=True)
class Words:
    """What is said in a state."""

    headline: str
    """Large, where a garment's name would stand. On the page some 18 letters have room."""
    detail: str
    """Below it, where no reason is known."""
    short: str = "Live"
    """The state of the camera in a word or two."""


WORDS: Final = {
    "none": Words("Show me a garment", "Hold it in the middle of the picture"),
    "anywhere": Words("Show me a garment", "Anywhere in the picture"),
    "nothing held": Words("Hold a garment up", "Show all of it to the camera"),
    "untold": Words("Hard to tell", "Somebody is in view. Hold a garment up to the camera"),
    "unknown": Words("Not sure", "Turn it to the camera, or bring it closer"),
    "starting": Words("No picture yet", "Waiting for the camera", "Starting"),
    "stale": Words("No new picture", "The camera has stopped sending", "No new picture"),
    "reconnecting": Words("Camera lost", "Connecting to it again", "Reconnecting"),
    "ended": Words("Finished", "The source has ended", "Finished"),
    "stopped": Words("Not answering", "The program has stopped handing on pictures", "Not answering"),
}
"""By a state of an answer, a condition of the source, or ``stopped``: the camera's loop hands on nothing any more.

Where all garments of the whole picture are looked for: ``anywhere`` if nothing and nobody is in view, ``nothing held``
if somebody is who holds nothing up, ``untold`` if nothing of what that person wears can be named.
"""

NOTHING_KEPT: Final = "Nothing is recorded"

GARMENTS_KEPT: Final = "Pictures of garments are kept"
"""While they are collected for teaching."""

_GARMENT: Final = Words("", "")
_DOUBT: Final = "Not sure. Turn it to the camera, or bring it closer"


def words(show: str) -> Words:
    """What to say of a key of :data:`WORDS`; of a garment, whose name is said, no headline and no detail."""
    return WORDS.get(show, _GARMENT)


def answer(moment: Moment) -> Words:
    """What to say of a live moment's answer: the garment's name, or what is to be done to get one."""
    names = moment.labels
    if moment.shows == "garment" and moment.label is not None:
        return Words(name(moment.label, names), "")
    if moment.shows == "unknown":
        return Words(either(moment.doubt, names), _DOUBT) if moment.doubt else WORDS["unknown"]
    if not moment.several:
        return words(moment.shows)
    if moment.garments:
        worn = dict.fromkeys(name(each.label, names) for each in moment.garments if each.accepted)
        return Words(WORDS["nothing held"].headline, f"Worn: {_listed(list(worn))}") if worn else WORDS["untold"]
    return WORDS["nothing held" if moment.people else "anywhere"]


def tag(garment: StandingGarment, names: Mapping[str, str]) -> str:
    """What stands on a garment's box."""
    if garment.accepted:
        return name(garment.label, names)
    return either(garment.doubt, names) if garment.doubt else WORDS["unknown"].headline


def name(label: str, names: Mapping[str, str]) -> str:
    """The name that is shown for ``label``; ``names`` are those that somebody has chosen."""
    return names.get(label, label)


def either(doubt: Doubt, names: Mapping[str, str]) -> str:
    """What is said where two labels share."""
    first, second = doubt
    return f"{name(first, names)} or {name(second, names)}?"


def detail(show: str, reason: str) -> str:
    """What to say below the headline: the reason as a sentence where there is one."""
    return reason[:1].upper() + reason[1:] if reason else words(show).detail


def kept(now: Kept) -> str:
    """What is stored of the pictures right now, as a sentence for who stands before the camera."""
    said = [f"Recording to {' and '.join(now.files)}"] if now.files else []
    said += [GARMENTS_KEPT] if now.collects else []
    said += [f"Collecting has stopped: {now.not_collecting}"] if now.not_collecting else []
    return ". ".join(said) or NOTHING_KEPT


def revision(running: Running) -> str:
    """Which revision of its model runs, for who looks after the camera; empty where there is but one."""
    if running.revision is None:
        return ""
    told = "the first revision" if running.revision == PLAIN else f"revision {running.revision}"
    if running.probation:
        return f"{told}, on probation"
    return f"{told}; {running.taken_back}" if running.taken_back else told


def _listed(parts: list[str]) -> str:
    """``A``, ``A and B``, ``A, B and C``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
