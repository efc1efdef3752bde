"""Statistics of a classifier's answers: calibration error, McNemar's test, ROC area, confusion matrix, intervals."""

from __future__ import annotations

import math
from math import comb
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 15
"""Of :func:`expected_calibration_error`."""

_Z95: Final = 1.959964
"""The normal distribution's 97.5 % point."""


def expected_calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The mean gap between confidence and accuracy over 15 equal bins of confidence, 0 to 1.

    ``probabilities`` (n, classes), ``labels`` (n,). Source: Guo, Pleiss, Sun and Weinberger, "On
    calibration of modern neural networks", 2017, whose number of bins this is.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(place, right - confidence.astype(np.float64), BINS)
    return float(np.abs(gaps).sum() / len(labels))


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947) for two classifiers on the same images.

    Of the images that only one of them names right, each is as likely the first's as the second's if the two
    are equally good: ``only_first`` is then binomial with probability 1/2, and p is twice its smaller tail.
    """
    n = only_first + only_second
    tail = sum(comb(n, k) for k in range(min(only_first, only_second) + 1))
    p: float = 2 * tail / 2**n  # whole numbers divide without overflow, however large
    return min(1.0, p)


def auroc(high: list[float], low: list[float]) -> float | None:
    """Area under the ROC curve: the probability that one of ``high`` exceeds one of ``low``, ties
    half (Mann and Whitney, 1947). None where either is empty."""
    if not high or not low:
        return None
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return float(below.sum() / 2 / (len(high) * len(low)))


def confusion_matrix(truth: NDArray[np.int64], answers: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts, (classes, classes): row the true class, column the answer."""
    return np.bincount(truth * classes + answers, minlength=classes**2).reshape(classes, classes)


def wilson95(right: int, n: int) -> tuple[float, float]:
    """Wilson's score interval (1927) for ``right`` of ``n``, which unlike the normal
    approximation stays inside 0 to 1 and holds for accuracies near 1."""
    share, z2 = right / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)  # the ends are reached, but for rounding
