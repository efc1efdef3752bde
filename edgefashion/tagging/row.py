"""What tagging says of a picture: one row of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgefashion.inference.preprocess import Box


@dataclass(frozen=True)
class Garment:
    """One of the garments in a picture."""

    label: str
    confidence: float
    accepted: bool
    box: Box
    """x, y, width, height, in pixels of the upright picture at its full size."""


@dataclass(frozen=True)
class Row:
    """One picture's row. Where the picture could not be read, all but ``path``, ``error``, ``try_again`` is empty.

    ``label``, ``confidence``, ``top``, ``accepted`` and ``box`` are those of the main garment, the first of
    ``garments``.
    """

    path: str
    """As it was found: a path, or a URL fsspec opens; in a table without an account."""
    label: str | None = None
    """None where no garment was seen, and for an unreadable picture."""
    confidence: float = 0.0
    top: tuple[tuple[str, float], ...] = ()
    """The three likeliest labels and their probabilities."""
    accepted: bool = False
    box: Box | None = None
    """x, y, width, height of the garment, in pixels of the upright picture at its full size."""
    width: int | None = None
    """Of the upright picture at its full size, pixels."""
    height: int | None = None
    phash: str | None = None
    """64 bits of perceptual hash as 16 hexadecimal digits."""
    error: str | None = None
    """Why the picture could not be read; None for one that was."""
    try_again: bool = False
    """True for an error that is not the picture's own: its file could not be had, in time or at all. The next run
    reads the picture again. This is no column of the table; :mod:`edgefashion.tagging.formats` says where it is kept.
    """
    garments: tuple[Garment, ...] = ()
    """Every garment in view, the main one first."""


FIELDS: Final = (
    "path",
    "label",
    "confidence",
    "top",
    "accepted",
    "box",
    "width",
    "height",
    "phash",
    "error",
    "garments",
)
