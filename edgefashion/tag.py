"""Name the garment in every picture of an inventory: decoded by processes, inferred in batches, one row a picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgefashion.classify import Classifier

Progress = Callable[[int, int | None, float], None]
"""Called with the pictures that have their row, how many there are (None while they are counted), and the
pictures a second of this run."""


@dataclass(frozen=True)
class TagOptions:
    """How to tag."""

    workers: int | None = None
    """Processes that decode; None: one a core."""
    on_progress: Progress | None = None


@dataclass(frozen=True)
class Summary:
    """What a run did, and what it spent its time on."""

    pictures: int
    """Rows in the output."""
    errors: int
    """Rows this run wrote for pictures that could not be read."""
    done_before: int
    """Pictures that had their row from an earlier run."""
    seconds: float
    """Of this run, by the clock."""
    reading_s: float = 0.0
    decoding_s: float = 0.0
    finding_s: float = 0.0
    inference_s: float = 0.0
    other_s: float = 0.0
    """Handing over, rows and the output."""


def made_with(classifier: Classifier) -> dict[str, str]:
    """What the rows depend on, so that two runs into one output can be told to be of one kind."""
    from edgefashion import __version__

    digest = hashlib.sha256()
    source = Path(classifier.source)
    for part in (source, source.with_suffix(".bin")):
        if part.is_file():
            digest.update(part.read_bytes())
    return {
        "model": classifier.name,
        "sha256": digest.hexdigest(),
        "precision": classifier.precision,
        "version": __version__,
    }


def tag(classifier: Classifier, paths: Sequence[str], out: Path, options: TagOptions | None = None) -> Summary:
    """Write a row for every picture in ``paths`` to ``out``."""
    raise NotImplementedError
