"""Probabilities to an answer: the label, and whether it is accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.labels import LABELS, NO_GARMENT, UNKNOWN, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACCEPT_QUANTILE: Final = 0.01
"""Share of the held-out garments, the least certain ones, that a shipped threshold rejects."""

PHOTO_QUANTILE: Final = 0.03
"""The same for a network that knows the reject label. It rejects more known garments, and with them more unknown
ones."""

NONE_LEVEL: Final = 0.2
"""Probability of "No garment" from which that is the answer. It is the lowest of five that were tried: of 2,905 photos
of garments, by senders not trained on, none reaches it (``benchmarks/networks/photos.py none``)."""


@dataclass(frozen=True)
class Answer:
    """What is said of one picture."""

    label: str
    confidence: float
    accepted: bool
    top: tuple[tuple[str, float], ...]
    """The likeliest labels with their probabilities, likeliest first."""


def accept_threshold(probabilities: NDArray[np.float32], labels: tuple[str, ...] = LABELS) -> float:
    """The score that all but ``ACCEPT_QUANTILE`` of the held-out garments' ``probabilities`` reach,
    or all but ``PHOTO_QUANTILE`` of them where the network knows the reject label.

    Rounded down to four decimals, so that rounding never rejects more.
    """
    # As a Python float: in float32 the multiplication itself may round up.
    share = PHOTO_QUANTILE if UNKNOWN in labels else ACCEPT_QUANTILE
    return int(float(np.quantile(acceptance(probabilities, labels), share)) * 1e4) / 1e4


def acceptance(probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> NDArray[np.float32]:
    """The score (n,) that decides whether an answer counts, of ``probabilities`` (n, classes).

    For a network that knows the reject label it is the sum of all known garments' probabilities, for another the
    largest probability.
    """
    if UNKNOWN not in labels:
        return np.asarray(probabilities.max(-1), np.float32)
    known = [labels.index(label) for label in labels if label not in (UNKNOWN, NO_GARMENT)]
    return np.asarray(probabilities[..., known].sum(-1), np.float32)


def shows_none(probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> bool:
    """True if a network that can say so sees no garment in the picture: (classes,)."""
    return NO_GARMENT in labels and bool(probabilities[labels.index(NO_GARMENT)] > NONE_LEVEL)


def likeliest(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """The likeliest of the ten labels for each of ``probabilities`` (n, 10 or more): the answer to a Fashion-MNIST
    image. Labels are not grouped: the image's true label names the kind of shoe."""
    return np.asarray(probabilities[:, : len(LABELS)].argmax(1), np.int64)


def best(probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> NDArray[np.int64]:
    """The answer's position in ``labels`` for each of ``probabilities`` (n, classes), nothing rejected.

    A group's labels count together, and the likeliest of them is the answer where the group wins. Alone, each of the
    three kinds of shoe could lose to a label that is less likely than all three.
    """
    members = [at for name, at in groups(labels).items() if name not in (UNKNOWN, NO_GARMENT)]
    chosen = np.stack([probabilities[:, at].sum(1) for at in members], 1).argmax(1)
    first: NDArray[np.int64] = np.array([at[0] for at in members], np.int64)[chosen]
    for number, at in enumerate(members):
        if len(at) > 1:
            won = chosen == number
            first[won] = np.array(at)[probabilities[won][:, at].argmax(1)]
    return first


def decide(probabilities: NDArray[np.float32], labels: tuple[str, ...], threshold: float, top: int = 3) -> Answer:
    """The answer for one picture's ``probabilities``, float32 (classes,)."""
    return decide_all(probabilities[None], labels, threshold, top)[0]


def decide_all(
    probabilities: NDArray[np.float32], labels: tuple[str, ...], threshold: float, top: int = 3
) -> list[Answer]:
    """The answers for several pictures' ``probabilities``, float32 (n, classes)."""
    orders = np.argsort(-probabilities, axis=1, kind="stable").tolist()
    if UNKNOWN in labels:
        firsts = best(probabilities, labels).tolist()
        orders = [
            [first, *(i for i in order if i != first and labels[i] not in (UNKNOWN, NO_GARMENT))]
            for first, order in zip(firsts, orders, strict=True)
        ]
    accepted = (acceptance(probabilities, labels) >= threshold).tolist()
    answers = []
    for row, order, counts in zip(probabilities.tolist(), orders, accepted, strict=True):
        ranked = tuple((labels[i], row[i]) for i in order[:top])
        answers.append(Answer(*ranked[0], counts, ranked))
    return answers
