"""What Fashion-MNIST's training images go through: the published projects' augmentations as Keras
layers, off at inference, and ours on whole epochs of bytes, off the training step's path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CROP_FLIP_ERASE: Final = "crop-flip-erase"
SHIFT_PX: Final = 2
"""Crop-flip-erase moves an image by up to so many pixels each way."""
_ERASED_SHARE: Final = 0.5
_ERASED_AREA: Final = (0.02, 0.4)
_ERASED_ASPECT: Final = (0.3, 3.3)


def _none() -> list[Any]:
    return []


def _turn_flip_zoom() -> list[Any]:
    """Rotation to 45 degrees, both flips, zoom to 20 %. Source: Papastamos and Zikos, 2018."""
    from keras import layers

    return [
        layers.RandomRotation(45 / 360, fill_mode="nearest"),
        layers.RandomFlip("horizontal_and_vertical"),
        layers.RandomZoom((-0.2, 0.2), (-0.2, 0.2), fill_mode="nearest"),
    ]


def _turn_shear_zoom() -> list[Any]:
    """Rotation to 40 degrees, shear, zoom to 20 %. Source: Bi Touvoly, Alami and Bentammar, 2022.

    Their ``shear_range=0.2`` is in degrees, in Keras's old generator: next to nothing, and kept so.
    """
    from keras import layers

    return [
        layers.RandomRotation(40 / 360, fill_mode="nearest"),
        layers.RandomShear(float(np.tan(np.deg2rad(0.2))), 0.0, fill_mode="nearest"),
        layers.RandomZoom((-0.2, 0.2), (-0.2, 0.2), fill_mode="nearest"),
    ]


AUGMENTATIONS: Final[Mapping[str, Callable[[], list[Any]]]] = MappingProxyType(
    {
        "none": _none,
        "turn-flip-zoom": _turn_flip_zoom,
        "turn-shear-zoom": _turn_shear_zoom,
        CROP_FLIP_ERASE: _none,
    }
)
"""Name of an augmentation -> its Keras layers, for float pixels (n, height, width, channels)."""


def crop_flip_erase(
    images: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]:
    """A random variant of each of ``images``, uint8 (n, height, width, 1): moved by up to two pixels,
    mirrored, and half of them with a rectangle of noise over a part (Zhong et al., "Random erasing data
    augmentation", 2017, whose areas and aspects these are).

    Returns the variants, the window each one is, (n, 2) with (2, 2) the unmoved, and who is mirrored.
    """
    count, height, width, _ = images.shape
    at = rng.integers(0, 2 * SHIFT_PX + 1, (count, 2))
    mirrored: NDArray[np.bool_] = rng.random(count) < np.full(count, 0.5)
    moved = shifted(images, at, mirrored)
    hidden = np.flatnonzero(rng.random(count) < _ERASED_SHARE)
    area = height * width * rng.uniform(*_ERASED_AREA, len(hidden))
    aspect = np.exp(rng.uniform(np.log(_ERASED_ASPECT[0]), np.log(_ERASED_ASPECT[1]), len(hidden)))
    tall = np.clip(np.sqrt(area * aspect), 1, height).astype(int)
    wide = np.clip(np.sqrt(area / aspect), 1, width).astype(int)
    rows = _between(rng, tall, height)[:, :, None]
    columns = _between(rng, wide, width)[:, None, :]
    noise = rng.integers(0, 256, (len(hidden), height, width), np.uint8)
    moved[hidden, :, :, 0] = np.where(rows & columns, noise, moved[hidden, :, :, 0])
    return moved, at, mirrored


def shifted(images: NDArray[np.uint8], at: NDArray[np.int64], mirrored: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """``images`` seen through the windows ``at`` (n, 2), background where they leave the image, and
    mirrored where ``mirrored`` (n,) says so."""
    _, height, width, _ = images.shape
    padded = np.pad(images[..., 0], ((0, 0), (SHIFT_PX, SHIFT_PX), (SHIFT_PX, SHIFT_PX)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    moved = windows[np.arange(len(images)), at[:, 0], at[:, 1]]
    moved[mirrored] = moved[mirrored][:, :, ::-1]
    return np.ascontiguousarray(moved[..., None])


def _between(rng: np.random.Generator, length: NDArray[np.int64], of: int) -> NDArray[np.bool_]:
    """For each length a random run of True in ``of`` places: (n, of)."""
    start = (rng.random(len(length)) * (of - length + 1)).astype(int)
    place = np.arange(of)
    return (place >= start[:, None]) & (place < (start + length)[:, None])
