"""What the finder's training frames are put together from: street scenes, cut-out people, garments and grounds."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.data import drawn, fashion_mnist, photo_folders, scenes
from edgefashion.inference.finder import KINDS
from edgefashion.labels import GROUPS, LABELS, NO_GARMENT
from edgefashion.training import photo_augment

if TYPE_CHECKING:
    from numpy.typing import NDArray

STORED_PX: Final = 320
"""Longest edge of a stored picture."""

_KIND_OF: Final = {
    "T-shirt/top": "upper",
    "T-shirt": "upper",
    "Shirt": "upper",
    "Pullover": "upper",
    "Coat": "outer",
    "Dress": "whole",
    "Trouser": "lower",
    "Bag": "bag",
    **dict.fromkeys((*GROUPS, *GROUPS["Footwear"]), "footwear"),
    "Person": "person",
    "Head": "head",
}
"""The finder's kind of a label."""

_KIND_OF_UNKNOWN: Final = {
    **dict.fromkeys(("skirt", "skirts", "shorts", "leggings", "tights", "pants", "capris"), "lower"),
    **dict.fromkeys(("romper", "jumper", "jumpsuit", "overall", "kurtas", "kurtis", "tunics", "dress"), "whole"),
    **dict.fromkeys(("vest", "bodysuit", "undershirt", "blouse", "waistcoat", "sweaters"), "upper"),
    **dict.fromkeys(("jacket", "cape", "jackets", "blazer", "coat", "outwear"), "outer"),
}
"""The finder's kind of garments that none of the ten labels names: they are found, and then named Unknown."""


@dataclass(frozen=True)
class Placed:
    """A thing in a picture."""

    kind: int
    """Position in :data:`edgefashion.inference.finder.KINDS`."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels."""
    worn: float


@dataclass(frozen=True, eq=False)
class Cut:
    """A picture with what is in it."""

    picture: NDArray[np.uint8]
    """BGR (h, w, 3)."""
    things: tuple[Placed, ...]
    shape: NDArray[np.uint8] | None
    """Where the garment, or the people, are: (h, w), 0 to 255. None where that is not known: nothing is cut out."""
    tells: NDArray[np.float32] = field(default_factory=lambda: np.ones(len(KINDS), np.float32))
    """1 for each kind that is marked wherever the picture shows it."""


@dataclass(frozen=True)
class Material:
    """All that training frames are put together from."""

    scenes: list[Cut]
    scene_weight: NDArray[np.float64]
    """How often each scene is drawn."""
    photos: list[Cut]
    photo_weight: NDArray[np.float64]
    """How often each photo is drawn."""
    grounds: list[NDArray[np.uint8]]
    """Pictures without a garment, BGR."""
    groundless: list[NDArray[np.uint8]]
    """Pictures without a garment in which the finder must find none: shelves, hands, rooms."""


def kind_of(label: str, category: str = "") -> int | None:
    """The channel that finds a thing of ``label``, or of a ``category`` that is Unknown; None where none does."""
    kind = _KIND_OF.get(label) or _KIND_OF_UNKNOWN.get(category.casefold())
    return None if kind is None else KINDS.index(kind)


def gather(
    marked: Sequence[scenes.Scene],
    photos: Sequence[photo_folders.Photo],
    skipped: list[str],
    more: Sequence[Sequence[scenes.Scene]] = (),
) -> Material:
    """Read everything. Files that cannot be read are added to ``skipped`` with their reason. ``more``: sets of scenes
    that a finder marked, of which each counts half as much as the ``marked`` ones."""
    made_of_scenes: list[Cut] = []
    scene_weight: list[float] = []
    for of, each in ((marked, 1.0), *((of, 0.5 * len(marked) / max(1, len(of))) for of in more)):
        read = [of_scene(scene, picture) for scene, picture in scenes.read(of, skipped)]
        made_of_scenes += read
        scene_weight += [each] * len(read)
    shot, pictures, empty = [], [], []
    for photo, picture in photo_folders.read(photos, skipped):
        small = _stored(picture)
        if photo.label == NO_GARMENT:
            empty.append(small)
            continue
        shot.append(photo)
        pictures.append(small)
    with ThreadPoolExecutor() as pool:
        masks = list(pool.map(photo_augment.garment_mask, pictures))
    rng = np.random.default_rng(0)
    cuts, weight, grounds = [], [], []
    for photo, picture, mask in zip(shot, pictures, masks, strict=True):
        kind = kind_of(photo.label, photo.kind or "")
        cut = None if kind is None or photo.worn else of_photo(picture, mask, kind)
        if cut is not None:
            cuts.append(cut)
            weight.append(_OFTEN.get(KINDS[kind or 0], 1.0))
        if not photo.worn:
            squared = _squared(picture)
            grounds += photo_augment.backgrounds(squared, mask, rng)
    people, garments = drawn_ones(*fashion_mnist.load("train"))
    made_of_scenes, scene_weight = made_of_scenes + people, scene_weight + [0.5] * len(people)
    cuts, weight = cuts + garments, weight + [0.5] * len(garments)
    return Material(made_of_scenes, _shares(scene_weight), cuts, _shares(weight), grounds, empty)


def _shares(weights: list[float]) -> NDArray[np.float64]:
    share = np.array(weights)
    return np.asarray(share / max(share.sum(), 1e-9))


_OFTEN: Final = {"bag": 3.0, "footwear": 1.5, "whole": 1.5, "outer": 1.5}
"""Kinds that the photos seldom show are drawn oftener."""


DRAWN: Final = (400, 150)
"""Drawn garments and drawn people that are put in, so that a clip of Fashion-MNIST's garments is found too."""


def drawn_ones(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[list[Cut], list[Cut]]:
    """People and garments drawn of Fashion-MNIST's ``images`` (n, 28, 28, 1): scenes, and photos with their shapes."""
    rng = np.random.default_rng(0)
    of_class = [np.flatnonzero(labels == number) for number in range(len(LABELS))]

    def one(*names: str) -> NDArray[np.uint8]:
        number = LABELS.index(names[rng.integers(len(names))])
        return np.asarray(images[of_class[number][rng.integers(len(of_class[number]))]].reshape(28, 28, 1), np.uint8)

    people, garments = [], []
    for _ in range(DRAWN[1]):
        top = ("T-shirt/top", "Pullover", "Shirt", "Coat")[rng.integers(4)]
        picture, boxes = drawn.person_of(one(top), one("Trouser"), one("Bag") if rng.random() < 0.6 else None, rng, 320)
        label_of = {"top": top, "trousers": "Trouser", "bag": "Bag", "shoes": "Footwear", "person": "Person"}
        placed = [
            Placed(KINDS.index(_KIND_OF[label_of.get(name, "Head")]), (x, y, x + w, y + h), 1.0)
            for name, (x, y, w, h) in boxes.items()
        ]
        people.append(Cut(picture, tuple(placed), None))
    for _ in range(DRAWN[0]):
        label = LABELS[rng.integers(len(LABELS))]
        picture, shape = drawn.cut_out(one(label), rng)
        rows, columns = np.flatnonzero((shape > 127).any(1)), np.flatnonzero((shape > 127).any(0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        garments.append(Cut(picture, (Placed(KINDS.index(_KIND_OF[label]), box, 0.0),), shape))
    return people, garments


def of_scene(scene: scenes.Scene, picture: NDArray[np.uint8]) -> Cut:
    """A street scene with its marked things; its people are what may be cut out of it."""
    small = _stored(picture)
    height, width = small.shape[:2]
    across, down = width / scene.width, height / scene.height
    placed, shape = [], None
    tells = np.ones(len(KINDS), np.float32)
    for thing in scene.things:
        kind = kind_of(thing.label, thing.kind)
        if kind is None:
            continue
        if thing.crowd:  # somewhere there, nobody knows how many and where
            tells[kind] = 0
            continue
        x, y, w, h = thing.box
        placed.append(Placed(kind, (x * across, y * down, (x + w) * across, (y + h) * down), 1.0))
        if thing.label == "Person" and thing.segmentation:
            mask = _resized(thing.mask(scene.height, scene.width) * np.uint8(255), width, height)
            shape = mask if shape is None else np.maximum(shape, mask)
    there = {one.kind for one in placed}
    for name in ("person", "head"):
        if KINDS.index(name) not in there:
            tells[KINDS.index(name)] = 0
    return Cut(small, tuple(placed), shape, tells)


def of_photo(picture: NDArray[np.uint8], mask: NDArray[np.uint8], kind: int) -> Cut | None:
    """A photo of one garment that lies or hangs; None where its ``mask`` (56, 56) looks wrong."""
    height, width = picture.shape[:2]
    shape = photo_augment.garment_shape(mask, width, height)
    if shape is None:
        return None
    rows, columns = np.flatnonzero((shape > 127).any(1)), np.flatnonzero((shape > 127).any(0))
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return Cut(picture, (Placed(kind, box, 0.0),), shape)


def _stored(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    shrink = min(1.0, STORED_PX / max(picture.shape[:2]))
    size_wh = max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink))
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _squared(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA), np.uint8)


def _resized(mask: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
