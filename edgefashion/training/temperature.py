"""Temperature scaling: confidences made honest by dividing the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Put a temperature into the network's last dense layer, where it costs nothing."""
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    last.set_weights([weight / temperature for weight in last.get_weights()])


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
