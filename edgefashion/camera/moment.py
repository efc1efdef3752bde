"""What is true at one moment of the camera loop: handed to everything that shows it, and told as events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edgefashion.bundles.running import Running

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.figures import Figures
    from edgefashion.camera.standing import Doubt, StandingGarment
    from edgefashion.inference.preprocess import Box


@dataclass(frozen=True)
class Health:
    """How the source and the loop are doing."""

    condition: str = "starting"
    """One of :data:`CONDITIONS`."""
    reason: str = ""
    """Why, where the condition is not live."""
    frame_age_s: float | None = None
    """Since the last frame left the source; None before the first."""
    fps: float = 0.0
    """Frames answered a second, of late."""
    latency_ms: float | None = None
    """Median from frame to answer, of late."""
    uptime_s: float = 0.0
    frames: int = 0
    """Answered since the start."""
    reconnects: int = 0
    """Times the source was lost since the start."""
    faults: int = 0
    """Faults besides the source's since the start."""
    failing: tuple[str, ...] = ()
    """What fails besides the source right now: ``window``, ``events 1``, ``model``, ..."""

    @property
    def well(self) -> bool:
        """True while answers are of now."""
        return self.condition == "live"


@dataclass(frozen=True)
class Kept:
    """What is stored of the pictures right now, by the names of its files."""

    clip: str | None = None
    """The clip that a key has begun."""
    recordings: tuple[str, ...] = ()
    """Recordings of the whole run."""
    collects: bool = False
    """Whether pictures of garments are kept for teaching."""
    not_collecting: str = ""
    """Why they are not kept at the moment, though they are meant to be."""

    @property
    def anything(self) -> bool:
        """Whether anything is stored."""
        return bool(self.files) or self.collects

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all files that are being written; empty where nothing is stored."""
        return (*((self.clip,) if self.clip else ()), *self.recordings)


@dataclass(frozen=True, eq=False)
class Moment:
    """The newest frame with the answer in force, or why there is none.

    ``image`` is what may be shown and kept: with ``--privacy`` everything outside the garments' boxes, and every head,
    is blurred in it already. Nobody writes into it. Two moments are never equal, whatever is in them.
    """

    time_s: float
    """``time.monotonic()``."""
    health: Health
    state: str = "none"
    """The stable answer: one of :data:`ANSWERS`; of no meaning unless the health's condition is live."""
    label: str | None = None
    confidence: float | None = None
    latency_ms: float | None = None
    """Of this frame."""
    image: NDArray[np.uint8] | None = None
    """BGR (h, w, 3); the last one while none comes, None before the first."""
    taken_s: float | None = None
    """``time.monotonic()`` when ``image`` left its source."""
    guide: Box | None = None
    """Where the garment is looked for, (x, y, w, h) in ``image``; None where that is everywhere."""
    box: Box | None = None
    """Where it was found."""
    pixels: NDArray[np.uint8] | None = None
    """What the model saw; None with ``--privacy``, and without ``details``."""
    model: str = ""
    precision: str = ""
    running: Running = field(default_factory=Running)
    """Which revision of the model that is, and whether it is on probation."""
    kept: Kept = Kept()
    """What is stored of the pictures right now."""
    note: str = ""
    """A short-lived line for the screen: what a key just did."""
    help: bool = False
    """Whether the keys are to be shown."""
    mirror: bool = False
    garments: tuple[StandingGarment, ...] = ()
    """Every garment in view, the main one first."""
    doubt: Doubt | None = None
    """In the state ``unknown``: the two labels it may be, where two share."""
    people: bool = False
    """Whether somebody is in view, as far as was looked for people."""
    several: bool = False
    """Whether all garments of the whole picture are looked for, not one in the guide's square."""
    details: bool = False
    """Whether what only technicians care for is shown: the network's name, its precision, its milliseconds."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What is shown in place of a label, where that is another name."""
    figures: Figures | None = None
    """Today's, of a live camera; None where they are not counted."""

    @property
    def shows(self) -> str:
        """The state that is shown: ``none`` also while all that is in view is worn, and nothing held up."""
        only_worn = bool(self.garments) and not any(garment.held for garment in self.garments)
        return "none" if only_worn else self.state


class Output(Protocol):
    """Something that shows or keeps moments: a window, a recording, a page.

    The loop calls ``take`` for every answered frame, and about ten times a second while no frame comes. It must not
    block. What it raises costs nothing but a fault event: the loop closes the output and opens it anew later.
    """

    @property
    def name(self) -> str:
        """What its faults are told under: ``window``, ``recording``, ``page``."""
        ...

    @property
    def shows(self) -> bool:
        """True of an output for people, for whose sake the loop runs even if nobody reads its events."""
        ...

    @property
    def keeping(self) -> str | None:
        """The name of the file that it is writing; None where it writes none."""
        ...

    def take(self, moment: Moment) -> None:
        """Show or keep ``moment``."""
        ...

    def keys(self) -> str:
        """The characters of the keys pressed since the last call; ``q`` also for a closed window."""
        ...

    def close(self) -> None:
        """Let go of everything. May be called twice."""
        ...
