"""One call for every engine: uint8 images in, probabilities out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import edgefashion
from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import cpu_has_bf16
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Arrays, Run


def test_the_shipped_model_loads_by_default(test_set: Arrays) -> None:
    """``load()`` gives the shipped INT8 network, right about the test images as its card says."""
    classifier = edgefashion.load()
    assert (classifier.name, classifier.precision, classifier.labels) == ("edge", "int8", LABELS)
    images, labels = test_set
    stated = resolve.resolve("edge").bundle
    assert stated is not None
    measured = np.mean(classifier(images).argmax(1) == labels)
    # INT8 rounding differs a little between instruction sets.
    assert measured == pytest.approx(stated.info["metrics"]["int8"]["test_accuracy"], abs=0.003)


@pytest.mark.parametrize("engine", ["tensorflow", "keras", "keras-predict", "openvino"])
def test_every_engine_gives_the_same_probabilities(engine: str, test_set: Arrays) -> None:
    """In FP32 the four engines agree to 1e-4 on the same bytes."""
    images = test_set[0][:200]
    stored = np.load(resolve.resolve("edge").bundle.verified("reference"))["probabilities"][:200]  # type: ignore[union-attr]
    answers = load("edge", engine=engine, precision="fp32")(images)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, stored, atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("purpose", ["latency", "throughput"])
def test_answers_do_not_depend_on_the_batch(count: int, purpose: str, test_set: Arrays) -> None:
    """However many images a call brings, each gets the answer it would get alone, in its place."""
    images = test_set[0][:count]
    single = load(precision="fp32")
    expected = np.concatenate([single(images[i : i + 1]) for i in range(count)]) if count else np.empty((0, 10))
    answers = load(precision="fp32", purpose=purpose)(images)
    assert answers.shape == (count, 10)
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_an_answer_outlives_the_next_call(test_set: Arrays) -> None:
    """An array returned is the caller's: the next call does not write into it."""
    classifier = load()
    first = classifier(test_set[0][:1])
    kept = first.copy()
    classifier(test_set[0][1:2])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (1, 28, 28), (1, 28, 28, 1)])
def test_shapes_of_one_image(shape: tuple[int, ...], test_set: Arrays) -> None:
    """One image may come with or without its batch and channel axes."""
    image = test_set[0][0]
    classifier = load()
    np.testing.assert_array_equal(classifier(image.reshape(shape)), classifier(image[None]))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 28, 28, 1), np.float32), "uint8 array of intensities 0 to 255, not float32"),
        (np.zeros((1, 32, 32, 1), np.uint8), r"must have shape \(n, 28, 28, 1\), not \(1, 32, 32, 1\)"),
        (np.zeros((2, 28, 28, 3), np.uint8), "must have shape"),
        (np.zeros((1, 784), np.uint8), "must have shape"),
        ([[0]], "not list"),
    ],
)
def test_wrong_images_are_refused(images: Any, message: str) -> None:
    """Scaled, misshapen or other input is refused with what was expected."""
    with pytest.raises(BadInputError, match=message):
        load()(images)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"precision": "int4"}, BadInputError, "no precision named 'int4'"),
        ({"engine": "torch"}, BadInputError, "no engine named 'torch'"),
        ({"purpose": "fun"}, BadInputError, "no purpose named 'fun'"),
        ({"engine": "keras", "precision": "int8"}, BadInputError, "runs the original in fp32"),
        ({"model": "nobody"}, BadInputError, "no bundle of that name. Known bundles: .*edge"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """An unknown engine, precision, purpose or model is answered with the known ones."""
    with pytest.raises(error, match=message):
        load(**options)


@pytest.mark.parametrize(("precision", "expected"), [("fp32", "f32"), ("bf16", "bf16")])
def test_precision_is_what_runs(precision: str, expected: str) -> None:
    """The executed graph's own precision is reported, and is the one asked for; where the CPU
    cannot run BF16, asking for it says so instead of running something else."""
    if precision == "bf16" and not cpu_has_bf16():
        with pytest.raises(MissingError, match="cannot run BF16"):
            load(precision=precision)
    else:
        assert load(precision=precision).runtime_precision == expected


def test_an_altered_network_is_never_parsed(tmp_path: Path) -> None:
    """A flipped byte in an IR's weights is noticed before OpenVINO reads the file."""
    import shutil

    copy = Path(shutil.copytree(resolve.resolve("edge").path, tmp_path / "edge"))
    weights = copy / "int8.bin"
    raw = bytearray(weights.read_bytes())
    raw[1000] ^= 1
    weights.write_bytes(raw)
    for model in (copy, copy / "int8.xml"):
        with pytest.raises(BadInputError, match="was altered"):
            load(model)


@pytest.mark.parametrize("command", [["predict", "picture.png"], ["evaluate"], ["doctor"], ["zoo"]])
def test_kiosk_commands_never_import_tensorflow(command: list[str], tmp_path: Path, test_set: Arrays) -> None:
    """Where TensorFlow is installed the kiosk's commands still do without it."""
    from edgefashion.camera import demo_clip
    from edgefashion.data.images import write_png

    write_png(tmp_path / "picture.png", demo_clip.scene_of(test_set[0][0]))
    code = f"""
import sys
from edgefashion.cli import main as cli
sys.argv = {["edgefashion", *command]!r}
try:
    cli.main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"tensorflow", "keras", "nncf", "matplotlib", "torch"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_help_imports_nothing_heavy(run: Run) -> None:
    """``--help`` is instant: not even numpy is imported for it."""
    code = """
import sys
from edgefashion.cli import main as cli
sys.argv = ["edgefashion", "--help"]
try:
    cli.main()
except SystemExit:
    pass
heavy = {"numpy", "cv2", "openvino", "rich", "tensorflow"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_nobody_is_told() -> None:
    """OpenVINO and NNCF, which report their use to Google Analytics from forked processes, find nothing to do it with:
    loading a network and answering starts no process, and a choice the user made before is left alone."""
    code = """
import os, sys
forks = []
os.register_at_fork(before=lambda: forks.append(1))
import numpy, edgefashion
edgefashion.load("edge")(numpy.zeros((1, 28, 28, 1), numpy.uint8))
from openvino.tools.ovc import telemetry_utils
from nncf.telemetry import wrapper
assert telemetry_utils.tm.__name__.endswith("stub"), telemetry_utils.tm
assert type(wrapper.telemetry).__name__ == "MagicMock", wrapper.telemetry
assert not forks
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    code = "import openvino_telemetry, edgefashion, sys; assert sys.modules['openvino_telemetry']"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
