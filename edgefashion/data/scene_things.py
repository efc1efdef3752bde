"""One annotated thing of a scene: its label, its box, its outline and the mask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data.coco_file import Entry
from edgefashion.data.scene_labels import HEAD, PERSON
from edgefashion.errors import BadInputError
from edgefashion.labels import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""(x, y, width, height) in pixels."""


@dataclass(frozen=True)
class Thing:
    """One annotated thing of a scene."""

    label: str
    """One of ``scene_labels.SCENE_LABELS``."""
    box: Box
    """(x, y, width, height) in pixels, inside the picture."""
    segmentation: Any = None
    """Its outline as COCO has it: polygons [[x, y, x, y, ...], ...], or a run-length code; None where only the box
    was drawn."""
    crowd: bool = False
    """True for several things outlined as one: training leaves it out, and COCO's measure ignores it."""
    also: tuple[str, ...] = ()
    """Other labels that are as right for it."""
    kind: str = ""
    """The finer name that it was annotated with."""
    unclear: bool = False
    """True where too little of it is seen to name it: the finder learns from it, and no answer to it counts."""

    @property
    def known(self) -> bool:
        """True for a garment that has a name of ours."""
        return self.label not in (UNKNOWN, PERSON, HEAD)

    @property
    def garment(self) -> bool:
        """True for a garment, Unknown ones too; False for a person and a head."""
        return self.label not in (PERSON, HEAD)

    def mask(self, height: int, width: int) -> NDArray[np.uint8]:
        """The thing's outline filled: uint8 (height, width), 1 inside. The box, where it has no outline.

        Raises :class:`BadInputError` for a run-length code that is none of a picture of this size.
        """
        if isinstance(self.segmentation, dict):
            return _run_lengths(self.segmentation, height, width)
        drawn = np.zeros((height, width), np.uint8)
        if self.segmentation:
            import cv2

            limit = 4 * max(height, width)  # what is far outside must not leave the 32 bits that OpenCV draws with
            for polygon in self.segmentation:
                points = np.clip(np.asarray(polygon, np.float64).reshape(-1, 2), -limit, limit)
                # Each by itself: where two overlap, filled together, there would be a hole.
                cv2.fillPoly(drawn, [np.rint(points).astype(np.int32)], 1)
        if not drawn.any():
            x, y, w, h = self.box
            drawn[math.floor(y) : math.ceil(y + h), math.floor(x) : math.ceil(x + w)] = 1
        return drawn


def _run_lengths(code: Entry, height: int, width: int) -> NDArray[np.uint8]:
    lengths = _lengths(code, height, width)
    column_wise = np.repeat((np.arange(len(lengths)) % 2).astype(np.uint8), lengths)
    return column_wise.reshape(width, height).T


def _lengths(code: Entry, height: int, width: int) -> list[int]:
    """The pixels outside, inside, outside, ... an outline, column by column; together those of the picture."""
    counts = code["counts"]
    lengths = _decompressed(counts) if isinstance(counts, str | bytes) else counts
    if not _fill(lengths, height * width):
        raise BadInputError(f"an outline's run lengths do not fill a picture of {width} x {height}. Export it again")
    return list(lengths)


_MOST_BITS: Final = 45
"""Of a run length's text: no picture has more pixels. More may be a text that is none, or meant to take for ever."""


def _decompressed(code: str | bytes) -> list[int]:
    """The run lengths of COCO's compressed text: five bits a character, from the third on as the difference from the
    last but one. None for a text that has a longer number than there are. Not by pycocotools, which decodes a broken
    text into a wrong mask without a word."""
    counts: list[int] = []
    number = shift = 0
    for character in code.encode() if isinstance(code, str) else code:
        bits = character - 48
        number |= (bits & 31) << shift
        shift += 5
        if shift > _MOST_BITS:
            return []
        if not bits & 32:
            number -= (bits & 16) << (shift - 4)  # its sign
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    return counts


def outline_of(entry: Entry, size_wh: tuple[int, int]) -> Any:
    """An annotation's outline, in a picture of (width, height); None where only a box was drawn.

    Raises :class:`BadInputError`, whose words follow the annotation's name, for one that cannot be used.
    """
    given = entry.get("segmentation")
    if isinstance(given, dict):
        if given.get("size") != [size_wh[1], size_wh[0]] or "counts" not in given:
            raise BadInputError("has an outline of another picture's size. Left out")
        if not _is_run_lengths(given["counts"], size_wh[0] * size_wh[1]):
            raise BadInputError(f"has run lengths that do not fill a picture of {size_wh[0]} x {size_wh[1]}. Left out")
        return given
    if not isinstance(given, list):
        return None
    polygons = [given] if given and not isinstance(given[0], list) else given
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) % 2 or not all(_is_number(each) for each in polygon):
            raise BadInputError("has an outline that is no list of x, y, x, y, ... Left out")
    # Two points and a line enclose nothing.
    return [polygon for polygon in polygons if len(polygon) >= 6] or None


def _is_run_lengths(counts: Any, pixels: int) -> bool:
    """True for numbers that fill a picture, and for a text that may: it is decoded when it is drawn, for that takes
    longer than all else about a large file."""
    if isinstance(counts, str):
        return counts.isascii()
    return isinstance(counts, list) and _fill(counts, pixels)


def _fill(lengths: list[Any], pixels: int) -> bool:
    """True for run lengths of so many pixels. Counted by Python, whose numbers have no end: those of a file may."""
    return all(type(each) is int and 0 <= each <= pixels for each in lengths) and sum(lengths) == pixels


def box_of(entry: Entry, outline: Any, size_wh: tuple[int, int]) -> Box:
    """An annotation's box, else that of its outline, cut at the edges of a picture of (width, height).

    Raises :class:`BadInputError` as :func:`outline_of` does.
    """
    given = entry.get("bbox")
    if isinstance(given, list) and len(given) == 4 and all(_is_number(each) for each in given):
        x, y, w, h = map(float, given)
    elif isinstance(outline, list):
        points = np.concatenate([np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in outline])
        (x, y), (w, h) = points.min(0).tolist(), np.ptp(points, 0).tolist()
    elif outline:
        x, y, w, h = _around(_lengths(outline, size_wh[1], size_wh[0]), size_wh[1])
    else:
        raise BadInputError("has neither a box nor an outline. Left out")
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(float(size_wh[0]), x + w), min(float(size_wh[1]), y + h)
    if right <= left or bottom <= top:
        raise BadInputError("has a box without an area, or outside the picture. Left out")
    return left, top, right - left, bottom - top


def _around(lengths: list[int], height: int) -> Box:
    """The box around what run lengths outline. It is not drawn: a file may claim more pixels than memory holds."""
    ends = np.cumsum(lengths, dtype=np.int64)
    inside = np.flatnonzero(lengths)
    inside = inside[inside % 2 == 1]
    if not len(inside):
        raise BadInputError("has an empty outline. Left out")
    first, last = ends[inside - 1], ends[inside] - 1
    left, right = int(first.min()) // height, int(last.max()) // height
    in_one_column = first // height == last // height
    top = int(np.where(in_one_column, first % height, 0).min())
    bottom = int(np.where(in_one_column, last % height, height - 1).max())
    return float(left), float(top), float(right - left + 1), float(bottom - top + 1)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and -1e9 < value < 1e9  # false for NaN, too
