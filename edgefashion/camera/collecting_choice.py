"""Which garments of a frame are worth keeping: those that a network can learn from."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edgefashion.inference.garment_picture import CHANGED, SAMPLE, UNSURE
from edgefashion.labels import group_of

if TYPE_CHECKING:
    from edgefashion.camera.standing import StandingAnswer, StandingGarment
    from edgefashion.inference.predict import Prediction, SeenGarment

SETTLED_S: Final = 0.5
"""A garment that has stood for so long is in view as it is meant to be, and heads around it have been found."""

CHANGED_S: Final = 1.0
"""Two names within so long are a change."""

AGAIN_S: Final = 5.0
"""A garment that was kept is kept again after so long, then after twice that, and so on: one that stands in view all
day shall not be all that there is."""

GONE_S: Final = 1.0
"""A garment that was not in view for so long is another one when it comes back."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """A garment that is to be kept."""

    garment: SeenGarment
    why: str
    visit: _Visit


@dataclass(eq=False)
class _Visit:
    """A garment while it is in view."""

    since_s: float
    stood_as: tuple[str | None, bool]
    is_sample: bool
    """Whether it is still to be kept once where the network is sure of it."""
    seen_s: float = 0.0
    names: deque[tuple[float, str]] = field(default_factory=deque)
    """What single frames of late were sure of, and when."""
    not_before_s: float = 0.0
    wait_s: float = AGAIN_S


class Choice:
    """Chooses garments, frame by frame."""

    def __init__(self, rate: float, *, apart: bool = False, draw: Callable[[], float] = random.random) -> None:
        """``rate``: share of the garments the network is sure of that are kept too, 0 to 1; ``draw`` gives 0 to 1.
        ``apart``: every frame is a picture of its own, in which nothing has to settle."""
        self._rate, self._apart, self._draw = rate, apart, draw
        self._visits: dict[int | None, _Visit] = {}

    def __call__(self, time_s: float, seen: Prediction, answer: StandingAnswer) -> list[Chosen]:
        """Garments of a frame at ``time_s`` seconds of which the network said ``seen``, and ``answer`` stands."""
        found = {each.box: each for each in seen.garments}
        chosen = []
        for standing in answer.garments:
            garment = None if standing.in_frame is None else found.get(standing.in_frame)
            if garment is not None:
                visit = self._visit(time_s, standing)
                if why := self._why(time_s, visit, garment, standing):
                    chosen.append(Chosen(garment, why, visit))
        self._visits = {key: visit for key, visit in self._visits.items() if time_s - visit.seen_s < GONE_S}
        return chosen

    def took(self, time_s: float, chosen: Chosen) -> None:
        """Note that ``chosen`` is kept."""
        visit = chosen.visit
        visit.is_sample = False  # once is enough
        visit.not_before_s, visit.wait_s = time_s + visit.wait_s, 2 * visit.wait_s

    def reset(self) -> None:
        """Forget every garment."""
        self._visits = {}

    def _visit(self, time_s: float, standing: StandingGarment) -> _Visit:
        visit = None if self._apart else self._visits.get(standing.id)
        # One garment alone has no number. Another name is another garment, as far as anybody can tell.
        if visit is None or (standing.id is None and visit.stood_as != standing.name):
            visit = _Visit(time_s, standing.name, is_sample=self._draw() < self._rate)
            self._visits[standing.id] = visit
        visit.seen_s = time_s
        return visit

    def _why(self, time_s: float, visit: _Visit, garment: SeenGarment, standing: StandingGarment) -> str | None:
        """Why a garment is to be kept; None where it is not."""
        if garment.answer.accepted:
            visit.names.append((time_s, group_of(garment.answer.label)))
        while visit.names and time_s - visit.names[0][0] > CHANGED_S:
            visit.names.popleft()
        settled = self._apart or time_s - visit.since_s >= SETTLED_S
        if not settled or time_s < visit.not_before_s:
            return None
        if not standing.accepted:
            return UNSURE
        if len({name for _, name in visit.names}) > 1:
            return CHANGED
        return SAMPLE if visit.is_sample else None
