"""Every garment's box with its name on it, as window, recording and page draw them on a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from edgefashion.camera import wording
from edgefashion.camera.outputs import lettering
from edgefashion.camera.outputs.outlines import draw_box
from edgefashion.system import palette

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.moment import Moment
    from edgefashion.inference.preprocess import Box

Place = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture that is drawn on."""

_LEAST: Final = 0.7
"""A name that is wider than its box is written smaller, down to this share of its size; then it sticks out."""


def draw_garments(
    picture: NDArray[np.uint8],
    moment: Moment,
    factor: float,
    *,
    thickness_px: int,
    letters_px: int,
    bottom: int,
    taken: Sequence[Place] = (),
) -> None:
    """Draw the garments of ``moment`` on a BGR ``picture`` that is ``factor`` as large, and mirrored where that is due.

    ``thickness_px`` is the main garment's line, ``letters_px`` the height of the names. No name goes below ``bottom``,
    over the places that are ``taken``, or over another name.
    """
    garments = moment.garments
    boxes = [placed(each.box, factor, picture.shape[1], mirror=moment.mirror) for each in garments]
    thick = 0 if moment.shows != "none" else None  # where nothing is held up none of them is the main one
    # The main one last: no other's line goes over it.
    for place in sorted(range(len(garments)), key=lambda i: (i == thick, -boxes[i][2] * boxes[i][3])):
        px = thickness_px if place == thick else max(1, thickness_px // 2)
        draw_box(picture, boxes[place], _colour(garments[place].accepted), px)
    used = list(taken)
    for each, box in zip(garments, boxes, strict=True):
        used.append(_draw_name(picture, wording.tag(each, moment.labels), box, each.accepted, letters_px, bottom, used))


def placed(box: Box, factor: float, width: int, *, mirror: bool) -> Box:
    """Where a moment's ``box`` is on a picture that is ``factor`` as large, ``width`` pixels wide."""
    x, y, w, h = (round(n * factor) for n in box)
    return (width - x - w if mirror else x), y, w, h


def _colour(accepted: bool) -> palette.Colour:
    return palette.GARMENT if accepted else palette.UNSURE


def _draw_name(
    picture: NDArray[np.uint8],
    name: str,
    box: Box,
    accepted: bool,
    letters_px: int,
    bottom: int,
    used: Sequence[Place],
) -> Place:
    """Write ``name`` at a free place of its ``box``; returns the place it takes."""
    width, pad = picture.shape[1], max(1, letters_px // 3)
    size_px = max(round(_LEAST * letters_px), lettering.fitting(name, letters_px, max(1, box[2] - 2 * pad)))
    size_px = lettering.fitting(name, size_px, max(1, width - 2 * pad))
    size_wh = lettering.width_of(name, size_px) + 2 * pad, lettering.height_of(size_px)
    place = _free(box, size_wh, (width, bottom), used)
    lettering.darken(picture, *place)
    words = lettering.drawn(name, size_px, palette.bgr(_colour(accepted)))
    lettering.lay(picture, words, place[0] + pad, place[1])
    return place


def _free(box: Box, size_wh: tuple[int, int], room_wh: tuple[int, int], used: Sequence[Place]) -> Place:
    """Where a name of ``size_wh`` pixels stands: on the box's upper edge, else inside it, else wherever near it."""
    x, y, w, h = box
    wide, high = size_wh
    left, right = x, x + w - wide
    wanted = [(left, y - high), (right, y - high), (left, y), (right, y), (left, y + h - high), (left, y + h)]
    wanted += [(left, y + n * high) for n in range(1, max(1, h // max(1, high)))]
    places = []
    for across, down in wanted:
        # A name is never cut off at the side; above and below there is another place for it.
        across = max(0, min(across, room_wh[0] - wide))
        if 0 <= down <= room_wh[1] - high:
            places.append((across, down, across + wide, down + high))
    inside = max(0, min(x, room_wh[0] - wide)), max(0, min(y, room_wh[1] - high))
    places = places or [(*inside, inside[0] + wide, inside[1] + high)]
    return min(places, key=lambda place: sum(_shared(place, one) for one in used))


def _shared(one: Place, other: Place) -> int:
    """Pixels that two places have in common."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, across) * max(0, down)
