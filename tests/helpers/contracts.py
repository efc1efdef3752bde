"""Fashion-MNIST classifiers as other people make them: fed and read in every usual way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgefashion.data import fashion_mnist
from edgefashion.inference import contract
from edgefashion.inference.contract import Feed, normalised, ranged
from edgefashion.inference.contract_measure import Network
from edgefashion.labels import LABELS

ALPHABET: Final = tuple(int(place) for place in np.argsort(np.argsort(LABELS)))
"""The place of each label where folders' names gave the order."""

FEEDS: Final[dict[str, Feed]] = {
    "0-255": ranged(0, 255),
    "0-1": ranged(0, 1),
    "-1-1": ranged(-1, 1),
    "Fashion-MNIST's": normalised(0, 1, (0.2860,), (0.3530,)),
    "MNIST's": normalised(0, 1, (0.1307,), (0.3081,)),
    "ImageNet's": normalised(0, 1, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inverted": ranged(0, 1).inverted(),
    "inverted bytes": ranged(0, 255).inverted(),
    "centred bytes": ranged(-128, 127),
}


@cache
def trained() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A softmax regression on pixels from 0 to 1, trained on the first 2,500 training images: weights and bias."""
    images, labels = fashion_mnist.load("train")
    pixels, wanted = (
        (images[:2500].reshape(-1, 784) / 255).astype(np.float32),
        np.eye(10, dtype=np.float32)[labels[:2500]],
    )
    weights: NDArray[Any] = np.zeros((784, 10), np.float32)
    bias: NDArray[Any] = np.zeros(10, np.float32)
    pace: NDArray[Any] = np.zeros((784, 10), np.float32)
    for _ in range(150):
        off = np.asarray(contract.as_probabilities(pixels @ weights + bias, contract.LOGITS)) - wanted
        pace = 0.9 * pace - 0.05 * pixels.T @ off / len(pixels)
        weights, bias = weights + pace, bias - 0.5 * off.mean(0)
    logits, at = pixels @ weights + bias, np.arange(len(labels[:2500]))

    def loss(sure: float) -> float:
        return -float(np.log(contract.as_probabilities(logits * sure, contract.LOGITS)[at, labels[:2500]]).mean())

    sure = min(np.linspace(0.5, 5, 46), key=loss)  # as a whole training ends: neither too sure nor too little
    return weights * sure, bias * sure


def logits_of(pixels: NDArray[Any], feed: Feed) -> NDArray[np.float64]:
    """The regression's logits for pixels (n, 28, 28, c) that were fed by ``feed``."""
    weights, bias = trained()
    real = (pixels - np.array(feed.offset, np.float32)) / np.array(feed.factor, np.float32) / 255
    mixed = real @ np.array([2, -1.5, 0.5], np.float32)[: real.shape[-1]] / (2 if real.shape[-1] == 1 else 1)
    return np.asarray(mixed.reshape(len(real), -1) @ weights + bias)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


READ: Final[dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    contract.LOGITS: lambda logits: logits,
    contract.PROBABILITIES: softmax,
    contract.LOGARITHMS: lambda logits: (
        logits
        - logits.max(1, keepdims=True)
        - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
    ),
    contract.SIGMOIDS: lambda logits: 1 / (1 + np.exp(-np.clip(logits, -80, 80))),
    contract.ROUNDED: lambda logits: np.round(softmax(logits) * 64) / 64,
}


def network(
    feed: str = "0-1",
    shape: tuple[int, ...] = (28, 28, 1),
    answer: str = contract.LOGITS,
    order: tuple[int, ...] = (),
    *,
    first: bool = True,
    spoilt: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda logits: logits,
) -> Network:
    """A model as somebody made it; ``first``: its answers are the first of its outputs, else another head is."""

    def ask(pixels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        given = pixels.astype(np.float32)
        given = given.transpose(0, 2, 3, 1) if shape[0] == 3 else given
        given = given if given.shape[-1] == 3 else given.reshape(len(given), 28, 28, 1)
        answers = READ[answer](spoilt(logits_of(given, FEEDS[feed])))
        answers = answers[:, np.argsort(order)] if order else answers
        heads = {"features": np.zeros((len(given), 7)), "other": np.tile(np.eye(10)[3], (len(given), 1))}
        return {"label": answers} if first else {**heads, "label": answers}

    return Network("theirs.onnx", shape, np.dtype(np.float32), contract.PLAIN, ask, ranged(0, 1), "usual")


def _swapped(one: str, other: str) -> tuple[int, ...]:
    order = list(range(len(LABELS)))
    order[LABELS.index(one)], order[LABELS.index(other)] = order[LABELS.index(other)], order[LABELS.index(one)]
    return tuple(order)


SHIRTS: Final = _swapped("Shirt", "T-shirt/top")
"""The two labels that are taken for each other most often."""
