"""How a network does while a camera uses it: how long it takes, how often it is not sure, how often it fails.

It is kept for each revision, in a small file in the model's folder, so that a new revision can be compared with the one
before it across a change and a restart.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.bundles.probation import MOST_MINUTES
from edgefashion.system import state_file
from edgefashion.system.files import write_whole

if TYPE_CHECKING:
    from edgefashion.camera.standing import StandingAnswer

BLOCK_S: Final = 5.0
"""Frames of so long a time are one figure, their median: what else the computer does lasts for many frames at once."""
BLOCKS: Final = 240
"""Figures kept, the newest: twenty minutes."""
GARMENTS: Final = 500
"""Garments kept, the newest."""
LONGEST_STEP_S: Final = 1.0
"""More than this between two frames is no time in which the network was at work."""
MEMORY_S: Final = 2 * MOST_MINUTES * 60.0
"""What is older counts half. What is left by then is no less than the longest probation, or that would never end."""

_MOST_FAULTS: Final = 2e6
_SLOWEST_MS: Final = 1e9
_LAST_LOOK: Final = 2 * GARMENTS
"""No record holds more than these, as there are so many frames and garments at most in the time that it covers."""


@dataclass
class Conduct:
    """What one revision did before one camera."""

    seconds: float = 0.0
    """In which frames were answered."""
    blocks_ms: list[float] = field(default_factory=list)
    """Median time for a frame, of each :data:`BLOCK_S`."""
    unsure: list[int] = field(default_factory=list)
    """For each garment that came into view: 1 where it was never named, else 0."""
    faults: float = 0.0
    silent: int = 0
    """Frames in a row, the last ones, to which it gave no answer."""
    since: str = ""
    """The probation that it is counted for; empty where it is on none."""
    next_look: int = 20
    """After so many garments the share of those not named is compared next."""

    @property
    def garments(self) -> int:
        """How many came into view."""
        return len(self.unsure)

    @property
    def frame_ms(self) -> float | None:
        """Median time for a frame; None before it is known."""
        return statistics.median(self.blocks_ms) if self.blocks_ms else None

    def add(self, seconds: float) -> None:
        """Frames were answered for so long."""
        self.seconds += seconds
        if self.seconds > MEMORY_S:
            self.seconds, self.faults = self.seconds / 2, self.faults / 2

    def add_block(self, frames_ms: list[float]) -> None:
        """Note the times of the frames of a block."""
        self.blocks_ms = [*self.blocks_ms, statistics.median(frames_ms)][-BLOCKS:]

    def add_garments(self, unsure: list[int]) -> None:
        """Note garments that are gone again."""
        self.unsure = [*self.unsure, *unsure][-GARMENTS:]

    def copy(self) -> Conduct:
        """As it is now; lists are replaced whole, never changed."""
        return replace(self)


class InView:
    """Garments from coming into view until they are gone: each counts once, however many frames it is in."""

    def __init__(self) -> None:
        self._named: dict[int, bool] = {}

    def take(self, answer: StandingAnswer) -> list[int]:
        """Note what stands after a frame; returns for each garment that has gone 1 where it was never named, else 0."""
        now = {0: answer.state == "garment"} if answer.state in ("garment", "unknown") else {}
        if answer.several:
            now = {each.id: each.accepted for each in answer.garments if each.held and each.id is not None}
        gone = [int(not named) for key, named in self._named.items() if key not in now]
        self._named = {key: named or self._named.get(key, False) for key, named in now.items()}
        return gone


class Timer:
    """Puts the times of frames together to blocks."""

    def __init__(self) -> None:
        self._frames_ms: list[float] = []
        self._began_s: float | None = None
        self._last_s: float | None = None

    def take(self, now_s: float, frame_ms: float, into: Conduct) -> None:
        """A frame was answered at ``now_s`` and took so long."""
        step_s = 0.0 if self._last_s is None else now_s - self._last_s
        into.add(min(step_s, LONGEST_STEP_S))
        self._last_s = now_s
        if self._began_s is None:
            self._began_s = now_s
        self._frames_ms.append(frame_ms)
        if now_s - self._began_s >= BLOCK_S:
            into.add_block(self._frames_ms)
            self._frames_ms, self._began_s = [], None


# --- The file --------------------------------------------------------------------------------


def read(path: Path) -> dict[str, Conduct]:
    """By revision, what the file at ``path`` knows; nothing where it is not there or nobody can read it.

    A damaged one is put aside.
    """
    with contextlib.suppress(OSError):
        return state_file.read(path, _revisions) or {}
    return {}


def write(path: Path, known: dict[str, Conduct]) -> None:
    """Replace the file at ``path``. Raises OSError."""
    told = {
        name: {**asdict(each), "blocks_ms": [round(ms, 2) for ms in each.blocks_ms]} for name, each in known.items()
    }
    write_whole(path, json.dumps({"format": 1, "revisions": told}) + "\n")


def _revisions(told: Any) -> dict[str, Conduct]:
    return {str(name): _conduct(each) for name, each in told["revisions"].items()}


def _conduct(told: dict[str, Any]) -> Conduct:
    number = state_file.number
    if not isinstance(told["since"], str) or not isinstance(told["next_look"], int):
        raise ValueError("no conduct")
    return Conduct(
        seconds=number(told["seconds"], 0, MEMORY_S),
        faults=number(told["faults"], 0, _MOST_FAULTS),
        blocks_ms=[number(ms, 0, _SLOWEST_MS) for ms in told["blocks_ms"]][-BLOCKS:],
        unsure=[int(number(each, 0, 1)) for each in told["unsure"]][-GARMENTS:],
        since=told["since"],
        next_look=int(number(told["next_look"], 1, _LAST_LOOK)),
    )
