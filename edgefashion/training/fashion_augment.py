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

    Images = NDArray[np.uint8]
    Targets = NDArray[Any]

SHIFT_PX: Final = 2
"""Our own augmentations move an image by up to so many pixels each way."""
_ERASED_SHARE: Final = 0.5
_ERASED_AREA: Final = (0.02, 0.4)
_ERASED_ASPECT: Final = (0.3, 3.3)


def _turn_flip_zoom() -> list[Any]:
    """Rotation to 45 degrees, both flips, zoom to 20 %. Source: Papastamos and Zikos, 2018."""
    from keras import layers

    return [
        layers.RandomRotation(45 / 360, fill_mode="nearest"),
        # Keras's own mode for both throws one coin for the two: it would turn by 180 degrees and never mirror.
        layers.RandomFlip("horizontal"),
        layers.RandomFlip("vertical"),
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


def crop_flip_erase(images: Images, targets: Targets, rng: np.random.Generator) -> tuple[Images, Targets]:
    """A random variant of each of ``images``, uint8 (n, height, width, 1): moved by up to two pixels,
    mirrored, and half of them with a rectangle of noise over a part (Zhong et al., "Random erasing data
    augmentation", 2017, whose areas and aspects these are). The targets are as they were.
    """
    shown = _moved(images, rng)
    _, height, width, _ = images.shape
    hidden = np.flatnonzero(rng.random(len(images)) < _ERASED_SHARE)
    area = height * width * rng.uniform(*_ERASED_AREA, len(hidden))
    aspect = np.exp(rng.uniform(np.log(_ERASED_ASPECT[0]), np.log(_ERASED_ASPECT[1]), len(hidden)))
    tall = np.clip(np.sqrt(area * aspect), 1, height).astype(int)
    wide = np.clip(np.sqrt(area / aspect), 1, width).astype(int)
    hole = _between(rng, tall, height)[:, :, None] & _between(rng, wide, width)[:, None, :]
    noise = rng.integers(0, 256, (len(hidden), height, width), np.uint8)
    shown[hidden, :, :, 0] = np.where(hole, noise, shown[hidden, :, :, 0])
    return shown, targets


def crop_flip_mix(images: Images, targets: Targets, rng: np.random.Generator) -> tuple[Images, Targets]:
    """A random variant of each of ``images``, uint8 (n, height, width, 1), and its target (n, classes).

    All are moved by up to two pixels and mirrored. A third stay so; a third are blended with another one
    (Zhang et al., "mixup", 2017), and a third have a square of another one set in (Yun et al., "CutMix",
    2019), each in a share drawn evenly from 0 to 1, and so are their targets. Beyer et al., "A good teacher
    is patient and consistent", 2021, on why a pupil shall see what no label names.
    """
    first = _moved(images, rng)
    count, height, width, _ = images.shape
    other = rng.permutation(count)
    second = first[other]
    kind = rng.integers(0, 3, count)
    share = np.where(kind == 0, 1.0, rng.random(count)).astype(np.float32)[:, None, None]
    hole = _between(rng, np.round(height * np.sqrt(1 - share[:, 0, 0])).astype(int), height)[:, :, None]
    hole = hole & _between(rng, np.round(width * np.sqrt(1 - share[:, 0, 0])).astype(int), width)[:, None, :]
    blended = np.round(share * first[..., 0] + (1 - share) * second[..., 0]).astype(np.uint8)
    set_in = np.where(hole, second[..., 0], first[..., 0])
    shown = np.where((kind == 2)[:, None, None], set_in, blended)[..., None]
    share = np.where(kind == 2, 1 - hole.mean((1, 2)), share[:, 0, 0]).astype(np.float32)[:, None]
    return shown, share * targets + (1 - share) * targets[other]


LAYERS: Final[Mapping[str, Callable[[], list[Any]]]] = MappingProxyType(
    {"turn-flip-zoom": _turn_flip_zoom, "turn-shear-zoom": _turn_shear_zoom}
)
"""Name of an augmentation -> its Keras layers, for float pixels (n, height, width, channels)."""

DRAWN: Final[Mapping[str, Callable[[Images, Targets, np.random.Generator], tuple[Images, Targets]]]] = MappingProxyType(
    {"crop-flip-erase": crop_flip_erase, "crop-flip-mix": crop_flip_mix}
)
"""Name of an augmentation -> what makes variants of images, uint8, and their targets before an epoch."""

MIXING: Final = ("crop-flip-mix",)
"""Those of :data:`DRAWN` whose targets are between two labels."""

AUGMENTATIONS: Final = ("none", *LAYERS, *DRAWN)


def _moved(images: Images, rng: np.random.Generator) -> Images:
    """``images``, each seen through a window up to two pixels off, half of them mirrored."""
    at = rng.integers(0, 2 * SHIFT_PX + 1, (len(images), 2))
    mirrored = np.less(rng.random(len(images)), 0.5)
    return shifted(images, at, mirrored)


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
