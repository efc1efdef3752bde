"""Pictures made worse in one way, to measure what a network still makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIGHT: Final = 0.25
"""Share of its light that a dark picture keeps."""

HIDDEN: Final = 1 / 3
"""Share of its width that is hidden of a picture with a part hidden."""

GAMMA: Final = 2.2


def dark(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 (h, w, 3) picture in a quarter of its light."""
    levels = (255 * (LIGHT * (np.arange(256) / 255) ** GAMMA) ** (1 / GAMMA)).round().astype(np.uint8)
    return np.asarray(levels[picture], np.uint8)


def part_hidden(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 (h, w, 3) picture, its left third covered with its average colour."""
    hidden = picture.copy()
    hidden[:, : round(picture.shape[1] * HIDDEN)] = picture.mean((0, 1))
    return hidden
