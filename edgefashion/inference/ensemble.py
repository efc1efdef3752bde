"""Several networks as one: their probabilities averaged, call by call or inside a single IR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.inference.openvino_engine import Classifier

if TYPE_CHECKING:
    from numpy.typing import NDArray


MEAN = "mean_of_members"
"""What the names of a merged IR's averaging operations start with: 8 bits are too few for them."""


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


def merge(irs: Sequence[Any]) -> Any:
    """One IR that takes an image once, asks every member, and answers their mean probabilities.

    ``irs``: OpenVINO models of one input and one output each, of equal shapes but for a flat input, which
    is reshaped. Returns an :class:`openvino.Model` with the input ``images``.
    """
    import openvino as ov
    from openvino import opset13 as ops

    first = irs[0].input(0)
    images = ops.parameter(first.partial_shape, first.element_type, name="images")
    images.output(0).set_names({"images"})
    answers = []
    for ir in irs:
        member = ir.clone()
        entrance = member.input(0)
        given = images.output(0)
        if entrance.element_type != first.element_type:
            given = ops.convert(given, entrance.element_type).output(0)
        if entrance.partial_shape != first.partial_shape:
            given = ops.reshape(given, np.array(entrance.shape, np.int64), special_zero=False).output(0)
        for reader in list(entrance.get_target_inputs()):
            reader.replace_source_output(given)
        answers.append(member.output(0).get_node().input_value(0))
    total = answers[0]
    for number, answer in enumerate(answers[1:]):
        total = ops.add(total, answer, name=f"{MEAN}/add_{number}").output(0)
    mean = ops.multiply(total, np.float32(1 / len(answers)), name=f"{MEAN}/mean")
    mean.output(0).set_names({"probabilities"})
    return ov.Model([ops.result(mean)], [images], "ensemble")
