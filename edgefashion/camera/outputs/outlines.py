"""The garment's box and the guide's corners, as window, recording and page draw them on a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefashion.system import palette
from edgefashion.system.palette import Colour, bgr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ARM_SHARE = 9
"""A corner's arms are a ninth of the box's shorter edge long."""


def draw_box(picture: NDArray[np.uint8], box: tuple[int, ...], colour: Colour, thickness_px: int) -> None:
    """Draw the outline of ``box`` (x, y, w, h) on a BGR ``picture``, with a dark rim."""
    x, y, w, h = box
    _draw(picture, [[(x, y), (x + w, y), (x + w, y + h), (x, y + h)]], colour, thickness_px, closed=True)


def draw_corners(picture: NDArray[np.uint8], box: tuple[int, ...], colour: Colour, thickness_px: int) -> None:
    """Draw the four corners of ``box`` (x, y, w, h) on a BGR ``picture``, with a dark rim."""
    x, y, w, h = box
    arm = max(0, min(w, h) // _ARM_SHARE)
    ends = [((x, y), 1, 1), ((x + w, y), -1, 1), ((x, y + h), 1, -1), ((x + w, y + h), -1, -1)]
    lines = [[(a + arm * right, b), (a, b), (a, b + arm * down)] for (a, b), right, down in ends]
    _draw(picture, lines, colour, thickness_px, closed=False)


def _draw(
    picture: NDArray[np.uint8], lines: list[list[tuple[int, int]]], colour: Colour, thickness_px: int, *, closed: bool
) -> None:
    """The dark rim makes a line show on a picture of any brightness."""
    import cv2
    import numpy as np

    points = [np.array(line, np.int32) for line in lines]
    for ink, px in ((palette.DARK, 2 * thickness_px), (colour, thickness_px)):
        cv2.polylines(picture, points, closed, bgr(ink), px)
