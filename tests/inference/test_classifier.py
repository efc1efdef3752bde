"""A classifier takes uint8 images of its shape, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.errors import BadInputError
from edgefashion.inference.load import load

if TYPE_CHECKING:
    from helpers.types import Arrays


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (1, 28, 28), (1, 28, 28, 1)])
def test_shapes_of_one_image(shape: tuple[int, ...], test_set: Arrays) -> None:
    """One image may come with or without its batch and channel axes."""
    image = test_set[0][0]
    classifier = load()
    np.testing.assert_array_equal(classifier(image.reshape(shape)), classifier(image[None]))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 28, 28, 1), np.float32), "uint8 array of intensities 0 to 255, not float32"),
        (np.zeros((1, 32, 32, 1), np.uint8), r"must have shape \(n, 28, 28, 1\), not \(1, 32, 32, 1\)"),
        (np.zeros((2, 28, 28, 3), np.uint8), "must have shape"),
        (np.zeros((1, 784), np.uint8), "must have shape"),
        ([[0]], "not list"),
    ],
)
def test_wrong_images_are_refused(images: Any, message: str) -> None:
    """Scaled, misshapen or other input is refused with what was expected."""
    with pytest.raises(BadInputError, match=message):
        load()(images)
