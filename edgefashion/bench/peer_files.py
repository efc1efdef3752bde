"""A network in the peers' own formats, for :mod:`edgefashion.bench.run`: ONNX and LiteRT, FP32 and INT8.

Runs in a process of its own for each peer, which :mod:`edgefashion.bench.peer_conversion` starts: a converter that
crashes or hangs takes its own rows with it and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import resolve
from edgefashion.bundles.facts import takes_photos
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.inference import classifier, preprocess, tensorflow_engine
from edgefashion.inference.classifier import BATCH
from edgefashion.inference.onnx_litert_engine import SUFFIXES
from edgefashion.inference.preprocess import FASHION_PX
from edgefashion.system.extras import need
from edgefashion.system.processes import Parent

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPSET: Final = 18


@dataclass(frozen=True)
class Spec:
    """What to convert to what."""

    model: str
    """A bundle, or a path to a SavedModel or .keras file."""
    peer: str
    precisions: tuple[str, ...]
    batches: tuple[int, ...]
    folder: str
    """Where the files go, one a precision and batch size."""
    calibration: str | None
    """A .npy file of the uint8 images that INT8 is calibrated on: Fashion-MNIST's, or photos of the network's size."""
    fashion: bool
    """Whether a photo network gets a file for Fashion-MNIST's enlarged images too, which are smaller than photos."""


def file_name(precision: str, batch: int, peer: str, side: int | None = None) -> str:
    """The peers' files are static in their shape, like our own networks: a dynamic one is slower in both.

    ``side``: the edge of the images that it takes, where that is not the network's own.
    """
    return f"{precision}-{batch}{f'-{side}px' if side else ''}.{SUFFIXES[peer]}"


def write(spec: Spec) -> Iterator[tuple[str, str]]:
    """Write the network for one peer, precision by precision; after each one its name, and why it failed or nothing.

    Raises :class:`BadInputError` for a network that has no original.
    """
    network, folder = _Network(spec.model), Path(spec.folder)
    calibration = None if spec.calibration is None else np.load(spec.calibration)
    write_one = _write_onnx if spec.peer == "onnxruntime" else _write_litert
    files: list[tuple[int, int | None]] = [(batch, None) for batch in spec.batches]
    if spec.fashion and network.takes_photos:
        files.append((BATCH, FASHION_PX))
    for precision in spec.precisions:
        reason = ""
        try:
            for batch, side in files:
                of = network.given(batch, side, calibration if precision == "int8" else None)
                write_one(of, folder / file_name(precision, batch, spec.peer, side))
        except Exception as error:  # the converters raise of all kinds, and the next precision may go well
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        yield precision, reason


@dataclass(frozen=True)
class _Given:
    """A network that takes images of one shape, and what INT8 is calibrated on."""

    function: Any
    """A tf.function of the images, which answers the probabilities."""
    spec: Any
    """The TensorSpec of what it takes."""
    calibration: NDArray[np.uint8] | None
    """Images (n, height, width, channels) in whole batches; None for FP32."""

    def batches(self) -> Iterator[NDArray[Any]]:
        """The calibration images as the network takes them, the last batch filled up."""
        assert self.calibration is not None
        batch, *shape = self.spec.shape
        for at in range(0, len(self.calibration), batch):
            part = self.calibration[at : at + batch]
            whole = np.resize(part, (batch, *part.shape[1:]))
            yield whole.reshape(batch, *shape).astype(self.spec.dtype.as_numpy_dtype)


class _Network:
    """A bundle's original as a function of uint8 images with one output, the probabilities."""

    def __init__(self, model: str) -> None:
        self._tf = tensorflow_engine.tensorflow("to convert a network for its peers")
        self._call: Callable[[Any], Any]
        found = resolve.resolve(model)
        part = found.path
        if found.kind == "bundle":
            assert found.bundle is not None
            form = next((form for form in ("saved_model", "keras") if found.bundle.has(form)), None)
            if form is None:
                raise BadInputError(f"{found.path} holds no original to convert")
            part = found.bundle.verified(form)
        if part.is_dir():
            loaded = self._tf.saved_model.load(str(part))
            signature = loaded.signatures["serving_default"]
            ((name, image),) = signature.structured_input_signature[1].items()
            self._kept = loaded
            self._call = lambda images: signature(**{name: images})
            self._shape, self._dtype = tuple(image.shape)[1:], image.dtype
        else:
            keras = tensorflow_engine.load_keras(part)
            self._call = lambda images: keras(images, training=False)
            self._shape, self._dtype = tuple(keras.input_shape)[1:], self._tf.as_dtype(keras.inputs[0].dtype)
        if None in self._shape:
            self._shape = classifier.image_shape(self._shape)
        self.takes_photos = takes_photos(self._shape)

    def given(self, batch: int, side: int | None, calibration: NDArray[np.uint8] | None) -> _Given:
        """The network that takes ``batch`` images of ``side`` pixels a side (None: of its own shape)."""
        shape = self._shape if side is None else (side, side, self._shape[-1])
        spec = self._tf.TensorSpec((batch, *shape), self._dtype, name="images")

        @self._tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
        def probabilities(images: Any) -> Any:
            return self._tf.identity(tensorflow_engine.answer_of(self._call(images)), name="probabilities")

        if calibration is not None and self.takes_photos and calibration.shape[-1] == 1:
            calibration = preprocess.as_photos(calibration, shape[0])
        return _Given(probabilities, spec, calibration)


def _write_onnx(given: _Given, path: Path) -> None:
    need("tf2onnx", "to convert to ONNX")
    import tf2onnx

    # INT8 is quantized from the FP32 file, which is there already where both are asked for.
    plain = path if given.calibration is None else path.with_name(path.name.replace("int8", "fp32", 1))
    if plain == path or not plain.exists():
        tf2onnx.convert.from_function(
            given.function, input_signature=[given.spec], opset=_OPSET, output_path=str(plain)
        )
    if given.calibration is not None:
        _quantize_onnx(given.batches(), plain, path)


def _quantize_onnx(images: Iterator[NDArray[Any]], plain: Path, path: Path) -> None:
    """ONNX Runtime's own static quantization, signed with scales per channel: of its kinds the fastest."""
    need("onnxruntime", "to quantize for ONNX Runtime")
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            part = next(images, None)
            return None if part is None else {"images": part}

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(prepared),
        str(path),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    prepared.unlink()


def _write_litert(given: _Given, path: Path) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([given.function.get_concrete_function()])
    if given.calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([part] for part in given.batches())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path.write_bytes(converter.convert())


def main() -> None:
    """Convert what the parent says, and tell it of each precision."""
    parent = Parent()
    spec = Spec(**parent.receive())
    try:
        for precision, reason in write(spec):
            parent.send({"precision": precision, "reason": reason})
    except EdgeFashionError as error:
        parent.send({"error": str(error)})


if __name__ == "__main__":
    main()
