"""What is held out: by class, by sender, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.photos import put
from helpers.types import Arrays

from edgefashion.data import photo_folders, splits
from edgefashion.errors import BadInputError


def test_split(train_set: Arrays) -> None:
    """A tenth of the training images is 54,000 and 6,000, 600 a class, disjoint and complete."""
    labels = train_set[1]
    fit_at, held_out = splits.split(labels, splits.VALIDATION_SPLIT, seed=0)
    assert (len(fit_at), len(held_out)) == (54_000, 6_000)
    assert np.bincount(labels[held_out]).tolist() == [600] * 10
    assert np.array_equal(np.sort(np.concatenate([fit_at, held_out])), np.arange(60_000))


@pytest.mark.parametrize(("seed", "same"), [(7, True), (8, False)])
def test_split_seeded(seed: int, same: bool, train_set: Arrays) -> None:
    """The same seed draws the same validation images, another seed others."""
    first = splits.split(train_set[1], 0.1, seed=7)
    again = splits.split(train_set[1], 0.1, seed)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)) is same


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(0, 0), (1, 1), (7, 7), (10, 10), (300, 300), (999, 999), (60_000, 60_000), (70_000, 60_000)],
)
def test_calibration_even(asked: int, expected: int, train_set: Arrays) -> None:
    """Any number of calibration images is drawn once each and as evenly over the classes as it divides."""
    chosen = splits.calibration_indices(train_set[1], asked, seed=0)
    counts = np.bincount(train_set[1][chosen], minlength=10)
    assert len(chosen) == expected
    assert counts.max() - counts.min() <= 1
    assert (np.diff(chosen) > 0).all()


def test_calibration_seeded(train_set: Arrays) -> None:
    """The seed alone decides which calibration images are drawn."""
    first, same, other = (splits.calibration_indices(train_set[1], 300, seed) for seed in (3, 3, 4))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_calibration_keeps_shares() -> None:
    """Of classes of unequal size each is drawn in its own share."""
    labels = np.repeat(np.arange(3), [600, 300, 100])
    assert np.bincount(labels[splits.calibration_indices(labels, 100, seed=0)]).tolist() == [60, 30, 10]


def test_split_is_by_sender_and_even(photo_folder: Path) -> None:
    """No sender is on both sides, every photo is on one, and each label is held out by about its share."""
    found = photo_folders.scan(photo_folder).photos
    fit, held = splits.split_by_sender(found, 0.25, seed=0)
    assert sorted(fit + held) == list(range(len(found)))
    assert not {found[i].sender for i in fit} & {found[i].sender for i in held}
    assert {label: sum(found[i].label == label for i in held) for label in {p.label for p in found}} == dict.fromkeys(
        {p.label for p in found}, 6
    )
    assert splits.split_by_sender(found, 0.25, seed=0) == (fit, held)


def test_one_sender_cannot_be_split(tmp_path: Path) -> None:
    """With one sender nothing can be held out, and the message says how senders are named."""
    put(tmp_path, "Coat/me-1.png", "Dress/me-2.png")
    with pytest.raises(BadInputError, match=r"one sender \(me\).*SENDER-anything"):
        splits.split_by_sender(photo_folders.scan(tmp_path).photos, 0.2, seed=0)


def test_every_photo_is_held_out_in_one_fold(photo_folder: Path) -> None:
    """Five folds hold each photo out once, no sender is on both sides of one, and the first is the usual split."""
    photos = photo_folders.scan(photo_folder).photos
    several = [replace(photo, sender=f"{photo.sender}{number}") for number in range(4) for photo in photos]
    folds = [splits.in_fold(several, number, splits.split_by_sender) for number in range(splits.FOLDS)]
    assert sorted(at for _, held in folds for at in held) == list(range(len(several)))
    for fit, held in folds:
        assert sorted(fit + held) == list(range(len(several)))
        assert not {several[at].sender for at in fit} & {several[at].sender for at in held}
    assert folds[0][1] == splits.split_by_sender(several, 0.2, 0)[1]
