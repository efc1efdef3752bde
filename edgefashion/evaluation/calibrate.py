"""The rule by which a photo network's answers count, chosen on whole pictures as ``predict`` looks at them.

The network that ships is asked, in the precision that ships, about garments that its finder has found: what is
calibrated is what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.data import photo_folders, scenes
from edgefashion.evaluation.acceptance import Chosen, choose_rule
from edgefashion.evaluation.scene_match import match
from edgefashion.inference.predict import SeenGarment, predict
from edgefashion.labels import NO_GARMENT, UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier

Answers = tuple["NDArray[np.float32]", list[tuple[str, ...]]]
"""Probabilities (n, classes), and for each the labels that are right; none where there is no garment."""


def calibrate(classifier: Classifier, photos: Sequence[photo_folders.Photo], marked: Sequence[scenes.Scene]) -> Chosen:
    """The rule for pictures that the network was not trained on."""
    probabilities, truths = answers_to(classifier, photos, marked)
    return choose_rule(probabilities, truths, classifier.labels)


def answers_to(
    classifier: Classifier, photos: Sequence[photo_folders.Photo], marked: Sequence[scenes.Scene]
) -> Answers:
    """What a network says of every garment that it finds, and what is right.

    Photos in which somebody wears the garment are left out: what else they wear is named nowhere. Of scenes it is
    named; only what lies on a thing of an unclear label is left out.
    """
    found: list[tuple[SeenGarment, tuple[str, ...]]] = []
    for photo, picture in photo_folders.read([photo for photo in photos if not photo.worn], []):
        truth = () if photo.label == NO_GARMENT else (photo.label, *photo.also)
        found += [(garment, truth) for garment in predict(classifier, picture).garments]
    for scene, picture in scenes.read(marked, []):
        seen = match(scene, predict(classifier, picture).garments, [None] * len(scene.things))
        clear = [each for each in seen.things if each.garment and not each.thing.unclear]
        found += [(each.garment, (each.thing.label, *each.thing.also)) for each in clear if each.garment]
        others = {"unknown": (UNKNOWN,), "nothing": ()}
        found += [(garment, others[role]) for garment, role in seen.garments if role in others]
    probabilities = [garment.probabilities for garment, _ in found]
    table = np.stack(probabilities) if found else np.zeros((0, len(classifier.labels)), np.float32)
    return table, [truth for _, truth in found]
