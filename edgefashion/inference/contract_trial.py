"""A way to feed and read a model made elsewhere, tried on training images: which of several is the better.

Most right answers count first, then the loss, which training lessened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.inference import contract
from edgefashion.inference.contract import Feed
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_RIGHT: Final = 0.3
"""Share of training images below which a model fits in no way. Chance is 0.1."""
ALIKE_FIRST: Final = 0.05
"""Shares of right answers that differ by less on few images are told apart by the loss."""
ALIKE: Final = 0.01
"""The same on more images."""
_SURENESS: Final = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""What the logarithms of a network's answers are multiplied with, in turn."""
_SURE: Final = 0.5
"""Standard errors by which a loss has to be less, for a rarer way to be taken in a commoner one's place."""
_CLEARLY: Final = 0.05
"""By how much another order of the labels has to be right more often to be beyond doubt."""
_BEYOND_DOUBT: Final = 5.0
"""And by how many standard errors; also the standard errors by which another way has to be better than what is told."""
_MUCH_LESS: Final = 0.95
"""Of a loss, what another way's has to be below, for it to be better for a purpose."""


@dataclass(frozen=True)
class Trial:
    """One way to feed and read a network, tried."""

    feed: Feed
    output: str
    answer: str
    order: tuple[int, ...]
    """The order of the labels that its answers show beyond doubt, or that was told; empty for Fashion-MNIST's."""
    right: float
    """Share right in that order."""
    right_as_is: float
    """Share right in Fashion-MNIST's."""
    shown: tuple[int, ...]
    """The order that its answers show beyond doubt; empty for the one that was told, or Fashion-MNIST's."""
    right_shown: float
    """Share right in that one."""
    confidence: float
    losses: NDArray[np.float64]
    eased: NDArray[np.float64]
    """The same by :func:`eased_losses`."""

    @property
    def loss(self) -> float:
        return float(self.losses.mean())


def eased_losses(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The cross-entropy (n) of answers (n, 10), all made as much surer or less sure as makes it least.

    Not each training lessens the cross-entropy itself: with smoothed labels, squares or margins a network is less sure
    than it is right, and more contrast than its author's makes up for that.
    """
    logs = np.log(np.maximum(probabilities, 1e-7).astype(np.float64))
    at = np.arange(len(labels))
    tried = (np.log(np.exp(logs * sure).sum(1)) - logs[at, labels] * sure for sure in _SURENESS)
    return min(tried, key=lambda losses: float(losses.mean()))


def is_better(other: Trial, found: Trial) -> bool:
    """True where another way has a loss so much less, eased or not, that it is neither chance nor a trifle."""
    for theirs, own in ((other.losses, found.losses), (other.eased, found.eased)):
        less = own - theirs
        if less.mean() <= _BEYOND_DOUBT * _error_of(less) or theirs.mean() >= _MUCH_LESS * own.mean():
            return False
    return True


def names_of(order: tuple[int, ...]) -> str:
    """The labels as their answers stand, with commas."""
    return ",".join(LABELS[order.index(place)] for place in range(len(LABELS)))


def shown_order(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], otherwise: tuple[int, ...] = ()
) -> tuple[int, ...] | None:
    """The place of each label among the answers (n, 10), where that is not the order ``otherwise`` beyond doubt.

    Beyond doubt: each label is taken for another place than the rest, and read so more answers are right, by far more
    than chance. ``otherwise`` is Fashion-MNIST's order if it is empty.
    """
    count = len(LABELS)
    seen = np.zeros((count, count))
    np.add.at(seen, (labels, probabilities.argmax(1)), 1)
    seen /= np.maximum(seen.sum(1, keepdims=True), 1)
    order = [-1] * count
    for at in np.argsort(-seen, axis=None):  # the surest pair first
        label, place = divmod(int(at), count)
        if order[label] < 0 and place not in order:
            order[label] = place
    right = probabilities[:, order].argmax(1) == labels
    more = right.astype(float) - (contract.ordered(probabilities, otherwise).argmax(1) == labels)
    beyond = more.mean() >= max(_CLEARLY, _BEYOND_DOUBT * _error_of(more))
    return tuple(order) if beyond and right.mean() >= LEAST_RIGHT * 2 else None


def _error_of(differences: NDArray[np.float64]) -> float:
    """The standard error of their mean."""
    return float(differences.std() / np.sqrt(len(differences)))


def ranked(trials: Sequence[Trial], alike: float) -> list[Trial]:
    """Those that are right most often first; of those whose shares are ``alike`` the one with the least loss."""
    if not trials:
        return []
    best = max(t.right for t in trials)
    return sorted(trials, key=lambda t: (max(0.0, best - alike - t.right), t.loss))


def commonest(trials: Sequence[Trial], feeds: Sequence[Feed]) -> Trial:
    """The best by its loss or by its eased loss, whichever is the commoner way; or one that is commoner still
    and as good within chance."""
    places = {feed.name: place for place, feed in enumerate(feeds)}
    by_loss = ranked(trials, ALIKE)
    eased = ranked([replace(t, losses=t.eased) for t in trials], ALIKE)
    found = [_commoner(tried, places) for tried in (by_loss, eased)]
    found[1] = next(t for t in trials if (t.feed, t.output) == (found[1].feed, found[1].output))
    return min(found, key=lambda t: places[t.feed.name])


def _commoner(tried: Sequence[Trial], places: Mapping[str, int]) -> Trial:
    best = tried[0]
    for other in sorted(tried[1:], key=lambda t: places[t.feed.name]):
        if other.output != best.output or places[other.feed.name] > places[best.feed.name]:
            continue
        worse = other.losses - best.losses
        if best.right - other.right <= ALIKE / 5 and float(worse.mean()) <= _SURE * _error_of(worse):
            return other
    return best
