"""INT8 costs no more accuracy than allowed, or is not written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles import bundle
from edgefashion.conversion import accuracy_control, post_training
from edgefashion.conversion.convert import convert
from edgefashion.conversion.quantize import Quantization, QuantizeOptions, quantize
from edgefashion.errors import BadInputError, GateError
from edgefashion.inference import decision
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import read_ir
from edgefashion.inference.tensorflow_engine import export_saved_model
from edgefashion.inference.told import Told

if TYPE_CHECKING:
    from helpers.types import Arrays

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def converted(trained: bundle.Bundle, tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return convert(trained.path, tmp_path_factory.mktemp("quantize") / "small").bundle


@pytest.fixture(scope="module")
def quantized(converted: bundle.Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[bundle.Bundle, Quantization]:
    return quantize(
        _copy(converted, tmp_path_factory.mktemp("quantized")), QuantizeOptions(max_drop=0.02, calibration=100)
    )


def test_int8_is_smaller_and_as_good(quantized: tuple[bundle.Bundle, Quantization], test_set: Arrays) -> None:
    """INT8 runs in 8 bits, takes less than a third of FP32's bytes, needs no accuracy control, and its report's
    accuracies are those of the networks it names."""
    made, result = quantized
    assert result.size_after_bytes * 3 < result.size_before_bytes
    assert result.drop <= 0.02
    int8 = load(made.path)
    assert int8.precision == "int8"
    assert int8.runtime_precision.rstrip("8") in ("u", "i")
    assert result.control is None
    assert result.weight_bits == 8
    assert set(result.seconds) == {"plain", "gate"}
    in_8_bits = accuracy_control.reverted(read_ir(made.verified("int8")), read_ir(made.verified("fp32")))
    assert sorted({kind for _, kind in in_8_bits}) == ["Convolution", "MatMul"]
    images, labels = test_set
    for precision, stated in (("fp32", result.test_accuracy_before), ("int8", result.test_accuracy_after)):
        answers = load(made.path, precision=precision)(images).argmax(1)
        assert np.mean(answers == labels) == pytest.approx(stated, abs=1e-9)
    report = made.report()["int8"]
    assert report["passed"] is True
    assert report["control"] is None


def test_int8s_report_is_that_of_the_networks(quantized: tuple[bundle.Bundle, Quantization], test_set: Arrays) -> None:
    """The report's figures are those of the original and the INT8 IR on the 10,000 test images, found again here; the
    model card tells them, and the conversion has its own."""
    made, result = quantized
    images, labels = test_set
    original, int8 = load(made.path, engine="tensorflow")(images), load(made.path, precision="int8")(images)
    report = made.report()
    stated = report["int8"]["agreement"]
    assert stated == result.agreement.as_json()
    assert (stated["reference"], stated["n"]) == ("TensorFlow", 10_000)
    assert stated["max_abs_difference"] == pytest.approx(np.abs(original - int8).max(), abs=1e-5)
    right, still = decision.likeliest(original) == labels, decision.likeliest(int8) == labels
    assert stated["only_original_right"] == np.sum(right & ~still)
    assert stated["only_converted_right"] == np.sum(still & ~right)
    assert sum(stated["per_class_drop"].values()) / 10 == pytest.approx(right.mean() - still.mean(), abs=1e-9)
    card = made.verified("card").read_text(encoding="utf-8")
    assert f"p = {stated['p_value']:.2g}" in card
    for parity in report["convert"]["parity"]:
        assert parity["agreement"]["n"] == 1000
        assert parity["agreement"]["top1_agreement"] == 1.0 or parity["precision"] == "fp16"


def test_the_bias_correction_nearest_to_fp32_is_kept(
    converted: bundle.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_test_images: None
) -> None:
    """Of the three bias corrections the one is kept, and named in the report, whose answers to the calibration
    images differ least from FP32's."""
    seen = []
    answers = post_training._answers

    def spoilt(quantized: Any, images: Any) -> Any:
        # All but the last answer another garment's probabilities.
        seen.append(quantized)
        given = answers(quantized, images)
        return given if len(seen) == 3 else np.roll(given, 1, axis=1)

    monkeypatch.setattr(post_training, "_answers", spoilt)
    made, result = quantize(_copy(converted, tmp_path), QuantizeOptions(max_drop=0.5, calibration=20))
    assert len(seen) == 3
    assert result.bias_correction == "slow"
    assert made.report()["int8"]["bias_correction"] == "slow"


def test_the_rare_large_activation_is_kept(tmp_path: Path, test_set: Arrays, few_test_images: None) -> None:
    """Activations beyond the mean of the images' largest are not cut off: a network that tells pictures by their
    brightness alone answers the brightest in INT8 as it does in FP32."""
    import keras
    from keras import layers

    images = layers.Input((28, 28, 1), dtype="uint8")
    bright, logits = layers.Dense(16, activation="relu"), layers.Dense(10, activation="softmax", name="answers")
    model = keras.Model(images, logits(bright(layers.Flatten()(layers.Rescaling(1 / 255)(images)))))
    # Every other weight is 0: CPUs without VNNI add two products in 16 bits, which two largest ones would overflow.
    steps, every_other = np.arange(10, dtype=np.float32), np.array([[1], [0]], np.float32)
    bright.set_weights([np.tile(every_other, (392, 16)) / 392, np.zeros(16)])
    # The answer is the brightness in steps of 0.07: the nearest of (0, 0.07, 0.14, ...) has the largest logit.
    logits.set_weights([np.tile(every_other * steps * 0.07 * 400 / 8 * 2, (8, 1)), -((steps * 0.07) ** 2) * 400])
    export_saved_model(model, tmp_path / "saved")
    converted = convert(tmp_path / "saved", tmp_path / "steps", told=Told(anyway=True))  # it has learned nothing
    made, _ = quantize(converted.bundle, QuantizeOptions(max_drop=1.0, calibration=100))
    shown = test_set[0][test_set[0].mean((1, 2, 3)) > 255 * 0.4]
    assert len(shown) > 500
    fp32, int8 = (load(made.path, precision=precision)(shown).argmax(1) for precision in ("fp32", "int8"))
    assert np.mean(fp32 == int8) > 0.9


def test_calibration_never_sees_the_gates_images(
    converted: bundle.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_test_images: None
) -> None:
    """NNCF is given exactly the asked number of training images, none of them held out."""
    import nncf

    from edgefashion.data import fashion_mnist, splits

    given: list[Any] = []
    real = nncf.Dataset

    class Spy(real):  # type: ignore[misc,valid-type]
        """A class, as NNCF's own: modules that it imports only now name it in their types."""

        def __init__(self, items: list[Any], *rest: Any) -> None:
            given.extend(items)
            super().__init__(items, *rest)

    monkeypatch.setattr(nncf, "Dataset", Spy)
    quantize(_copy(converted, tmp_path), QuantizeOptions(max_drop=0.1, calibration=20))
    images, labels = fashion_mnist.load("train")
    assert converted.facts.validation_split
    fit_at, gate_at = splits.split(labels, converted.facts.validation_split, converted.facts.validation_seed)
    fit, gate = ({images[i].tobytes() for i in at} for at in (fit_at, gate_at))
    seen = {item.tobytes() for item in given}
    assert len(given) == 20
    assert seen <= fit
    assert not seen & (gate - fit)


def test_too_large_a_drop_fails_and_keeps_fp32(
    fragile: bundle.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_test_images: None
) -> None:
    """Where accuracy control cannot help either, a drop above --max-drop fails, names both accuracies, keeps the
    FP32 IR and leaves no INT8, not even an older one that a larger --max-drop let pass."""
    made, _ = quantize(_copy(fragile, tmp_path), QuantizeOptions(max_drop=1.0, calibration=30))
    assert made.has("int8")
    monkeypatch.setattr(accuracy_control, "AIM", 200)  # it is content with what it finds
    monkeypatch.setattr(accuracy_control, "IMAGES", 500)
    with pytest.raises(GateError, match=r"--max-drop 0\.005, though accuracy control put no operation back") as failed:
        quantize(made, QuantizeOptions(calibration=30))
    after = bundle.open_bundle(made.path)
    after.verify_all()
    assert after.has("fp32")
    assert not after.has("int8")
    assert load(after.path).precision == "fp32"
    report = after.report()["int8"]
    assert report["passed"] is False
    assert report["accuracy_before"] - report["accuracy_after"] > 0.1
    assert f"{report['accuracy_before']:.4f}" in str(failed.value)
    assert f"{report['accuracy_after']:.4f}" in str(failed.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"max_drop": -0.1}, "--max-drop"), ({"max_drop": 2.0}, "--max-drop"), ({"calibration": 0}, "--calibration")],
)
def test_options_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    """Limits that make no sense are refused by name."""
    with pytest.raises(BadInputError, match=message):
        QuantizeOptions(**given)


def _copy(made: bundle.Bundle, folder: Path) -> bundle.Bundle:
    return bundle.open_bundle(Path(shutil.copytree(made.path, folder / made.path.name)))
