"""Every garment in view followed from frame to frame: one number, one box and one name that stays while it is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.camera.stability import SMOOTHING, Said, Steady, said_of
from edgefashion.camera.standing import StandingGarment
from edgefashion.inference.decision import NONE_LEVEL, decide, group_shares
from edgefashion.inference.predict import answer_of
from edgefashion.labels import NO_GARMENT, group_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.decision import Rule
    from edgefashion.inference.predict import SeenGarment
    from edgefashion.inference.preprocess import Box

BOX_SMOOTHING: Final = 0.5
"""Weight of the newest frame in a box: it trembles half as much, and lags a frame behind."""

DROP_S: Final = 0.4
"""A garment that no frame has shown for so long has left. As long as it stands, its box stays where it was."""

LEEWAY: Final = 0.05
"""An accepted name stays until its share is so far below what it needs to be accepted anew."""

MARGIN: Final = 0.1
"""Another name takes over only where its share is so much larger."""

WORN_LEVELS: Final = (0.4, 0.6)
"""A worn garment counts as held from the first downwards, a held one as worn from the second upwards."""

OVERLAP: Final = 0.1
"""Intersection over union from which a box may be the same garment's as one in the frame before."""

REACH: Final = 0.8
"""Or the distance of the two centres, in edges of a square as large as the boxes are on average."""

GROWTH: Final = 0.3
"""The smaller box has this share of the larger one's area at least: a bag before a coat is not the coat."""


class Tracker:
    """Follows garments. Call it with what each frame shows.

    A new garment is shown once it has had a name for as long as :class:`~edgefashion.camera.stability.Steady` asks;
    from then on it keeps its ``id``. One that is not seen for :data:`DROP_S` is dropped; a garment that comes back
    later has another id.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._last_id = 0

    def __call__(
        self, time_s: float, garments: Sequence[SeenGarment], labels: tuple[str, ...], rule: Rule
    ) -> tuple[StandingGarment, ...]:
        """Take what a frame at ``time_s`` seconds shows; return the garments that stand, the longest known first.

        ``labels`` and ``rule`` are those of the network that has named the ``garments``.
        """
        pairs = _pairs(self._tracks, garments)
        for place, track in enumerate(self._tracks):
            if place in pairs:
                track.take(time_s, garments[pairs[place]], labels, rule)
            else:
                track.in_frame = None
        known = set(pairs.values())
        for place, seen in enumerate(garments):
            if place not in known:
                self._tracks.append(_Track(time_s, seen, labels, rule))
        self._tracks = [track for track in self._tracks if time_s - track.seen_s < DROP_S]
        for track in self._tracks:
            if track.id is None and track.shown:
                self._last_id += 1
                track.id = self._last_id
        return tuple(track.standing() for track in self._tracks if track.shown)

    def another_network(self) -> None:
        """Another network names the garments from now on: what the one before gave is no help."""
        for track in self._tracks:
            track.average = None

    def reset(self) -> None:
        """Forget every garment, as when the source is lost."""
        self._tracks = []


class _Track:
    """One garment, from the first frame that shows it."""

    def __init__(self, time_s: float, seen: SeenGarment, labels: tuple[str, ...], rule: Rule) -> None:
        self.id: int | None = None
        """None until the garment is shown."""
        self.box = np.array(seen.box, np.float64)
        self.average: NDArray[np.float32] | None = None
        """Of the network's probabilities, (classes,)."""
        self._worn = seen.worn
        self._held = is_held(seen.worn)
        self._steady = Steady()
        self.take(time_s, seen, labels, rule)

    def take(self, time_s: float, seen: SeenGarment, labels: tuple[str, ...], rule: Rule) -> None:
        """A frame at ``time_s`` has ``seen`` it."""
        self.seen_s = time_s
        self.in_frame: Box | None = seen.box
        self.box += BOX_SMOOTHING * (np.array(seen.box) - self.box)
        if self.average is None:
            self.average = np.array(seen.probabilities, np.float32)
        else:
            self.average = self.average + SMOOTHING * (seen.probabilities - self.average)
        if self._worn is None or seen.worn is None:
            self._worn = seen.worn
        else:
            self._worn += SMOOTHING * (seen.worn - self._worn)
        if self._worn is not None:
            self._held = self._worn < WORN_LEVELS[1] if self._held else self._worn <= WORN_LEVELS[0]
        self._shares = shares_of(self.average, labels)
        own = rule.where(None if self._worn is None else float(not self._held))
        self._steady(time_s, hold_on(self._steady.stands, self.average, labels, own))

    @property
    def shown(self) -> bool:
        """Whether it is confirmed, and a garment."""
        return self._steady.stands is not None and self._steady.stands.state != "none"

    def standing(self) -> StandingGarment:
        """It as it is shown and told."""
        assert self._steady.stands is not None
        state, label, doubt = self._steady.stands
        shares = self._shares
        if label is None:
            label = max(doubt or tuple(shares), key=lambda name: shares.get(group_of(name), 0.0))
        x, y, w, h = (int(n) for n in np.rint(self.box))
        return StandingGarment(
            label=label,
            confidence=shares.get(group_of(label), 0.0),
            accepted=state == "garment",
            box=(x, y, max(1, w), max(1, h)),
            worn=self._worn,
            id=self.id,
            held=self._held,
            doubt=doubt,
            in_frame=self.in_frame,
        )


def is_held(worn: float | None) -> bool:
    """Whether a garment that is worn with this probability counts as held, hanging or lying."""
    return worn is None or worn < 0.5


def hold_on(stands: Said | None, probabilities: NDArray[np.float32], labels: tuple[str, ...], rule: Rule) -> Said:
    """What ``probabilities`` (classes,) say of a garment of which ``stands`` was said so far.

    A name that stands is left later than it would be given, so that a case on the border does not come and go.
    """
    answer = answer_of(probabilities, labels, rule)
    said = said_of(answer)
    if stands is None or stands.label is None or said == stands:
        return said
    if answer is None:
        if probabilities[labels.index(NO_GARMENT)] > NONE_LEVEL + LEEWAY:
            return said
        answer = decide(probabilities, labels, rule)
        said = said_of(answer)
    lenient = decide(probabilities, labels, lowered(rule, stands.label))
    if group_of(answer.label) == group_of(stands.label):
        # The group's name and its member's stand for the same garment: here it is the member's floor that is lowered.
        if lenient.accepted and (lenient.label == stands.label or not answer.accepted):
            return stands
        return said
    shares = shares_of(probabilities, labels)
    lead = shares[group_of(answer.label)] - shares.get(group_of(stands.label), 0.0)
    return stands if answer.accepted and lead < MARGIN else said


def lowered(rule: Rule, label: str) -> Rule:
    """The rule by which ``label`` stays accepted."""
    kind_floor = rule.kind_floor
    if kind_floor is not None and group_of(label) != label:
        kind_floor -= LEEWAY
    floors = {name: max(0.0, floor - LEEWAY) for name, floor in rule.floors.items()}
    return replace(rule, threshold=max(0.0, rule.threshold - LEEWAY), floors=floors, kind_floor=kind_floor)


def shares_of(probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> dict[str, float]:
    """What each group has of ``probabilities`` (classes,), by its name."""
    return {name: float(share[0]) for name, share in group_shares(probabilities[None], labels).items()}


# --- Which is which ---------------------------------------------------------------------------


def _pairs(tracks: Sequence[_Track], garments: Sequence[SeenGarment]) -> Mapping[int, int]:
    """Which of ``garments`` is which of ``tracks``, by their places: the most alike first."""
    found = [
        (alike, one, other)
        for one, track in enumerate(tracks)
        for other, seen in enumerate(garments)
        if (alike := _likeness(track, seen)) is not None
    ]
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, one, other in sorted(found, key=lambda each: -each[0]):
        if one not in pairs and other not in taken:
            pairs[one] = other
            taken.add(other)
    return pairs


def _likeness(track: _Track, seen: SeenGarment) -> float | None:
    """How well ``seen`` goes on from ``track``, by place and by what the network says; None where it cannot be it."""
    x, y, w, h = track.box
    a, b, c, d = seen.box
    areas = float(w * h), float(c * d)
    if min(areas) < GROWTH * max(areas):
        return None
    across, down = min(x + w, a + c) - max(x, a), min(y + h, b + d) - max(y, b)
    shared = max(0.0, float(across)) * max(0.0, float(down))
    overlap = shared / (sum(areas) - shared)
    away = math.hypot(x + w / 2 - a - c / 2, y + h / 2 - b - d / 2) / math.sqrt(sum(areas) / 2)
    if overlap < OVERLAP and away > REACH:
        return None
    # Two garments that cross are told apart by what they are: their boxes are the same for a moment.
    same = 0.5
    if track.average is not None and track.average.shape == seen.probabilities.shape:
        same = float(np.minimum(track.average, seen.probabilities).sum())
    return overlap - away / 2 + same
