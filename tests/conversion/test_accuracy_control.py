"""What plain quantization spoils, accuracy control mends, and says how."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles import bundle
from edgefashion.conversion import accuracy_control, calibration_sets
from edgefashion.data import fashion_mnist, splits
from edgefashion.inference.load import load

if TYPE_CHECKING:
    from helpers.types import Arrays, Run

pytestmark = pytest.mark.long


def test_what_hurts_goes_back_to_floating_point(
    fragile: bundle.Bundle,
    run_here: Run,
    tmp_path: Path,
    test_set: Arrays,
    monkeypatch: pytest.MonkeyPatch,
    few_test_images: None,
) -> None:
    """A layer that 8 bits cannot hold runs in FP32 again and the others in INT8: the gate passes, and the report and
    the output say which layer it was and how long each stage took."""
    monkeypatch.setattr(accuracy_control, "IMAGES", 1000)  # it may lose five of them, and loses hundreds
    copy = Path(shutil.copytree(fragile.path, tmp_path / "fragile"))
    done = run_here("convert", copy, "--int8", "--calibration", "50")
    assert done.returncode == 0, done.stderr
    made = bundle.open_bundle(copy)
    report = made.report()["int8"]
    assert report["accuracy_before"] - report["accuracy_plain"] > 0.1
    assert report["accuracy_before"] - report["accuracy_after"] <= report["max_drop"] == 0.005
    (layer,) = report["control"]["reverted"]
    assert layer["type"] == "MatMul"
    assert "wide" in layer["name"]
    assert f"accuracy control put 1 operation back to FP32: {layer['name']} (MatMul)" in done.stdout
    assert set(report["seconds"]) == {"plain", "gate", "accuracy_control"}
    assert f"{report['seconds']['accuracy_control']:.1f} s (accuracy_control)" in done.stdout
    int8 = load(copy, precision="int8")
    assert "8" in int8.runtime_precision
    assert "f32" in int8.runtime_precision
    images = test_set[0]
    assert np.mean(int8(images).argmax(1) == load(copy, precision="fp32")(images).argmax(1)) > 0.99


def test_its_images_are_neither_calibrations_nor_the_gates(trained: bundle.Bundle, test_set: Arrays) -> None:
    """The images that choose come from the training part; none calibrates, none is the gate's or the test set's."""
    of = calibration_sets.of_fashion_mnist(trained, calibration=300)
    choosing = {image.tobytes() for image in of.selection().images}
    assert len(of.selection().images) == accuracy_control.IMAGES
    images, labels = fashion_mnist.load("train")
    assert trained.facts.validation_split
    fit_at, gate_at = splits.split(labels, trained.facts.validation_split, trained.facts.validation_seed)
    seen: list[Any] = []
    of.gate(lambda given: seen.append(given) or np.zeros((len(given), 10), np.float32))  # type: ignore[arg-type,func-returns-value]
    assert np.array_equal(seen[0], images[gate_at])
    fit = {image.tobytes() for image in images[fit_at]}
    assert choosing <= fit
    for others in (of.calibrate, images[gate_at], test_set[0]):
        # Fashion-MNIST holds a few pictures twice.
        assert len(choosing & {image.tobytes() for image in others}) <= 2
