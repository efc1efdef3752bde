"""Labelled pictures that are likely labelled wrongly, as tools that clean labels find them.

A small network of one layer is trained on the features of a part of the pictures and asked for the others. Where it is
about as sure of another label as it usually is of that label's own pictures, and the given label is not what it sees, a
person should look again. This is the rule of confident learning (Northcutt, Jiang and Chuang, 2021, JAIR 70). The parts
are whole days and places: pictures of one garment on one table would else vouch for each other. A label that has
pictures in one part alone is left out, for a network that has never seen it says nothing of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS: Final = 5
LEAST_OF_A_LABEL: Final = 5
"""A label with fewer pictures is neither doubted nor named in another's place: nobody can say how it looks."""

USUAL: Final = 0.95
"""How near it has to come to what is usual. Of 167 labels of 3,353 photos that were changed by chance 134 are among
the 188 that are doubted, and 47 among the first 50 (``benchmarks/reviewing/measure.py``)."""

_DIRECTIONS: Final = 128
"""Of the features only what lies along so many directions, those in which they differ most, is looked at: it finds as
many mistakes as all of them, in a tenth of the time."""

_ROUNDS: Final = 60
_SHRINK: Final = 3e-2
"""The weight of the squared weights in what is minimized."""


@dataclass(frozen=True)
class Mistake:
    """A picture whose label is doubted."""

    index: int
    """Its row."""
    other: str
    """What it looks like instead."""
    sure: float
    """How sure the network of one layer is of that, from 0 to 1."""


def find(features: NDArray[np.float32], labels: Sequence[str], places: Sequence[str]) -> list[Mistake]:
    """The pictures that are likely labelled wrongly, the likeliest first.

    Args:
        features: float32 (n, d), a row for each picture.
        labels: n labels as people gave them.
        places: n names of the day and place where each was taken. Where all are of one, the pictures are parted
            singly. A label of one day and place beside others is neither doubted nor named in another's place.
    """
    often = Counter(labels)
    rows = np.array([i for i, label in enumerate(labels) if often[label] >= LEAST_OF_A_LABEL], np.int64)
    folds = _folds([places[i] for i in rows], [labels[i] for i in rows])
    parts = Counter(label for label, _ in {(labels[i], fold) for i, fold in zip(rows, folds.tolist(), strict=True)})
    learned = np.array([parts[labels[i]] > 1 for i in rows], np.bool_)
    rows, folds = rows[learned], folds[learned]
    names = sorted({labels[i] for i in rows})
    if len(names) < 2:
        return []
    given = np.array([names.index(labels[i]) for i in rows])
    seen = _seen_by_others(_reduced(features[rows]), given, folds, len(names))
    found = _doubted(seen, given)
    found.sort(key=lambda pair: seen[pair[0], given[pair[0]]] - seen[pair[0], pair[1]])
    return [Mistake(int(rows[i]), names[other], float(seen[i, other])) for i, other in found]


def _reduced(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The features along their principal directions, float32 (n, at most :data:`_DIRECTIONS`)."""
    x = features - features.mean(0)
    many = len(x) > x.shape[1]
    values, directions = np.linalg.eigh(x.T @ x if many else x @ x.T)
    most = directions[:, ::-1][:, :_DIRECTIONS]
    if many:
        return np.asarray(x @ most, np.float32)
    return np.asarray(most * np.sqrt(np.maximum(0, values[::-1][:_DIRECTIONS])), np.float32)


def _folds(places: list[str], labels: list[str]) -> NDArray[np.int64]:
    """The part of each picture: one of :data:`FOLDS`, the same for all of a place."""
    often, totals = Counter(places), Counter(labels)
    if len(often) == 1:
        return np.argsort(np.argsort(labels, kind="stable")) % FOLDS  # of each label some are in every part
    by_place = {place: Counter[str]() for place in often}
    for place, label in zip(places, labels, strict=True):
        by_place[place][label] += 1
    filled = [Counter[str]() for _ in range(FOLDS)]
    part: dict[str, int] = {}
    # The largest places first; ties by a hash, so that a place's name decides nothing. Each goes to the smallest of
    # the parts that would then have all of the fewest labels.
    for place in sorted(often, key=lambda place: (-often[place], hashlib.sha256(place.encode()).digest())):
        own = by_place[place]
        cost = [(sum(has[one] + n == totals[one] for one, n in own.items()), has.total()) for has in filled]
        part[place] = cost.index(min(cost))
        filled[part[place]].update(own)
    return np.array([part[place] for place in places], np.int64)


def _seen_by_others(
    features: NDArray[np.float32], given: NDArray[np.int64], folds: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """The probabilities (n, classes) that a network gives which was trained on the other parts."""
    seen = np.zeros((len(given), classes))
    for fold in np.unique(folds):
        out = folds == fold
        seen[out] = _trained(features[~out], given[~out], classes)(features[out])
    return seen


class _trained:  # noqa: N801  # reads as a function
    """A softmax regression: features (n, d) to probabilities (n, classes)."""

    def __init__(self, features: NDArray[np.float32], given: NDArray[np.int64], classes: int) -> None:
        self._middle = features.mean(0)
        self._scale = float((features - self._middle).std()) or 1.0
        x = self._ready(features)
        wanted = np.eye(classes, dtype=np.float32)[given]
        # Every label counts the same, as many pictures as it may have.
        weight = (1 / np.maximum(1, wanted.sum(0)))[given][:, None]
        weight /= weight.sum()
        self._weights = np.zeros((x.shape[1], classes), np.float32)
        before, step = self._weights, 1.0 / _steepest(x, weight)
        for number in range(1, _ROUNDS + 1):  # Nesterov's accelerated gradient
            ahead = self._weights + (number - 1) / (number + 2) * (self._weights - before)
            slope = x.T @ (weight * (_softmax(x @ ahead) - wanted)) + _SHRINK * ahead
            before, self._weights = self._weights, np.asarray(ahead - step * slope, np.float32)

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        return _softmax(self._ready(features) @ self._weights)

    def _ready(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        x = (features - self._middle) / self._scale
        return np.hstack([x, np.ones((len(x), 1))]).astype(np.float32)


def _steepest(x: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    """How fast the slope changes at most (a bound: half the largest eigenvalue of the weighted scatter)."""
    direction = np.ones(x.shape[1], np.float32)
    for _ in range(10):
        direction /= np.linalg.norm(direction)
        direction = x.T @ (weight * (x @ direction[:, None]))[:, 0]
    return float(np.linalg.norm(direction)) * 0.6 + _SHRINK


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)


def _doubted(seen: NDArray[np.float64], given: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pictures, and for each the label it is likelier of, by the rule of confident learning."""
    classes = seen.shape[1]
    usual = np.array([seen[given == one, one].mean() for one in range(classes)])
    found = []
    for i, row in enumerate(seen):
        sure = np.flatnonzero(row >= USUAL * usual)
        if len(sure) and (other := sure[row[sure].argmax()]) != given[i] and row[other] > row[given[i]]:
            found.append((i, int(other)))
    return found
