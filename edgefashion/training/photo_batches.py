"""Photos as batches to train on: their targets, their shares, their augmentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import photo_folders, splits
from edgefashion.data.drawn import STORED_PX, wall
from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess
from edgefashion.labels import NO_GARMENT, PHOTO_LABELS, groups
from edgefashion.training import photo_augment
from edgefashion.training.options import FinetuneOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray


SMOOTHING: Final = 0.1

_PRIORS: Final = {"Bag": 0.2, NO_GARMENT: 0.5}
"""Smoothing's share of labels that photos seldom show; 1 for the others."""

GROUPS: Final = groups(PHOTO_LABELS)

Batch = tuple["NDArray[Any]", ...]


class TrainingPhotos:
    """The training photos in memory: pictures, masks, and pieces of background."""

    def __init__(self, chosen: Sequence[photo_folders.Photo], skipped: list[str]) -> None:
        import cv2

        rng = np.random.default_rng(0)
        self.photos: list[photo_folders.Photo] = []
        self.empty: list[NDArray[np.uint8]] = []
        stored, small = [], []
        for photo, picture in photo_folders.read(chosen, skipped):
            size = (STORED_PX, STORED_PX)
            squared = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
            if photo.label == NO_GARMENT:
                self.empty.append(squared)
                continue
            self.photos.append(photo)
            stored.append(squared)
            shrink = min(1.0, 400 / max(picture.shape[:2]))
            small.append(cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))
        if not stored:
            raise BadInputError("no training photo could be read")
        with ThreadPoolExecutor() as pool:
            masks = list(pool.map(photo_augment.garment_mask, small))
        self.pictures, self.masks = np.stack(stored), np.stack(masks)
        self.background = [
            piece
            for photo, mask in zip(stored, masks, strict=True)
            for piece in photo_augment.backgrounds(photo, mask, rng)
        ]
        labels, senders = Counter(p.label for p in self.photos), Counter(p.sender for p in self.photos)
        # Rare labels oftener, prolific senders seldomer, both by less than would make them equal.
        weight = np.array([labels[p.label] ** -0.5 * senders[p.sender] ** -0.3 for p in self.photos])
        self.weight = weight / weight.sum()
        self.kinds = sorted({p.kind for p in self.photos if p.kind})

    def none(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A picture (160, 160, 3) without a garment."""
        drawn = rng.random()
        if drawn < 0.2:
            return photo_augment.spoiled(self.pictures[rng.integers(len(self.pictures))], rng)
        if drawn < 0.3 or not (self.background or self.empty):
            picture = wall(rng)
        else:
            of = self.empty if self.empty and (drawn < 0.7 or not self.background) else self.background
            picture = of[rng.integers(len(of))]
        return photo_augment.augment(picture, None, rng)[0]


def photo_batches(
    of: TrainingPhotos, fashion: tuple[NDArray[np.uint8], NDArray[np.int64]], options: FinetuneOptions
) -> Iterator[Batch]:
    """Batches without end, the next made while one is used: pictures, targets over
    groups, masks, kinds (-1 where none is told), Fashion-MNIST's images, their labels."""
    import cv2

    images, labels = fashion
    fashion_at, _ = splits.split(labels, splits.VALIDATION_SPLIT, 0)
    rng = np.random.default_rng((options.seed, 1))
    names = list(GROUPS)
    prior = np.array([_PRIORS.get(name, 1.0) for name in names], np.float32)
    target_of = [_target(photo.label) for photo in of.photos]
    kind_of = [of.kinds.index(photo.kind) if photo.kind else -1 for photo in of.photos]

    def make() -> Batch:
        chosen = rng.choice(len(of.photos), options.garments, p=of.weight)
        pictures = np.empty((options.batch_size, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3), np.uint8)
        cells = preprocess.PHOTO_PX // photo_augment.MASK_STRIDE
        masks = np.zeros((options.batch_size, cells, cells, 1), np.float32)
        targets = np.zeros((options.batch_size, len(names)), np.float32)
        kinds = np.full(options.batch_size, -1)
        for place, at in enumerate(chosen):
            pictures[place], masks[place, ..., 0] = photo_augment.augment(of.pictures[at], of.masks[at], rng)
            targets[place, target_of[at]] = 1
            kinds[place] = kind_of[at]
        for place in range(options.garments, options.batch_size):
            pictures[place] = of.none(rng)
            targets[place, names.index(NO_GARMENT)] = 1
        targets = (1 - SMOOTHING) * targets + SMOOTHING * prior / prior.sum()
        some = rng.choice(fashion_at, options.fashion_images)
        small = np.empty((options.fashion_images, preprocess.FASHION_PX, preprocess.FASHION_PX), np.uint8)
        for place, at in enumerate(some):
            whole = round(preprocess.FASHION_PX / preprocess.FASHION_SHARE)
            grown = cv2.resize(255 - images[at], (whole, whole), interpolation=cv2.INTER_CUBIC)
            y, x = rng.integers(0, whole - preprocess.FASHION_PX + 1, 2)
            part = grown[y : y + preprocess.FASHION_PX, x : x + preprocess.FASHION_PX]
            small[place] = part[:, ::-1] if rng.random() < 0.5 else part
        return pictures[..., ::-1], targets, masks, kinds, np.repeat(small[..., None], 3, 3), labels[some]

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(make)
        while True:
            ready = coming.result()
            coming = ahead.submit(make)
            yield ready


def _target(label: str) -> int:
    """The group a folder's label is taught as. A shoe named more exactly is taught as footwear:
    Fashion-MNIST tells the members apart."""
    right = set(photo_folders.members(label))
    return next(i for i, at in enumerate(GROUPS.values()) if right <= set(at))
