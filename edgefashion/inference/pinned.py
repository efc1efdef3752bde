"""Pictures that are pinned in a bundle: what it has to name where it is installed as it did where it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pinned_of(
    pictures: Sequence[bytes], labels: Sequence[str], probabilities: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """The arrays of ``pinned.npz``: JPEG files, their labels, and the original's probabilities (n, classes)."""
    return {
        "jpeg": np.frombuffer(b"".join(pictures), np.uint8),
        "ends": np.cumsum([len(picture) for picture in pictures], dtype=np.int64),
        "labels": np.array(labels, dtype=np.str_),
        "probabilities": np.asarray(probabilities, np.float32),
    }
