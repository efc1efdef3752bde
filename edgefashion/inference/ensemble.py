"""Several networks as one: their probabilities averaged, call by call or inside a single IR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.decision import Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Average:
    """Runs every member on the same images and averages what they answer."""

    def __init__(self, members: Sequence[Classifier]) -> None:
        self._members = members
        self.input_shape = members[0].input_shape
        self.runtime_precision = "+".join(dict.fromkeys(m.runtime_precision for m in members))
        self.settings: dict[str, Any] = members[0].settings

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = np.stack([member(images) for member in self._members])
        return np.asarray(answers.mean(0), np.float32)


def averaged(members: Sequence[Classifier]) -> Classifier:
    """The ensemble of ``members`` as a classifier of its own; one member is itself.

    Its rule is the members' mean. Raises :class:`BadInputError` if they do not answer the same
    labels on the same images.
    """
    first = members[0]
    for other in members[1:]:
        check_alike(first.name, first.labels, first.input_shape, other.name, other.labels, other.input_shape)
    if len(members) == 1:
        return first
    return Classifier(
        name="+".join(m.name for m in members),
        labels=first.labels,
        engine=first.engine,
        precision="+".join(dict.fromkeys(m.precision for m in members)),
        rule=_mean_rule([m.rule for m in members]),
        source=first.source,
        run=_Average(members),
    )


def _mean_rule(rules: Sequence[Rule]) -> Rule:
    """The mean of the members' thresholds and floors. A kind is told only where every member may tell it."""
    names = dict.fromkeys(name for rule in rules for name in rule.floors)
    floors = {name: float(np.mean([rule.floors.get(name, 0.0) for rule in rules])) for name in names}
    told = [rule.kind_floor for rule in rules if rule.kind_floor is not None]
    kind_floor = float(np.mean(told)) if len(told) == len(rules) else None
    return Rule(float(np.mean([rule.threshold for rule in rules])), floors, kind_floor)


def check_alike(
    name: str,
    labels: Sequence[str],
    shape: Sequence[int],
    other: str,
    other_labels: Sequence[str],
    other_shape: Sequence[int],
) -> None:
    """Raise :class:`BadInputError` unless two members answer the same labels on the same images."""
    if list(labels) != list(other_labels):
        raise BadInputError(
            f"{name} answers {len(labels)} labels and {other} {len(other_labels)} others: they cannot be averaged. "
            "Give networks of the same labels"
        )
    if list(shape) != list(other_shape):
        raise BadInputError(
            f"{name} takes images of {tuple(shape)} and {other} of {tuple(other_shape)}: they cannot be averaged. "
            "Give networks of the same input"
        )
