"""The images the parity gate compares on, and an original's stored answers to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess
from edgefashion.system.files import read_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray


REFERENCE_IMAGES: Final = 1000
"""The parity gate compares on the first so many test images."""


def reference_images(test_images: NDArray[np.uint8], *, photo: bool) -> NDArray[np.uint8]:
    """The images the parity gate compares on: the first 1,000 of the test set, or for a photo
    network, to which each is twenty times the work, the first 200 at its own size."""
    if photo:
        return preprocess.as_photos(test_images[: REFERENCE_IMAGES // 5], preprocess.PHOTO_PX)
    return test_images[:REFERENCE_IMAGES]


def save_reference(path: Path, test_probabilities: NDArray[np.float32]) -> None:
    """Keep an original's answers to the first ``REFERENCE_IMAGES`` test images, for the gate on a
    machine that cannot run the original."""
    np.savez_compressed(path, probabilities=test_probabilities[:REFERENCE_IMAGES].astype(np.float32))


def load_reference(path: Path) -> NDArray[np.float32]:
    """The answers :func:`save_reference` kept: float32 (images, classes). Raises :class:`BadInputError` for another
    file."""
    try:
        answers = read_arrays(path)["probabilities"]
        if answers.ndim != 2 or answers.dtype.kind != "f":
            raise ValueError("it holds no answers")
    except (OSError, ValueError, KeyError) as error:
        raise BadInputError(f"{path} cannot be read ({error}). Restore the bundle from its source") from error
    return np.asarray(answers, np.float32)
