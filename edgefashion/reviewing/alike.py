"""Pictures that the network sees as alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIKE: Final = 0.8
"""Cosine of two pictures' features from which they are alike. Of the pairs of 3,353 photos that are as close, 97.9 %
have the same label, and 88 % of the photos have such a neighbour (``benchmarks/reviewing/measure.py``). A person looks
at them before anything is done, so the bound may be wrong now and then."""

MOST: Final = 200
"""Pictures that are shown as alike: nobody looks at more at once."""


def like(rows: NDArray[np.float32], one: NDArray[np.float32], least: float = ALIKE, most: int = MOST) -> list[int]:
    """Which of the ``rows`` float32 (n, d), each of length 1, are like ``one`` (d,); the likest first."""
    close = rows @ one
    order = np.argsort(-close, kind="stable")[:most]
    return [int(i) for i in order if close[i] >= least]
