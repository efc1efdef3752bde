"""The IR answers as the original does, or is not written."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles import bundle
from edgefashion.bundles.guard import check
from edgefashion.conversion.convert import convert
from edgefashion.conversion.parity_gate import PARITY_LIMIT
from edgefashion.errors import BadInputError, GateError
from edgefashion.inference.load import load
from edgefashion.inference.tensorflow_engine import export_saved_model
from edgefashion.inference.told import Told
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Arrays, Run

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_test_images_throughout")]


@pytest.fixture(scope="module")
def converted(
    trained: bundle.Bundle, tmp_path_factory: pytest.TempPathFactory, few_test_images_throughout: None
) -> bundle.Bundle:
    def started(*_: object) -> None:
        pytest.fail("what this process has just written was tried in a child")

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("vetted")
        patch.setattr(check, "_folder", lambda: folder)
        patch.setattr(check, "_kept_here", set())
        patch.setattr(check, "_tried", started)
        return convert(trained.path, tmp_path_factory.mktemp("converted") / "small").bundle


def test_parity_is_measured_not_claimed(converted: bundle.Bundle, test_set: Arrays) -> None:
    """The difference in the report is that of the shipped IR and the original, found again here."""
    images = test_set[0][:1000]
    original = load(converted.path, engine="tensorflow")(images)
    for stated in converted.report()["convert"]["parity"]:
        answers = load(converted.path, precision=stated["precision"])(images)
        measured = float(np.abs(answers - original).max())
        assert measured < PARITY_LIMIT[stated["precision"]]
        assert measured <= stated["max_abs_difference"] * 1.5 + 1e-6
        assert stated["reference"] == "tensorflow"
        assert stated["n"] == 1000


def test_ir_is_static_and_reshapes(converted: bundle.Bundle, test_set: Arrays) -> None:
    """The IR has static batch 1, and reshaped to another batch it gives the same answers."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(converted.verified("fp32"))
    assert tuple(model.input(0).shape) == (1, 28, 28, 1)
    assert model.input(0).element_type == ov.Type.u8
    images = test_set[0][:7]
    single = load(converted.path, precision="fp32")(images)
    model.reshape([7, 28, 28, 1])
    together = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)[0]
    np.testing.assert_allclose(together, single, atol=1e-5)


def test_ir_carries_labels_and_preprocessing(converted: bundle.Bundle) -> None:
    """rt_info tells Intel's Model API and a reader of the bare IR what the network needs."""
    import openvino as ov

    model = ov.Core().read_model(converted.verified("fp32"))

    def info(*path: str) -> str:
        text: str = model.get_rt_info(list(path)).astype(str)
        return text

    assert info("model_info", "model_type") == "Classification"
    assert info("model_info", "labels").split() == [label.replace(" ", "_") for label in LABELS]
    assert info("model_info", "scale_values") == "1"
    assert json.loads(info("edgefashion", "labels")) == list(LABELS)
    assert "0 to 255" in json.loads(info("edgefashion", "pixels"))


def test_model_api_names_the_same_garments(converted: bundle.Bundle, test_set: Arrays) -> None:
    """Intel's Model API loads an IR as it was just written, with no setting but the IR's own, and gives our labels."""
    models = pytest.importorskip("model_api.models")
    theirs, images = models.ClassificationModel.create_model(str(converted.verified("fp32"))), test_set[0][:100]
    ours = load(converted.path, precision="fp32")(images).argmax(1)
    assert [theirs(image).top_labels[0].name for image in images] == [LABELS[i].replace(" ", "_") for i in ours]


def test_bare_ir_knows_its_labels(converted: bundle.Bundle, tmp_path: Path) -> None:
    """An IR taken out of its bundle still classifies with its labels."""
    for name in ("fp32.xml", "fp32.bin"):
        (tmp_path / name).write_bytes((converted.path / name).read_bytes())
    assert load(tmp_path / "fp32.xml").labels == LABELS


def test_converting_in_place_keeps_the_original(converted: bundle.Bundle) -> None:
    """Converting a bundle in place keeps its original byte for byte."""
    before = {f: h for f, h in converted.files.items() if f.startswith(("saved_model", "model.keras"))}
    done = convert(converted.path)
    assert done.bundle.path == converted.path
    assert {f: h for f, h in done.bundle.files.items() if f in before} == before


def test_part_of_a_bundle_by_its_path_keeps_the_bundle(trained: bundle.Bundle, tmp_path: Path) -> None:
    """Converting a bundle's own SavedModel or .keras file by path converts the bundle: its history
    and facts stay."""
    copy = Path(shutil.copytree(trained.path, tmp_path / "small"))
    for part in ("saved_model", "model.keras"):
        made = convert(copy / part).bundle
        assert made.path == copy
        assert made.has("history")
        assert made.facts.architecture == "cnn-242k"


def test_another_networks_bundle_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that would land in a bundle of the same name is refused unless --out says so."""
    monkeypatch.chdir(tmp_path)
    _save(tmp_path / "theirs")
    (tmp_path / "models" / "theirs").mkdir(parents=True)
    with pytest.raises(BadInputError, match="Name it with --out"):
        convert(tmp_path / "theirs")


def test_random_network_fails_the_gate_and_leaves_nothing(tmp_path: Path, run_here: Run) -> None:
    """A network whose conversion cannot agree with it exits 1 and leaves no IR, nor anything."""
    _save(tmp_path / "random", noise=0.5)
    done = run_here("convert", "random", "--out", "made", "--anyway")
    assert done.returncode == 1
    assert "parity gate failed" in done.stderr
    assert "does not agree with itself" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["random"]


def test_failed_gate_keeps_the_older_bundle(converted: bundle.Bundle, tmp_path: Path) -> None:
    """Where a bundle stands already, a failed conversion leaves it as it was."""
    target = bundle.open_bundle(Path(shutil.copytree(converted.path, tmp_path / "target")))
    _save(tmp_path / "random", noise=0.5)
    with pytest.raises(GateError):
        convert(tmp_path / "random", target.path, told=Told(anyway=True))
    bundle.open_bundle(target.path).verify_all()
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["random", "target"]


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (784,)])
def test_foreign_saved_model_becomes_a_bundle(tmp_path: Path, shape: tuple[int, ...], test_set: Arrays) -> None:
    """A SavedModel made elsewhere, with float input of any of the usual shapes, converts, be its files to read only:
    those of the bundle can be replaced."""
    _save(tmp_path / "theirs", shape=shape)
    for path in (tmp_path / "theirs", *(tmp_path / "theirs").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    untrained = Told(scale="0-255", anyway=True)
    made = convert(tmp_path / "theirs", tmp_path / "mine", told=untrained).bundle
    assert all(path.stat().st_mode & stat.S_IWUSR for path in (made.path, *made.path.rglob("*")))
    images = test_set[0][:100]
    theirs = load(tmp_path / "theirs", told=untrained)
    assert theirs.engine == "tensorflow"
    np.testing.assert_allclose(load(made.path)(images), theirs(images), atol=1e-4)


@pytest.mark.parametrize("signatures", [("serving_default",), ("predict",), ("predict", "serving_default"), ("a", "b")])
def test_a_saved_model_that_answers_names_too(signatures: tuple[str, ...], tmp_path: Path) -> None:
    """Texts beside the probabilities are passed over, and the only signature is taken whatever it is called; of several
    the usual one, or the error names them and the folder that was given."""
    import tensorflow as tf

    weights = tf.constant(np.random.default_rng(0).normal(0, 0.01, (784, 10)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32, name="images")])  # type: ignore[untyped-decorator]
    def answer(images: Any) -> Any:
        probabilities = tf.nn.softmax(images @ weights)
        return {"names": tf.gather(tf.constant(list("abcdefghij")), tf.argmax(probabilities, 1)), "p": probabilities}

    tf.saved_model.save(tf.Module(), str(tmp_path / "theirs"), signatures=dict.fromkeys(signatures, answer))
    untrained = Told(scale="0-255", anyway=True)
    if signatures == ("a", "b"):
        with pytest.raises(BadInputError, match=rf"{tmp_path}/theirs .*a, b and no serving_default"):
            load(tmp_path / "theirs", told=untrained)
        return
    theirs = load(tmp_path / "theirs", told=untrained)
    images = np.random.default_rng(1).integers(0, 256, (4, 28, 28, 1), np.uint8)
    assert theirs(images).shape == (4, 10)
    if signatures == ("predict",):
        made = convert(tmp_path / "theirs", tmp_path / "mine", told=untrained).bundle
        np.testing.assert_allclose(load(made.path)(images), theirs(images), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (32, 32, 3)}, "not 28x28 grey images"),
        ({"classes": 5}, "not one value for each of the 10 garments"),
    ],
)
def test_a_network_of_something_else_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """Another image size or other classes are refused by name, with nothing written."""
    _save(tmp_path / "theirs", **options)
    with pytest.raises(BadInputError, match=message):
        convert(tmp_path / "theirs", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_keras_file_converts(trained: bundle.Bundle, tmp_path: Path, test_set: Arrays) -> None:
    """A .keras file converts like the SavedModel it would export."""
    made = convert(trained.verified("keras"), tmp_path / "mine").bundle
    images = test_set[0][:100]
    np.testing.assert_allclose(load(made.path)(images), load(trained.path, engine="keras")(images), atol=1e-4)


def _save(
    path: Path, *, shape: tuple[int, ...] = (28, 28, 1), noise: float = 0.0, softmax: bool = True, classes: int = 10
) -> None:
    """A small untrained network, saved as a user of plain Keras would."""
    import keras
    import tensorflow as tf
    from keras import layers

    class Noise(layers.Layer):  # type: ignore[misc]
        """Random at inference too: no conversion can agree with it."""

        def call(self, x: Any) -> Any:
            return x + noise * tf.random.uniform(tf.shape(x), -10.0, 10.0)

    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Input(shape), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(classes)])
    if noise:
        model.add(Noise())
    if softmax:
        model.add(layers.Softmax())
    export_saved_model(model, path)
