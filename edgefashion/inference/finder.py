"""The finder's answer to a frame: boxes of garments by coarse kind, of people and of heads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from edgefashion.inference import finite
from edgefashion.inference.preprocess import Box, frame_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINDER_PX: Final = 192
"""Edge of the finder's input: the whole frame squeezed to a square."""

STRIDE: Final = 8
"""Pixels of its input that one cell of its answer stands for."""

GARMENT_KINDS: Final = ("upper", "outer", "lower", "whole", "footwear", "bag")
"""T-shirts, shirts and pullovers; coats; trousers and skirts; dresses; shoes; bags."""

KINDS: Final = (*GARMENT_KINDS, "person", "head")
"""What the finder looks for; a kind's position is its channel."""

FRAME_SHAPE: Final = (FINDER_PX, FINDER_PX, 3)
"""(height, width, channels) of its input."""

CHANNELS: Final = len(KINDS) + 1 + 4 * len(KINDS)
"""Of a cell: each kind's heat, whether it is worn, and each kind's four distances."""

CELLS_SHAPE: Final = (FINDER_PX // STRIDE, FINDER_PX // STRIDE, CHANNELS)
"""(rows, columns, channels) of its answer."""

FOUND: Final = 0.5
"""Score from which something counts as found, for a finder whose bundle names none."""

MOST: Final = 12
"""Garments of one frame, at most."""

SAME_KIND_OVERLAP: Final = 0.45
"""Intersection over union from which two boxes of one kind are taken for one garment."""

ANY_KIND_OVERLAP: Final = 0.75
"""The same for boxes of two kinds. An open coat and the shirt below it overlap by less."""


@dataclass(frozen=True)
class Region:
    """A garment, a person or a head that was found."""

    kind: str
    """One of :data:`KINDS`."""
    box: tuple[float, float, float, float]
    """x, y, width, height, as shares of the frame."""
    score: float
    """From 0 to 1."""
    worn: float
    """Probability that somebody wears it, from 0 to 1."""

    @property
    def corners(self) -> NDArray[np.float64]:
        """x0, y0, x1, y1, as shares of the frame."""
        x, y, w, h = self.box
        return np.array([x, y, x + w, y + h])

    def in_pixels(self, within: Box) -> Box:
        """The box in a picture whose part ``within`` was looked at."""
        left, top, width, height = within
        x, y, w, h = self.box
        x0, y0 = left + round(x * width), top + round(y * height)
        x1, y1 = left + round((x + w) * width), top + round((y + h) * height)
        return x0, y0, max(1, x1 - x0), max(1, y1 - y0)


class RegionRunner(Protocol):
    """An engine with the finder loaded: RGB uint8 (1, 192, 192, 3) in, float32 (1, 24, 24, 41) out."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Finder:
    """A finder; its network is loaded when it is first asked, for not every command asks."""

    load: Callable[[], RegionRunner]
    floor: float
    """Score from which something counts as found."""
    sha256: str = ""
    """Of the files of its network, in hex; empty where that is not known."""

    @functools.cached_property
    def run(self) -> RegionRunner:
        """The loaded network."""
        return self.load()

    def make_ready(self) -> None:
        """Load the network and run it once, so that a file that cannot be used is told now, and the first frame is not
        the slow one. Raises what loading it raises."""
        self.cells(np.zeros(FRAME_SHAPE, np.uint8))

    def find(self, picture: NDArray[np.uint8]) -> list[Region]:
        """What a BGR uint8 (h, w, 3) picture shows, the surest first."""
        return regions(self.cells(frame_view(picture, FINDER_PX)), self.floor)

    def cells(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's answer, float32 (24, 24, 41), to a frame, RGB uint8 (192, 192, 3). Raises
        :class:`~edgefashion.inference.finite.NoNumbersError` for one that would say that nothing is in view."""
        cells: NDArray[np.float32] = self.run(frame[None])[0]
        finite.check("the finder", cells)
        return cells


def regions(cells: NDArray[np.float32], floor: float) -> list[Region]:
    """What the finder's answer to one frame says, float32 (rows, columns, 41): the surest first, each thing once."""
    import cv2

    rows, columns = cells.shape[:2]
    heat = np.ascontiguousarray(cells[..., : len(KINDS)])
    peaks = (heat >= floor) & (heat >= cv2.dilate(heat, np.ones((3, 3), np.uint8)))
    at_row, at_column, kind = np.nonzero(peaks)
    score = heat[at_row, at_column, kind]
    order = np.argsort(-score, kind="stable")
    at_row, at_column, kind, score = at_row[order], at_column[order], kind[order], score[order]
    worn = cells[at_row, at_column, len(KINDS)]
    edges = cells[..., len(KINDS) + 1 :].reshape(rows, columns, len(KINDS), 4)[at_row, at_column, kind]
    centre = np.stack([at_column, at_row], 1) + 0.5
    size = np.array([columns, rows])
    corners = np.hstack([(centre - edges[:, :2]) / size, (centre + edges[:, 2:]) / size]).clip(0, 1)
    found: list[Region] = []
    kept: list[int] = []
    for place in range(len(score)):
        name = KINDS[kind[place]]
        # People and heads lie around garments, not among them.
        rivals = [
            i for i in kept if kind[i] == kind[place] or (name in GARMENT_KINDS and KINDS[kind[i]] in GARMENT_KINDS)
        ]
        if any(
            overlap(corners[place], corners[i]) > (SAME_KIND_OVERLAP if kind[i] == kind[place] else ANY_KIND_OVERLAP)
            for i in rivals
        ):
            continue
        kept.append(place)
        x0, y0, x1, y1 = (float(v) for v in corners[place])
        found.append(Region(name, (x0, y0, x1 - x0, y1 - y0), float(score[place]), float(worn[place])))
    return found


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return float(shared / max(areas - shared, 1e-9))
