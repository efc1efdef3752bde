"""A head that knows a shop's labels: one layer, trained on features, and drawn to the one it began as.

The features stay the start's, so this is logistic regression: it needs numpy alone and takes seconds. What is learned
is how the new weights differ from the old ones, and every difference has its price. So a few pictures change little.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.inference.head import Head
from edgefashion.training.divergence import refuse_diverged

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class HeadOptions:
    """How a head is trained. Chosen by ``benchmarks/networks/shop.py`` on senders that its report does not use."""

    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 3e-3
    drawn: float = 0.02
    """What it costs to leave the start's weights: half of the square of the difference, beside a mean loss of 1 a
    picture."""
    anchors: float = 1.0
    """What the start's own pictures of a label together count beside the shop's of a label."""
    seed: int = 0

    def __post_init__(self) -> None:
        for rule, ok in (
            ("--epochs must be from 1 to 1000", 1 <= self.epochs <= 1000),
            ("the learning rate must be above 0 and finite", 0 < self.learning_rate < math.inf),
            ("--seed must be from 0 to 4294967295", 0 <= self.seed < 2**32),
        ):
            if not ok:
                raise BadInputError(rule)

    def but(self, **given: object) -> HeadOptions:
        """With what is ``given`` (and not None) in place of its own."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Lessons:
    """What a head learns from."""

    features: NDArray[np.float32]
    """(n, size)"""
    right: NDArray[np.bool_]
    """(n, classes): the labels that are right for each; of several their sum is to be likely."""
    weight: NDArray[np.float32]
    """(n,), what each counts."""


@dataclass
class State:
    """A training between two epochs: what ``--resume`` goes on from."""

    head: Head
    moments: list[NDArray[np.float32]]
    """Of the weights and the bias: the mean of the gradients and of their squares."""
    epoch: int = 0
    """Finished ones."""

    @classmethod
    def begin(cls, head: Head) -> State:
        """Before the first epoch."""
        zeros = [np.zeros_like(of) for of in (head.weights, head.weights, head.bias, head.bias)]
        return cls(Head(head.weights.copy(), head.bias.copy()), zeros)


EpochDone = Callable[[int, int, float, float], None]
"""Takes the epochs done, their number, the share of the pictures that are right, and the seconds that are left."""


def fit(
    start: Head, lessons: Lessons, options: HeadOptions, state: State | None = None, on_epoch: EpochDone | None = None
) -> State:
    """Train a head that begins as ``start``. ``state`` is changed as it goes: whoever is interrupted still has it.

    Raises :class:`edgefashion.training.divergence.DivergedError` where a weight is no number any more.
    """
    state = State.begin(start) if state is None else state
    steps = max(1, -(-len(lessons.features) // options.batch_size))
    total = steps * options.epochs
    began, first = time.monotonic(), state.epoch
    weight = lessons.weight / lessons.weight.mean()
    while state.epoch < options.epochs:
        # Seeded by the epoch: a training that goes on draws what an unbroken one would have drawn.
        order = np.random.default_rng((options.seed, state.epoch)).permutation(len(weight))
        hits = 0.0
        weights, bias = state.head.weights, state.head.bias
        moments = [moment.copy() for moment in state.moments]
        for number, at in enumerate(np.array_split(order, steps)):
            step = state.epoch * steps + number
            likely = Head(weights, bias)(lessons.features[at])
            shared = likely * lessons.right[at]
            there = shared.sum(1, keepdims=True)
            hits += float((there[:, 0] > 0.5).sum())
            off = (likely - shared / np.maximum(there, 1e-12)) * (weight[at][:, None] / len(at))
            slopes = (
                lessons.features[at].T @ off + options.drawn * (weights - start.weights),
                off.sum(0) + options.drawn * (bias - start.bias),
            )
            rate = options.learning_rate * 0.5 * (1 + np.cos(np.pi * step / total))
            weights, moments[0], moments[1] = _adam(weights, slopes[0], moments[0], moments[1], rate, step + 1)
            bias, moments[2], moments[3] = _adam(bias, slopes[1], moments[2], moments[3], rate, step + 1)
        refuse_diverged(f"epoch {state.epoch + 1}", {}, [weights, bias, likely], options.learning_rate)
        # In one step: an interruption finds the whole epoch or none of it.
        state.head, state.moments, state.epoch = Head(weights, bias), moments, state.epoch + 1
        if on_epoch:
            left_s = (time.monotonic() - began) / (state.epoch - first) * (options.epochs - state.epoch)
            on_epoch(state.epoch, options.epochs, hits / len(order), left_s)
    return state


def _adam(
    value: NDArray[np.float32],
    slope: NDArray[np.float32],
    mean: NDArray[np.float32],
    square: NDArray[np.float32],
    rate: float,
    step: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """One step of Adam (Kingma and Ba, 2014) with its own constants."""
    mean = 0.9 * mean + 0.1 * slope
    square = 0.999 * square + 0.001 * slope * slope
    moved = rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return np.asarray(value - moved, np.float32), np.asarray(mean, np.float32), np.asarray(square, np.float32)


def widened(start: Head, likely: NDArray[np.float32]) -> Head:
    """The start's head with a place for each new label, before Unknown and No garment, its last two.

    A new label begins as the mixture of what the start takes its pictures for, ``likely`` (new, classes), each row a
    mean of probabilities, and a little less likely than that: until it is learned the start's answers stand.
    """
    weights = start.weights @ likely.T
    bias = likely @ start.bias - 1.0
    at = start.weights.shape[1] - 2
    return Head(
        np.asarray(np.concatenate([start.weights[:, :at], weights, start.weights[:, at:]], 1), np.float32),
        np.asarray(np.concatenate([start.bias[:at], bias, start.bias[at:]]), np.float32),
    )
