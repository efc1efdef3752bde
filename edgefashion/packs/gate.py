"""A bundle tried on the pictures that are pinned in it: does this machine give the answers that its maker measured?"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.errors import BadInputError, GateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgefashion.bundles.bundle import Bundle
    from edgefashion.inference.classifier import Classifier

MOST_LOST: Final = 0.02
"""Share of the pictures by which the network may name fewer right here; one picture in any case."""
LEAST_AGREEMENT: Final = 0.95
"""Share of the pictures that it has to name as the original did; all but one in any case. INT8's rounding moves the few
that lie between two names."""
MOST_DIFFERENCE: Final = 0.05
"""Mean absolute difference of a probability. Our INT8 networks have 0.001 to 0.02."""
MOST_PICTURES: Final = 5000
_MOST_PIXELS: Final = 25_000_000
_MOST_BYTES: Final = 512 * 2**20
_UNREADABLE: Final = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True)
class Tried:
    """What a bundle's own pictures say of it on this machine. Shares are from 0 to 1."""

    pictures: int
    accuracy: float
    """Named right here, nothing rejected."""
    original_accuracy: float
    """Named right by the original, where the pack was made."""
    agreement: float
    """Named here as by the original."""
    mean_difference: float
    """Of a probability, absolute."""

    @property
    def faults(self) -> list[str]:
        """What is beyond the bounds, as phrases; empty where it passes."""
        one, found = 1 / self.pictures, []
        if self.accuracy < self.original_accuracy - max(MOST_LOST, one) - 1e-9:
            found.append(f"{self.accuracy:.1%} are named right, and were {self.original_accuracy:.1%}")
        if self.agreement < min(LEAST_AGREEMENT, 1 - one) - 1e-9:
            found.append(f"{self.agreement:.1%} are named as by the original")
        if not self.mean_difference <= MOST_DIFFERENCE:
            found.append(f"a probability differs by {self.mean_difference:.3f} on average")
        return found

    def as_json(self) -> dict[str, Any]:
        """Its fields, for ``--json``."""
        return asdict(self)


def try_pinned(of: Bundle, classifier: Classifier) -> Tried:
    """Name a bundle's pinned pictures with ``classifier``, which was loaded from it.

    Raises :class:`BadInputError` for a part that is no such pictures, :class:`GateError` where the answers are beyond
    the bounds.
    """
    from edgefashion.data.images import decode_image
    from edgefashion.evaluation.acceptance import is_right
    from edgefashion.inference.decision import Rule, decide
    from edgefashion.inference.predict import see

    pictures, labels, originals = _read(of, len(classifier.labels))

    def name(probabilities: NDArray[np.float32]) -> str:
        return decide(probabilities, classifier.labels, Rule(0.0), 1).label

    right, right_before, alike, difference = 0, 0, 0, 0.0
    for number, (jpeg, label, original) in enumerate(zip(pictures, labels, originals, strict=True)):
        image = decode_image(io.BytesIO(jpeg), f"pinned picture {number + 1}", None, _MOST_PIXELS).image
        seen = see(classifier, image)
        probabilities = seen[1] if seen else np.zeros_like(original)
        here, there = (name(probabilities) if seen else ""), name(original)
        right += is_right(here, (label,))
        right_before += is_right(there, (label,))
        alike += here == there
        difference += float(np.abs(probabilities - original).mean())
    count = len(pictures)
    tried = Tried(count, right / count, right_before / count, alike / count, difference / count)
    if tried.faults:
        raise GateError(
            f"{of.name} does not give the answers here that its maker measured: of its {count} pinned pictures "
            f"{', '.join(tried.faults)}. Not installed; nothing was changed"
        )
    return tried


def _read(of: Bundle, classes: int) -> tuple[list[bytes], Sequence[str], NDArray[np.float32]]:
    """The pinned JPEGs, their labels and the original's probabilities (n, classes)."""
    path = of.verified("pinned")
    try:
        with zipfile.ZipFile(path) as packed:
            if (size_bytes := sum(entry.file_size for entry in packed.infolist())) > _MOST_BYTES:
                raise ValueError(f"{size_bytes:,} bytes when unpacked")
        with np.load(path, allow_pickle=False) as stored:
            jpeg, ends = stored["jpeg"], stored["ends"]
            labels, probabilities = stored["labels"], stored["probabilities"]
        count = len(ends)
        whole = (
            jpeg.dtype == np.uint8
            and jpeg.ndim == 1
            and ends.dtype.kind in "iu"
            and labels.dtype.kind == "U"
            and labels.shape == ends.shape == (count,)
            and probabilities.shape == (count, classes)
            and probabilities.dtype.kind == "f"
            and 0 < count <= MOST_PICTURES
            and bool(np.isfinite(probabilities).all())
            and bool((np.diff(ends, prepend=0) > 0).all())
            and int(ends[-1]) == len(jpeg)
        )
        if not whole:
            raise ValueError("its arrays do not fit one another")
    except (*_UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        raise BadInputError(f"the pinned pictures of {of.name} cannot be read ({error}). Export it again") from error
    starts = [0, *(int(end) for end in ends[:-1])]
    cut = [jpeg[start : int(end)].tobytes() for start, end in zip(starts, ends, strict=True)]
    return cut, [str(label) for label in labels], probabilities.astype(np.float32)
