"""Nobody is recognised: all of a picture but its garments becomes a few coarse cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from edgefashion.data.heads import rimmed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.sources.source import Frame
    from edgefashion.camera.standing import StandingAnswer
    from edgefashion.inference.predict import Prediction
    from edgefashion.inference.preprocess import Box

CELLS: Final = 9
"""Cells along the shorter edge, 80 pixels each at 720: a face that fills a third of the height is three of them."""

HEAD_S: Final = 0.5
"""A head stays hidden for so long after the last frame in which it was found: one frame may miss it."""

HEAD_FRAMES: Final = 3
"""And for so many frames that are looked at, however slow the camera is."""


class RecentHeads:
    """Where heads are, and were a moment ago."""

    def __init__(self) -> None:
        self._heads: list[tuple[float, int, Box]] = []
        """When each head was found, in which of the frames looked at, and where."""
        self._looked = 0

    def __call__(self, time_s: float, heads: Sequence[Box], *, alone: bool) -> list[Box]:
        """The ``heads`` that were found in a frame at ``time_s`` seconds, and those of the frames before, unless it is
        a picture by itself (``alone``): then no other's heads are in it."""
        kept = [] if alone else self._heads
        self._looked += 1
        self._heads = [
            (found_s, looked, head)
            for found_s, looked, head in kept
            if time_s - found_s < HEAD_S or self._looked - looked <= HEAD_FRAMES
        ]
        self._heads += [(time_s, self._looked, head) for head in heads]
        return [head for *_, head in self._heads]


class Hider:
    """Says what of each frame may be shown and kept."""

    def __init__(self) -> None:
        self._heads = RecentHeads()

    def answered(self, frame: Frame, seen: Prediction, answer: StandingAnswer) -> NDArray[np.uint8]:
        """A ``frame`` of which the network said ``seen``, after which ``answer`` stands.

        Of several garments those that stand are shown, each where this very frame has it; of one what was found.
        """
        found = [seen.garment.box] if seen.garment and seen.answer else []
        boxes = [each.in_frame for each in answer.garments if each.in_frame] if answer.several else found
        heads = self._heads(frame.time_s, seen.heads, alone=is_alone(answer))
        return hide(frame.image, boxes, heads)

    def unanswered(self, frame: Frame) -> NDArray[np.uint8]:
        """A ``frame`` of which nothing is known: all of it is hidden."""
        return hide(frame.image, ())


def is_alone(answer: StandingAnswer) -> bool:
    """Whether the answer is to a picture by itself, or to one garment: nothing is followed from frame to frame."""
    return any(each.id is None for each in answer.garments)


def hide(image: NDArray[np.uint8], boxes: Sequence[Box], heads: Sequence[Box] = ()) -> NDArray[np.uint8]:
    """A new picture of ``image``, BGR (h, w, 3), that shows nothing but the garments in ``boxes``, less ``heads``.

    What is outside is averaged over cells, and these are all that is left of it: the picture is made anew from
    them alone. Without ``boxes`` that is everything. A head in a garment's box is hidden as what is outside is.
    """
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    cells = cv2.resize(_cells(image), (width, height), interpolation=cv2.INTER_LINEAR)
    shown = cells.copy() if heads and boxes else cells
    for box in boxes:
        shown[_inside(box)] = image[_inside(box)]
    for each in heads if boxes else ():
        head = _inside(rimmed(each))
        shown[head] = cells[head]
    return np.asarray(shown, np.uint8)


def _inside(box: Box) -> tuple[slice, slice]:
    """The rows and columns of a picture that lie in ``box``."""
    x, y, w, h = box
    return slice(max(0, y), max(0, y + h)), slice(max(0, x), max(0, x + w))


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
