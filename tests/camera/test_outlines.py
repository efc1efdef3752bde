"""The box and the corners that window, recording and page draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgefashion.camera.outputs.outlines import draw_box, draw_corners
from edgefashion.system import palette

if TYPE_CHECKING:
    from helpers.camera import Picture

BOX = (40, 30, 180, 90)


def drawn(draw: object, level: int, box: tuple[int, ...] = BOX, thickness_px: int = 4) -> Picture:
    picture = np.full((160, 260, 3), level, np.uint8)
    draw(picture, box, palette.GARMENT, thickness_px)  # type: ignore[operator]
    return picture


def is_colour(picture: Picture, colour: palette.Colour) -> Picture:
    return np.asarray((picture == np.array(palette.bgr(colour), np.uint8)).all(2), np.uint8)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("draw", [draw_box, draw_corners])
def test_seen_on_any_picture(draw: object, level: int) -> None:
    """On a picture of any brightness a line has its colour and a dark rim on either side."""
    column = drawn(draw, level)[:, 45]  # across the upper and the lower edge
    assert palette.bgr(palette.GARMENT) in [tuple(pixel) for pixel in column.tolist()]
    top = [tuple(pixel) for pixel in column[26:36].tolist()]
    coloured = [place for place, pixel in enumerate(top) if pixel == palette.bgr(palette.GARMENT)]
    assert top[coloured[0] - 1] == top[coloured[-1] + 1] == palette.bgr(palette.DARK)


def test_a_box_is_closed_and_corners_are_not() -> None:
    """A box's edge goes all the way; of the corners' only the ends are drawn, a ninth of the shorter edge each."""
    x, y, w, h = BOX
    box, corners = (is_colour(drawn(draw, 0), palette.GARMENT) for draw in (draw_box, draw_corners))
    assert box[y, x : x + w].all()
    edge = corners[y, x : x + w]
    arm = h // 9
    assert edge[: arm + 1].all()
    assert edge[-arm:].all()
    assert not edge[arm + 4 : -arm - 4].any()


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (-30, -30, 500, 500), (20, 20, 50, -5)])
def test_odd_boxes(box: tuple[int, ...]) -> None:
    """A box of no size, or outside the picture, can be drawn."""
    for draw in (draw_box, draw_corners):
        assert drawn(draw, 0, box, 1).shape == (160, 260, 3)
