"""By which rule a photo network's answers count, chosen on answers to photos that it was not trained on.

How likely an answer is right is taken from its share and its name, by logistic regression: one slope for all names, and
for each name an offset that is drawn towards their mean, so that a name with few answers has about the others' curve
rather than one of its own. An answer then counts from one and the same likelihood on, whatever its name; as a share
that is another floor for each. The likelihood is the lowest at which enough of what counts is right, by the lower end
of an interval: with few photos it is chosen with more care.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles.facts import Thresholds
from edgefashion.inference import decision
from edgefashion.inference.decision import Rule
from edgefashion.labels import NO_GARMENT, PHOTO_LABELS, UNKNOWN, stands_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

TARGET: Final = 0.97
"""Share that is to be right of the answers that count."""

CONFIDENCE_Z: Final = 1.281552
"""The normal distribution's 90 % point. Chosen without the interval, floors leave less right elsewhere than they were
chosen for, by about a point on 500 photos and three on 200."""

FEWEST: Final = math.ceil(CONFIDENCE_Z**2 * TARGET / (1 - TARGET))
"""Photos of known garments, 54, below which no rule is chosen: even if all of them were right it would prove less than
the target. Whoever begins from a network keeps its rule then."""

LEAST_FLOOR: Final = 0.5
"""Nothing is sure of which the network gives half of its probability away."""

_SPREAD: Final = 1.0
"""Of the names' offsets, as logits."""


@dataclass(frozen=True)
class Chosen:
    """A rule, and what it makes of the answers it was chosen on."""

    rule: Rule
    target: float
    n: int
    """Photos."""
    accepted: float
    """Share of the photos with an answer that counts, 0 to 1."""
    right: float | None
    """Share of these that is right; None where no answer counts."""
    kinds_told: int
    """Photos of which the kind of shoe is known and was told."""
    kinds_right: float | None
    """Share of these that is right; None without any."""

    def thresholds(self, chosen_on: str) -> Thresholds:
        """The rule as a bundle states it."""
        rule = self.rule
        return Thresholds(rule.threshold, chosen_on, floors=dict(rule.floors), kind_floor=rule.kind_floor)

    def as_json(self) -> dict[str, Any]:
        """For a bundle's report."""
        return {
            "rule": self.rule.as_json(),
            "target": self.target,
            "n": self.n,
            "accepted": self.accepted,
            "accepted_right": self.right,
            "kinds_told": self.kinds_told,
            "kinds_right": self.kinds_right,
        }


def is_right(answer: str, labels: Collection[str]) -> bool:
    """True if a photo's labels let an answer's name stand: one of them is the same, its group, or of the group that is
    named. Labels may be a folder's (``T-shirt``) or a network's."""
    return any(not stands_for(answer).isdisjoint(stands_for(label)) for label in labels)


def choose_rule(
    probabilities: NDArray[np.float32],
    truths: Sequence[Collection[str]],
    labels: tuple[str, ...] = PHOTO_LABELS,
    *,
    target: float = TARGET,
    threshold: float | None = None,
) -> Chosen:
    """The rule by which most answers count while ``target`` of them are right.

    ``probabilities`` (n, classes) are a photo network's, of photos it was not trained on, those of Unknown and of No
    garment among them; ``truths`` (n,) are the labels that are right for each, all that can be defended. Where nothing
    reaches the target all floors are 1, and of too few photos to prove it (54 for 97 %) they are the target itself. The
    kind of shoe is told only where it reaches the target too. ``threshold``: the one to take; None: chosen too.
    """
    held = _HeldOut(probabilities, truths, labels)
    threshold = held.threshold() if threshold is None else threshold
    kind_floor = held.kind_floor(target)
    return held.measured(Rule(threshold, held.floors(threshold, kind_floor, target), kind_floor), target)


def measure_rule(
    probabilities: NDArray[np.float32],
    truths: Sequence[Collection[str]],
    rule: Rule,
    labels: tuple[str, ...] = PHOTO_LABELS,
) -> Chosen:
    """What a rule that was chosen elsewhere makes of such answers as :func:`choose_rule` takes."""
    return _HeldOut(probabilities, truths, labels).measured(rule, TARGET)


class _HeldOut:
    """Answers to photos that the network was not trained on, beside what is right for them."""

    def __init__(
        self, probabilities: NDArray[np.float32], truths: Sequence[Collection[str]], labels: tuple[str, ...]
    ) -> None:
        self.probabilities, self.truths, self.labels = probabilities, truths, labels
        shares = decision.group_shares(probabilities, labels)
        self.names = list(shares)
        table = np.stack(list(shares.values()), 1)
        self.name, self.share = table.argmax(1), table.max(1).astype(np.float64)
        self.score = decision.acceptance(probabilities, labels)
        self.none = np.array([decision.shows_none(row, labels) for row in probabilities], np.bool_)
        self.known = np.array([not set(truth) <= {UNKNOWN, NO_GARMENT} for truth in truths], np.bool_)
        said = [self.names[at] for at in self.name]
        self.right = np.array([is_right(*each) for each in zip(said, truths, strict=True)], np.bool_)
        self.part = np.zeros(len(table))
        """Of the share, the likeliest kind's; 0 where the answer has no kinds."""
        self.kind_known = np.zeros(len(table), np.bool_)
        self.kind_right = np.zeros(len(table), np.bool_)
        for group, (members, parts) in decision.kinds(probabilities, labels).items():
            for at in np.flatnonzero(self.name == self.names.index(group)).tolist():
                self.part[at] = parts[at]
                self.kind_known[at] = self.right[at] and not is_all_of(group, truths[at])
                self.kind_right[at] = is_right(labels[members[at]], truths[at])

    def kind_floor(self, target: float) -> float | None:
        """From which part of the share the kind is told; None where it is not known surely enough."""
        known = self.kind_known & ~self.none
        floor = lowest(self.part[known], self.kind_right[known], target)
        return None if floor is None else _rounded(floor)

    def threshold(self) -> float:
        """The one that rejects the usual share of the known garments; 0 without any."""
        known = self.probabilities[self.known]
        return decision.accept_threshold(known, self.labels) if len(known) else 0.0

    def floors(self, threshold: float, kind_floor: float | None, target: float) -> dict[str, float]:
        """The floor of each name with which, at the threshold, most answers count and the target is reached."""
        told = self.part >= (2.0 if kind_floor is None else kind_floor)
        right = self.right & (self.kind_right | ~(told & self.kind_known))
        at = (self.score >= threshold) & ~self.none
        # A wrong kind is no reason to doubt that it is a shoe: it counts for the choice, not for the curve.
        curve = _Curve(self.share[at], self.name[at], self.right[at], len(self.names))
        # Where the floor stands already, no likelihood helps: it takes no part in the choice.
        sure = self.share[at] >= LEAST_FLOOR
        if sure.sum() < CONFIDENCE_Z**2 * target / max(1 - target, 1e-9):
            # Even if all of them were right it would prove nothing: shares are taken at their word.
            return dict.fromkeys(self.names, target)
        likelihood = lowest(curve.of(self.share[at], self.name[at])[sure], right[at][sure], target)
        shares = curve.shares(1.0 if likelihood is None else likelihood)
        return {name: _rounded(max(LEAST_FLOOR, float(share))) for name, share in zip(self.names, shares, strict=True)}

    def measured(self, rule: Rule, target: float) -> Chosen:
        """What the rule makes of these answers."""
        answers = decision.decide_all(self.probabilities, self.labels, rule, 1)
        counts = np.array([answer.accepted for answer in answers], np.bool_) & ~self.none
        right = np.array([is_right(a.label, truth) for a, truth in zip(answers, self.truths, strict=True)], np.bool_)
        told = counts & self.kind_known & (self.part >= (2.0 if rule.kind_floor is None else rule.kind_floor))
        return Chosen(
            rule=rule,
            target=target,
            n=len(answers),
            accepted=float(counts.sum()) / max(1, len(answers)),
            right=float(right[counts].mean()) if counts.any() else None,
            kinds_told=int(told.sum()),
            kinds_right=float(self.kind_right[told].mean()) if told.any() else None,
        )


class _Curve:
    """How likely an answer is right: logistic in the logit of its share, with an offset for each name."""

    def __init__(self, share: NDArray[Any], name: NDArray[Any], right: NDArray[np.bool_], names: int) -> None:
        columns = np.zeros((len(share), 2 + names))
        columns[:, 0], columns[:, 1] = 1, _logit(share)
        columns[np.arange(len(share)), 2 + name] = 1
        drawn = np.full(2 + names, 1 / _SPREAD**2)
        drawn[:2] = 1e-3  # keeps them finite where every answer is right
        towards = np.zeros(2 + names)
        towards[1] = 1  # a network whose shares are likelihoods already
        found = towards.copy()
        for _ in range(100):  # Newton's method; ten are enough
            likely = _likelihood(columns @ found)
            gradient = columns.T @ (right - likely) - drawn * (found - towards)
            curvature = (columns * (likely * (1 - likely))[:, None]).T @ columns + np.diag(drawn)
            step = np.linalg.solve(curvature, gradient)
            found += np.clip(step, -2, 2)
            if np.abs(step).max() < 1e-9:
                break
        # A share that says nothing, or the contrary, of rightness: a floor is then out of reach or of no use.
        self._slope, self._offsets = max(found[1], 0.1), found[0] + found[2:]

    def of(self, share: NDArray[Any], name: NDArray[Any]) -> NDArray[np.float64]:
        """The likelihood (n,) that answers of such shares (n,) and names' positions (n,) are right."""
        return _likelihood(self._offsets[name] + self._slope * _logit(share))

    def shares(self, likelihood: float) -> NDArray[np.float64]:
        """The share (names,) at which each name is so likely right."""
        if likelihood >= 1:
            return np.ones(len(self._offsets))
        return _likelihood((_logit(np.array(likelihood)) - self._offsets) / self._slope)


def lowest(values: NDArray[Any], right: NDArray[np.bool_], goal: float) -> float | None:
    """The lowest of ``values`` (n,) from which on up ``goal`` of the answers are right, with nine chances in ten; None
    where none is such. The bound is the lower end of Wilson's interval (1927)."""
    order = np.argsort(-values, kind="stable")
    values, hits = values[order], right[order].cumsum()
    n = np.arange(1, len(values) + 1)
    share, z2 = hits / n, CONFIDENCE_Z**2
    half = CONFIDENCE_Z * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    enough = (share + z2 / (2 * n) - half) / (1 + z2 / n) >= goal
    # Equal values stand or fall together: the last of them speaks for all.
    last = np.append(values[1:] != values[:-1], True) if len(values) else np.zeros(0, np.bool_)
    found = np.flatnonzero(enough & last)
    return float(values[found[-1]]) if len(found) else None


def is_all_of(group: str, labels: Collection[str]) -> bool:
    """True if labels leave open which of a group's members a photo shows."""
    return stands_for(group) <= frozenset().union(*map(stands_for, labels))


def _logit(share: NDArray[Any]) -> NDArray[np.float64]:
    inside = np.clip(np.asarray(share, np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))


def _likelihood(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -50, 50))))


def _rounded(share: float) -> float:
    """Down, so that what it was chosen for still reaches it."""
    return math.floor(share * 1e4) / 1e4
