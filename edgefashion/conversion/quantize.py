"""FP32 IR and calibration images to INT8 IR, with a gate on the accuracy it costs."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.bundles import bundle, card, draft
from edgefashion.bundles.guard import check
from edgefashion.conversion import accuracy_control, calibration_sets, ensemble
from edgefashion.conversion.accuracy_control import Plain
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError, GateError
from edgefashion.evaluation import agreement
from edgefashion.inference import classifier, load, openvino_engine
from edgefashion.system.extras import installed, need

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class QuantizeOptions:
    """How to calibrate and what INT8 may cost."""

    max_drop: float = 0.005
    """Accuracy INT8 may lose, 0 to 1."""
    calibration: int = 300
    """Training images to calibrate on; NNCF's own default."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_drop <= 1:
            raise BadInputError(f"--max-drop must be from 0 to 1, not {self.max_drop:g} (0.005 is half a point)")
        if self.calibration < 1:
            raise BadInputError(f"--calibration must be at least 1 image, not {self.calibration}")


@dataclass(frozen=True)
class Quantization:
    """What INT8 costs and brings. The gate's accuracies are on training images that calibration
    has not seen; the test set's are for the report and decide nothing."""

    calibration_images: int
    bias_correction: str
    """NNCF's ``fast`` or ``slow`` one or ``none``, whichever came nearest to FP32 on the calibration images."""
    gate_images: int
    gate_images_held_out: bool
    """True if the network had not seen them in training either."""
    accuracy_before: float
    accuracy_after: float
    test_accuracy_before: float
    test_accuracy_after: float
    size_before_bytes: int
    size_after_bytes: int
    accuracy_plain: float
    """Of plain quantization on the gate's images; ``accuracy_after`` unless accuracy control followed."""
    control: accuracy_control.Control | None
    """None where plain quantization was good enough."""
    agreement: agreement.Agreement
    """INT8's answers to the 10,000 test images beside the original's."""
    seconds: dict[str, float]
    """Of each stage: plain quantization, accuracy control, gate."""

    @property
    def drop(self) -> float:
        """Accuracy lost on the gate's images; negative where INT8 is better."""
        return self.accuracy_before - self.accuracy_after

    def as_json(self) -> dict[str, Any]:
        """The fields of the bundle's report."""
        control = self.control.as_json() if self.control else None
        return {**asdict(self), "control": control, "drop": self.drop}


def quantize(
    made: bundle.Bundle, options: QuantizeOptions = QuantizeOptions(), photo_folders: Sequence[Path] = ()
) -> tuple[bundle.Bundle, Quantization]:
    """Add an INT8 IR to the bundle, calibrated by NNCF on training images.

    Where that costs more than ``options.max_drop``, accuracy control puts back to floating point what hurts.
    Calibration and gate use disjoint parts of the training set: the part the network was fitted
    on and the part held out from it, where there is one. A photo network is calibrated on photos
    of ``photo_folders``, and gated on those of other senders. Raises :class:`GateError` if accuracy
    still drops by more than ``options.max_drop``; the FP32 IR stays, and no INT8 IR is left.
    """
    need("nncf", "to quantize to INT8")
    fp32 = made.verified("fp32")
    before = load.load(fp32, precision="fp32")
    if before.takes_photos:
        of = calibration_sets.of_photos(made, options.calibration, photo_folders)
    else:
        of = calibration_sets.fashion(made, options.calibration)
    accuracy_before = of.gate(before)
    seconds: dict[str, float] = {}
    with _timed(seconds, "plain"):
        plain = _quantize(fp32, of.calibrate, photo=before.takes_photos)
    with _timed(seconds, "gate"):
        accuracy_plain = of.gate(_loaded(plain.ir))
    control = None
    if accuracy_before - accuracy_plain > options.max_drop:
        with _timed(seconds, "accuracy_control"), _quietly():
            ir, control = accuracy_control.control(plain, of.chooser(), options.max_drop)
    else:
        ir = plain.ir
    test_images, test_labels = fashion_mnist.load("test")
    with draft.draft(made.path, made) as making:
        import openvino as ov

        making.drop_embedded()
        path = making.part("int8")
        ov.save_model(ir, path, compress_to_fp16=False)
        check.vouch(path)
        after = load.load(path, precision="int8")
        with _timed(seconds, "gate"):
            accuracy_after = of.gate(after) if control else accuracy_plain
        fp32_answers, int8_answers = before(test_images), after(test_images)
        original, reference = _original(made, test_images, fp32_answers)
        result = Quantization(
            calibration_images=len(of.calibrate),
            bias_correction=plain.bias_correction,
            gate_images=of.gate_images,
            gate_images_held_out=of.held_out,
            accuracy_before=accuracy_before,
            accuracy_after=accuracy_after,
            test_accuracy_before=calibration_sets.share_right(fp32_answers, test_labels),
            test_accuracy_after=calibration_sets.share_right(int8_answers, test_labels),
            size_before_bytes=made.size_bytes("fp32"),
            size_after_bytes=sum(p.stat().st_size for p in (path, path.with_suffix(".bin"))),
            accuracy_plain=accuracy_plain,
            control=control,
            agreement=agreement.compare(original, int8_answers, test_labels, reference),
            seconds={stage: round(taken, 1) for stage, taken in seconds.items()},
        )
        passed = result.drop <= options.max_drop
        making.add_report("int8", {**result.as_json(), "max_drop": options.max_drop, "passed": passed})
        if passed:
            making.info["metrics"]["int8"] = {
                "test_accuracy": result.test_accuracy_after,
                "agreement": result.agreement.as_json(),
            }
            making.info["versions"]["nncf"] = version("nncf")
        else:
            making.drop("int8")
            making.info["metrics"].pop("int8", None)
        card.write_card(making)
    if not passed:
        assert control is not None  # plain quantization would have passed
        raise GateError(
            f"accuracy gate failed: of {result.gate_images:,} images kept from calibration INT8 gets "
            f"{result.accuracy_after:.4f} right, FP32 {result.accuracy_before:.4f}: a drop of {result.drop:.4f}, above "
            f"--max-drop {options.max_drop:g}, though {control.in_short()}. The FP32 IR is kept in "
            f"{made.path}; try more --calibration images or a larger --max-drop"
        )
    return bundle.open_bundle(made.path), result


def _original(
    made: bundle.Bundle, images: NDArray[np.uint8], fp32: NDArray[np.float32]
) -> tuple[NDArray[np.float32], str]:
    """The original's answers and who gave them; the FP32 IR's, which are gated as equal, where TensorFlow is
    missing, or no original, or it would take minutes."""
    if installed("tensorflow") and made.has("saved_model") and made.info["input_shape"][-1] == 1:
        return load.load(made.path, engine="tensorflow")(images), "TensorFlow"
    return fp32, "the FP32 IR"


def _quantize(fp32: Path, images: Sequence[NDArray[np.uint8]], *, photo: bool) -> Plain:
    with _quietly():
        import logging

        import nncf

        nncf.set_log_level(logging.ERROR)
        model = openvino_engine.read_ir(fp32)
        shape, dtype = tuple(model.input(0).shape), model.input(0).element_type.to_dtype()
        if photo:
            # Pictures of two sizes calibrate a photo network. The slow bias correction, layer after layer on the
            # quantized network, costs 0.19 points of Fashion-MNIST's validation images, the fast one 0.34.
            model.reshape([1, -1, -1, shape[-1]])
            dataset = nncf.Dataset([image[None] for image in images])
            settings: dict[str, Any] = {"subset_size": len(images), "fast_bias_correction": False}
            quantized = nncf.quantize(model, dataset, **settings)
            quantized.reshape(list(shape))
            return Plain(quantized, model, dataset, settings, "slow", lambda image: image[None])

        def as_input(image: NDArray[np.uint8]) -> NDArray[Any]:
            return image.reshape(shape).astype(dtype)

        dataset = nncf.Dataset([as_input(image) for image in images])
        # An ensemble averages probabilities, mostly near 0: rounded to 8 bits they lose their calibration.
        averaging = nncf.IgnoredScope(patterns=[f"{ensemble.MEAN}/.*"], validate=False)
        # NNCF's own ranges end at the mean of the images' extremes and cut off what lies beyond: that alone has cost
        # a network 0.4 points. The range of least squared error, from a histogram, costs none of them as much.
        least_error = nncf.quantization.range_estimator.RangeEstimatorParametersSet.HISTOGRAM
        tried_settings = {
            name: {
                "subset_size": len(images),
                "ignored_scope": averaging,
                "fast_bias_correction": name == "fast",
                "advanced_parameters": nncf.AdvancedQuantizationParameters(
                    disable_bias_correction=name == "none", activations_range_estimator_params=least_error
                ),
            }
            for name in ("fast", "slow", "none")
        }
        tried = {name: nncf.quantize(model, dataset, **given) for name, given in tried_settings.items()}
        # None of the three is best for every network: each has cost one of them a point where another costs
        # nothing. The calibration images tell which, and leave the gate's images to the gate.
        calibration = np.stack(images)
        expected = load.load(fp32, precision="fp32")(calibration)
        off = {name: float(np.abs(_answers(q, calibration) - expected).mean()) for name, q in tried.items()}
        best = min(off, key=lambda name: off[name])
        return Plain(tried[best], model, dataset, tried_settings[best], best, as_input)


def _answers(quantized: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return _loaded(quantized)(images)


def _loaded(quantized: Any) -> classifier.Classifier:
    """The quantized network as it will be called."""
    import openvino as ov

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "int8.xml"
        ov.save_model(quantized, path, compress_to_fp16=False)
        check.vouch(path)
        return load.load(path, precision="int8")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """NNCF draws its own progress on stdout, which belongs to the command's result."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
