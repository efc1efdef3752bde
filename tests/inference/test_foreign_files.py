"""ONNX and .tflite files made elsewhere are converted, measured and proved like our own."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bench import candidates, run
from edgefashion.bench.peers import Peer
from edgefashion.bundles import resolve
from edgefashion.conversion.convert import convert
from edgefashion.errors import BadInputError, GateError, MissingError
from edgefashion.evaluation.fashion import evaluate
from edgefashion.inference import foreign_files, onnx_litert_engine
from edgefashion.inference.contract import LOGITS, Contract
from edgefashion.inference.load import load
from edgefashion.inference.other_runtime import true_cause
from edgefashion.inference.told import Told
from edgefashion.system import extras

SHORT = run.BenchOptions(rounds=1, seconds=0.02, min_calls=2, batches=(64,), cold_starts=0)

LOGITS_OF_0_1 = Contract("0-1", (1 / 255,), (0.0,), (784,), LOGITS)

if TYPE_CHECKING:
    from helpers.types import Arrays


def _trained(shape: tuple[int, ...], train_set: Arrays, *, scaled: bool, classes: int = 10) -> Any:
    """A small network: ``scaled`` ones take bytes and answer probabilities, others 0 to 1 and answer logits."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    images = layers.Input(shape, dtype="uint8" if scaled else "float32")
    x = layers.Rescaling(1 / 255)(images) if scaled else images
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Reshape((28, 28, 1))(x))
    answers = layers.Dense(classes, activation="softmax" if scaled else None)(layers.Flatten()(x))
    model = keras.Model(images, answers)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=not scaled))
    if classes == 10:
        pixels: Any = train_set[0][:4000].reshape(-1, *shape)
        pixels = pixels if scaled else pixels / np.float32(255)
        model.fit(pixels, train_set[1][:4000], batch_size=32, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, train_set: Arrays) -> dict[str, Any]:
    """The two networks, and their files: bytes in NHWC, floats in NCHW (ONNX), a flat row, or quantized (.tflite)."""
    import tensorflow as tf
    import tf2onnx

    folder = tmp_path_factory.mktemp("foreign")
    ours = _trained((28, 28, 1), train_set, scaled=True)
    theirs = {shape: _trained(shape, train_set, scaled=False) for shape in ((1, 28, 28), (784,))}

    def onnx(model: Any, path: Path, batch: int | None = None) -> Path:
        spec = tf.TensorSpec((batch, *model.input_shape[1:]), model.inputs[0].dtype, name="images")
        call = tf.function(lambda images: model(images, training=False), input_signature=[spec])
        tf2onnx.convert.from_function(call, [spec], opset=17, output_path=str(path))
        return path

    def tflite(model: Any, path: Path, *, eight_bits: bool = False) -> Path:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if eight_bits:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            some: Any = train_set[0][:100].reshape(-1, *model.input_shape[1:])
            if model.inputs[0].dtype != "uint8":
                some = (some / np.float32(255)).astype(np.float32)
                converter.inference_input_type = converter.inference_output_type = tf.int8
            converter.representative_dataset = lambda: ([image[None]] for image in some)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        path.write_bytes(converter.convert())
        return path

    return {
        "bytes": ours,
        "floats": theirs[1, 28, 28],
        "flat": theirs[(784,)],
        "bytes.onnx": onnx(ours, folder / "bytes.onnx"),
        "bytes.tflite": tflite(ours, folder / "bytes.tflite"),
        "floats.onnx": onnx(theirs[1, 28, 28], folder / "floats.onnx"),
        "flat.tflite": tflite(theirs[(784,)], folder / "flat.tflite"),
        "int8.tflite": tflite(theirs[(784,)], folder / "int8.tflite", eight_bits=True),
        "bytes8.tflite": tflite(ours, folder / "bytes8.tflite", eight_bits=True),
        "by16.onnx": onnx(theirs[1, 28, 28], folder / "by16.onnx", 16),
    }


def _expected(model: Any, images: Any) -> Any:
    import tensorflow as tf

    shaped = images.reshape(-1, *model.input_shape[1:])
    if model.inputs[0].dtype == "uint8":
        return np.asarray(model(shaped))
    return np.asarray(tf.nn.softmax(model(shaped / np.float32(255))))


@pytest.mark.parametrize(
    ("name", "runtime", "scale", "logits"),
    [
        ("bytes.onnx", "ONNX Runtime", "0-255", False),
        ("bytes.tflite", "LiteRT", "0-255", False),
        ("floats.onnx", "ONNX Runtime", "0-1", True),
        ("flat.tflite", "LiteRT", "0-1", True),
    ],
)
def test_a_file_from_elsewhere_becomes_a_bundle(
    name: str, runtime: str, scale: str, logits: bool, files: dict[str, Any], tmp_path: Path, test_set: Arrays
) -> None:
    """An ONNX or .tflite file of any usual shape, type, scale and output converts, gated against its own runtime; the
    bundle takes bytes, answers as the network did, and says what was found and added."""
    done = convert(files[name], tmp_path / "made")
    images = test_set[0][:300]
    expected = _expected(files[name.split(".")[0]], images)
    np.testing.assert_allclose(load(done.bundle.path, precision="fp32")(images), expected, atol=1e-4)
    assert done.parity[0].reference == runtime
    fed = done.bundle.facts.foreign
    assert fed is not None
    assert (fed.scale, fed.softmax) == (scale, logits)
    assert f"takes pixels of {scale}" in done.note
    assert ("a softmax is added" in done.note) == logits
    assert (done.bundle.test_accuracy("fp32") or 0) > 0.7


def test_its_bundle_converts_again(files: dict[str, Any], tmp_path: Path, test_set: Arrays) -> None:
    """The bundle keeps the file it was made from: bench measures that beside the IRs, and it is converted from it
    again with the scale once found."""
    made = convert(files["floats.onnx"], tmp_path / "made").bundle
    assert made.verified("onnx").read_bytes() == files["floats.onnx"].read_bytes()
    rows = run.bench(made.path, threads=1, options=SHORT).rows
    assert [row.engine for row in rows] == ["onnxruntime", *["openvino"] * (len(rows) - 1)]
    assert {row.marked for row in rows} == {None}
    again = convert(made.path)
    assert "as its bundle says" in again.note
    images = test_set[0][:50]
    np.testing.assert_allclose(load(again.bundle.path)(images), _expected(files["floats"], images), atol=1e-4)


def test_a_quantized_tflite_converts(files: dict[str, Any], tmp_path: Path, test_set: Arrays) -> None:
    """A .tflite file that takes and answers int8 is fed by its own scale and zero point, and answers as LiteRT does."""
    done = convert(files["int8.tflite"], tmp_path / "made")
    assert "takes pixels of 0-1 (measured" in done.note
    assert done.parity[0].quantized
    assert (done.bundle.has("int8"), done.bundle.has("fp32")) == (True, False)  # it is what it computes in
    assert done.parity[0].agreement.top1_agreement > 0.99
    images = test_set[0][:300]
    ours = load(done.bundle.path, precision="int8")(images)
    assert np.mean(ours.argmax(1) == _expected(files["flat"], images).argmax(1)) > 0.97


def test_evaluate_takes_the_file_itself(files: dict[str, Any], test_set: Arrays) -> None:
    """Evaluate measures the network's own accuracy."""
    right = float(np.mean(_expected(files["floats"], test_set[0]).argmax(1) == test_set[1]))
    assert evaluate(load(files["floats.onnx"])).accuracy == pytest.approx(right, abs=0.0005)


@pytest.mark.parametrize(
    ("name", "network", "engine", "rows", "ran_in", "batch"),
    [
        ("floats.onnx", "floats", "onnxruntime", ["ONNX Runtime FP32", "OpenVINO FP32"], "f32", 64),
        ("int8.tflite", "flat", "litert", ["LiteRT INT8", "OpenVINO INT8"], "i8", 1),
    ],
)
def test_bench_measures_the_file_in_its_own_runtime_too(
    name: str,
    network: str,
    engine: str,
    rows: list[str],
    ran_in: str,
    batch: int,
    files: dict[str, Any],
    test_set: Arrays,
) -> None:
    """Bench gives the file a row in the runtime it was made for and one in OpenVINO, each with the network's own
    accuracy, and writes nothing; only what has no fixed batch is measured in batches."""
    right = float(np.mean(_expected(files[network], test_set[0]).argmax(1) == test_set[1]))
    report = run.bench(files[name], threads=1, options=SHORT)
    assert [row.name for row in report.rows] == rows
    assert [row.engine for row in report.rows] == [engine, "openvino"]
    for row in report.rows:
        assert row.accuracy == pytest.approx(right, abs=0.0005 if ran_in == "f32" else 0.005)
    assert (report.rows[0].runtime_precision, report.rows[0].batch, report.rows[0].threads) == (ran_in, batch, 1)
    assert report.rows[0].size_bytes == files[name].stat().st_size
    assert any("takes pixels of 0-1" in note for note in report.notes)
    assert sorted(p.name for p in files[name].parent.iterdir()) == sorted(n for n in files if "." in n)


def test_its_runtime_is_fed_as_the_file_says(files: dict[str, Any], test_set: Arrays) -> None:
    """What a quantized file is fed and answers in its own runtime is what its scales and zero points say."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(files["int8.tflite"]))
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    (step, zero), (out_step, out_zero) = taken["quantization"], given["quantization"]
    images, logits = test_set[0][:50], []
    for image in images:
        stored = np.clip(np.round(image.reshape(1, 784) / 255 / step) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(taken["index"], stored)
        interpreter.invoke()
        logits.append((interpreter.get_tensor(given["index"])[0].astype(float) - out_zero) * out_step)
    raised = np.exp(logits)
    ours = onnx_litert_engine.OwnRuntime(files["int8.tflite"], LOGITS_OF_0_1)
    np.testing.assert_allclose(ours(images), raised / raised.sum(1, keepdims=True), atol=1e-6)


def test_a_fixed_batch_is_filled_up(files: dict[str, Any], test_set: Arrays) -> None:
    """A file of batches of 16 answers any number of images, and says that it cannot be called with others."""
    fixed = onnx_litert_engine.OwnRuntime(files["by16.onnx"], LOGITS_OF_0_1)
    open_batch = onnx_litert_engine.OwnRuntime(files["floats.onnx"], LOGITS_OF_0_1, most=20)
    for count in (1, 16, 41):
        images = test_set[0][:count]
        expected = _expected(files["floats"], images)
        np.testing.assert_allclose(fixed(images), expected, atol=1e-5)
        np.testing.assert_allclose(open_batch(images), expected, atol=1e-5)
    assert (fixed.batches((8, 64)), open_batch.batches((8, 64))) == ((16,), (8, 64))


def test_eight_bit_probabilities_are_no_logits(files: dict[str, Any]) -> None:
    """A softmax in 8 bits, whose answers add up to 1 only nearly, is not followed by another."""
    assert not foreign_files.read(files["bytes8.tflite"]).softmax


@pytest.mark.parametrize(("name", "label", "ran_in"), [("flat.tflite", "int8", "f32"), ("bytes8.tflite", "fp32", "i8")])
def test_the_precision_that_ran_is_the_files(
    name: str, label: str, ran_in: str, files: dict[str, Any], tmp_path: Path
) -> None:
    """A peer's row says what its file computes in, whatever the row is called."""
    shutil.copy(files[name], tmp_path / f"{label}-1.tflite")
    assert Peer(tmp_path, "litert", label, 1, ()).runtime_precision == ran_in


def test_without_its_runtime_openvinos_row_is_left(files: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ONNX Runtime the file's own row is a note with the line that brings it, and OpenVINO's stays."""
    monkeypatch.setattr(candidates, "installed", lambda module: module != "onnxruntime")
    with foreign_files.temporary_ir(files["floats.onnx"]) as (ir, theirs):
        rows, notes = candidates.of_model(ir, threads=1, own=theirs.own)
    assert [row.name for row in rows] == ["OpenVINO FP32"]
    assert notes == ['No ONNX Runtime row: onnxruntime is not installed. Run: pip install "edgefashion[bench]"']


@pytest.mark.parametrize("name", ["bytes.onnx", "bytes.tflite"])
def test_a_truncated_file_is_refused(name: str, files: dict[str, Any], tmp_path: Path) -> None:
    """Half a file is refused in one line, and nothing is written."""
    whole = files[name].read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInputError, match=rf"^{re.escape(str(tmp_path / name))} is refused: ") as refused:
        convert(tmp_path / name, tmp_path / "made")
    assert "\n" not in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_other_networks_are_refused(tmp_path: Path, train_set: Arrays) -> None:
    """Another number of classes is refused; so is a network that is right in no way that was tried."""
    import tensorflow as tf

    def write(name: str, classes: int) -> Path:
        model = _trained((28, 28, 1), train_set, scaled=False, classes=classes)
        if classes == 10:
            model.layers[-1].set_weights([np.zeros_like(w) for w in model.layers[-1].get_weights()])
        (tmp_path / name).write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        return tmp_path / name

    with pytest.raises(
        BadInputError, match=r"answers .* \[5\] for an image, not one value for each of the 10 garments"
    ):
        convert(write("five.tflite", 5), tmp_path / "made")
    with pytest.raises(GateError, match="does not fit Fashion-MNIST"):
        convert(write("blank.tflite", 10), tmp_path / "made")
    with pytest.raises(BadInputError, match="--scale must be two numbers like 0-1, 0-255"):
        convert(tmp_path / "blank.tflite", tmp_path / "made", scale="2")
    with pytest.raises(BadInputError, match="was made here and says itself how it is fed"):
        convert("edge", tmp_path / "made", scale="0-1")
    assert not (tmp_path / "made").exists()


def test_a_given_scale_is_taken(files: dict[str, Any], tmp_path: Path) -> None:
    """What is told decides, and where it is wrong that is said unless it is to go on."""
    assert foreign_files.read(files["floats.onnx"], Told(scale="0-1")).scale == "0-1"
    with pytest.raises(GateError, match=r"as given"):
        foreign_files.read(files["floats.onnx"], Told(scale="0-1", labels="9,8,7,6,5,4,3,2,1,0"))
    assert foreign_files.read(files["floats.onnx"], Told(scale="0-255", anyway=True)).scale == "0-255"
    assert resolve.resolve(files["floats.onnx"]).kind == "onnx"


def test_without_its_runtime_the_gate_says_what_to_install(
    files: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ONNX Runtime nothing is converted, and the one line names the extra that brings it."""
    monkeypatch.setattr(extras, "installed", lambda module: module != "onnxruntime")
    with pytest.raises(MissingError, match=r'ONNX Runtime is needed .* pip install "edgefashion\[bench\]"'):
        convert(files["bytes.onnx"], tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("name", "engine"), [("floats.onnx", "ONNX Runtime"), ("int8.tflite", "LiteRT")])
def test_a_file_that_openvino_computes_otherwise(name: str, engine: str, files: dict[str, Any], tmp_path: Path) -> None:
    """Where a file fits in no way as OpenVINO runs it, and does in the runtime that it was made for, that is the cause
    that is named; where it fits in neither, it is the file."""
    made = foreign_files.read(files[name]).network

    def noise(pixels: Any) -> dict[str, Any]:
        rng = np.random.default_rng(len(pixels))
        return {output: rng.normal(0, 9, np.shape(given)) for output, given in made.ask(pixels).items()}

    spoilt, error = replace(made, ask=noise), GateError("it fits in no way")
    told = str(true_cause(error, files[name], spoilt, Told()))
    assert re.search(rf"fits Fashion-MNIST in {engine} \(pixels of 0-1, measured: \d.* not in OpenVINO 20", told)
    assert true_cause(error, files[name], spoilt, Told(scale="100-101")) is error
    assert true_cause(error, tmp_path / "theirs.xml", spoilt, Told()) is error
