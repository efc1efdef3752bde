"""How far a network's confidence is from its accuracy, and the temperature that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 15


def expected_calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The mean gap between confidence and accuracy over 15 equal bins of confidence, 0 to 1.

    ``probabilities`` (n, classes), ``labels`` (n,). Source: Guo, Pleiss, Sun and Weinberger, "On
    calibration of modern neural networks", 2017, whose number of bins this is.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(place, right - confidence.astype(np.float64), BINS)
    return float(np.abs(gaps).sum() / len(labels))


def fit_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature by which to divide the logits for the least negative log-likelihood of ``labels``.

    Temperature scaling (Guo et al., 2017), by golden-section search over its logarithm from 0.1 to 10.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]))

    low, high, ratio = np.log(0.1), np.log(10.0), (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))
