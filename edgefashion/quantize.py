"""FP32 IR and calibration images to INT8 IR, with a gate on the accuracy it costs."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion import bundle, classify, data, decide, ensemble, garment, guard, photos
from edgefashion.errors import BadInputError, GateError, need

if TYPE_CHECKING:
    from numpy.typing import NDArray


GATE_SHARE: Final = 0.5
"""Share of the photos, by sender, that gate a photo network and calibrate nothing."""


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

    @property
    def drop(self) -> float:
        """Accuracy lost on the gate's images; negative where INT8 is better."""
        return self.accuracy_before - self.accuracy_after


@dataclass(frozen=True)
class _Material:
    """What a network is calibrated and gated on."""

    calibrate: Sequence[NDArray[np.uint8]]
    gate: Callable[[classify.Classifier], float]
    """A classifier's accuracy on what calibration has not seen."""
    gate_images: int
    held_out: bool
    """True if the network had not seen the gate's images in training either."""


def quantize(
    made: bundle.Bundle, options: QuantizeOptions = QuantizeOptions(), photo_folders: Sequence[Path] = ()
) -> tuple[bundle.Bundle, Quantization]:
    """Add an INT8 IR to the bundle, calibrated by NNCF on training images.

    Calibration and gate use disjoint parts of the training set: the part the network was fitted
    on and the part held out from it, where there is one. A photo network is calibrated on photos
    of ``photo_folders``, and gated on those of other senders. Raises :class:`GateError` if accuracy
    drops by more than ``options.max_drop``; the FP32 IR stays, and no INT8 IR is left.
    """
    need("nncf", "to quantize to INT8")
    fp32 = made.verified("fp32")
    before = classify.load(fp32, precision="fp32")
    material = _photo_material(made, options, photo_folders) if before.takes_photos else _material(made, options)
    quantized, bias_correction = _quantize(fp32, material.calibrate, photo=before.takes_photos)
    test_images, test_labels = data.load("test")
    with bundle.draft(made.path, made) as making:
        import openvino as ov

        making.drop_embedded()
        path = making.part("int8")
        ov.save_model(quantized, path, compress_to_fp16=False)
        guard.vouch(path)
        after = classify.load(path, precision="int8")
        result = Quantization(
            calibration_images=len(material.calibrate),
            bias_correction=bias_correction,
            gate_images=material.gate_images,
            gate_images_held_out=material.held_out,
            accuracy_before=material.gate(before),
            accuracy_after=material.gate(after),
            test_accuracy_before=_accuracy(before, test_images, test_labels),
            test_accuracy_after=_accuracy(after, test_images, test_labels),
            size_before_bytes=made.size_bytes("fp32"),
            size_after_bytes=sum(p.stat().st_size for p in (path, path.with_suffix(".bin"))),
        )
        passed = result.drop <= options.max_drop
        making.add_report(
            "int8", {**asdict(result), "drop": result.drop, "max_drop": options.max_drop, "passed": passed}
        )
        if passed:
            making.info["metrics"]["int8"] = {"test_accuracy": result.test_accuracy_after}
            making.info["versions"]["nncf"] = version("nncf")
        else:
            making.drop("int8")
            making.info["metrics"].pop("int8", None)
        bundle.write_card(making)
    if not passed:
        raise GateError(
            f"accuracy gate failed: of {result.gate_images:,} images kept from calibration INT8 gets "
            f"{result.accuracy_after:.4f} right, FP32 {result.accuracy_before:.4f}: a drop of {result.drop:.4f}, above "
            f"--max-drop {options.max_drop:g}. The FP32 IR is kept in {made.path}; try more --calibration images "
            "or a larger --max-drop"
        )
    return bundle.open_bundle(made.path), result


def check_calibration(made: bundle.Bundle, photo_folders: Sequence[Path]) -> None:
    """Raise :class:`BadInputError` for a photo network without photos to calibrate it on."""
    if made.info["input_shape"][-1] == 3 and not photo_folders:
        raise BadInputError(
            f"{made.name} is a photo network: INT8 has to be calibrated on photos. Give a folder with --photos"
        )


def _material(made: bundle.Bundle, options: QuantizeOptions) -> _Material:
    images, labels = data.load("train")
    # A network trained on everything, or elsewhere, has no held-out part; the default split stands in.
    share = made.info["validation_split"] or data.VALIDATION_SPLIT
    fit_at, gate_at = data.split(labels, share, made.info.get("split_seed", made.info["seed"] or 0))
    calibrate_at = fit_at[data.calibration_indices(labels[fit_at], options.calibration, made.info["seed"] or 0)]
    return _Material(
        calibrate=list(images[calibrate_at]),
        gate=lambda classifier: _accuracy(classifier, images[gate_at], labels[gate_at]),
        gate_images=len(gate_at),
        held_out=bool(made.info["validation_split"]),
    )


def _photo_material(made: bundle.Bundle, options: QuantizeOptions, folders: Sequence[Path]) -> _Material:
    check_calibration(made, folders)
    skipped: list[str] = []
    found = photos.scan(*folders)
    known = [p for p in found.photos if p.known]
    fit_at, gate_at = photos.split(known, GATE_SHARE, seed=0)
    labels = np.unique([known[i].label for i in fit_at], return_inverse=True)[1]
    chosen = [known[fit_at[i]] for i in data.calibration_indices(labels, options.calibration, seed=0)]
    calibrate = [garment.view(picture) for _, picture in photos.read(chosen, skipped)]
    # And the other kind of picture it takes, at its own size, or Fashion-MNIST would fall outside the ranges.
    images, classes = data.load("train")
    fashion_at, _ = data.split(classes, data.VALIDATION_SPLIT, 0)
    some = fashion_at[data.calibration_indices(classes[fashion_at], max(1, options.calibration // 3), seed=0)]
    calibrate += list(garment.as_photos(images[some]))
    gate = [(photo, garment.view(picture)) for photo, picture in photos.read([known[i] for i in gate_at], skipped)]
    if not gate:
        raise BadInputError(f"too few readable photos in {', '.join(map(str, folders))}. {' '.join(skipped[:1])}")
    views = np.stack([view for _, view in gate])

    def accuracy(classifier: classify.Classifier) -> float:
        answers = decide.best(classifier(views), classifier.labels)
        return float(np.mean([a in photos.members(p.label) for a, (p, _) in zip(answers, gate, strict=True)]))

    return _Material(calibrate, accuracy, len(gate), held_out=False)


def _quantize(fp32: Path, images: Sequence[NDArray[np.uint8]], *, photo: bool) -> tuple[Any, str]:
    """The quantized model, and the bias correction it was given."""
    # NNCF draws its own progress on stdout, which belongs to the command's result.
    with contextlib.redirect_stdout(io.StringIO()):
        import logging

        import nncf

        nncf.set_log_level(logging.ERROR)
        model = classify.read_ir(fp32)
        shape, dtype = tuple(model.input(0).shape), model.input(0).element_type.to_dtype()
        if photo:
            # Pictures of two sizes calibrate a photo network. The slow bias correction, layer after layer on the
            # quantized network, costs 0.19 points of Fashion-MNIST's validation images, the fast one 0.34.
            model.reshape([1, -1, -1, shape[-1]])
            dataset = nncf.Dataset([image[None] for image in images])
            quantized = nncf.quantize(model, dataset, subset_size=len(images), fast_bias_correction=False)
            quantized.reshape(list(shape))
            return quantized, "slow"
        dataset = nncf.Dataset([image.reshape(shape).astype(dtype) for image in images])
        # An ensemble averages probabilities, mostly near 0: rounded to 8 bits they lose their calibration.
        averaging = nncf.IgnoredScope(patterns=[f"{ensemble.MEAN}/.*"], validate=False)
        # NNCF's own ranges end at the mean of the images' extremes and cut off what lies beyond: that alone has cost
        # a network 0.4 points. The range of least squared error, from a histogram, costs none of them as much.
        least_error = nncf.quantization.range_estimator.RangeEstimatorParametersSet.HISTOGRAM
        tried = {
            name: nncf.quantize(
                model,
                dataset,
                subset_size=len(images),
                ignored_scope=averaging,
                fast_bias_correction=name == "fast",
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    disable_bias_correction=name == "none", activations_range_estimator_params=least_error
                ),
            )
            for name in ("fast", "slow", "none")
        }
        # None of the three is best for every network: each has cost one of them a point where another costs
        # nothing. The calibration images tell which, and leave the gate's images to the gate.
        calibration = np.stack(images)
        expected = classify.load(fp32, precision="fp32")(calibration)
        off = {name: float(np.abs(_answers(q, calibration) - expected).mean()) for name, q in tried.items()}
        best = min(off, key=lambda name: off[name])
        return tried[best], best


def _answers(quantized: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    import openvino as ov

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "int8.xml"
        ov.save_model(quantized, path, compress_to_fp16=False)
        guard.vouch(path)
        return classify.load(path, precision="int8")(images)


def _accuracy(classifier: classify.Classifier, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    return float(np.mean(decide.likeliest(classifier(images)) == labels))
