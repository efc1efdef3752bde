"""Networks trained in mixed precision are converted as float32 networks, and their INT8 is whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles import bundle, draft
from edgefashion.conversion.convert import convert
from edgefashion.conversion.quantize import QuantizeOptions, quantize
from edgefashion.errors import BadInputError
from edgefashion.inference import tensorflow_engine
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import read_ir

if TYPE_CHECKING:
    from helpers.types import Arrays

pytestmark = pytest.mark.usefixtures("few_test_images_throughout")


def _network(policy: str) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        images = layers.Input((28, 28, 1), dtype="uint8")
        x = layers.Conv2D(8, 3, strides=2)(layers.Rescaling(1 / 255)(images))
        inner = keras.Sequential([layers.BatchNormalization(), layers.ReLU()])  # a network within the network
        x = layers.Conv2D(16, 3, strides=2, activation="relu")(inner(x))
        answers = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
        return keras.Model(images, answers)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, train_set: Arrays, plain_graphs: None) -> Path:
    """A network trained for a moment under mixed_bfloat16, as a .keras file."""
    model = _network("mixed_bfloat16")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(train_set[0][:3000], train_set[1][:3000], batch_size=32, verbose=0)
    path = tmp_path_factory.mktemp("mixed") / "mixed.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def made(mixed: Path, tmp_path_factory: pytest.TempPathFactory, few_test_images_throughout: None) -> bundle.Bundle:
    converted = convert(mixed, tmp_path_factory.mktemp("made") / "mixed").bundle
    return quantize(converted, QuantizeOptions(max_drop=0.05, calibration=30))[0]


def test_a_keras_file_is_rebuilt_in_float32(mixed: Path, made: bundle.Bundle, test_set: Arrays) -> None:
    """The IR of a .keras file trained in mixed precision computes in float32 throughout, and answers as the original
    does but for its 16 bits; the report says that it was rebuilt."""
    elements = {str(op.get_output_element_type(0)) for op in read_ir(made.verified("fp32")).get_ops() if op.outputs()}
    assert not [name for name in elements if "bfloat16" in name or "float16" in name]
    images = test_set[0][:300]
    np.testing.assert_allclose(load(made.path, precision="fp32")(images), load(mixed)(images), atol=0.05)
    assert made.report()["convert"]["parity"][0]["reference"] == "tensorflow, mixed_bfloat16 rebuilt in float32"


def test_its_int8_runs_in_8_bits(made: bundle.Bundle) -> None:
    """Every convolution and dense layer of the INT8 IR really runs in 8 bits."""
    assert load(made.path, precision="int8").runtime_precision.rstrip("8") in ("u", "i")


def test_a_bundle_is_rebuilt_from_its_keras_file(made: bundle.Bundle, mixed: Path, tmp_path: Path) -> None:
    """A bundle whose SavedModel still computes in 16 bits is converted from its .keras file."""
    copy = bundle.open_bundle(Path(shutil.copytree(made.path, tmp_path / "mixed")))
    with draft.draft(copy.path, copy) as making:
        making.drop("saved_model")
        tensorflow_engine.export_saved_model(tensorflow_engine.load_keras(mixed), making.part("saved_model"))
    again = convert(copy.path)
    assert again.parity[0].max_abs_difference < 1e-4
    assert "rebuilt in float32" in again.parity[0].reference


def test_a_savedmodel_in_16_bits_is_refused(mixed: Path, tmp_path: Path) -> None:
    """A SavedModel that computes in 16 bits, of which nothing can be rebuilt, is refused with what to do."""
    tensorflow_engine.export_saved_model(tensorflow_engine.load_keras(mixed), tmp_path / "theirs")
    with pytest.raises(BadInputError, match=r"computes in bf16.*Give its \.keras file"):
        convert(tmp_path / "theirs", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "float32"])
def test_every_policy_becomes_float32(policy: str, tmp_path: Path, test_set: Arrays) -> None:
    """Rebuilt, a network of any policy has float32 weights and layers, and the answers it had."""
    model = _network(policy)
    model.save(tmp_path / "saved.keras")
    assert tensorflow_engine.half_precision(tmp_path / "saved.keras") == (None if policy == "float32" else policy)
    rebuilt = tensorflow_engine.in_float32(model)
    assert {layer.compute_dtype for layer in rebuilt._flatten_layers() if layer.weights} == {"float32"}
    images = test_set[0][:50]
    np.testing.assert_allclose(np.asarray(rebuilt(images)), np.asarray(model(images), np.float32), atol=0.02)


def test_our_own_training_exports_float32(trained: bundle.Bundle) -> None:
    """What `train` writes is float32, whatever it was trained in."""
    assert tensorflow_engine.half_precision(trained.verified("keras")) is None
