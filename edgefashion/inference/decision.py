"""Probabilities to an answer: the label, and whether it is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.labels import LABELS, NAMELESS, NO_GARMENT, UNKNOWN, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.bundles.facts import Thresholds

ACCEPT_QUANTILE: Final = 0.01
"""Share of the held-out garments, the least certain ones, that a shipped threshold rejects."""

PHOTO_QUANTILE: Final = 0.03
"""The same for a network that knows the reject label. It rejects more known garments, and with them more unknown
ones."""

NONE_LEVEL: Final = 0.2
"""Probability of "No garment" from which that is the answer. It is the lowest of five that were tried: of 2,905 photos
of garments, by senders not trained on, none reaches it (``benchmarks/networks/photos.py none``)."""


HELD_WORN: Final = 0.5
"""Probability of being worn below which a garment is held up, hangs or lies."""


@dataclass(frozen=True)
class Rule:
    """By what a network's answers count, and how finely they are named. It belongs to the network: whoever decides on
    its probabilities, here or behind a server, has to use its rule."""

    threshold: float
    """From which :func:`acceptance` an answer counts, 0 to 1."""
    floors: Mapping[str, float] = field(default_factory=dict, hash=False)
    """By group: the share, 0 to 1, that an answer of its name needs besides. A group that is not in here needs none."""
    kind_floor: float | None = None
    """The part of a group's share, 0 to 1, from which its likeliest member is named in the group's place; None: never,
    as where nobody has measured it."""
    worn_floors: Mapping[str, float] | None = field(default=None, hash=False)
    """In the place of ``floors`` for a garment that somebody wears; None: the same."""

    def where(self, worn: float | None) -> Rule:
        """The rule for a garment with this probability of being worn, 0 to 1; None where no finder has looked."""
        if self.worn_floors is None or worn is None or worn < HELD_WORN:
            return self
        return replace(self, floors=self.worn_floors)

    @classmethod
    def of(cls, thresholds: Thresholds) -> Rule:
        """The rule that a bundle, or an IR's rt_info, states."""
        worn = None if thresholds.worn_floors is None else dict(thresholds.worn_floors)
        return cls(float(thresholds.accept), dict(thresholds.floors or {}), thresholds.kind_floor, worn)

    def as_json(self) -> dict[str, Any]:
        """The fields that ``thresholds`` has in an IR's rt_info; what there is none of is left out."""
        floors = {"floors": dict(self.floors)} if self.floors else {}
        kind_floor = {} if self.kind_floor is None else {"kind_floor": self.kind_floor}
        worn = {} if self.worn_floors is None else {"worn_floors": dict(self.worn_floors)}
        return {"accept": self.threshold, **floors, **kind_floor, **worn}


@dataclass(frozen=True)
class Answer:
    """What is said of one picture."""

    label: str
    """Of a photo network the name of a group (``Footwear``), or of its member where that is sure enough."""
    confidence: float
    """0 to 1; of a photo network the whole group's, whichever name is told."""
    accepted: bool
    top: tuple[tuple[str, float], ...]
    """The likeliest labels with their probabilities, likeliest first, the answer at their head."""
    doubt: str | None = None
    """The label that the answer shares its probability with, where it is not accepted for that alone."""


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
    known = [labels.index(label) for label in labels if label not in NAMELESS]
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
    members = [at for name, at in groups(labels).items() if name not in NAMELESS]
    chosen = np.stack([probabilities[:, at].sum(1) for at in members], 1).argmax(1)
    first: NDArray[np.int64] = np.array([at[0] for at in members], np.int64)[chosen]
    for number, at in enumerate(members):
        if len(at) > 1:
            won = chosen == number
            first[won] = np.array(at)[probabilities[won][:, at].argmax(1)]
    return first


def decide(probabilities: NDArray[np.float32], labels: tuple[str, ...], rule: Rule, top: int = 3) -> Answer:
    """The answer for one picture's ``probabilities``, float32 (classes,)."""
    return decide_all(probabilities[None], labels, rule, top)[0]


def decide_all(probabilities: NDArray[np.float32], labels: tuple[str, ...], rule: Rule, top: int = 3) -> list[Answer]:
    """The answers for several pictures' ``probabilities``, float32 (n, classes).

    A network that knows the reject label answers with a group: its members' probabilities count together, and one of
    them is named only where it has ``rule.kind_floor`` of their sum. Another answers with its likeliest label.
    """
    counts = (acceptance(probabilities, labels) >= rule.threshold).tolist()
    if UNKNOWN in labels:
        ranks = _ranks_of_groups(probabilities, labels, rule.kind_floor)
        return [_of_groups(*rank, counts=c, floors=rule.floors, top=top) for rank, c in zip(ranks, counts, strict=True)]
    orders = np.argsort(-probabilities, axis=1, kind="stable").tolist()
    answers = []
    for row, order, accepted in zip(probabilities.tolist(), orders, counts, strict=True):
        ranked = tuple((labels[i], row[i]) for i in order[:top])
        answers.append(Answer(*ranked[0], accepted, ranked))
    return answers


def group_shares(probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    """What each named group (Unknown and No garment left out) has of ``probabilities`` (n, classes): its name -> (n,),
    0 to 1."""
    named = {name: at for name, at in groups(labels).items() if name not in NAMELESS}
    # The sum of a softmax may exceed 1 by its rounding.
    return {name: np.minimum(probabilities[:, at].sum(1), np.float32(1)) for name, at in named.items()}


def kinds(
    probabilities: NDArray[np.float32], labels: tuple[str, ...]
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """For each group of several labels: its likeliest member's position in ``labels`` (n,), and the part (n,) of the
    group's probability that the member has, 0 to 1 (0 where the group has none)."""
    found = {}
    for name, at in groups(labels).items():
        if len(at) > 1:
            of = probabilities[:, at]
            likeliest_member = np.array(at, np.int64)[of.argmax(1)]
            part = of.max(1) / np.maximum(of.sum(1), np.finfo(np.float32).tiny)
            found[name] = (likeliest_member, np.asarray(part, np.float32))
    return found


_Ranks = tuple[list[str], list[str], list[float]]
"""Of one picture, likeliest first: the groups' names, the names that are shown, and their shares."""


def _ranks_of_groups(
    probabilities: NDArray[np.float32], labels: tuple[str, ...], kind_floor: float | None
) -> list[_Ranks]:
    shares = group_shares(probabilities, labels)
    names = list(shares)
    shown = [names.copy() for _ in range(len(probabilities))]
    if kind_floor is not None:
        for group, (members, parts) in kinds(probabilities, labels).items():
            for row, (member, part) in enumerate(zip(members.tolist(), parts.tolist(), strict=True)):
                if part >= kind_floor:
                    shown[row][names.index(group)] = labels[member]
    table = np.stack(list(shares.values()), 1)
    orders = np.argsort(-table, axis=1, kind="stable").tolist()
    return [
        ([names[i] for i in order], [called[i] for i in order], [row[i] for i in order])
        for row, order, called in zip(table.tolist(), orders, shown, strict=True)
    ]


def _of_groups(
    names: list[str], shown: list[str], shares: list[float], *, counts: bool, floors: Mapping[str, float], top: int
) -> Answer:
    """``counts``: the sum of the known labels reaches the threshold."""
    floor = floors.get(names[0], 0.0)
    accepted = counts and shares[0] >= floor
    split = counts and not accepted and len(names) > 1 and shares[0] + shares[1] >= floor
    ranked = tuple(zip(shown[:top], shares[:top], strict=True))
    return Answer(shown[0], shares[0], accepted, ranked, shown[1] if split else None)
