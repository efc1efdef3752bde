"""A picture to a network's input: find the garment, and normalise it as Fashion-MNIST's images were made.

Zalando's pipeline for a product shot (Xiao, Rasul and Vollgraf, 2017, section 2): trim to the
garment (edges within 5 % of the corner colour), longest edge to 28 by subsampling, sharpen
(Gaussian of radius and sigma 1.0), pad the short edge centred to 28, negate, 8-bit grey.

A photo network needs none of that. It takes the picture as it is, only resized (:func:`view`), and its mask tells
where the garment is (:func:`box_of`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE_PX: Final = 28
TRIM_TOLERANCE: Final = 0.05 * 255
"""Grey levels a pixel may differ from the background and still count as background."""

SHARPEN_SIGMA: Final = 1.0
SEARCH_PX: Final = 256
"""The garment's box is searched in the picture shrunk to this longest edge: noise averages out, and it takes no longer
for a large picture."""

MIN_AREA: Final = 0.005
"""Share of the picture a garment covers at least; less is noise or a speck."""

SPECK_AREA: Final = 0.0002
"""Share of the picture below which a separate patch is a speck: noise or dust, no part of a garment."""

GUIDE_SHARE: Final = 0.9
"""The camera's guide box is this share of the frame's shorter edge."""

PHOTO_PX: Final = 160
"""Edge of a photo network's input."""

WHOLE_PX: Final = 2 * SIDE_PX
"""Before a picture is shrunk to 28 it is halved as long as its shorter edge stays this long. The rest blurs little."""

FASHION_PX: Final = 64
"""Edge to which Fashion-MNIST's images are enlarged for a photo network. More adds no detail."""

FASHION_SHARE: Final = 64 / 72
"""In training Fashion-MNIST's images are enlarged to 72 and a random 64 of them shown."""

MASK_LEVEL: Final = 0.3
"""Probability from which a cell of a photo network's mask belongs to the garment. A sleeve that fills a third of a cell
is then inside the box."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the picture."""


@dataclass(frozen=True)
class Garment:
    """A garment found in a picture."""

    pixels: NDArray[np.uint8]
    """The model's input: (28, 28, 1), the garment bright on 0, or a photo network's (160, 160, 3)."""
    box: Box
    mask: NDArray[np.float32] | None = None
    """A photo network's: the probability, cell by cell of what it saw, that it shows the garment."""
    within: Box | None = None
    """What of the picture the model saw; None where that is all of it, or the camera's guide box."""


def guide_box(width: int, height: int) -> Box:
    """The centred square of a frame in which the camera looks for a garment."""
    side = max(1, int(min(width, height) * GUIDE_SHARE))
    return (width - side) // 2, (height - side) // 2, side, side


def find(picture: NDArray[np.uint8], within: Box | None = None) -> Garment | None:
    """Find the garment on a plain background in a BGR (h, w, 3) or grey (h, w) uint8 picture.

    ``within`` limits the search to a box, of which the part inside the picture counts. Returns
    None where nothing stands out. The background may be light or dark: its brightness is read
    from the rim. The box is found to one pixel of the search, the longest edge / ``SEARCH_PX``.
    """
    import cv2

    left, top = 0, 0
    if within is not None:
        x, y, width, height = within
        left, top = max(0, x), max(0, y)
        picture = picture[top : max(0, y + height), left : max(0, x + width)]
        if not picture.size:
            return None
    shrink = min(1.0, SEARCH_PX / max(picture.shape[:2]))
    small = _resize(picture, shrink)
    grey = small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    background = _background(grey)
    # Not cv2.absdiff: it takes the number for an array where the picture is 1 by 4.
    difference = np.abs(np.asarray(grey, np.float32) - background)
    mask = _without_specks(difference > TRIM_TOLERANCE)
    if mask.mean() < MIN_AREA:
        return None
    x0, x1 = _extent(np.asarray(mask.any(0)))
    y0, y1 = _extent(np.asarray(mask.any(1)))
    # Back to the picture's own pixels, outwards, so that no edge of the garment is cut.
    rows, columns = picture.shape[:2]
    x0, y0 = int(x0 / shrink), int(y0 / shrink)
    x1, y1 = min(columns, int(np.ceil(x1 / shrink))), min(rows, int(np.ceil(y1 / shrink)))
    crop = picture[y0:y1, x0:x1]
    crop = crop if crop.ndim == 2 else cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    return Garment(_normalise(crop, background), (left + x0, top + y0, x1 - x0, y1 - y0))


def part(picture: NDArray[np.uint8], within: Box | None) -> NDArray[np.uint8]:
    """What of a (h, w) or (h, w, 3) picture lies in the box ``within``; all of it without one."""
    if within is None:
        return picture
    x, y, width, height = within
    return picture[y : y + height, x : x + width]


def view(picture: NDArray[np.uint8], within: Box | None = None) -> NDArray[np.uint8]:
    """What a photo network sees of a BGR (h, w, 3) picture, or of its box ``within``: RGB uint8
    (160, 160, 3), nothing but resized, the aspect ratio given up as in the network's training."""
    return squeezed(part(picture, within), PHOTO_PX)


def squeezed(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A BGR (h, w, 3) picture as a square: RGB uint8 (side, side, 3)."""
    import cv2

    picture = _halved(picture, side)
    interpolation = cv2.INTER_AREA if min(picture.shape[:2]) >= side else cv2.INTER_LINEAR
    small = cv2.resize(picture, (side, side), interpolation=interpolation)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def frame_view(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """What the finder sees of a BGR (h, w, 3) picture: all of it as a square, RGB uint8 (side, side, 3).

    In half the time of :func:`squeezed`, for a camera asks for it with every frame: each edge is halved by itself, and
    the rest is interpolated, as in the finder's training.
    """
    import cv2

    picture = _halved(picture, side)
    height, width = picture.shape[:2]
    # Only one edge can still be twice too long; pairs of its pixels are averaged.
    while max(height, width) >= 2 * side:
        width, height = (width // 2, height) if width > height else (width, height // 2)
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def is_fashion_image(picture: NDArray[np.uint8]) -> bool:
    """True for a picture that is one of Fashion-MNIST's: 28 by 28 and grey. A photo network knows these enlarged only
    as :func:`as_photos` does it."""
    return picture.shape[:2] == (SIDE_PX, SIDE_PX) and bool((picture == picture[..., :1]).all())


def fashion_image(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fashion-MNIST's image in a grey picture (28, 28, c), which may have been negated since: uint8 (28, 28, 1), the
    garment bright on 0."""
    grey = np.ascontiguousarray(picture[..., :1])
    return grey if _background(grey[..., 0]) < 128 else np.asarray(255 - grey, np.uint8)


def whole(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A product shot as it is, no garment looked for: a BGR (h, w, 3) picture of 28 pixels a side at least
    to a Fashion-MNIST network's uint8 (28, 28, 1), bright on 0.

    The background's brightness is the rim's median, and decides the polarity: from 128 the picture is
    negated. The longest edge becomes 28, the short one is padded with background. ``convert --embed``
    puts these steps into the IR; :func:`find` is better wherever the garment does not fill the picture.
    """
    import cv2

    grey = _halved(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), WHOLE_PX)
    return _normalise(grey, _background(grey))


def halvings(width: int, height: int, side: int) -> int:
    """How often a picture is halved before it is resized: the shorter edge stays at ``side`` at least."""
    return max(0, (min(width, height) // side).bit_length() - 1)


def as_photos(images: NDArray[np.uint8], side: int = FASHION_PX) -> NDArray[np.uint8]:
    """Fashion-MNIST's images (n, 28, 28, 1) as the product photos they were made from, in grey on
    white: RGB uint8 (n, side, side, 3). Zalando's last step, the negation, is undone, and of the
    enlarged image the middle ``FASHION_SHARE`` kept, at the scale the network was trained on."""
    import cv2

    photos = np.empty((len(images), side, side, 3), np.uint8)
    whole = round(side / FASHION_SHARE)
    rim = (whole - side) // 2
    for photo, image in zip(photos, images, strict=True):
        grown = cv2.resize(255 - image, (whole, whole), interpolation=cv2.INTER_CUBIC)
        photo[...] = grown[rim : rim + side, rim : rim + side, None]
    return photos


def box_of(mask: NDArray[np.float32], within: Box) -> Box:
    """The box of the garment in the picture whose part ``within`` a photo network saw.

    ``mask``: the network's, float32 (rows, columns) of probabilities. The largest patch counts
    and what is nearly as large; ``within`` itself is the answer where nothing reaches
    ``MASK_LEVEL``.
    """
    import cv2

    left, top, width, height = within
    count, _, stats, _ = cv2.connectedComponentsWithStats((mask > MASK_LEVEL).astype(np.uint8), connectivity=8)
    if count == 1:
        return within
    patches = stats[1:]  # patch 0 is the background
    area = patches[:, cv2.CC_STAT_AREA]
    # A pair of shoes is two patches; a stain on the wall is no garment.
    x, y, w, h, _ = patches[area >= area.max() / 4].T
    x0, x1, y0, y1 = int(x.min()), int((x + w).max()), int(y.min()), int((y + h).max())
    rows, columns = mask.shape
    x0, x1, y0, y1 = x0 * width // columns, x1 * width // columns, y0 * height // rows, y1 * height // rows
    return left + x0, top + y0, x1 - x0, y1 - y0


def _resize(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    import cv2

    if factor == 1.0:
        return picture
    height, width = picture.shape[:2]
    size_wh = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _halved(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture halved as often as :func:`halvings` says. Halving is eight times faster than averaging over 4.05
    pixels, say, and as good."""
    import cv2

    for _ in range(halvings(picture.shape[1], picture.shape[0], side)):
        rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
        halved = cv2.resize(picture[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA)
        picture = np.asarray(halved, np.uint8)
    return picture


def _background(grey: NDArray[np.uint8]) -> float:
    """The rim's median. A hand, a shadow or a logo in a corner does not change it."""
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return float(np.median(rim))


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask less its specks, any one of which would stretch the box."""
    import cv2

    _, patches, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= SPECK_AREA * mask.size
    keep[0] = False  # patch 0 is the background
    return np.asarray(keep[patches], np.bool_)


def _extent(occupied: NDArray[np.bool_]) -> tuple[int, int]:
    where = np.flatnonzero(occupied)
    return int(where[0]), int(where[-1]) + 1


def _normalise(crop: NDArray[np.uint8], background: float) -> NDArray[np.uint8]:
    """A grey crop of the garment to (28, 28, 1), bright on 0."""
    import cv2

    factor = SIDE_PX / max(crop.shape)
    size_wh = max(1, round(crop.shape[1] * factor)), max(1, round(crop.shape[0] * factor))
    # Zalando picks every n-th pixel. Averaging does the same without the noise of aliasing.
    shrunk = cv2.resize(crop, size_wh, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    if factor < 1:
        # Sharpening undoes the blur of shrinking.
        shrunk = cv2.filter2D(shrunk, -1, sharpening_kernel(), borderType=cv2.BORDER_REPLICATE)
    # The background, be it light or dark, becomes 0, and its opposite 255.
    level = shrunk.astype(np.float32)
    dark_garment = background >= 128
    intensity = (background - level) / background if dark_garment else (level - background) / (255 - background)
    pixels = np.zeros((SIDE_PX, SIDE_PX, 1), np.uint8)
    y, x = (SIDE_PX - size_wh[1]) // 2, (SIDE_PX - size_wh[0]) // 2
    pixels[y : y + size_wh[1], x : x + size_wh[0], 0] = np.clip(np.rint(intensity * 255), 0, 255)
    return pixels


@functools.cache
def sharpening_kernel() -> NDArray[np.float32]:
    """ImageMagick's ``-sharpen 1x1``, which Zalando used: a Gaussian of radius 1 subtracted from
    twice its sum at the centre, normalised to keep the mean."""
    y, x = np.mgrid[-1:2, -1:2]
    gaussian = np.exp(-(x**2 + y**2) / (2 * SHARPEN_SIGMA**2))
    kernel = -gaussian
    kernel[1, 1] = 2 * gaussian.sum()
    return np.asarray(kernel / kernel.sum(), np.float32)
