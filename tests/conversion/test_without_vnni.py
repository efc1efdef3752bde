"""INT8 holds on the CPUs that add products of 8 bits in 16, wherever it was made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion import convert, load, quantize
from edgefashion.bundles import bundle
from edgefashion.conversion import without_vnni
from edgefashion.conversion.quantize import Quantization, QuantizeOptions
from edgefashion.data import fashion_mnist
from edgefashion.errors import MissingError
from edgefashion.inference.tensorflow_engine import export_saved_model
from edgefashion.inference.told import Told

if TYPE_CHECKING:
    from helpers.types import Arrays

Made = tuple[bundle.Bundle, Quantization]

pytestmark = pytest.mark.usefixtures("few_test_images_throughout")


@pytest.fixture(scope="module")
def by_brightness(tmp_path_factory: pytest.TempPathFactory, few_test_images_throughout: None) -> bundle.Bundle:
    """Ten garments told apart by brightness alone: two hidden layers of equal, positive weights. Two largest weights,
    each times a bright pixel, are more than 16 bits hold."""
    import keras
    from keras import layers
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

    folder = tmp_path_factory.mktemp("brightness")
    images = layers.Input((28, 28, 1), dtype="uint8")
    bright, logits = layers.Dense(16, activation="relu"), layers.Dense(10, activation="softmax", name="answers")
    model = keras.Model(images, logits(bright(layers.Flatten()(layers.Rescaling(1 / 255)(images)))))
    bright.set_weights([np.full((784, 16), 1 / 784), np.zeros(16)])
    steps = np.arange(10, dtype=np.float32) * 0.07
    # The answer is the brightness in steps of 0.07, each named by the garment that most often has it: the nearest of
    # (0, 0.07, 0.14, ...) has the largest logit.
    shown, labels = fashion_mnist.load("train")
    counts = np.zeros((10, 10))
    np.add.at(counts, (np.minimum(shown.mean((1, 2, 3)) / 255 / 0.07 + 0.5, 9).astype(int), labels), 1)
    steps = steps[np.argsort(linear_sum_assignment(-counts)[1])]
    logits.set_weights([np.tile(steps * 400 / 8, (16, 1)), -(steps**2) * 400])
    export_saved_model(model, folder / "saved")
    return convert(folder / "saved", folder / "steps", told=Told(anyway=True)).bundle


@pytest.fixture(scope="module")
def steps(by_brightness: bundle.Bundle) -> Made:
    return quantize(by_brightness, QuantizeOptions(max_drop=0.02))


def test_weights_get_seven_bits_where_eight_overflow(steps: Made) -> None:
    """A network that overflows with eight bits on CPUs without VNNI is quantized with seven, and says so; it then
    passes the gate on such a CPU, without any operation put back."""
    made, result = steps
    assert result.weight_bits == 7
    assert result.control is None
    assert result.accuracy_before - result.accuracy_without_vnni <= 0.02
    assert "seven bits" in result.warnings()[0]
    report = made.report()["int8"]
    assert (report["weight_bits"], report["accuracy_without_vnni"]) == (7, result.accuracy_without_vnni)


def test_seven_bits_are_tried_where_the_cpu_cannot_be_told(
    by_brightness: bundle.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is not known whether the CPU has VNNI, it is asked both ways, and seven bits are tried."""
    monkeypatch.setattr(without_vnni, "differs", lambda: True)
    copy = bundle.open_bundle(Path(shutil.copytree(by_brightness.path, tmp_path / "steps")))
    _, result = quantize(copy, QuantizeOptions(max_drop=0.02))
    assert result.weight_bits == 7


def test_int8_answers_as_fp32_on_a_cpu_without_vnni(steps: Made, test_set: Arrays) -> None:
    """What was written answers like FP32 in a process capped at AVX2."""
    made, _ = steps
    shown = test_set[0][:2000]
    fp32 = load(made.path, precision="fp32")(shown).argmax(1)
    assert np.mean(_capped(made, "int8")(shown).argmax(1) == fp32) > 0.95


def test_the_larger_loss_is_gated(steps: Made) -> None:
    """The drop is that of the CPU that loses more."""
    from dataclasses import replace

    _, result = steps
    for here, older, drop in ((0.9, 0.7, 0.25), (0.7, 0.9, 0.25), (0.97, 0.96, -0.01)):
        told = replace(result, accuracy_before=0.95, accuracy_after=here, accuracy_without_vnni=older)
        assert told.drop == pytest.approx(drop)


def test_the_cap_is_the_processs_own(steps: Made) -> None:
    """A capped call leaves this process's environment as it was, and its answers are those of a process started with
    the cap by hand."""
    made, _ = steps
    before = dict(os.environ)
    shown = fashion_mnist.load("test")[0][:50]
    answers = _capped(made, "fp32")(shown)
    assert dict(os.environ) == before
    code = (
        "import sys; from edgefashion import load; from edgefashion.data import fashion_mnist; import numpy as np;"
        "np.save(sys.argv[2], load(sys.argv[1], precision='fp32')(fashion_mnist.load('test')[0][:50]))"
    )
    out = made.path.parent / "by-hand.npy"
    subprocess.run(
        [sys.executable, "-c", code, str(made.path), str(out)],
        check=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
    )
    assert np.allclose(answers, np.load(out), atol=1e-5)


def test_a_process_that_fails_is_told_in_one_line(steps: Made, tmp_path: Path) -> None:
    """An IR that is gone, or whose process dies, is one sentence and no traceback."""
    made, _ = steps
    network = without_vnni.capped(load(made.path, precision="fp32"), tmp_path / "gone.xml")
    with pytest.raises(MissingError, match="INT8 cannot be tried as on a CPU without VNNI: ") as told:
        network(np.zeros((1, 28, 28, 1), np.uint8))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("names", "whole", "expected"),
    [
        (["sse4_2", "avx2"], True, False),
        (["sse4_2"], True, False),
        (["avx2", "avx_vnni"], True, True),
        (["avx2", "avx512f", "avx512_vnni"], True, True),
        (["avx2", "avx512f"], True, False),
        (["avx2", "amx_int8"], True, True),
        (["avx2"], False, True),
    ],
)
def test_which_cpus_compute_otherwise(
    names: list[str], whole: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own is started on CPUs with VNNI, and where that cannot be told."""
    monkeypatch.setattr("edgefashion.system.machine.isa", lambda: names)
    monkeypatch.setattr("edgefashion.system.machine.isa_is_whole", lambda: whole)
    assert without_vnni.differs() is expected


def _capped(made: bundle.Bundle, precision: str) -> Any:
    return without_vnni.capped(load(made.path, precision=precision), made.verified(precision))
