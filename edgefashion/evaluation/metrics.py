"""Statistics of a classifier's answers: calibration error, McNemar's test, ROC area, confusion matrix, intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 15
"""Of confidence."""

EXACTLY: Final = 1e-6
"""What shares of whole images that are the same may differ by in floating point: 0.905 - 0.9 is above 0.005."""

_Z95: Final = 1.959964
"""The normal distribution's 97.5 % point."""


def expected_calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The mean gap between confidence and accuracy over 15 equal bins of confidence, 0 to 1.

    ``probabilities`` (n, classes), ``labels`` (n,). Source: Guo, Pleiss, Sun and Weinberger, "On
    calibration of modern neural networks", 2017, whose number of bins this is.
    """
    return reliability(probabilities.max(1), probabilities.argmax(1) == labels).ece


@dataclass(frozen=True)
class Reliability:
    """Confidence beside rightness, in equal bins of confidence."""

    edges: NDArray[np.float64]
    """(bins + 1,), from 0 to 1."""
    counts: NDArray[np.int64]
    """Answers in each bin, (bins,)."""
    confidence: NDArray[np.float64]
    """Their mean confidence, (bins,); NaN in a bin without answers."""
    right: NDArray[np.float64]
    """Share of them that is right, (bins,); NaN in a bin without answers."""

    @property
    def ece(self) -> float:
        """The expected calibration error, 0 to 1: the mean gap between the two, each bin by its answers."""
        gaps = np.abs(self.right - self.confidence)
        return float(np.nansum(gaps * self.counts) / self.counts.sum())


def reliability(confidence: NDArray[Any], right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """How right answers (n,) of each confidence (n,), from 0 to 1, are; at least one. After Guo and others, 2017."""
    place = np.minimum((np.asarray(confidence, np.float64) * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, of, bins) / counts for of in (confidence, right)]
    return Reliability(np.linspace(0, 1, bins + 1), counts, *means)


def risk_coverage(
    confidence: NDArray[Any], right: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What it costs to answer more: the coverage (k,), the share of answers (n,) that are given from some confidence
    on, and the risk (k,), the share of these that is wrong. The surest come first; answers of one confidence are given
    together. Source: El-Yaniv and Wiener, "On the foundations of noise-free selective classification", 2010.
    """
    order = np.argsort(-confidence, kind="stable")
    n = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~right[order]) / n
    last = np.append(np.diff(confidence[order]) != 0, True)[: len(order)]
    return n[last] / len(order), wrong[last]


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


def overlaps(ours: NDArray[np.float64], theirs: NDArray[np.float64], of_first: bool = False) -> NDArray[np.float64]:
    """How much each of the boxes ``ours`` (n, 4) overlaps each of ``theirs`` (m, 4): (n, m), 0 to 1.

    Boxes are (x, y, width, height). The area of the intersection is divided by that of the union, or with ``of_first``
    by that of our box: so much of it lies inside the other.
    """
    a, b = ours[:, None], theirs[None]
    edges = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = np.maximum(edges, 0).prod(-1)
    own = a[..., 2:].prod(-1)
    return np.asarray(both / np.maximum(own if of_first else own + b[..., 2:].prod(-1) - both, 1e-9), np.float64)
