"""The live picture as JPEG: made once for all who watch, and not at all while nobody does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgefashion.camera.outputs.garments import draw_garments, placed
from edgefashion.camera.outputs.outlines import draw_box, draw_corners
from edgefashion.system import palette
from edgefashion.system.server_log import complain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.moment import Moment
    from edgefashion.camera.page.board import Board

INTERVAL_S: Final = 0.1
"""A new picture no sooner than this after the last: ten a second."""

LONGEST_PX: Final = 1280
QUALITY: Final = 80

_LINES: Final = 320
"""A line is this part of the picture's longest edge thick."""

_LETTERS: Final = 32
"""A garment's name is this part of the picture's longest edge high: on a phone the picture is small."""


@dataclass(frozen=True)
class Shot:
    """One picture for everyone."""

    number: int
    """Counts up: who has seen it waits for the next."""
    jpeg: bytes


class Pictures:
    """The newest moment's picture. For the server's event loop alone."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = asyncio.Lock()
        self._shot: Shot | None = None
        self._of: Moment | None = None
        self.made = 0
        """How many pictures were encoded so far."""
        self.due_s = 0.0
        """``time.monotonic()`` from which a newer picture may be made: all who watch wait for the same."""

    async def newest(self) -> Shot | None:
        """The newest picture; None before the first frame, and of one that cannot be encoded."""
        async with self._lock:
            moment, now_s = self._board.moment, time.monotonic()
            if moment is None or moment.image is None:
                return None
            if now_s >= self.due_s and not (self._of and _alike(moment, self._of)):
                self.due_s = now_s + INTERVAL_S
                self._of = moment
                try:
                    jpeg = await asyncio.to_thread(encode, moment)
                except Exception as error:  # whatever OpenCV has against one frame: the next may do
                    complain("a picture cannot be encoded", error)
                    self._shot = None
                else:
                    self.made += 1
                    self._shot = Shot(self.made, jpeg)
            return self._shot


def _alike(one: Moment, other: Moment) -> bool:
    """Whether two moments give the same picture."""
    return (
        one.image is other.image
        and (one.box, one.guide, one.state, one.mirror) == (other.box, other.guide, other.state, other.mirror)
        and (one.garments, one.several, one.labels) == (other.garments, other.several, other.labels)
        and one.health.well == other.health.well
    )


def encode(moment: Moment) -> bytes:
    """The moment's picture as JPEG, its longest edge at most :data:`LONGEST_PX`.

    Drawn into it are the garment's box or, while there is none, the guide's corners; no words, for the page has them.
    Of several garments each has its name on its box. Where answers are not of now nothing is drawn: an old box would
    lie.
    """
    import cv2
    import numpy as np

    assert moment.image is not None
    height, width = moment.image.shape[:2]
    factor = min(1.0, LONGEST_PX / max(height, width))
    size_wh = max(1, round(width * factor)), max(1, round(height * factor))
    picture = cv2.resize(moment.image, size_wh, interpolation=cv2.INTER_AREA) if factor < 1 else moment.image.copy()
    if moment.mirror:
        picture = cv2.flip(picture, 1)
    if moment.health.well:
        _draw(np.asarray(picture, np.uint8), moment, factor)
    done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return bytes(jpeg)


def _draw(picture: NDArray[np.uint8], moment: Moment, factor: float) -> None:
    """Draw what was found on a ``picture`` that is ``factor`` as large as the moment's."""
    longest = max(picture.shape[:2])
    thickness_px, letters_px = max(1, round(longest / _LINES)), max(1, round(longest / _LETTERS))
    width, bottom = picture.shape[1], picture.shape[0]
    if moment.several:
        draw_garments(
            picture, moment, factor, thickness_px=round(1.5 * thickness_px), letters_px=letters_px, bottom=bottom
        )
    elif moment.box is not None and moment.state != "none":
        box = placed(moment.box, factor, width, mirror=moment.mirror)
        draw_box(picture, box, palette.OF_STATE[moment.state], thickness_px)
    elif moment.guide is not None:
        draw_corners(picture, placed(moment.guide, factor, width, mirror=moment.mirror), palette.WHITE, thickness_px)
