"""Augmentation varies training images in the ways it says and leaves inference alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgefashion.augmentations import AUGMENTATIONS, SHIFT_PX, crop_flip_erase, shifted

if TYPE_CHECKING:
    from conftest import Arrays


def test_shifted_is_a_move_and_a_mirror(train_set: Arrays) -> None:
    """A window two rows down shows the image two rows up, with background below; mirrored, left is right."""
    images = train_set[0][:2]
    down = shifted(images, np.array([[2 * SHIFT_PX, SHIFT_PX]] * 2), np.array([False, True]))
    np.testing.assert_array_equal(down[0, :-SHIFT_PX], images[0, SHIFT_PX:])
    assert not down[0, -SHIFT_PX:].any()
    np.testing.assert_array_equal(down[1, :-SHIFT_PX], images[1, SHIFT_PX:, ::-1])


def test_crop_flip_erase_does_what_it_reports(train_set: Arrays) -> None:
    """Every image is its window of the original, mirrored where it says so, but for one rectangle in
    half of them."""
    images = train_set[0][:400]
    varied, windows, mirrored = crop_flip_erase(images, np.random.default_rng(0))
    assert varied.shape == images.shape
    assert varied.dtype == np.uint8
    whole = shifted(images, windows, mirrored)
    changed = (varied != whole)[..., 0]
    hidden = changed.any((1, 2))
    assert 0.4 < hidden.mean() < 0.6
    assert 0.4 < mirrored.mean() < 0.6
    assert {*windows.ravel().tolist()} == set(range(2 * SHIFT_PX + 1))
    for one in changed[hidden]:
        rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
        inside = one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.mean() > 0.9  # noise equals the pixel it hides now and then
        assert inside.size <= 0.45 * one.size


def test_crop_flip_erase_repeats_with_its_seed(train_set: Arrays) -> None:
    """One seed gives one set of variants."""
    images = train_set[0][:50]
    first, again, other = (crop_flip_erase(images, np.random.default_rng(seed))[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("name", ["turn-flip-zoom", "turn-shear-zoom"])
def test_the_projects_layers_are_off_at_inference(name: str, train_set: Arrays) -> None:
    """The published augmentations change images in training and hand them on as they are at inference."""
    import keras

    layers = keras.Sequential([keras.layers.Input((28, 28, 1)), *AUGMENTATIONS[name]()])
    images = train_set[0][:64].astype(np.float32)
    np.testing.assert_array_equal(np.asarray(layers(images, training=False)), images)
    varied = np.asarray(layers(images, training=True))
    assert (np.abs(varied - images).mean((1, 2, 3)) > 5).mean() > 0.9
    assert varied.min() >= -1e-3
    assert varied.max() <= 255.001
