"""What travels in a bundle of the pictures that its network learned from: their features, a number of 8 bits each.

A new head that learns a shop's labels from the shop's pictures alone forgets the others. So it is shown these again;
and whether it forgets is measured on those of pictures that the network has never learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.bundles.places import PHOTO_MODEL, shipped
from edgefashion.errors import BadInputError
from edgefashion.system.files import read_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.bundles.bundle import Bundle


@dataclass(frozen=True, eq=False)
class Taught:
    """Features of pictures, and what they show."""

    features: NDArray[np.float32]
    """(n, size)"""
    labels: list[str]
    """A photo folder's label for each."""
    held: NDArray[np.bool_]
    """(n,), True for pictures that the network has not learned from."""

    @classmethod
    def of(cls, features: NDArray[np.float32], labels: Sequence[str], *, held: bool) -> Taught:
        """Of pictures that are all held out, or all learned from."""
        return cls(features, list(labels), np.full(len(labels), held))

    def part(self, which: NDArray[np.bool_]) -> Taught:
        """Some of them."""
        labels = [label for label, keep in zip(self.labels, which, strict=True) if keep]
        return Taught(self.features[which], labels, self.held[which])


def joined(pieces: Sequence[Taught]) -> Taught:
    """All of several."""
    return Taught(
        np.concatenate([piece.features for piece in pieces]),
        [label for piece in pieces for label in piece.labels],
        np.concatenate([piece.held for piece in pieces]),
    )


def save(path: Path, kept: Taught, network: str) -> None:
    """Write them; ``network`` is what :attr:`edgefashion.inference.features.Features.network` says.

    The square roots are rounded to 8 bits: most features are small, and a step is then a smaller one there.
    """
    most = np.maximum(kept.features.max(0), 1e-6).astype(np.float32)
    rounded = np.rint(np.sqrt(np.maximum(kept.features, 0) / most) * 255).astype(np.uint8)
    names, labels = np.unique(kept.labels, return_inverse=True)
    np.savez_compressed(
        path,
        network=np.array(network),
        features=rounded,
        most=most,
        names=names,
        labels=labels.astype(np.uint8),
        held=kept.held,
    )


def read(bundle: Bundle, network: str, size: int) -> Taught:
    """What a bundle has of them. ``size``: features a picture.

    Raises :class:`BadInputError` for a bundle without, with a damaged file, or whose network has other features than
    ``network``.
    """
    if not bundle.has("taught"):
        raise BadInputError(
            f"{bundle.path} has nothing of the pictures it learned from, so a new label would cost it the old ones. "
            f"Give --start {shipped(PHOTO_MODEL)}"
        )
    path = bundle.verified("taught")
    try:
        kept = read_arrays(path)
        whose, rounded, most, held = str(kept["network"]), kept["features"], kept["most"], kept["held"]
        names, labels = kept["names"], kept["labels"]
        whole = (
            rounded.dtype == labels.dtype == np.uint8
            and held.dtype == np.bool_
            and most.dtype == np.float32
            and names.dtype.kind == "U"
            and (labels.ndim, names.ndim, most.shape) == (1, 1, (size,))
            and rounded.shape == (*labels.shape, size)
            and held.shape == labels.shape
        )
        if not whole:
            raise ValueError("its parts do not fit together")
        shown = names[labels].tolist()
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise BadInputError(f"{path} cannot be read ({error}). Restore the bundle from its source") from error
    if whose != network:
        raise BadInputError(f"{path} is of another network than its bundle's. Give --start {shipped(PHOTO_MODEL)}")
    return Taught(np.square(rounded.astype(np.float32) / 255) * most, shown, held)
