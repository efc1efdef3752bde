"""The rule by which a photo network's answers count, chosen on whole pictures as ``predict`` looks at them.

The network that ships is asked, in the precision that ships, about garments that its finder has found: what is
calibrated is what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles.facts import Thresholds
from edgefashion.data import photo_folders, scenes
from edgefashion.evaluation.acceptance import Chosen, choose_rule, is_right
from edgefashion.evaluation.scene_match import match
from edgefashion.inference.decision import HELD_WORN, Rule, decide_all
from edgefashion.inference.predict import SeenGarment, predict
from edgefashion.inference.scene import is_part
from edgefashion.labels import NO_GARMENT, UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier


WORN_TARGET: Final = 0.93
"""Share that is to be right, at least, of the answers about worn garments that count. What some hundred of them can
prove ends there: the share that is found right among them is about two points higher."""


LEVELS: Final = tuple(level / 100 for level in range(90, 49, -5))
"""Thresholds that are tried, highest first: with that taken most answers count while enough of them are right."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network said of garments that its finder found."""

    probabilities: NDArray[np.float32]
    """(n, classes)"""
    truths: list[tuple[str, ...]]
    """The labels that are right for each; none where there is no garment."""
    worn: NDArray[np.bool_]
    """Which the finder takes for worn, (n,)."""

    def part(self, which: NDArray[np.bool_]) -> tuple[NDArray[np.float32], list[tuple[str, ...]]]:
        """Probabilities and truths of some of them."""
        return self.probabilities[which], [truth for truth, keep in zip(self.truths, which, strict=True) if keep]


def choose(answers: Answers, labels: tuple[str, ...]) -> tuple[Thresholds, dict[str, Chosen]]:
    """By what answers count, as a bundle states it: one set of floors for garments held, hanging or lying, and one for
    garments that somebody wears; and what each makes of the answers it was chosen on."""
    lying = answers.part(~answers.worn)
    held = max((choose_rule(*lying, labels, threshold=level) for level in LEVELS), key=lambda chosen: chosen.accepted)
    worn = choose_rule(*answers.part(answers.worn), labels, target=WORN_TARGET, threshold=held.rule.threshold)
    told = f"{len(answers.truths):,} garments found in pictures of senders and groups not trained on"
    thresholds = held.thresholds(told)._replace(worn_floors=dict(worn.rule.floors))
    return thresholds, {"held or lying": held, "worn": worn}


def measured(answers: Answers, rule: Rule, labels: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """How many of answers a rule accepts, and how many of these are right: of garments held, hanging or lying, and of
    worn ones. For answers that the rule was not chosen on."""
    found = {}
    for name, worn in (("held or lying", False), ("worn", True)):
        probabilities, truths = answers.part(answers.worn == worn)
        given = decide_all(probabilities, labels, rule.where(float(worn)), 1)
        accepted = [(a, truth) for a, truth in zip(given, truths, strict=True) if a.accepted]
        right = sum(is_right(answer.label, truth) for answer, truth in accepted)
        found[name] = {"n": len(truths), "accepted": len(accepted), "right": right}
    return found


def answers_to(
    classifier: Classifier, photos: Sequence[photo_folders.Photo], marked: Sequence[scenes.Scene]
) -> Answers:
    """What a network says of every garment that it finds, and what is right.

    Photos in which somebody wears the garment are left out: what else they wear is named nowhere. Of scenes it is
    named. What is found on no garment by half is right where it lies on a part of one that it names, or around it; what
    lies on a thing of an unclear label is left out.
    """
    found: list[tuple[SeenGarment, tuple[str, ...]]] = []
    for photo, picture in photo_folders.read([photo for photo in photos if not photo.worn], []):
        truth = () if photo.label == NO_GARMENT else (photo.label, *photo.also)
        found += [(garment, truth) for garment in predict(classifier, picture).garments]
    for scene, picture in scenes.read(marked, []):
        seen = match(scene, predict(classifier, picture).garments, [None] * len(scene.things))
        clear = [each for each in seen.things if each.garment and not each.thing.unclear]
        found += [(each.garment, (each.thing.label, *each.thing.also)) for each in clear if each.garment]
        found += [(garment, (UNKNOWN,)) for garment, role in seen.garments if role == "unknown"]
        found += [(garment, _lies_on(garment, scene)) for garment, role in seen.garments if role == "nothing"]
    probabilities = [garment.probabilities for garment, _ in found]
    table = np.stack(probabilities) if found else np.zeros((0, len(classifier.labels)), np.float32)
    worn = np.array([(garment.worn or 0.0) >= HELD_WORN for garment, _ in found], np.bool_)
    return Answers(table, [truth for _, truth in found], worn)


def _lies_on(garment: SeenGarment, scene: scenes.Scene) -> tuple[str, ...]:
    """The labels of the garments that an answer's box is a part of, or holds."""
    there = [thing for thing in scene.things if thing.garment and is_part(garment.box, _whole(thing.box))]
    return tuple(label for thing in there for label in (thing.label, *thing.also))


def _whole(box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    x, y, w, h = (round(edge) for edge in box)
    return x, y, max(1, w), max(1, h)
