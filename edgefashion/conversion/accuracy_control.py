"""INT8 where plain quantization costs too much: the operations that hurt go back to floating point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.conversion import first_layers

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES: Final = 5000
"""Training images on which the operations of a Fashion-MNIST network are chosen. 25 of them are half a point."""
PHOTOS: Final = 300
"""Photos on which those of a photo network are chosen. Each is a hundred times the work."""

AIM: Final = 0.5
"""Share of the allowed drop that is aimed at. The network was trained on the images that choose, and the choice is the
best for them. Unseen images, such as the gate's, lose more."""

# These pass on what they are given, and compute nothing. 8 bits before them do not mean that they work in 8 bits.
_PASSING: Final = {"Concat", "FakeQuantize", "MaxPool", "Reshape", "Result", "Squeeze", "Transpose", "Unsqueeze"}
_OF_WEIGHTS: Final = {"Convert", "Multiply", "Reshape", "Subtract", "Transpose"}


@dataclass(frozen=True)
class SelectionSet:
    """The labelled images on which the operations that go back are chosen. None of them is the gate's, and none
    calibrates where there are enough."""

    images: Sequence[NDArray[np.uint8]]
    right: Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.bool_]]
    """Given probabilities (n, classes) and the positions (n,) of their images: which answers are right."""


@dataclass(frozen=True)
class PlainQuantization:
    """What plain quantization made, and what from: enough to quantize again with accuracy control."""

    ir: Any
    model: Any
    """What was quantized: the FP32 network. A photo network's picture has an open size here."""
    calibration: Any
    settings: dict[str, Any]
    """The arguments given to ``nncf.quantize``."""
    bias_correction: str
    as_input: Callable[[NDArray[np.uint8]], NDArray[Any]]
    """An image as the network takes it, a batch of one."""
    seen: Mapping[str, first_layers.Seen] = field(default_factory=dict)
    """What its first layers see; nothing where they are rounded to the nearest."""


@dataclass(frozen=True)
class Control:
    """What accuracy control did. Its accuracies are those before the first layers are rounded to the images."""

    images: int
    """Number of the images it was done on. They are training images, as the calibration images are."""
    aim: float
    """The drop on them that was aimed at, 0 to 1."""
    accuracy_fp32: float
    accuracy_plain: float
    """Accuracy of plain quantization on the same images."""
    accuracy_int8: float
    reverted: tuple[tuple[str, str], ...]
    """Name and type of each operation that went back to floating point."""

    def in_short(self) -> str:
        """One sentence on what went back."""
        count = len(self.reverted)
        if not count:
            drop = (self.accuracy_fp32 - self.accuracy_plain) * 100
            return (
                f"accuracy control put no operation back: on its {self.images:,} training images INT8 costs "
                f"{drop:.2f} points, within the {self.aim * 100:g} aimed at"
            )
        names = ", ".join(f"{name} ({kind})" for name, kind in self.reverted)
        return f"accuracy control put {count} operation{'s' if count > 1 else ''} back to FP32: {names}"

    def as_json(self) -> dict[str, Any]:
        """The fields of the bundle's report."""
        return {**asdict(self), "reverted": [{"name": name, "type": kind} for name, kind in self.reverted]}


def control(plain: PlainQuantization, selection: SelectionSet, max_drop: float) -> tuple[Any, Control]:
    """Quantize again with NNCF's accuracy control: what hurts most goes back to floating point until
    ``selection``'s images lose no more than :data:`AIM` of ``max_drop`` (accuracy, 0 to 1).

    It sees neither the gate's images nor the test set.
    """
    import nncf

    measured: list[float] = []

    def accuracy(compiled: Any, items: Iterable[tuple[NDArray[Any], int]]) -> tuple[float, None]:
        request = compiled.create_infer_request()
        at = next(i for i, port in enumerate(compiled.outputs) if len(port.get_partial_shape()) == 2)
        answers, numbers = [], []
        for image, number in items:
            request.infer([image], share_inputs=True)
            answers.append(request.get_output_tensor(at).data[0].copy())
            numbers.append(number)
        share = float(selection.right(np.stack(answers), np.array(numbers)).mean())
        if len(numbers) == len(selection.images):  # NNCF tries the function on one image first
            measured.append(share)
        # None instead of a value for each image: NNCF then ranks the operations by how far the outputs move, which
        # tells more than right or wrong.
        return share, None

    settings = dict(plain.settings)
    settings["advanced_quantization_parameters"] = settings.pop("advanced_parameters", None)  # its name here
    numbered = [(plain.as_input(image), number) for number, image in enumerate(selection.images)]
    controlled = nncf.quantize_with_accuracy_control(
        plain.model,
        plain.calibration,
        nncf.Dataset(numbered, lambda item: item[0]),
        accuracy,
        max_drop=max_drop * AIM,
        drop_type=nncf.DropType.ABSOLUTE,
        **settings,
    )
    first_layers.round_to_images(controlled, plain.model, plain.seen)
    controlled.reshape(list(plain.ir.input(0).shape))
    return controlled, Control(
        images=len(numbered),
        aim=max_drop * AIM,
        accuracy_fp32=measured[0],
        accuracy_plain=measured[1],
        accuracy_int8=measured[-1],
        reverted=reverted(plain.ir, controlled),
    )


def reverted(plain: Any, controlled: Any) -> tuple[tuple[str, str], ...]:
    """Name and type of each operation that works in 8 bits in ``plain`` and not in ``controlled``, in their order.

    Both are OpenVINO models quantized from one IR, whose operations keep their names.
    """
    left = {op.get_friendly_name() for op in _in_8_bits(controlled)}
    return tuple(
        (op.get_friendly_name(), op.get_type_name()) for op in _in_8_bits(plain) if op.get_friendly_name() not in left
    )


def _in_8_bits(model: Any) -> list[Any]:
    """The operations that compute on quantized values."""

    def quantized(source: Any) -> bool:
        return source.get_type_name() == "FakeQuantize" or _stored_in_8_bits(source)

    return [
        op
        for op in model.get_ordered_ops()
        if op.get_type_name() not in _PASSING
        and not _stored_in_8_bits(op)
        and any(quantized(port.get_source_output().get_node()) for port in op.inputs())
    ]


def _stored_in_8_bits(node: Any) -> bool:
    """True for weights. NNCF stores them as an 8-bit constant, followed by operations that make floats of it."""
    while node.get_type_name() in _OF_WEIGHTS:
        node = node.input_value(0).get_node()
    return node.get_type_name() == "Constant" and node.get_element_type().get_type_name() in ("i8", "u8")
