"""Augmentation varies training images in the ways it says and leaves inference alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgefashion.training.fashion_augment import DRAWN, LAYERS, SHIFT_PX, crop_flip_erase, crop_flip_mix, shifted

if TYPE_CHECKING:
    from helpers.types import Arrays
    from numpy.typing import NDArray

    Images = NDArray[np.uint8]


def test_shifted_is_a_move_and_a_mirror(train_set: Arrays) -> None:
    """A window two rows down shows the image two rows up, with background below; mirrored, left is right."""
    images = train_set[0][:2]
    down = shifted(images, np.array([[2 * SHIFT_PX, SHIFT_PX]] * 2), np.array([False, True]))
    np.testing.assert_array_equal(down[0, :-SHIFT_PX], images[0, SHIFT_PX:])
    assert not down[0, -SHIFT_PX:].any()
    np.testing.assert_array_equal(down[1, :-SHIFT_PX], images[1, SHIFT_PX:, ::-1])


def test_crop_flip_erase_moves_mirrors_and_hides(train_set: Arrays) -> None:
    """Every variant is a move of its image, half of them mirrored and half under one rectangle of noise; the
    targets stay."""
    images, targets = train_set[0][:400], np.eye(10)[train_set[1][:400]]
    varied, kept = crop_flip_erase(images, targets, np.random.default_rng(0))
    assert varied.shape == images.shape
    assert varied.dtype == np.uint8
    np.testing.assert_array_equal(kept, targets)
    nearest, distance, mirrored = _nearest_move(images, varied)
    hidden = distance > 0
    assert 0.4 < hidden.mean() < 0.6
    assert 0.4 < mirrored.mean() < 0.6
    for one in (varied != nearest)[hidden, ..., 0]:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        inside = one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.mean() > 0.9  # noise equals the pixel it hides now and then
        assert inside.size <= 0.45 * one.size


def test_crop_flip_mix_mixes_targets_as_it_mixes_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of images that are one grey each, every variant's targets give the shares of the greys it holds; a third
    hold one grey, a third a blend, a third a square of another."""
    monkeypatch.setattr(
        "edgefashion.training.fashion_augment.SHIFT_PX", 0
    )  # a moved image has a border of another grey
    shades, labels = np.arange(10) * 25, np.arange(600) % 10
    images = np.broadcast_to(shades[labels, None, None, None], (600, 28, 28, 1)).astype(np.uint8)
    varied, targets = crop_flip_mix(images, np.eye(10)[labels], np.random.default_rng(0))
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(varied.mean((1, 2, 3)), targets @ shades, atol=0.6)
    greys = np.array([len(np.unique(variant)) for variant in varied])
    parts = (targets > 0).sum(1)
    assert greys.max() == 2
    for share in (np.mean(parts == 1), np.mean((parts == 2) & (greys == 1)), np.mean(greys == 2)):
        assert 0.25 < share < 0.45


@pytest.mark.parametrize("name", DRAWN)
def test_variants_repeat_with_their_seed(name: str, train_set: Arrays) -> None:
    """One seed gives one set of variants and targets."""
    images, targets = train_set[0][:50], np.eye(10)[train_set[1][:50]]
    first, again, other = (DRAWN[name](images, targets, np.random.default_rng(seed)) for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize("name", LAYERS)
def test_the_projects_layers_are_off_at_inference(name: str, train_set: Arrays) -> None:
    """The published augmentations change images in training and hand them on as they are at inference."""
    import keras

    layers = keras.Sequential([keras.layers.Input((28, 28, 1)), *LAYERS[name]()])
    images = train_set[0][:64].astype(np.float32)
    np.testing.assert_array_equal(np.asarray(layers(images, training=False)), images)
    varied = np.asarray(layers(images, training=True))
    assert (np.abs(varied - images).mean((1, 2, 3)) > 5).mean() > 0.9
    assert varied.min() >= -1e-3
    assert varied.max() <= 255.001


def test_a_garment_is_mirrored_either_way_by_itself() -> None:
    """Of the two flips each is done or not, whatever the other: all four turn up, about equally often."""
    import keras

    quarters = np.zeros((1000, 28, 28, 1), np.float32)
    quarters[:, :14, :14] = 255  # bright above on the left
    flips = [layer for layer in LAYERS["turn-flip-zoom"]() if "flip" in layer.name]
    keras.utils.set_random_seed(0)
    varied = np.asarray(keras.Sequential([keras.layers.Input((28, 28, 1)), *flips])(quarters, training=True))
    bright = [(varied[:, row, column, 0] == 255).mean() for row in (0, 27) for column in (0, 27)]
    assert sum(bright) == pytest.approx(1)
    assert bright == pytest.approx([0.25] * 4, abs=0.06)


def _nearest_move(images: Images, varied: Images) -> tuple[Images, NDArray[np.int64], NDArray[np.bool_]]:
    """For each variant the move of its image it is nearest to, by how many pixels they differ, and whether
    that move is mirrored."""
    nearest, distance = np.zeros_like(images), np.full(len(images), images[0].size + 1)
    mirrored = np.zeros(len(images), bool)
    for flip, row, column in np.ndindex(2, 2 * SHIFT_PX + 1, 2 * SHIFT_PX + 1):
        move = shifted(images, np.full((len(images), 2), (row, column)), np.full(len(images), bool(flip)))
        apart = (move != varied).sum((1, 2, 3))
        closer = apart < distance
        nearest[closer], distance[closer], mirrored[closer] = move[closer], apart[closer], bool(flip)
    return nearest, distance, mirrored
