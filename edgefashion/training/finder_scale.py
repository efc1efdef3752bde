"""One scale for the finder's scores: 0.5 is, for every kind, where it finds best in pictures held out.

Trained alone, a finder gives a dress lower scores than a shoe, because dresses are rarer among its frames. A number
added to a kind's logit puts that right, and one floor serves all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from edgefashion.data import photo_folders, scenes
from edgefashion.inference.finder import FINDER_PX, KINDS, Region, overlap, regions
from edgefashion.inference.preprocess import frame_view
from edgefashion.labels import NO_GARMENT
from edgefashion.training.finder_material import kind_of

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

_Of = TypeVar("_Of")

LOWEST: Final = 0.05
"""Below this score nothing is looked at."""

RECALL: Final = 1.5
"""How much more a garment that is found counts than a box with nothing in it, which the photo network still refuses:
the beta of the F measure."""

FEWEST: Final = 20
"""A kind that is held out less often says too little of its scores: they stay as they are."""

PARTS_OF_PEOPLE: Final = ("person", "head")

SAME: Final = 0.5
"""Intersection over union from which a box is the annotated one."""


def balance(
    model: keras.Model, photos: Sequence[photo_folders.Photo], marked: Sequence[scenes.Scene]
) -> dict[str, float]:
    """Shift each kind's logit so that 0.5 is its best score on held-out ``photos`` and ``marked`` scenes; returns the
    scores that were best before. A kind of which too few are held out, or none is found, stays as it is."""
    peaks: dict[str, list[tuple[float, bool]]] = {kind: [] for kind in KINDS}
    there = dict.fromkeys(KINDS, 0)
    scenes_read = [(scene, frame_view(picture, FINDER_PX)) for scene, picture in scenes.read(marked, [])]
    for scene, found in _found(model, scenes_read):
        wanted = [(KINDS[kind], _shares(thing, scene)) for thing, kind in _kinds(scene)]
        for kind, _ in wanted:
            there[kind] += 1
        marked_here = {kind for kind, _ in wanted}
        for region in found:
            if region.kind in PARTS_OF_PEOPLE and region.kind not in marked_here:
                continue  # not every scene marks them
            hit = any(kind == region.kind and overlap(box, region.corners) >= SAME for kind, box in wanted)
            peaks[region.kind].append((region.score, hit))
    usable = [p for p in photos if not p.worn and (_kind(p) is not None or p.label == NO_GARMENT)]
    photos_read = [(photo, frame_view(picture, FINDER_PX)) for photo, picture in photo_folders.read(usable, [])]
    for photo, found in _found(model, photos_read):
        number = _kind(photo)
        shown = None if number is None else KINDS[number]
        if shown is not None:
            there[shown] += 1
        # Where in the photo the garment lies nobody has marked: its kind has to be right.
        for region in found:
            peaks[region.kind].append((region.score, region.kind == shown))
    told = [kind for kind in KINDS if there[kind] >= FEWEST and any(hit for _, hit in peaks[kind])]
    best = {kind: _best(peaks[kind], there[kind]) for kind in told}
    kernel, bias = model.get_layer("heat_logits").get_weights()
    for kind, score in best.items():
        bias[KINDS.index(kind)] -= np.log(score / (1 - score))
    model.get_layer("heat_logits").set_weights([kernel, bias])
    return best


def _best(peaks: list[tuple[float, bool]], there: int) -> float:
    """The score from which on the F measure is highest."""
    order = sorted(peaks, reverse=True)
    hits = np.cumsum([hit for _, hit in order])
    precision, recall = hits / np.arange(1, len(order) + 1), np.minimum(1.0, hits / there)
    weight = RECALL**2
    measure = (1 + weight) * precision * recall / np.maximum(weight * precision + recall, 1e-9)
    return float(np.clip(order[int(measure.argmax())][0], LOWEST, 1 - LOWEST))


def _found(model: keras.Model, given: Sequence[tuple[_Of, NDArray[np.uint8]]]) -> Iterator[tuple[_Of, list[Region]]]:
    """What the finder sees in each of the pictures, RGB uint8 (192, 192, 3)."""
    if given:
        answers = model.predict(np.stack([view for _, view in given]), batch_size=32, verbose=0)
        for (of, _), cells in zip(given, answers, strict=True):
            yield of, regions(cells, LOWEST)


def _kind(photo: photo_folders.Photo) -> int | None:
    return kind_of(photo.label, photo.kind or "")


def _kinds(scene: scenes.Scene) -> list[tuple[scenes.Thing, int]]:
    kinds = ((thing, kind_of(thing.label, thing.kind)) for thing in scene.things if not thing.crowd)
    return [(thing, kind) for thing, kind in kinds if kind is not None]


def _shares(thing: scenes.Thing, scene: scenes.Scene) -> NDArray[np.float64]:
    x, y, w, h = thing.box
    size = np.array([scene.width, scene.height] * 2)
    return np.asarray(np.array([x, y, x + w, y + h]) / size, np.float64)
