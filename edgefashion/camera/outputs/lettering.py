"""Words on a picture: each text is drawn once, and from then on only laid over dark ground."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUND: Final = 63
"""Words are laid over ground whose channels are no brighter than this."""

KEPT: Final = 192
"""Drawn texts that are remembered: the names of the garments in view, and the figures that come and go."""

_WEIGHTS: Final = {False: 450, True: 650}
_HERSHEY_PX: Final = 30
"""Height of a line of OpenCV's stroke font at scale 1."""

_font = threading.local()  # OpenCV's font remembers glyphs as it draws: one for each thread


@functools.lru_cache(KEPT)
def drawn(text: str, size_px: int, colour: tuple[int, int, int], bold: bool = False) -> NDArray[np.uint8]:
    """``text`` in ``colour`` on black, BGR uint8 (h, w, 3), cut to the line's height and the text's width.

    ``colour`` is BGR, with no channel darker than :data:`GROUND`: see :func:`lay`.
    The line is 1.25 ``size_px`` high, whatever letters are in it: texts of one size share a baseline.
    Nobody writes into it.
    """
    import cv2
    import numpy as np

    width = max(1, width_of(text, size_px, bold))
    line = np.zeros((height_of(size_px), width, 3), np.uint8)
    base = 0, round(size_px * 0.97)
    if hasattr(cv2, "FontFace"):
        cv2.putText(line, text, base, colour, _face(), size_px, _WEIGHTS[bold])
    else:  # OpenCV 4
        scale = size_px / _HERSHEY_PX
        cv2.putText(line, text, base, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, _stroke(scale, bold), cv2.LINE_AA)
    line.flags.writeable = False
    return line


def width_of(text: str, size_px: int, bold: bool = False) -> int:
    """How wide ``text`` is drawn, in pixels."""
    import cv2

    if hasattr(cv2, "FontFace"):
        _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _face(), size_px, _WEIGHTS[bold])
    else:
        scale = size_px / _HERSHEY_PX
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, _stroke(scale, bold))
    return int(width)


def height_of(size_px: int) -> int:
    """How high a line is, in pixels."""
    return max(1, round(size_px * 1.25))


def fitting(text: str, size_px: int, room_px: int, bold: bool = False) -> int:
    """``size_px``, or less where ``text`` is wider than ``room_px`` at it; 1 at least."""
    width = width_of(text, size_px, bold)
    return size_px if width <= room_px else max(1, int(size_px * room_px / width))


def lay(picture: NDArray[np.uint8], words: NDArray[np.uint8], x: int, y: int) -> None:
    """Lay :func:`drawn` words with their upper left corner at (x, y) of ``picture``; what is outside is left out.

    The brighter of the two wins in each channel, which on dark ground is as good as blending, and far cheaper.
    """
    import cv2

    left, top = max(0, -x), max(0, -y)
    place = picture[max(0, y) : max(0, y + words.shape[0]), max(0, x) : max(0, x + words.shape[1])]
    words = words[top : top + place.shape[0], left : left + place.shape[1]]
    if place.size:
        cv2.max(place, words, dst=place)


def darken(picture: NDArray[np.uint8], x0: int, y0: int, x1: int, y1: int) -> None:
    """Make ground for words of a part of ``picture``: a quarter as bright as it was."""
    import numpy as np

    place = picture[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    if place.size:
        np.right_shift(place, 2, out=place)


def _face() -> Any:
    import cv2

    if not hasattr(_font, "face"):
        _font.face = cv2.FontFace("sans")
    return _font.face


def _stroke(scale: float, bold: bool) -> int:
    return max(1, round((3 if bold else 2) * scale))
