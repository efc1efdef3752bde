"""Training is repeatable, resumable after any death, and leaves a whole bundle."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.errors import BadInputError
from edgefashion.inference.load import load
from edgefashion.training.options import OPTIMIZERS, TrainOptions, options_for
from edgefashion.training.run import Run as TrainingRun
from edgefashion.training.train import train

if TYPE_CHECKING:
    from helpers.types import Arrays, Run

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_test_images", "plain_graphs")]

# Small enough for a test, several epochs long, with dropout and an optimizer that has state.
RUN: dict[str, Any] = {"epochs": 3, "batch_size": 32, "limit": 1500, "validation_split": 0.02}

# The real command, with TensorFlow's graphs as they are in this process: see `plain_graphs`.
PLAINLY = """
import sys
import tensorflow
from edgefashion.cli import main
tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
sys.argv = ["edgefashion", *sys.argv[1:]]
main.main()
"""


def test_bundle_is_whole(trained: bundle.Bundle, test_set: Arrays) -> None:
    """A trained bundle holds both originals, history, curves, card and reference, all in its
    manifest, and states the test accuracy its network really has."""
    trained.verify_all()
    for part in ("saved_model", "keras", "history", "curves", "card", "reference", "report"):
        assert trained.has(part), part
    images, labels = test_set
    answers = load(trained.path, engine="tensorflow")(images)  # Keras takes five times as long
    stated = trained.test_accuracy("original")
    assert stated is not None
    assert np.mean(answers.argmax(1) == labels) == pytest.approx(stated, abs=1e-4)
    assert stated > 0.6  # it has learned something: chance is 0.1
    with trained.verified("history").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert set(rows[0]) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"}


def test_exports_are_float32(trained: bundle.Bundle) -> None:
    """Every weight of the exported network is float32."""
    import keras

    model = keras.models.load_model(trained.verified("keras"))
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}


def test_threshold_rejects_one_percent_of_held_out_garments(trained: bundle.Bundle, train_set: Arrays) -> None:
    """The accept threshold was chosen on the validation images and accepts 99 % of them."""
    from edgefashion.data import splits

    images, labels = train_set
    assert trained.facts.validation_split
    _, held_out = splits.split(labels, trained.facts.validation_split, trained.facts.validation_seed)
    confidence = load(trained.path, engine="tensorflow")(images[held_out]).max(1)
    assert np.mean(confidence >= trained.accept_threshold) == pytest.approx(0.99, abs=0.002)


def test_limit_leaves_validation_images_alone(tmp_path: Path, train_set: Arrays, monkeypatch: Any) -> None:
    """--limit draws from the training part alone: nothing trained on is validated on."""
    import keras

    fitted: list[set[bytes]] = []

    def spy(self: Any, images: Any, labels: Any, **options: Any) -> Any:
        fitted.append({image.tobytes() for image in images})
        fitted.append({image.tobytes() for image in options["validation_data"][0]})
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "fit", spy)
    with pytest.raises(KeyboardInterrupt):
        train("cnn-242k", out=tmp_path / "limited", limit=2000)
    seen, held_out = fitted
    assert len(seen) > 1900
    # Fashion-MNIST holds a few pictures twice; a leak would share thousands.
    assert len(seen & held_out) < 5


def test_same_seed_same_network() -> None:
    """Two runs with one seed give the same weights to the bit; another seed gives others."""
    made = [TrainingRun(options_for("cnn-590k", epochs=1, batch_size=50, limit=600, seed=seed)) for seed in (7, 7, 8)]
    for each in made:
        each.epoch(0)
    first, again, other = (each.network().get_weights() for each in made)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_killed_run_resumes_to_where_an_unbroken_one_ends(tmp_path: Path, run_here: Run) -> None:
    """Killed with SIGKILL in mid-epoch, a run goes on from its last epoch and ends with the very
    weights and history of a run that was never broken."""
    unbroken = train("cnn-242k", out=tmp_path / "unbroken", **RUN)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in RUN.items()]
    out = tmp_path / "broken"
    command = [sys.executable, "-c", PLAINLY, "train", "cnn-242k", *arguments, "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = draft.checkpoints_dir(out)
    deadline = time.monotonic() + 240
    while not list(checkpoints.glob("epoch-0001")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not out.exists()
    assert [p.name for p in sorted(checkpoints.glob("epoch-*"))][-1] < "epoch-0003", "killed too late to prove anything"

    resumed = run_here("train", "cnn-242k", "--limit", "1500", "--out", out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    finished = bundle.open_bundle(out)
    for a, b in zip(_weights(unbroken), _weights(finished), strict=True):
        np.testing.assert_array_equal(a, b)
    assert _history(unbroken) == _history(finished)
    assert not checkpoints.exists()


def test_what_is_decayed_survives_a_resume(tmp_path: Path) -> None:
    """A run with weight decay, saved and gone on with, ends with the very weights of an unbroken one: batch
    norm's, which are not decayed, too."""
    options = options_for(
        "edge", teacher=(), augment="none", epochs=2, limit=300, weight_decay=5.0, validation_split=0.01
    )
    whole = TrainingRun(options)
    whole.epoch(0)
    whole.save(tmp_path / "model.keras")
    whole.epoch(1)
    resumed = TrainingRun(options, saved=tmp_path / "model.keras")
    resumed.epoch(1)
    for a, b in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_settings_that_make_no_network_are_refused(tmp_path: Path, run_here: Run) -> None:
    """A setting of the right type and an impossible value gets one line, and an interrupted training's
    checkpoints stay."""
    kept = draft.checkpoints_dir(tmp_path / "models" / "cnn-413k") / "epoch-0001"
    kept.mkdir(parents=True)
    for setting in ("activation=nothing", "pool_size=40", "dropout=2"):
        refused = run_here("train", "cnn-413k", "--set", setting)
        assert refused.returncode == 2, refused.stderr
        assert f"cnn-413k cannot be built with --set {setting}" in refused.stderr
        assert kept.is_dir()


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    """--resume with settings the interrupted run did not have says which, and changes nothing."""
    out = tmp_path / "run"
    _interrupt_after_first_epoch(out)
    with pytest.raises(BadInputError, match=r"batch_size 32 \(now 64\)"):
        train("cnn-242k", out=out, resume=True, epochs=2, batch_size=64, limit=300)
    with pytest.raises(BadInputError, match=r"arch cnn-242k \(now cnn-590k\)"):
        train("cnn-590k", out=out, resume=True)
    assert list(draft.checkpoints_dir(out).glob("epoch-0001"))


def test_resume_without_a_run_says_so(tmp_path: Path) -> None:
    """--resume with nothing to resume is refused."""
    with pytest.raises(BadInputError, match="nothing to resume"):
        train("cnn-242k", out=tmp_path / "none", resume=True)


def test_recipes_are_the_sources() -> None:
    """Without options a network trains with the settings its source reports."""
    assert options_for("cnn-242k") == TrainOptions(50, 64, "adam", 0.001, 0.1, arch="cnn-242k")
    assert options_for("cnn-590k") == TrainOptions(15, 150, "adam", 0.001, 0.0, arch="cnn-590k")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_trains(optimizer: str) -> None:
    """Each --optimizer changes the weights; adamw has a decay even where the recipe names none."""
    options = options_for("logistic-regression", optimizer=optimizer, limit=50, batch_size=10, validation_split=0.01)
    begun = TrainingRun(options)
    before = begun.model.get_weights()
    assert np.isfinite(begun.epoch(0)["loss"])
    assert all(np.any(a != b) for a, b in zip(before, begun.model.get_weights(), strict=True))
    assert (options.weight_decay > 0) == (optimizer == "adamw")


def test_augmentation_and_settings_are_trained_with(tmp_path: Path) -> None:
    """An augmented run repeats with its seed, resumes, and leaves a network without the augmentation."""
    given: dict[str, Any] = {
        "batch_size": 50,
        "limit": 300,
        "augment": "turn-flip-zoom",
        "settings": {"dropout": 0.1},
        "validation_split": 0.01,
    }
    made = train("cnn-413k", out=tmp_path / "whole", epochs=2, **given)
    out = tmp_path / "broken"

    def stop(_: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("cnn-413k", out=out, epochs=2, on_epoch=stop, **given)
    resumed = train("cnn-413k", out=out, resume=True)
    for a, b in zip(_weights(made), _weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not any("random" in layer.name for layer in _network(made).layers)


def test_a_teacher_must_be_there_and_fit(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its teacher, or with one of other labels, edge says in one line what to do."""
    with monkeypatch.context() as patch:
        patch.setattr(resolve, "is_model", lambda _: False)  # a checkout may hold any of the zoo's
        with pytest.raises(BadInputError, match=r"no edge-teachers to learn from: .* or learn from the labels alone"):
            TrainingRun(options_for("edge", limit=100))
    other = run_here("train", "edge", "--epochs", "1", "--limit", "100", "--teacher", "kiosk")
    assert other.returncode == 2
    assert "kiosk is no teacher: it answers 12 labels" in other.stderr


def test_a_pupil_learns_its_teachers_answers(
    tmp_path: Path, trained: bundle.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --teacher the targets are the teacher's answers to each image as it is shown, moved and mixed, and mirrored;
    they are computed once, for no more variants than there are epochs, and another augmentation's are others."""
    from edgefashion.training import distillation
    from edgefashion.training.options import options_for
    from edgefashion.training.run import Run

    teacher = load(trained.path, engine="tensorflow")
    given: dict[str, Any] = {"epochs": 2, "batch_size": 32, "limit": 200, "validation_split": 0.01}
    options = options_for("edge", teacher=(str(_converted(trained, tmp_path)),), **given)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    run = Run(options, tmp_path)
    (kept,) = (tmp_path / "cache").rglob("*.npy")
    assert np.load(kept).shape == (2, 200, 10)
    for epoch in range(3):
        shown, targets = run._shown(epoch)
        assert shown.shape == (200, 28, 28, 1)
        both = (teacher(shown) + teacher(np.ascontiguousarray(shown[:, :, ::-1]))) / 2
        np.testing.assert_allclose(targets, both, atol=2e-3)
    asked = []
    Run(options, on_prepare=lambda done, total: asked.append(done))
    assert not asked
    Run(replace(options, augment="none"), on_prepare=lambda done, total: asked.append(done))
    assert asked == [0]
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 2
    many = distillation.answers(options.teacher, run.images[:3], options.augment, epochs=100)
    assert many.shape == (distillation.VIEWS, 3, 10)
    assert set(run.epoch(0)) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"}


def test_a_transfer_runs_its_backbone_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ResNet50's weights come from a file, stay as they are, and each image goes through them once however
    many epochs there are; only the two dense layers learn."""
    import keras

    from edgefashion.training.zoo.registry import ZOO

    keras.utils.set_random_seed(1)
    backbone = ZOO["resnet50"].build().get_layer("resnet50")
    weights = tmp_path / "mine.weights.h5"
    backbone.save_weights(weights)
    calls = []
    call = keras.Model.__call__

    def spy(self: Any, *given: Any, **more: Any) -> Any:
        calls.append(self.name)
        return call(self, *given, **more)

    monkeypatch.setattr(type(backbone), "__call__", spy)
    # What bundles hold is checked elsewhere; here a hundred megabytes of it would be written.
    from edgefashion.training.run import Run

    options = options_for("resnet50", weights=str(weights), epochs=2, batch_size=32, limit=64, validation_split=0.002)
    run = Run(options, tmp_path)
    run.epoch(0)
    before = len(calls)
    run.epoch(1)
    assert len(calls) == before
    network = run.network()
    for a, b in zip(backbone.get_weights(), network.get_layer("resnet50").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    fresh = ZOO["resnet50"].build()
    assert not np.array_equal(fresh.layers[-1].get_weights()[0], network.layers[-1].get_weights()[0])
    answers = network.predict(run.images[run.validation_at], verbose=0)
    np.testing.assert_allclose(answers, run.model.predict(run._validation()[0], verbose=0), atol=2e-3)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """--weights that are no file, or another network's, are refused in one line."""
    import keras

    from edgefashion.training.backbone import load_backbone
    from edgefashion.training.zoo.registry import ZOO

    backbone = ZOO["resnet50"].build().get_layer("resnet50")
    other = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(BadInputError, match="there is no such file"):
        load_backbone(backbone, str(tmp_path / "none.weights.h5"))
    with pytest.raises(BadInputError, match="holds no weights of resnet50's layers"):
        load_backbone(backbone, str(tmp_path / "other.weights.h5"))


def test_the_temperature_is_in_the_network(tmp_path: Path) -> None:
    """A calibrated bundle's own answers are the ones its temperature was fitted for."""
    made = train("edge", out=tmp_path / "edge", epochs=1, limit=500, validation_split=0.03, teacher=())
    facts = made.report()["train"]
    assert facts["temperature"] != 1.0
    from edgefashion.data import fashion_mnist, splits
    from edgefashion.training.temperature import fit_temperature

    images, labels = fashion_mnist.load("train")
    assert made.facts.validation_split
    _, held_out = splits.split(labels, made.facts.validation_split, made.facts.validation_seed)
    answers = load(made.path, engine="tensorflow")(images[held_out])
    assert fit_temperature(answers, labels[held_out]) == pytest.approx(1.0, abs=0.01)


def test_a_planned_schedule_is_not_stretched(tmp_path: Path) -> None:
    """A run whose learning rate falls to its last epoch cannot be resumed for more epochs."""
    out = tmp_path / "run"

    def stop(_: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("edge", out=out, epochs=2, limit=200, teacher=(), validation_split=0.01, on_epoch=stop)
    with pytest.raises(BadInputError, match=r"epochs 2 \(now 3\)"):
        train("edge", out=out, resume=True, epochs=3)


def _network(made: bundle.Bundle) -> Any:
    import keras

    return keras.models.load_model(made.verified("keras"))


def _converted(made: bundle.Bundle, folder: Path) -> Path:
    from edgefashion.conversion.convert import convert

    return convert(made.path, folder / "teacher").bundle.path


def _weights(made: bundle.Bundle) -> list[Any]:
    import keras

    weights: list[Any] = keras.models.load_model(made.verified("keras")).get_weights()
    return weights


def _history(made: bundle.Bundle) -> list[dict[str, str]]:
    with made.verified("history").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def _interrupt_after_first_epoch(out: Path) -> None:
    def stop(_: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("cnn-242k", out=out, epochs=2, batch_size=32, limit=300, validation_split=0.01, on_epoch=stop)
