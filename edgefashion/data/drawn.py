"""Fashion-MNIST's images drawn as a camera's frames, on which preprocessing is checked without photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

GARMENT_SHARE: Final = 0.8
"""Edge of the square a garment is drawn in, as a share of a photo's shorter edge."""

DARK_SHARE: Final = 0.25
"""Share of the product shots that have a dark background. Shops prefer light ones."""

SENSOR_NOISE: Final = 2.0
"""Standard deviation of a shot's noise, in grey levels."""

STORED_PX: Final = 224
"""Edge of the pictures that photos are kept as for training: large enough to rotate, shift and zoom without loss."""


def photo_of(image: NDArray[np.uint8], rng: np.random.Generator, size_wh: tuple[int, int] = (300, 400)) -> Any:
    """A colour photo, BGR uint8 (h, w, 3), of a Fashion-MNIST garment (28, 28, 1) lying on a drawn floor."""
    import cv2

    width, height = size_wh
    side = round(min(size_wh) * GARMENT_SHARE)
    left, top = (width - side) // 2, (height - side) // 2
    floor = cv2.resize(wall(rng), size_wh, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    shape = cv2.resize(image[..., 0], (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    cloth = rng.integers(0, 256, 3) * (0.5 + shape / 2)
    part = floor[top : top + side, left : left + side]
    part[:] = np.where(shape > 0.12, cloth, part)
    return np.clip(floor, 0, 255).astype(np.uint8)


def shot_of(image: NDArray[np.uint8], rng: np.random.Generator, size_wh: tuple[int, int]) -> Any:
    """A product shot, BGR uint8 (h, w, 3), of a Fashion-MNIST garment (28, 28, 1) alone on a plain
    background: dark on a light one of some colour, or bright on a dark one."""
    import cv2

    width, height = size_wh
    dark = rng.random() < DARK_SHARE
    background = rng.uniform(0, 70, 3) if dark else rng.uniform(170, 255, 3)
    side = round(min(size_wh) * rng.uniform(0.85, 1))
    left, top = (int(rng.integers(0, edge - side + 1)) for edge in size_wh)
    # Half way to the middle, so that a wide frame's garment is not at its very end.
    left, top = (left + (width - side) // 2) // 2, (top + (height - side) // 2) // 2
    grown = cv2.resize(image[..., 0], (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    frame = np.full((height, width, 3), background, np.float32)
    part = frame[top : top + side, left : left + side]
    part += ((255.0 if dark else 0.0) - part) * np.clip(grown, 0, 1)
    noise = rng.normal(0, SENSOR_NOISE, (height, width, 1))
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def wall(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A drawn wall, BGR (224, 224, 3): one colour, light from a side, stains, grain, joints or boards."""
    import cv2

    edge = STORED_PX
    slope = np.broadcast_to(np.linspace(0, 1, edge)[:, None], (edge, edge))
    slope = slope if rng.random() < 0.5 else slope.T
    x = rng.integers(20, 250, 3) + slope[..., None] * rng.integers(-40, 40, 3)
    stains = cv2.resize(rng.normal(0, 1, (6, 6)), (edge, edge), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (edge, edge)), (0, 0), rng.uniform(0.5, 3))
    x = x + stains[..., None] * rng.uniform(0, 15) + grain[..., None] * rng.uniform(0, 12)
    kind = rng.integers(4)
    if kind == 0:
        x[:: rng.integers(20, 80)] *= 0.7
        x[:, :: rng.integers(20, 80)] *= 0.75
    elif kind == 1:
        x[:, :: rng.integers(12, 60)] *= 0.8
    return np.asarray(np.clip(x, 0, 255), np.uint8)
