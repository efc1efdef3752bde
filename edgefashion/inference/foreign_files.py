"""ONNX and .tflite files of Fashion-MNIST classifiers made elsewhere: converted to OpenVINO, or run as they are.

Such a file may take pixels of 0 to 1, in another shape or type, and answer logits. What is read here takes the
toolkit's uint8 images and answers probabilities. What was added for that is reported, and so is what was assumed.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, resolve
from edgefashion.bundles.guard import check
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError
from edgefashion.inference import classifier, onnx_litert_engine, tensorflow_engine
from edgefashion.inference.onnx_litert_engine import SCALES, Quantized
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS: Final = resolve.FOREIGN

_MEASURED: Final = 1000
"""Number of training images on which the scale of a float input is measured."""
_CLEARLY: Final = 0.01
"""Accuracy by which one scale has to be better than the other."""
_TRAINED: Final = 0.3
"""Accuracy below which the network was trained with neither scale. Chance is 0.1."""


@dataclass(frozen=True)
class Foreign:
    """A file from elsewhere, read."""

    path: Path
    kind: str
    ir: Any
    """An ``openvino.Model``: uint8 (1, 28, 28, 1) in, float32 probabilities (1, 10) out."""
    scale: str
    """A key of :data:`edgefashion.inference.onnx_litert_engine.SCALES`."""
    chosen: str
    """Where the scale comes from, as a phrase."""
    softmax: bool
    """True if the file answers logits: a softmax was added."""
    precision: str
    """What it computes in: fp32, fp16 or int8."""

    @property
    def own(self) -> onnx_litert_engine.Own:
        """The file as its own runtime is told to run it."""
        return onnx_litert_engine.Own(self.path, self.precision, self.scale, self.softmax)

    @property
    def quantized(self) -> bool:
        """True if it computes in 8 bits already."""
        return self.precision == "int8"

    def in_short(self) -> str:
        """One sentence on what was found and added."""
        added = "; it answers logits: a softmax is added" if self.softmax else ""
        return f"{self.path.name} takes pixels of {self.scale} ({self.chosen}){added}"

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The file's own answers to ``images`` (n, 28, 28, 1), probabilities (n, 10), by the runtime it was made for.

        Raises :class:`MissingError` without ONNX Runtime or LiteRT.
        """
        return onnx_litert_engine.OwnRuntime(self.path, **self.own.fed)(images)


def read(path: Path, scale: str | None = None, *, named: Path | None = None) -> Foreign:
    """Read an ``.onnx`` or ``.tflite`` file. ``scale`` (``"0-1"`` or ``"0-255"``) says what its float pixels run to;
    ``named`` is what errors call the file, where ``path`` is a copy of it.

    Left out, the scale is measured: it is the one with which clearly more of 1,000 training images are named right. A
    file that takes whole numbers states it. Raises :class:`BadInputError` for what cannot be read, is no Fashion-MNIST
    classifier, or does not tell its scale, :class:`MissingError` without LiteRT for a quantized .tflite.
    """
    if scale is not None and scale not in SCALES:
        raise BadInputError(f"--scale must be one of {', '.join(SCALES)}, not {scale}")
    named = named or path
    original = _converted(path, named)
    kind = path.suffix[1:]
    whole = original.input(0).get_element_type().is_integral()
    stored, answered = (0.0, 0), (0.0, 0)
    if kind == "tflite" and (whole or original.output(0).get_element_type().is_integral()):
        opened = onnx_litert_engine.open_file(path, 1)
        stored, answered = opened.taken.quantized, opened.given.quantized
    plain = _Plain(original, stored, answered)
    if whole and scale is None:
        # The real number that the largest byte stands for; 255 where bytes are taken as they are.
        high = np.iinfo(original.input(0).get_element_type().to_dtype()).min + 255
        real = stored[0] * (high - stored[1]) if stored[0] else 255.0
        scale, chosen = ("0-255" if real > 2 else "0-1"), "the file's own"
    elif scale is not None:
        chosen = "as given"
    else:
        scale, chosen = _measured_scale(named, plain)
    answers = plain.answers(fashion_mnist.load("train")[0][:100], scale)
    precision = _precision(original)
    # Ten probabilities of 8 bits each add up to 1 within a few hundredths.
    softmax = bool(answers.min() < 0 or np.abs(answers.sum(1) - 1).max() > (0.1 if precision == "int8" else 1e-3))
    return Foreign(path, kind, plain.ir(scale, softmax=softmax), scale, chosen, softmax, precision)


def original(made: bundle.Bundle) -> onnx_litert_engine.Own | None:
    """The file from elsewhere that a bundle was made from, checked; None for another bundle."""
    kind = next((kind for kind in KINDS if made.has(kind)), None)
    if kind is None:
        return None
    fed = made.facts.foreign
    if fed is None or fed.scale is None or fed.scale not in SCALES:
        raise BadInputError(f"{made.path} does not say how its .{kind} file is fed. Convert that file again")
    path = made.verified(kind)
    check.check(path)
    return onnx_litert_engine.Own(path, fed.precision, fed.scale, fed.softmax)


@contextlib.contextmanager
def temporary_ir(path: Path) -> Iterator[tuple[Path, Foreign]]:
    """A temporary IR of a file from elsewhere, for as long as the block lasts."""
    import openvino as ov

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        theirs = read(path)
        ir = Path(folder) / "network.xml"
        ov.save_model(theirs.ir, ir, compress_to_fp16=False)
        check.vouch(ir)
        yield ir, theirs


def _converted(path: Path, named: Path) -> Any:
    """The file as OpenVINO reads it, of batch 1. Raises :class:`BadInputError` for no Fashion-MNIST classifier."""
    import openvino as ov

    check.check(path)
    try:
        with tensorflow_engine.no_stderr():  # a file of another kind is tried with every frontend, and each complains
            ir = ov.convert_model(path)
    except Exception as error:  # the frontends raise bare Exceptions of many kinds
        raise BadInputError(f"{named} is not a whole {named.suffix} file OpenVINO can read. Export it again") from error
    if len(ir.inputs) != 1 or len(ir.outputs) != 1:
        raise BadInputError(
            f"{named} has {len(ir.inputs)} inputs and {len(ir.outputs)} outputs; one of each is expected"
        )
    image = ir.input(0).get_partial_shape()
    sizes = [] if image.rank.is_dynamic else list(image)[1:]
    if (
        not sizes
        or any(d.is_dynamic for d in sizes)
        or np.prod([d.get_length() for d in sizes]) != fashion_mnist.SIDE_PX**2
    ):
        raise BadInputError(
            f"{named} takes {image}, not 28x28 grey images. Only Fashion-MNIST networks can be converted"
        )
    try:
        for batch in (classifier.BATCH, 1):  # in both ways it is called
            ir.reshape([batch, *(d.get_length() for d in sizes)])
    except RuntimeError as error:
        raise BadInputError(f"{named} is fixed to batches of {image[0]}. Export it with a dynamic batch") from error
    answer = ir.output(0).get_partial_shape()
    if answer.is_dynamic or answer.to_shape() != ov.Shape([1, len(LABELS)]):
        raise BadInputError(f"{named} answers {answer}, not one value for each of the {len(LABELS)} garments")
    return ir


def _precision(ir: Any) -> str:
    """What the file computes in: fp32, fp16 or int8."""
    if any(op.get_type_name() == "FakeQuantize" for op in ir.get_ops()):
        return "int8"
    heavy = [op for op in ir.get_ops() if op.get_type_name() in ("Convolution", "GroupConvolution", "MatMul")]
    return "fp16" if any(op.get_output_element_type(0).get_type_name() == "f16" for op in heavy) else "fp32"


class _Plain:
    """A converted file, to be given an entrance for bytes and an exit of probabilities."""

    def __init__(self, original: Any, stored: Quantized, answered: Quantized) -> None:
        self._original, self._stored, self._answered = original, stored, answered

    def ir(self, scale: str, *, softmax: bool) -> Any:
        import openvino as ov
        from openvino import opset13 as ops

        network = self._original.clone()
        entrance = network.input(0)
        images = ops.parameter([1, fashion_mnist.SIDE_PX, fashion_mnist.SIDE_PX, 1], ov.Type.u8, name="images")
        images.output(0).set_names({"images"})
        # With one channel the pixels have the same order in every shape.
        given = ops.reshape(images, np.array([-1, *list(entrance.shape)[1:]], np.int64), special_zero=False)
        if entrance.element_type != ov.Type.u8 or self._stored[0]:
            given = ops.convert(given, ov.Type.f32)
            step, zero = self._stored
            factor = SCALES[scale] / np.float32(step or 1)
            given = ops.multiply(given, factor) if factor != 1 else given
            if entrance.element_type.is_integral():
                kept = np.iinfo(entrance.element_type.to_dtype())
                given = ops.clamp(ops.add(ops.round(given), np.float32(zero)), float(kept.min), float(kept.max))
            given = ops.convert(given, entrance.element_type) if entrance.element_type != ov.Type.f32 else given
        for reader in list(entrance.get_target_inputs()):
            reader.replace_source_output(given.output(0))
        answer = network.output(0).get_node().input_value(0)
        if answer.get_element_type() != ov.Type.f32:
            answer = ops.convert(answer, ov.Type.f32).output(0)
        if self._answered[0]:
            zeroed = ops.subtract(answer, np.float32(self._answered[1]))
            answer = ops.multiply(zeroed, np.float32(self._answered[0])).output(0)
        if softmax:
            answer = ops.softmax(answer, 1).output(0)
        answer.get_node().output(0).set_names({"probabilities"})
        return ov.Model([ops.result(answer)], [images], "foreign")

    def answers(self, images: NDArray[np.uint8], scale: str) -> NDArray[np.float32]:
        """What the network answers, (n, 10), before any softmax is added."""
        import openvino as ov

        compiled = ov.Core().compile_model(
            self.ir(scale, softmax=False), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        )
        return np.asarray(np.stack([compiled(image[None])[0][0] for image in images]), np.float32)


def _measured_scale(path: Path, plain: _Plain) -> tuple[str, str]:
    """The scale with which the network is right clearly more often, and a phrase with both accuracies."""
    images, labels = fashion_mnist.load("train")
    right = {
        scale: float(np.mean(plain.answers(images[:_MEASURED], scale).argmax(1) == labels[:_MEASURED]))
        for scale in SCALES
    }
    best, other = sorted(right, key=lambda scale: -right[scale])
    said = f"{right[best]:.1%} of {_MEASURED:,} training images right, {right[other]:.1%} with {other}"
    if right[best] < _TRAINED:
        raise BadInputError(
            f"{path} names {said} ({best}): it was trained on neither. Put its preparation of the pixels into the file"
        )
    if right[best] - right[other] < _CLEARLY:
        raise BadInputError(f"{path} names {said} ({best}): too close to tell. Say it with --scale 0-1 or 0-255")
    return best, f"measured: {said}"
