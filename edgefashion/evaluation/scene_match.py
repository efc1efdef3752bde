"""Which answer belongs to which annotated thing of a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from edgefashion.data.scenes import Scene, Thing
from edgefashion.evaluation.metrics import overlaps
from edgefashion.inference.decision import Answer
from edgefashion.inference.predict import SeenGarment
from edgefashion.labels import LABELS, UNKNOWN, group_of, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORED: Final = tuple(groups(LABELS))
"""The names that scenes are measured by: a group's kinds are one."""

SAME_BOX: Final = 0.5
"""Intersection over union from which two boxes mean one thing: COCO's AP50."""

Role = Literal["found", "unknown", "ignored", "nothing"]


@dataclass(frozen=True, eq=False)
class SeenThing:
    """An annotated garment with a name of ours, and what a model made of it."""

    thing: Thing
    garment: SeenGarment | None
    """The answer that belongs to it; None where it was not found."""
    alone: Answer | None
    """The answer to the annotated box by itself; None where that was said to show no garment."""

    @property
    def label(self) -> str:
        """Its name, or its group's."""
        return group_of(self.thing.label)

    @property
    def right(self) -> bool:
        """True if it was found and named right, accepted or not."""
        return self.garment is not None and self.allows(self.garment.answer)

    @property
    def alone_right(self) -> bool:
        """True if its own box was named right, accepted or not."""
        return self.alone is not None and self.allows(self.alone)

    @property
    def accepted(self) -> bool:
        """True if it was found and the answer counts."""
        return self.garment is not None and self.garment.answer.accepted

    def allows(self, answer: Answer) -> bool:
        """True if ``answer`` is right for it."""
        return _allows(self.thing, answer)


@dataclass(frozen=True, eq=False)
class SeenScene:
    """A scene and what a model made of it."""

    scene: Scene
    things: tuple[SeenThing, ...]
    """The garments with a name; crowds are left out."""
    unknown: tuple[SeenGarment | None, ...]
    """For each Unknown thing the answer that belongs to it, or None."""
    garments: tuple[tuple[SeenGarment, Role], ...]
    """Every answer, and what it lies on: a thing that it found, an Unknown thing, nothing at all, or what makes it
    neither right nor wrong: a crowd, or an Unknown thing for which its name is as right."""


def match(scene: Scene, garments: Sequence[SeenGarment], alone: Sequence[Answer | None]) -> SeenScene:
    """Give each thing of a scene the answer that belongs to it.

    ``alone``: for each of the scene's things the answer to its own box (of those that are no garment with a name it is
    not looked at). An answer belongs to one thing, a thing has one answer, and their boxes overlap by ``SAME_BOX``.
    Answers that name the thing right come first, as in COCO's measure, which looks at one label at a time.
    """
    known = [at for at, thing in enumerate(scene.things) if thing.known and not thing.crowd]
    unknown = [at for at, thing in enumerate(scene.things) if thing.label == UNKNOWN]
    crowds = [thing for thing in scene.things if thing.known and thing.crowd]
    boxes = _boxes([garment.box for garment in garments])
    shared = overlaps(boxes, _boxes([scene.things[at].box for at in known]))
    pairs = [(int(g), int(k)) for g, k in np.argwhere(shared >= SAME_BOX)]

    def rank(pair: tuple[int, int]) -> tuple[bool, bool, float]:
        garment, at = pair
        answer = garments[garment].answer
        right = _allows(scene.things[known[at]], answer)
        return not right, not (right and answer.accepted), -float(shared[pair])

    found_by: dict[int, int] = {}
    for number, at in sorted(pairs, key=rank):
        if at not in found_by and number not in found_by.values():
            found_by[at] = number
    on_unknown = overlaps(boxes, _boxes([scene.things[at].box for at in unknown])) >= SAME_BOX
    roles: list[Role] = []
    for number, garment in enumerate(garments):
        if number in found_by.values():
            roles.append("found")
        elif on_unknown[number].any():
            under = [scene.things[unknown[k]] for k in np.flatnonzero(on_unknown[number])]
            roles.append("ignored" if any(_allows(thing, garment.answer) for thing in under) else "unknown")
        else:
            roles.append("ignored" if _in_crowd(garment, crowds) else "nothing")
    free = [number for number, role in enumerate(roles) if role == "unknown"]
    return SeenScene(
        scene,
        tuple(
            SeenThing(scene.things[at], garments[found_by[k]] if k in found_by else None, alone[at])
            for k, at in enumerate(known)
        ),
        tuple(next((garments[g] for g in free if on_unknown[g, k]), None) for k in range(len(unknown))),
        tuple(zip(garments, roles, strict=True)),
    )


def _allows(thing: Thing, answer: Answer) -> bool:
    return group_of(answer.label) in map(group_of, (thing.label, *thing.also))


def _in_crowd(garment: SeenGarment, crowds: list[Thing]) -> bool:
    """COCO's rule: an answer of whose box half lies in a crowd of its label."""
    same = [crowd.box for crowd in crowds if _allows(crowd, garment.answer)]
    return bool((overlaps(_boxes([garment.box]), _boxes(same), of_first=True) >= SAME_BOX).any())


def _boxes(boxes: Sequence[tuple[float, float, float, float]]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)
