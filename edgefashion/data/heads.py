"""Heads made unrecognisable: each becomes a few coarse cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Box = tuple[int, int, int, int]

RIM: Final = 0.2
"""A head is hidden with a rim of this share of its size on each side: a box cuts off hair and chin."""

CELLS: Final = 3
"""Cells along each edge of a hidden head that is hidden by itself: as many as a face has that is hidden with a whole
frame and fills a third of its height."""


def rimmed(head: Box) -> Box:
    """A head's box with its rim."""
    x, y, w, h = head
    across, down = round(RIM * w), round(RIM * h)
    return x - across, y - down, w + 2 * across, h + 2 * down


def hide_heads(image: NDArray[np.uint8], heads: Sequence[Box]) -> NDArray[np.uint8]:
    """``image``, BGR (h, w, 3), with the ``heads`` in it averaged over cells; itself where there are none.

    The averages are all that is left: a new picture is made, and the cells take the pixels' place.
    """
    import cv2
    import numpy as np

    shown = image
    for head in heads:
        where = _pixels(head)
        part = image[where]
        if not part.size:
            continue
        if shown is image:
            shown = image.copy()
        cells = cv2.resize(part, (min(CELLS, part.shape[1]), min(CELLS, part.shape[0])), interpolation=cv2.INTER_AREA)
        shown[where] = cv2.resize(cells, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(shown, np.uint8)


def hidden_share(size_wh: tuple[int, int], heads: Sequence[Box]) -> float:
    """The part of a picture of this size, 0 to 1, that is hidden with its ``heads``."""
    import numpy as np

    width, height = size_wh
    hidden = np.zeros((height, width), np.bool_)
    for head in heads:
        hidden[_pixels(head)] = True
    return float(hidden.mean())


def _pixels(head: Box) -> tuple[slice, slice]:
    """The rows and columns of a picture in which a head is hidden; none where it lies above or left of the picture."""
    x, y, w, h = rimmed(head)
    return slice(max(0, y), max(0, y + h)), slice(max(0, x), max(0, x + w))
