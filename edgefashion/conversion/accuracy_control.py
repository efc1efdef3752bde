"""INT8 where plain quantization costs too much: the operations that hurt go back to floating point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES: Final = 5000
"""Training images that choose the operations of a Fashion-MNIST network: 25 of them are half a point."""
PHOTOS: Final = 300
"""And of a photo network, each of which is a hundred times the work."""

AIM: Final = 0.5
"""Share of the allowed drop that is aimed at. The images that choose were learned, which hides part of what
unseen ones lose, and the choice is the best for them: the gate's images will lose more."""

# They pass on what they are given: 8 bits before them say nothing of where the arithmetic is done.
_PASSING: Final = {"Concat", "FakeQuantize", "MaxPool", "Reshape", "Result", "Squeeze", "Transpose", "Unsqueeze"}
_OF_WEIGHTS: Final = {"Convert", "Multiply", "Reshape", "Subtract", "Transpose"}


@dataclass(frozen=True)
class Chooser:
    """The labelled images that choose which operations go back: none of the gate's, and where there are enough
    none that calibrates."""

    images: Sequence[NDArray[np.uint8]]
    right: Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.bool_]]
    """Given probabilities (n, classes) and the positions (n,) of their images: which answers are right."""


@dataclass(frozen=True)
class Plain:
    """What plain quantization made, and of what: enough to do it again with control."""

    ir: Any
    model: Any
    """What was quantized: the FP32 network, a photo network's with its picture's size left open."""
    calibration: Any
    settings: dict[str, Any]
    """Of ``nncf.quantize``."""
    bias_correction: str
    as_input: Callable[[NDArray[np.uint8]], NDArray[Any]]
    """An image as the network takes it, a batch of one."""


@dataclass(frozen=True)
class Control:
    """What accuracy control did."""

    images: int
    """Those that chose, from the side of the training images that calibration is drawn from."""
    aim: float
    """The drop on them that was aimed at, 0 to 1."""
    accuracy_fp32: float
    accuracy_plain: float
    """Of plain quantization, on the same images."""
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


def control(plain: Plain, chooser: Chooser, max_drop: float) -> tuple[Any, Control]:
    """Quantize again with NNCF's accuracy control: what hurts most goes back to floating point until
    ``chooser``'s images lose no more than :data:`AIM` of ``max_drop`` (accuracy, 0 to 1).

    Neither the gate's images nor the test set are seen: the gate still judges what it had no part in.
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
        share = float(chooser.right(np.stack(answers), np.array(numbers)).mean())
        if len(numbers) == len(chooser.images):  # NNCF tries the function on one image first
            measured.append(share)
        # No value for each image: NNCF then ranks by how far the outputs move, finer than right or wrong.
        return share, None

    settings = dict(plain.settings)
    settings["advanced_quantization_parameters"] = settings.pop("advanced_parameters", None)  # of another name here
    numbered = [(plain.as_input(image), number) for number, image in enumerate(chooser.images)]
    controlled = nncf.quantize_with_accuracy_control(
        plain.model,
        plain.calibration,
        nncf.Dataset(numbered, lambda item: item[0]),
        accuracy,
        max_drop=max_drop * AIM,
        drop_type=nncf.DropType.ABSOLUTE,
        **settings,
    )
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
    """Name and type of each operation that takes 8 bits in ``plain`` and none in ``controlled``, in their order.

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
    """True for weights, which NNCF leaves as an 8-bit constant and what makes floats of it."""
    while node.get_type_name() in _OF_WEIGHTS:
        node = node.input_value(0).get_node()
    return node.get_type_name() == "Constant" and node.get_element_type().get_type_name() in ("i8", "u8")
