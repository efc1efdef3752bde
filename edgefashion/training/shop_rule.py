"""By which rule a shop's network answers: its start's, with floors for the labels that the shop has taught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.bundles.facts import Thresholds
from edgefashion.evaluation.acceptance import FEWEST, LEAST_FLOOR, choose_rule
from edgefashion.labels import NAMELESS, group_of, stands_for

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ShopRule:
    """The thresholds, and in words how they came about."""

    thresholds: Thresholds
    words: str


def choose(
    start: Thresholds,
    taken_for: dict[str, str],
    labels: tuple[str, ...],
    probabilities: NDArray[np.float32],
    truths: Sequence[Collection[str]],
    own: int,
) -> ShopRule:
    """The rule of a network with ``labels``.

    Args:
        start: The start's thresholds. The labels that the shop did not teach keep theirs.
        taken_for: For each new label what the start takes it for: its floor is the new one's where there are too few
            pictures to choose one on.
        labels: The network's.
        probabilities: (n, classes) of pictures that it has not learned from: the shop's, then the start's held-out.
        truths: (n,) what is right for each.
        own: How many of them are the shop's.
    """
    floors = dict(start.floors or {})
    worn = None if start.worn_floors is None else dict(start.worn_floors)
    for label, parent in taken_for.items():
        of = group_of(parent)
        floors[label] = floors.get(of, LEAST_FLOOR)
        if worn is not None:
            worn[label] = worn.get(of, LEAST_FLOOR)
    counts = Counter(group_of(name) for truth in truths[:own] for name in _shown(truth, labels))
    enough = sorted(name for name, count in counts.items() if count >= FEWEST)
    few = sorted(name for name, count in counts.items() if count < FEWEST)
    told = [f"{FEWEST} held-out photos of a label are needed to choose its floor"]
    if enough:
        chosen = choose_rule(probabilities, truths, labels, threshold=float(start.accept)).rule.floors
        for name in enough:
            floors[name] = float(chosen[name])
            if worn is not None:  # chosen on worn and held ones together: the stricter of the two
                worn[name] = max(worn.get(name, LEAST_FLOOR), floors[name])
        told.append("chosen: " + ", ".join(f"{name} {floors[name]:g} on {counts[name]:,}" for name in enough))
    if few:
        told.append("kept from the start: " + ", ".join(f"{name} {floors[name]:g} ({counts[name]:,})" for name in few))
    words = "; ".join(told)
    made = start._replace(floors=floors, worn_floors=worn, chosen_on=f"{start.chosen_on}; {words}")
    return ShopRule(made, words)


def _shown(truth: Collection[str], labels: tuple[str, ...]) -> set[str]:
    """The names of a picture's label under which answers have floors."""
    return {group_of(label) for label in labels if label not in NAMELESS and any(label in stands_for(n) for n in truth)}
