"""Nobody is recognised: all of a picture but the garment becomes a few coarse cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.inference.preprocess import Box

CELLS: Final = 9
"""Cells along the shorter edge, 80 pixels each at 720: a face that fills a third of the height is three of them."""


def hide(image: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
    """A new picture of ``image``, BGR (h, w, 3), that shows nothing but the garment in ``box``.

    What is outside is averaged over cells, and these are all that is left of it: the picture is made anew from
    them alone. Without a ``box`` that is everything.
    """
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    hidden = cv2.resize(_cells(image), (width, height), interpolation=cv2.INTER_LINEAR)
    if box is not None:
        x, y, w, h = box
        seen = slice(max(0, y), max(0, y + h)), slice(max(0, x), max(0, x + w))
        hidden[seen] = image[seen]
    return np.asarray(hidden, np.uint8)


def _cells(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    cell = max(1, round(min(height, width) / CELLS))
    size_wh = max(1, round(width / cell)), max(1, round(height / cell))
    # Halved first where that is exact: averaging by a whole number of pixels is many times faster.
    while width % 2 == height % 2 == 0 and min(width, height) >= 4 * CELLS:
        width, height = width // 2, height // 2
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
