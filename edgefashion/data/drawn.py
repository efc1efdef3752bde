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


Boxes = dict[str, tuple[int, int, int, int]]
"""x, y, width, height in pixels, by the name of what is in it."""


def person_of(
    top: NDArray[np.uint8],
    trousers: NDArray[np.uint8],
    bag: NDArray[np.uint8] | None,
    rng: np.random.Generator,
    height: int = 720,
) -> tuple[Any, Boxes]:
    """A colour picture, BGR uint8 (height, 3/4 height, 3), of a drawn person in Fashion-MNIST garments (28, 28, 1),
    with a bag or without, before a drawn wall; and the boxes of top, trousers, bag, shoes, person and head."""
    import cv2

    width = 3 * height // 4
    picture = cv2.resize(wall(rng), (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    middle, unit = width // 2, height / 16
    skin, hair, shoes = (140, 172, 224), (38, 46, 64), (40, 40, 48)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(middle + x * unit), round(y * unit)

    def size(w: float, h: float) -> tuple[int, int]:
        return round(w * unit), round(h * unit)

    for side in (-1, 1):
        cv2.line(picture, at(side * 1.5, 4.0), at(side * 2.3, 7.2), skin, round(0.75 * unit), cv2.LINE_AA)
        cv2.line(picture, at(side * 0.8, 13.2), at(side * 0.8, 14.8), skin, round(0.8 * unit), cv2.LINE_AA)
        cv2.ellipse(picture, at(side * 1.0, 15.1), size(0.7, 0.35), 0, 0, 360, shoes, -1, cv2.LINE_AA)
    cv2.ellipse(picture, at(0, 1.75), size(1.0, 1.25), 0, 0, 360, hair, -1, cv2.LINE_AA)
    cv2.line(picture, at(0, 2.6), at(0, 3.5), skin, round(0.8 * unit), cv2.LINE_AA)
    cv2.ellipse(picture, at(0, 2.0), size(0.78, 1.0), 0, 0, 360, skin, -1, cv2.LINE_AA)
    boxes: Boxes = {
        "trousers": (*at(-1.8, 7.3), *size(3.6, 7.0)),
        "top": (*at(-2.7, 3.1), *size(5.4, 5.0)),
        "bag": (*at(1.4, 6.9), *size(2.6, 2.9)),
        "shoes": (*at(-1.7, 14.75), *size(3.4, 0.7)),
        "person": (*at(-2.7, 0.5), *size(5.4, 15.0)),
        "head": (*at(-1.0, 0.5), *size(2.0, 2.5)),
    }
    for name, image in (("trousers", trousers), ("top", top), ("bag", bag)):
        if image is None:
            del boxes[name]
        else:
            _dress(picture, image, boxes[name], rng)
    return np.clip(picture, 0, 255).astype(np.uint8), boxes


def cut_out(image: NDArray[np.uint8], rng: np.random.Generator, side: int = 200) -> tuple[Any, NDArray[np.uint8]]:
    """A Fashion-MNIST garment (28, 28, 1) in some colour or in grey on a plain ground: BGR uint8 (side, side, 3), and
    its shape (side, side), 0 to 255."""
    import cv2

    shape = cv2.resize(image[..., 0], (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    alpha = np.clip((cv2.GaussianBlur(shape, (0, 0), 1)[..., None] - 0.06) / 0.1, 0, 1)
    ground = np.full((side, side, 3), rng.uniform(200, 255, 3) if rng.random() < 0.5 else rng.uniform(225, 255))
    if rng.random() < 0.4:  # as a catalogue prints it: dark where the image is bright
        picture = ground * (1 - np.clip(shape, 0, 1))
    else:
        picture = ground * (1 - alpha) + rng.integers(20, 220, 3) * (0.45 + 0.65 * shape) * alpha
    return np.clip(picture, 0, 255).astype(np.uint8), np.asarray(alpha[..., 0] * 255, np.uint8)


def _dress(
    picture: NDArray[np.float32], image: NDArray[np.uint8], box: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    """Draw a garment (28, 28, 1), cut out and in some colour, into a box of a picture (h, w, 3)."""
    import cv2

    x, y, w, h = box
    rows, columns = np.flatnonzero(image[..., 0].max(1) > 30), np.flatnonzero(image[..., 0].max(0) > 30)
    tight = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 0]
    shape = cv2.resize(tight, (w, h), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    alpha = np.clip((cv2.GaussianBlur(shape, (0, 0), 1)[..., None] - 0.08) / 0.1, 0, 1)
    cloth = rng.integers(30, 200, 3) * (0.45 + 0.65 * shape)
    part = picture[y : y + h, x : x + w]
    part[:] = part * (1 - alpha) + cloth * alpha


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
