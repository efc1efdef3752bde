"""Photos and scenes as batches to train on: their targets, their shares, their augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import splits
from edgefashion.inference import preprocess
from edgefashion.labels import NO_GARMENT
from edgefashion.training import photo_augment
from edgefashion.training.options import FinetuneOptions
from edgefashion.training.photo_material import TARGETS, TrainingPhotos, target_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


SMOOTHING: Final = 0.1

_PRIORS: Final = {"Bag": 0.2, NO_GARMENT: 0.5, "Sandal": 0.0, "Sneaker": 0.0, "Ankle boot": 0.0}
"""Smoothing's share of labels that photos seldom show; 1 for the others, none for the kinds of shoe, which their group
stands for."""

Batch = tuple["NDArray[Any]", ...]


def smoothing_prior() -> NDArray[np.float32]:
    """What smoothing gives each of :data:`TARGETS`, in shares of all it gives."""
    prior = np.array([_PRIORS.get(name, 1.0) for name in TARGETS], np.float32)
    return np.asarray(prior / prior.sum(), np.float32)


def photo_batches(
    of: TrainingPhotos, fashion: tuple[NDArray[np.uint8], NDArray[np.int64]], options: FinetuneOptions
) -> Iterator[Batch]:
    """Batches without end, the next made while one is used: pictures, targets over :data:`TARGETS`, masks, whether
    they are known, kinds (-1 where none is told), Fashion-MNIST's images, their labels."""
    images, labels = fashion
    fashion_at, _ = splits.split(labels, splits.VALIDATION_SPLIT, 0)
    rng = np.random.default_rng((options.seed, 1))
    prior = smoothing_prior()
    kind_of = {kind: number for number, kind in enumerate(of.kinds)}

    def make() -> Batch:
        pictures = np.empty((options.batch_size, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3), np.uint8)
        cells = preprocess.PHOTO_PX // photo_augment.MASK_STRIDE
        masks = np.zeros((options.batch_size, cells, cells, 1), np.float32)
        mask_known = np.ones(options.batch_size, np.float32)
        targets = np.tile(target_of(NO_GARMENT), (options.batch_size, 1))
        kinds = np.full(options.batch_size, -1)
        for place, item in enumerate(of.draw(options.garments, rng)):
            pictures[place], masks[place, ..., 0] = photo_augment.augment(
                of.before_a_ground(item, rng), item.mask, rng, close=item.close, upright=item.worn
            )
            targets[place], mask_known[place] = item.target, item.mask is not None
            kinds[place] = kind_of.get(item.kind or "", -1)
        for place in range(options.garments, options.batch_size):
            pictures[place] = of.none(rng)
        targets = (1 - SMOOTHING) * targets + SMOOTHING * prior
        some = rng.choice(fashion_at, options.fashion_images)
        return pictures[..., ::-1], targets, masks, mask_known, kinds, _enlarged(images[some], rng), labels[some]

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(make)
        while True:
            ready = coming.result()
            coming = ahead.submit(make)
            yield ready


def _enlarged(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fashion-MNIST's images (n, 28, 28) as a photo network sees them, (n, 64, 64, 3), each moved a little and every
    other one mirrored."""
    import cv2

    small = np.empty((len(images), preprocess.FASHION_PX, preprocess.FASHION_PX), np.uint8)
    whole = round(preprocess.FASHION_PX / preprocess.FASHION_SHARE)
    for place, image in enumerate(images):
        grown = cv2.resize(255 - image, (whole, whole), interpolation=cv2.INTER_CUBIC)
        y, x = rng.integers(0, whole - preprocess.FASHION_PX + 1, 2)
        part = grown[y : y + preprocess.FASHION_PX, x : x + preprocess.FASHION_PX]
        small[place] = part[:, ::-1] if rng.random() < 0.5 else part
    return np.repeat(small[..., None], 3, 3)
