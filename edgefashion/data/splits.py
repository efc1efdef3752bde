"""What is held out: Fashion-MNIST's images by class, photos by sender."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from edgefashion.data import splits
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


Thing = TypeVar("Thing")

Split = Callable[[Sequence[Thing], float, int], tuple[list[int], list[int]]]
"""Takes things, the share to hold out, a seed; returns the indices of (training, held-out) ones."""

VALIDATION_SPLIT: Final = 0.1
"""Share of the training images that is held out by default."""


SPLIT_SEED: Final = 0
"""The seed that chooses the held-out images. It is the same for every training, whatever the training's own seed."""


def split(
    labels: NDArray[np.int64], validation_split: float, seed: int = SPLIT_SEED
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stratified, seeded split of ``labels`` into sorted (training, validation) indices.

    Every training uses the same seed, whatever its own one is. So no network is measured on images that another one,
    its teacher, was trained on, and runs are compared on the same images.
    ``validation_split`` 0.1 of Fashion-MNIST's 60,000 gives 54,000 and 6,000, 600 a class.
    """
    validation = _stratified(labels, round(len(labels) * validation_split), seed)
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def calibration_indices(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """``count`` sorted indices, drawn evenly over the classes, for post-training quantization."""
    return _stratified(labels, min(count, len(labels)), seed)


def _stratified(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    # Each class's images in random order, then every class's first, every class's second, ...:
    # a prefix of any length is as even over the classes as it can be.
    order = rng.permutation(len(labels))
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members)) * len(labels) // len(members)
    return np.sort(order[np.argsort(rank[order], kind="stable")][:count])


KEPT_FROM_CALIBRATION: Final = 0.5
"""Share of the photos, by sender, that INT8 is never calibrated on."""


def split_by_sender(photos: Sequence[Photo], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices of (training, held-out) photos; no sender is in both, and about ``share`` of every
    label is held out.

    Of 500 random splits by sender the one that comes nearest. Raises :class:`BadInputError` for
    a single sender.
    """
    senders, sender_of = np.unique([p.sender for p in photos], return_inverse=True)
    if len(senders) < 2:
        raise BadInputError(
            f"all {len(photos):,} photos are by one sender ({senders[0]}): nothing can be held out. Name files "
            "SENDER-anything.jpg or put each sender's into a sub-folder"
        )
    labels, label_of = np.unique([p.label for p in photos], return_inverse=True)
    table = np.zeros((len(senders), len(labels)))
    np.add.at(table, (sender_of, label_of), 1)
    wanted = table.sum(0) * share
    rng = np.random.default_rng(seed)
    nearest, cost = np.zeros(len(senders), bool), np.inf
    for _ in range(500):
        order = rng.permutation(len(senders))
        held = np.zeros(len(senders), bool)
        held[order[: max(1, int(np.searchsorted(table[order].sum(1).cumsum(), len(photos) * share, "right")))]] = True
        distance = float((np.abs(table[held].sum(0) - wanted) / np.maximum(wanted, 1)).sum())
        if distance < cost:
            nearest, cost = held, distance
    held_out = nearest[sender_of]
    return list(np.flatnonzero(~held_out)), list(np.flatnonzero(held_out))


def split_by_group(groups: Sequence[str], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices of (training, held-out) scenes, given the group of each; no group is in both, and ``share`` of the groups
    is held out. Raises :class:`BadInputError` for a single group."""
    names = sorted(set(groups), key=lambda name: (len(name), name))
    if len(names) < 2:
        raise BadInputError(
            f"all {len(groups):,} scenes are of one group ({names[0]}): nothing can be held out. Name files "
            "CAMERA-anything.jpg, or give each image of the COCO file its group"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    held = {names[at] for at in order[: max(1, int(len(names) * share))]}
    return [i for i, group in enumerate(groups) if group not in held], [
        i for i, group in enumerate(groups) if group in held
    ]


FOLDS: Final = 5


def in_fold(things: Sequence[Thing], number: int, split: Split[Thing]) -> tuple[list[int], list[int]]:
    """Indices of (training, held-out) things in fold ``number`` of five: each thing is held out in one of them.

    ``split`` is :func:`split_by_sender` or :func:`split_by_group`; the first fold is what it holds out by itself.
    """
    rest = list(range(len(things)))
    for at in range(number + 1):
        share = 1 / (FOLDS - at)
        fit, held = split([things[i] for i in rest], share, 0) if share < 1 else ([], range(len(rest)))
        held_out = {rest[i] for i in held}
        rest = [rest[i] for i in fit]
    return [i for i in range(len(things)) if i not in held_out], sorted(held_out)


def halves(names: Sequence[str]) -> NDArray[np.bool_]:
    """True for what belongs to the first half: every other sender or group, so that one is all in one half."""
    order = {name: number for number, name in enumerate(sorted(set(names), key=lambda name: (len(name), name)))}
    return np.array([order[name] % 2 == 0 for name in names], np.bool_)


def for_calibration(photos: Sequence[Photo]) -> tuple[list[Photo], list[Photo]]:
    """The photos of known garments, parted by sender: those to calibrate INT8 on, and those to measure it on.

    The same photos are always parted in the same way, so that what calibrated a network measures no other one either.
    Raises :class:`BadInputError` for a single sender.
    """
    known = [photo for photo in photos if photo.known]
    if not known:
        raise BadInputError("no photo shows a garment with a name: INT8 cannot be calibrated. Add such photos")
    calibrates_at, measures_at = split_by_sender(known, KEPT_FROM_CALIBRATION, seed=0)
    return [known[at] for at in calibrates_at], [known[at] for at in measures_at]


def evenly(photos: Sequence[Photo], count: int) -> list[Photo]:
    """``count`` of the photos, drawn evenly over the labels; all of them where there are no more."""
    labels = np.unique([photo.label for photo in photos], return_inverse=True)[1]
    return [photos[at] for at in splits.calibration_indices(labels, count, seed=0)]
