"""A network in the peers' own formats, for :mod:`edgefashion.bench.run`: ONNX and LiteRT, FP32 and INT8.

Started as ``python -m edgefashion.bench.peer_files SPEC`` for one peer: a converter that crashes or hangs takes
its own rows with it and no more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import resolve
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.inference import classifier, tensorflow_engine
from edgefashion.inference.onnx_litert_engine import SUFFIXES
from edgefashion.system.extras import need

if TYPE_CHECKING:
    from numpy.typing import NDArray

CALIBRATION: Final = 300
"""Images INT8 is calibrated on: as many, and the same, as our own by default; in batches, the last one filled up."""

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
    """Where the files go, one a precision and batch size, and why some do not."""

    def as_json(self) -> str:
        """For the command line of the process that is to do it."""
        return json.dumps(asdict(self))


def file_name(precision: str, batch: int, peer: str) -> str:
    """The peers' files are static in their batch, like our own networks: a dynamic one is slower in both."""
    return f"{precision}-{batch}.{SUFFIXES[peer]}"


def outcome(folder: Path, peer: str, precision: str) -> Path:
    """The file that ends one precision's conversion: empty, or with the reason why it failed."""
    return folder / f"{peer}-{precision}.outcome"


def write(spec: Spec) -> None:
    """Write the network for one peer, for each precision and batch size, and the outcome of each precision.
    Raises :class:`BadInputError` for a network that has no original."""
    network, folder = _Network(spec.model), Path(spec.folder)
    write_one = _write_onnx if spec.peer == "onnxruntime" else _write_litert
    for precision in spec.precisions:
        reason = ""
        try:
            if precision == "int8" and network.takes_photos:
                raise BadInputError("a photo network is calibrated on photos, which bench has none of")
            for batch in spec.batches:
                write_one(network, batch, precision, folder / file_name(precision, batch, spec.peer))
        except Exception as error:  # the converters raise of all kinds, and the next precision may go well
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        outcome(folder, spec.peer, precision).write_text(reason, encoding="utf-8")


class _Network:
    """A bundle's original as a function of uint8 images with one output, the probabilities."""

    def __init__(self, model: str) -> None:
        self._tf = tensorflow_engine.tensorflow("to convert a network for its peers")
        self._call: Callable[[Any], Any]
        found = resolve.resolve(model)
        part = found.path
        self._facts = found.bundle.info if found.bundle is not None else {}
        if found.bundle is not None:
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
            self.shape, self.dtype = tuple(image.shape)[1:], image.dtype
        else:
            keras = tensorflow_engine.load_keras(part)
            self._call = lambda images: keras(images, training=False)
            self.shape, self.dtype = tuple(keras.input_shape)[1:], self._tf.as_dtype(keras.inputs[0].dtype)
        if None in self.shape:
            self.shape = classifier.image_shape(self.shape)
        self.takes_photos = self.shape[-1] == 3

    def function(self, batch: int) -> tuple[Any, Any]:
        """The network of so many images as a tf.function, and the TensorSpec of what it takes."""
        spec = self._tf.TensorSpec((batch, *self.shape), self.dtype, name="images")

        @self._tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
        def probabilities(images: Any) -> Any:
            return self._tf.identity(tensorflow_engine.answer_of(self._call(images)), name="probabilities")

        return probabilities, spec

    def calibration(self, batch: int) -> Iterator[NDArray[Any]]:
        """The training images INT8 is calibrated on, in whole batches."""
        images, labels = fashion_mnist.load("train")
        share, seed = (
            self._facts.get("validation_split") or fashion_mnist.VALIDATION_SPLIT,
            self._facts.get("seed") or 0,
        )
        fit_at, _ = fashion_mnist.split(labels, share, self._facts.get("split_seed", seed))
        chosen = images[fit_at[fashion_mnist.calibration_indices(labels[fit_at], CALIBRATION, seed)]]
        for at in range(0, len(chosen), batch):
            part = np.resize(chosen[at : at + batch], (batch, *chosen.shape[1:]))
            yield part.reshape(batch, *self.shape).astype(self.dtype.as_numpy_dtype)


def _write_onnx(network: _Network, batch: int, precision: str, path: Path) -> None:
    need("tf2onnx", "to convert to ONNX")
    import tf2onnx

    function, spec = network.function(batch)
    # For INT8 the network is written as FP32 first and quantized from that file.
    plain = path.with_suffix(".fp32.onnx") if precision == "int8" else path
    tf2onnx.convert.from_function(function, input_signature=[spec], opset=_OPSET, output_path=str(plain))
    if precision == "int8":
        _quantize_onnx(network, batch, plain, path)
        plain.unlink()


def _quantize_onnx(network: _Network, batch: int, plain: Path, path: Path) -> None:
    """ONNX Runtime's own static quantization, signed with scales per channel: of its kinds the fastest."""
    need("onnxruntime", "to quantize for ONNX Runtime")
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    images = network.calibration(batch)

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


def _write_litert(network: _Network, batch: int, precision: str, path: Path) -> None:
    import tensorflow as tf

    function, _ = network.function(batch)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([part] for part in network.calibration(batch))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path.write_bytes(converter.convert())


def main() -> None:
    """Convert what the command line's JSON says; the last line of stderr says why not."""
    try:
        write(Spec(**json.loads(sys.argv[1])))
    except EdgeFashionError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
