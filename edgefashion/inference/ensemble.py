"""Several networks as one: their probabilities averaged, call by call or inside a single IR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier

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

    Its threshold is the members' mean. Raises :class:`BadInputError` if they do not answer the same
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
        accept_threshold=float(np.mean([m.accept_threshold for m in members])),
        source=first.source,
        run=_Average(members),
    )


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
