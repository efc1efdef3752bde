"""Post-training quantization by NNCF: an FP32 IR and calibration images to an INT8 network."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.bundles import model_files
from edgefashion.bundles.guard import check
from edgefashion.conversion import ensemble, first_layers
from edgefashion.conversion.accuracy_control import PlainQuantization
from edgefashion.inference import classifier, load, openvino_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quantize_plain(
    fp32: Path, images: Sequence[NDArray[np.uint8]], *, photo: bool, seven_bits: bool = False
) -> PlainQuantization:
    """Quantize the IR ``fp32`` on calibration ``images``, uint8 (h, w, c) each.

    ``photo`` says that it is a photo network, whose images may be of several sizes. ``seven_bits`` gives every layer's
    weights seven bits, with which no CPU overflows, and not the first convolution's alone.
    """
    import logging

    import nncf

    with quietly():
        nncf.set_log_level(logging.ERROR)
        model = openvino_engine.read_ir(fp32)
        if photo:
            return _photo_network(model, images, seven_bits=seven_bits)
        return _fashion_network(model, images, fp32, seven_bits=seven_bits)


def loaded(quantized: Any) -> classifier.Classifier:
    """A quantized ``openvino.Model`` as it will be called."""
    with written(quantized) as path:
        return load.load(path, precision="int8")


@contextlib.contextmanager
def written(quantized: Any) -> Iterator[Path]:
    """The .xml of a quantized ``openvino.Model``, there for as long as the block takes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "network.xml"
        model_files.save_ir(quantized, path)
        check.vouch(path)
        yield path


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep stdout free of the progress that NNCF draws there: it belongs to the command's result."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _photo_network(model: Any, images: Sequence[NDArray[np.uint8]], *, seven_bits: bool) -> PlainQuantization:
    """Calibrated on pictures of two sizes. NNCF's slow bias correction goes layer by layer over the quantized network.
    It costs 0.19 points of Fashion-MNIST's validation images, the fast one 0.34."""
    import nncf

    shape = tuple(model.input(0).shape)
    model.reshape([1, -1, -1, shape[-1]])
    dataset = nncf.Dataset([image[None] for image in images])
    settings: dict[str, Any] = {
        "subset_size": len(images),
        "fast_bias_correction": False,
        "advanced_parameters": nncf.AdvancedQuantizationParameters(overflow_fix=overflow_fix(seven_bits=seven_bits)),
    }
    quantized = nncf.quantize(model, dataset, **settings)
    quantized.reshape(list(shape))
    return PlainQuantization(quantized, model, dataset, settings, "slow", lambda image: image[None])


def _fashion_network(
    model: Any, images: Sequence[NDArray[np.uint8]], fp32: Path, *, seven_bits: bool
) -> PlainQuantization:
    """Quantized with each of NNCF's bias corrections and with none, its first layers rounded to the images: the one
    whose answers to the calibration images are nearest to FP32's is taken. Each of the three has cost a network a point
    where another costs nothing. The gate's images have no part in the choice."""
    import nncf

    shape, dtype = tuple(model.input(0).shape), model.input(0).element_type.to_dtype()

    def as_input(image: NDArray[np.uint8]) -> NDArray[Any]:
        return image.reshape(shape).astype(dtype)

    dataset = nncf.Dataset([as_input(image) for image in images])
    corrections = ("fast", "slow", "none")
    settings = {name: fashion_settings(name, len(images), seven_bits=seven_bits) for name in corrections}
    tried = {"none": nncf.quantize(model, dataset, **settings["none"])}
    for name in ("fast", "slow"):
        # What it takes for a bias may be none, such as one value for all channels: it fails then, in several ways.
        with contextlib.suppress(Exception):
            tried[name] = nncf.quantize(model, dataset, **settings[name])
    seen = first_layers.statistics(model, [as_input(image) for image in images])
    for made in tried.values():
        first_layers.round_to_images(made, model, seen)
    calibration = np.stack(images)
    expected = load.load(fp32, precision="fp32")(calibration)
    off = {name: float(np.abs(_answers(q, calibration) - expected).mean()) for name, q in tried.items()}
    best = min(off, key=lambda name: off[name])
    return PlainQuantization(tried[best], model, dataset, settings[best], best, as_input, seen)


def overflow_fix(*, seven_bits: bool) -> Any:
    """NNCF's name for it: weights of seven bits in the first convolution alone, which it gives any network, or in all
    layers."""
    import nncf

    return nncf.OverflowFix.ENABLE if seven_bits else nncf.OverflowFix.FIRST_LAYER


def fashion_settings(bias_correction: str, images: int, *, seven_bits: bool = False) -> dict[str, Any]:
    """Of ``nncf.quantize``, with the ``fast`` or ``slow`` bias correction or with ``none``."""
    import nncf

    # An ensemble averages probabilities, mostly near 0: rounded to 8 bits they lose their calibration.
    averaging = nncf.IgnoredScope(patterns=[f"{ensemble.MEAN}/.*"], validate=False)
    # NNCF's own ranges end at the mean of the images' extremes and cut off what lies beyond: that alone has cost a
    # network 0.4 points. The range of least squared error, from a histogram, costs none of them as much.
    least_error = nncf.quantization.range_estimator.RangeEstimatorParametersSet.HISTOGRAM
    return {
        "subset_size": images,
        "ignored_scope": averaging,
        "fast_bias_correction": bias_correction == "fast",
        "advanced_parameters": nncf.AdvancedQuantizationParameters(
            overflow_fix=overflow_fix(seven_bits=seven_bits),
            disable_bias_correction=bias_correction == "none",
            activations_range_estimator_params=least_error,
        ),
    }


def _answers(quantized: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return loaded(quantized)(images)
