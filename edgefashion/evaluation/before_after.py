"""A network before and after it was taught: the same pictures, none of which it has learned from, beside each other.

What counts is what a customer sees: a picture is done right if its name is told and right, and if nothing is told where
there is nothing to name. A network that names less is worse, however right its guesses would be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.evaluation.acceptance import FEWEST, is_right
from edgefashion.evaluation.metrics import mcnemar, wilson95
from edgefashion.inference.decision import Rule, decide_all, shows_none
from edgefashion.labels import NO_GARMENT, UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

BETTER, WORSE, CHANCE, TOO_FEW = "better", "worse", "within chance", "too few to tell"

SURE: Final = 0.05
"""A difference as large by chance alone is seen in fewer than so many of such comparisons."""

MOST_LOST: Final = 0.02
"""Share of what the start knew that may be lost for what is new."""


@dataclass(frozen=True, eq=False)
class Answered:
    """What a network, by its rule, made of pictures."""

    right: NDArray[np.bool_]
    """(n,) True where the likeliest name is right, told or not; of what has no name, where none is told."""
    named: NDArray[np.bool_]
    """(n,) True where a name is told."""
    good: NDArray[np.bool_]
    """(n,) True where a right name is told, or none where there is none to tell."""
    wrong: NDArray[np.bool_]
    """(n,) True where a wrong name is told."""

    def part(self, which: NDArray[np.bool_]) -> Answered:
        """Of some of the pictures."""
        return Answered(self.right[which], self.named[which], self.good[which], self.wrong[which])


def answered(
    probabilities: NDArray[np.float32], truths: Sequence[Collection[str]], labels: tuple[str, ...], rule: Rule
) -> Answered:
    """Judge ``probabilities`` (n, classes) over ``labels`` by what is right for each, its ``truths`` (n,)."""
    answers = decide_all(probabilities, labels, rule, 1)
    none = np.array([shows_none(row, labels) for row in probabilities], np.bool_)
    named = np.array([answer.accepted for answer in answers], np.bool_) & ~none
    nameless = np.array([set(truth) <= {UNKNOWN, NO_GARMENT} for truth in truths], np.bool_)
    hit = np.array([is_right(answer.label, truth) for answer, truth in zip(answers, truths, strict=True)], np.bool_)
    right = np.where(nameless, ~named, hit & ~none)
    return Answered(right, named, np.where(nameless, ~named, hit & named), named & (nameless | ~hit))


@dataclass(frozen=True)
class Figures:
    """What was measured of some pictures. Shares are 0 to 1."""

    n: int
    right: float | None
    """Share of which the likeliest name is right."""
    right_ci95: tuple[float, float] | None
    named: float | None
    """Share of which a name is told."""
    good: float | None
    """Share of which a right name is told, or none where there is none to tell."""
    good_ci95: tuple[float, float] | None
    wrong: float | None
    """Share of which a wrong name is told."""

    @classmethod
    def of(cls, seen: Answered) -> Figures:
        """Wilson's 95 % intervals; None without pictures."""
        n = len(seen.right)
        if not n:
            return cls(0, None, None, None, None, None, None)
        right, good = int(seen.right.sum()), int(seen.good.sum())
        named, wrong = float(seen.named.mean()), float(seen.wrong.mean())
        return cls(n, right / n, wilson95(right, n), named, good / n, wilson95(good, n), wrong)

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the report."""
        return asdict(self)


@dataclass(frozen=True)
class Compared:
    """Two networks on the same pictures."""

    before: Figures
    after: Figures
    gained: int
    """Pictures that only the network after does right."""
    lost: int
    """Pictures that only the network before does right."""
    p_value: float
    """McNemar's exact test: how often chance alone makes as large a difference."""

    @property
    def by_chance(self) -> bool:
        return self.p_value >= SURE

    @classmethod
    def of(cls, before: Answered, after: Answered) -> Compared:
        gained, lost = int((after.good & ~before.good).sum()), int((before.good & ~after.good).sum())
        return cls(Figures.of(before), Figures.of(after), gained, lost, mcnemar(lost, gained))

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the report."""
        return {
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "gained": self.gained,
            "lost": self.lost,
            "p_value": self.p_value,
            "within_chance": self.by_chance,
        }


@dataclass(frozen=True)
class Verdict:
    """What is to be done with a network that was taught."""

    word: str
    """``better``, ``worse``, ``within chance`` or ``too few to tell``."""
    words: str
    """The same as a sentence or two, ending in what to do."""


def suffering(labels: Mapping[str, Compared]) -> list[str]:
    """The labels that lose more than :data:`MOST_LOST` beyond chance, the surest first.

    Each label is looked at, and of thirteen one seems to lose by chance: Holm's correction (1979) allows for that.
    """
    looked_at = sorted(((of.p_value, name) for name, of in labels.items() if of.before.n))
    found = []
    for at, (p_value, name) in enumerate(looked_at):
        if p_value * (len(looked_at) - at) >= SURE:
            break
        if labels[name].lost - labels[name].gained > MOST_LOST * labels[name].before.n:
            found.append(name)
    return found


def verdict(own: Compared, kept: Compared | None, kept_labels: Mapping[str, Compared] | None = None) -> Verdict:
    """``own``: the shop's pictures, ``kept``: those of the labels that it did not teach, None where there are none;
    ``kept_labels``: the same, label by label."""
    if kept is not None and kept.before.n and not kept.by_chance:
        share = (kept.lost - kept.gained) / kept.before.n
        if share > MOST_LOST:
            return Verdict(
                WORSE,
                f"It forgot too much: of {kept.before.n:,} pictures of what it knew before "
                f"{kept.lost - kept.gained:,} fewer are done right. Keep the one you have. Are pictures of the old "
                "labels in the new folders, or does a new label mean the same as an old one?",
            )
    n, gain = own.before.n, own.gained - own.lost
    counts = _count(own.after), _count(own.before)
    told = f"of {n:,} pictures that it had not learned from {counts[0]} are done right, before {counts[1]}"
    if not own.by_chance and gain < 0:
        return Verdict(WORSE, f"It got worse: {told}. Keep the one you have")
    more_wrong = round(((own.after.wrong or 0.0) - (own.before.wrong or 0.0)) * n)
    if not own.by_chance and more_wrong >= gain:
        return Verdict(CHANCE, f"It names more, but {more_wrong:,} more are named wrong: {told}. Keep the one you have")
    if not own.by_chance and (worse := suffering(kept_labels or {})):
        of_each = ", ".join(
            f"{name} (of {of.before.n:,} {_count(of.after)} are done right, before {_count(of.before)})"
            for name in worse
            for of in [(kept_labels or {})[name]]
        )
        return Verdict(
            CHANCE,
            f"It is better on yours, but {_listed(worse)} suffer{'s' * (len(worse) == 1)}: {of_each}. On "
            f"yours: {told}. Keep the one you have, or add photos of {_listed(worse)} and teach again",
        )
    if not own.by_chance:
        return Verdict(BETTER, f"It got better: {told}. Take the new one")
    if n < FEWEST:
        return Verdict(
            TOO_FEW,
            f"{n:,} photos are too few to tell: keep the one you have. ({told[0].upper()}{told[1:]}; a difference of "
            f"this size comes about by chance.) Add photos: from {FEWEST} on that are held out it can be told",
        )
    return Verdict(
        CHANCE, f"No difference that is more than chance: {told}. Keep the one you have, unless you need the new labels"
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _count(of: Figures) -> str:
    return f"{round((of.good or 0.0) * of.n):,}"
