"""What the benchmarks of photos share: the folds by sender, the answers kept of each, and the stored figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgefashion.data import photo_folders

RESULTS = Path(__file__).parent / "results" / "photos.json"
ANSWERS = Path(__file__).parent / "results" / "folds"
FOLDS = 5


def folds_of(found: list[photo_folders.Photo]) -> np.ndarray[Any, Any]:
    """The fold of each photo: by sender, labels spread evenly."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels, senders = [p.label for p in found], [p.sender for p in found]
    fold = np.zeros(len(found), int)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for number, (_, test) in enumerate(splitter.split(labels, labels, senders)):
        fold[test] = number
    return fold


def kept_answers() -> Iterator[tuple[int, Any, Any, str]]:
    """Each trained fold's number, the photos it answered, their probabilities, and the kind left out or ""."""
    for file in sorted(ANSWERS.glob("fold?.npz")):
        with np.load(file) as kept:
            yield int(file.stem[-1]), kept["at"], kept["answers"], str(kept["leave"])


def keep(facts: dict[str, Any]) -> None:
    """Add ``facts`` to the stored results."""
    stored = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**stored, **facts}, indent=1) + "\n", encoding="utf-8")
