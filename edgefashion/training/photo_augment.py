"""What a training photo goes through so that one room, one lamp and one camera are not learned.

Also the pictures of no garment at all that nobody photographs: walls, spoiled frames, and the
backgrounds around the garments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.inference.preprocess import PHOTO_PX

if TYPE_CHECKING:
    from numpy.typing import NDArray


MASK_STRIDE: Final = 8
"""Pixels of the network's input that one cell of its mask stands for."""

_MASK_PX: Final = 56
_GRABCUT_PX: Final = 160
_GRABCUT_RIM: Final = 5


def garment_mask(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where GrabCut (Rother, Kolmogorov and Blake, 2004) sees the garment in a BGR picture that it
    fills: uint8 (56, 56), 0 to 255. It costs 50 ms and teaches the network that needs none."""
    import cv2

    shrink = _GRABCUT_PX / max(picture.shape[:2])
    size_wh = max(16, round(picture.shape[1] * shrink)), max(16, round(picture.shape[0] * shrink))
    small = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)
    width, height = size_wh
    mask = np.zeros((height, width), np.uint8)
    rim = _GRABCUT_RIM, _GRABCUT_RIM, width - 2 * _GRABCUT_RIM, height - 2 * _GRABCUT_RIM
    cv2.setRNGSeed(0)  # its mixtures start from random seeds
    try:
        cv2.grabCut(small, mask, rim, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # a picture of one colour has no two mixtures
        return np.full((_MASK_PX, _MASK_PX), 255, np.uint8)
    return np.asarray(cv2.resize((mask & 1) * 255, (_MASK_PX, _MASK_PX), interpolation=cv2.INTER_AREA), np.uint8)


def garment_shape(mask: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8] | None:
    """A garment's ``mask`` (56, 56) in the size of its picture, (height, width), less its specks; None where it looks
    wrong: it must be in one piece in the middle, neither a speck nor everything."""
    import cv2

    count, patches, stats, _ = cv2.connectedComponentsWithStats((mask > 127).astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    keep = np.isin(patches, [i for i in range(1, count) if stats[i, 4] >= stats[largest, 4] / 6])
    if not 0.08 < keep.mean() < 0.93 or keep[20:36, 20:36].mean() < 0.5:
        return None
    shape = cv2.resize(mask * keep.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(shape, np.uint8) if (shape > 127).any() else None


def augment(
    photo: NDArray[np.uint8],
    mask: NDArray[np.uint8] | None,
    rng: np.random.Generator,
    *,
    close: float = 1.0,
    upright: bool = False,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A random variant of a stored photo, BGR (224, 224, 3), and of its mask: (160, 160, 3) and
    (20, 20) from 0 to 1. Turned, moved, zoomed, stretched, mirrored; tone, blur, noise, JPEG; a part hidden.

    ``close``: how much nearer than stored the garment is looked at. ``upright``: it is worn, and never on its side.
    """
    import cv2

    edge = photo.shape[0]
    zoom, stretch = close * np.exp(rng.uniform(np.log(0.7), np.log(1.15))) * 1.12, np.exp(rng.uniform(-0.25, 0.25))
    lying = not upright and rng.random() >= 0.9
    angle = np.deg2rad(rng.choice([-90, 90, 180]) if lying else rng.normal(0, 5 if upright else 10))
    scale: NDArray[Any] = zoom * PHOTO_PX / edge * np.array([np.sqrt(stretch), 1 / np.sqrt(stretch)])
    if rng.random() < 0.5:
        scale[0] = -scale[0]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    centre = PHOTO_PX * (0.5 + rng.uniform(-0.1, 0.1, 2))
    move = np.hstack([turn, (centre - turn @ np.full(2, edge / 2))[:, None]]).astype(np.float32)
    beyond = cv2.BORDER_REFLECT_101 if rng.random() < 0.7 else cv2.BORDER_REPLICATE
    size = (PHOTO_PX, PHOTO_PX)
    varied = cv2.warpAffine(photo, move, size, flags=cv2.INTER_LINEAR, borderMode=beyond)
    cells: NDArray[np.float32] = np.zeros((PHOTO_PX // MASK_STRIDE,) * 2, np.float32)
    if mask is not None:
        move[:, :2] *= edge / mask.shape[0]
        moved = cv2.warpAffine(mask, move, size, flags=cv2.INTER_LINEAR)
        shrunk = cv2.resize(moved, cells.shape, interpolation=cv2.INTER_AREA)
        cells = np.asarray(shrunk, np.float32) / np.float32(255)
    return np.asarray(toned(np.asarray(varied, np.uint8), rng)), cells


def toned(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A BGR picture (side, side, 3) in other light, through another camera, a part of it hidden."""
    import cv2

    edge = photo.shape[0]
    x: NDArray[Any] = photo.astype(np.float32)
    if rng.random() < 0.8:
        x = 255 * (x / 255) ** rng.uniform(0.65, 1.5)  # exposure
        x = x * rng.uniform(0.9, 1.1, 3)  # the lamp's colour
        x = (x - 128) * rng.uniform(0.75, 1.25) + 128 + rng.uniform(-20, 20)
    if rng.random() < 0.5:
        grey = x.mean(2, keepdims=True)
        x = grey + (x - grey) * (0.0 if rng.random() < 0.12 else rng.uniform(0.4, 1.5))
    if rng.random() < 0.15:  # light from one side
        slope = np.linspace(rng.uniform(0.5, 1), rng.uniform(0.8, 1.2), edge)
        x = x * (slope[None, :, None] if rng.random() < 0.5 else slope[:, None, None])
    x = x.astype(np.float32)
    if rng.random() < 0.15:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.25:
        x = x + rng.normal(0, rng.uniform(2, 12), x.shape)
    out = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        jpeg = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 80))])[1]
        out = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    if rng.random() < 0.3:  # random erasing (Zhong and others, 2017)
        area, ratio = rng.uniform(0.02, 0.15) * edge * edge, np.exp(rng.uniform(-0.8, 0.8))
        height, width = int(min(edge - 1, np.sqrt(area * ratio))), int(min(edge - 1, np.sqrt(area / ratio)))
        top, left = rng.integers(0, edge - height), rng.integers(0, edge - width)
        shape = (1, 1, 3) if rng.random() < 0.5 else (height, width, 3)
        out[top : top + height, left : left + width] = rng.integers(0, 256, shape)
    return np.asarray(out, np.uint8)


def backgrounds(
    photo: NDArray[np.uint8], mask: NDArray[np.uint8], rng: np.random.Generator, count: int = 2
) -> list[NDArray[np.uint8]]:
    """Up to ``count`` pieces of a stored photo that show none of its garment, enlarged to 224.

    None where the mask looks wrong: it must be in the middle, neither a speck nor everything.
    """
    import cv2

    edge, cell = photo.shape[0], photo.shape[0] // mask.shape[0]
    middle = mask[18:38, 18:38]
    if not 35 < mask.mean() < 165 or middle.mean() < 150:
        return []
    found: list[NDArray[np.uint8]] = []
    for _ in range(80):
        side = int(rng.integers(40, 110))
        y, x = rng.integers(0, edge - side, 2)
        if mask[y // cell : (y + side) // cell + 1, x // cell : (x + side) // cell + 1].max() < 8:
            piece = photo[y : y + side, x : x + side]
            found.append(np.asarray(cv2.resize(piece, (edge, edge), interpolation=cv2.INTER_CUBIC), np.uint8))
            if len(found) == count:
                break
    return found


def spoiled(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A photo nobody could name: blurred beyond shape, overexposed, black, or moved. (160, 160, 3)."""
    import cv2

    x: NDArray[Any] = photo.astype(np.float32)
    how = rng.integers(4)
    if how == 0:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(20, 50))
    elif how == 1:
        x = 255 - (255 - x) * rng.uniform(0, 0.06)
    elif how == 2:
        x = x * rng.uniform(0, 0.035)
    else:
        across = int(rng.uniform(60, 110))
        x = cv2.blur(x, (across, across)) if rng.random() < 0.5 else cv2.blur(cv2.blur(x, (2 * across, 5)), (31, 31))
    x = np.clip(x + rng.normal(0, rng.uniform(0.1, 6), x.shape), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(x, (PHOTO_PX, PHOTO_PX), interpolation=cv2.INTER_AREA), np.uint8)
