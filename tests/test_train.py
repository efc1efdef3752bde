"""Training is repeatable, resumable after any death, and leaves a whole bundle."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion import bundle
from edgefashion.classify import load
from edgefashion.errors import BadInputError
from edgefashion.recipe import TrainOptions, options_for
from edgefashion.train import train

if TYPE_CHECKING:
    from conftest import Arrays, Run

# Small enough for a test, several epochs long, with dropout and an optimizer that has state.
RUN: dict[str, Any] = {"epochs": 3, "batch_size": 32, "limit": 1500}


def test_bundle_is_whole(trained: bundle.Bundle, test_set: Arrays) -> None:
    """A trained bundle holds both originals, history, curves, card and reference, all in its
    manifest, and states the test accuracy its network really has."""
    trained.verify_all()
    for part in ("saved_model", "keras", "history", "curves", "card", "reference", "report"):
        assert trained.has(part), part
    images, labels = test_set
    answers = load(trained.path, engine="keras")(images)
    stated = trained.info["metrics"]["original"]["test_accuracy"]
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
    from edgefashion import data

    images, labels = train_set
    _, held_out = data.split(labels, trained.info["validation_split"], trained.info["seed"])
    confidence = load(trained.path, engine="keras")(images[held_out]).max(1)
    assert np.mean(confidence >= trained.accept_threshold) == pytest.approx(0.99, abs=0.002)


def test_limit_leaves_validation_images_alone(trained: bundle.Bundle, train_set: Arrays, monkeypatch: Any) -> None:
    """--limit draws from the training part alone: nothing trained on is validated on."""
    import keras

    fitted: list[set[bytes]] = []

    def spy(self: Any, images: Any, labels: Any, **options: Any) -> Any:
        fitted.append({image.tobytes() for image in images})
        fitted.append({image.tobytes() for image in options["validation_data"][0]})
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "fit", spy)
    with pytest.raises(KeyboardInterrupt):
        train("cnn-242k", out=trained.path.parent / "limited", limit=2000)
    seen, held_out = fitted
    assert len(seen) > 1900
    # Fashion-MNIST holds a few pictures twice; a leak would share thousands.
    assert len(seen & held_out) < 5


def test_same_seed_same_network(tmp_path: Path) -> None:
    """Two runs with one seed give the same weights to the bit; another seed gives others."""
    made = [
        train("cnn-590k", out=tmp_path / f"run{i}", epochs=1, batch_size=50, limit=600, seed=seed)
        for i, seed in enumerate((7, 7, 8))
    ]
    first, again, other = (_weights(m) for m in made)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_killed_run_resumes_to_where_an_unbroken_one_ends(tmp_path: Path, run: Run) -> None:
    """Killed with SIGKILL in mid-epoch, a run goes on from its last epoch and ends with the very
    weights and history of a run that was never broken."""
    unbroken = train("cnn-242k", out=tmp_path / "unbroken", **RUN)
    arguments = ["--epochs", "3", "--batch-size", "32", "--limit", "1500"]
    out = tmp_path / "broken"
    command = [sys.executable, "-m", "edgefashion", "train", "cnn-242k", *arguments, "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = bundle.checkpoints_dir(out)
    deadline = time.monotonic() + 240
    while not list(checkpoints.glob("epoch-0001")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert [p.name for p in sorted(checkpoints.glob("epoch-*"))][-1] < "epoch-0003", "killed too late to prove anything"

    resumed = run("train", "cnn-242k", "--limit", "1500", "--out", out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    finished = bundle.open_bundle(out)
    for a, b in zip(_weights(unbroken), _weights(finished), strict=True):
        np.testing.assert_array_equal(a, b)
    assert _history(unbroken) == _history(finished)
    assert not checkpoints.exists()


def test_resume_refuses_another_run(tmp_path: Path) -> None:
    """--resume with settings the interrupted run did not have says which, and changes nothing."""
    out = tmp_path / "run"
    _interrupt_after_first_epoch(out)
    with pytest.raises(BadInputError, match=r"batch_size 32 \(now 64\)"):
        train("cnn-242k", out=out, resume=True, epochs=2, batch_size=64, limit=300)
    assert list(bundle.checkpoints_dir(out).glob("epoch-0001"))


def test_resume_without_a_run_says_so(tmp_path: Path) -> None:
    """--resume with nothing to resume is refused."""
    with pytest.raises(BadInputError, match="nothing to resume"):
        train("cnn-242k", out=tmp_path / "none", resume=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"batch_size": 0}, "--batch-size must be at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate must be above 0"),
        ({"validation_split": 0.9}, "--validation-split must be from 0 to 0.5"),
        ({"optimizer": "magic"}, "--optimizer must be one of adam, rmsprop, sgd"),
        ({"seed": -1}, "--seed must be from 0"),
    ],
)
def test_options_are_checked_at_once(given: dict[str, Any], message: str) -> None:
    """An option out of range is refused before anything is loaded."""
    with pytest.raises(BadInputError, match=message):
        options_for("cnn-242k", **given)


def test_recipes_are_the_sources() -> None:
    """Without options a network trains with the settings its source reports."""
    assert options_for("cnn-242k") == TrainOptions("cnn-242k", 50, 64, "adam", 0.001, 0.1, 0)
    assert options_for("cnn-590k") == TrainOptions("cnn-590k", 15, 150, "adam", 0.001, 0.0, 0)


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
        train("cnn-242k", out=out, epochs=2, batch_size=32, limit=300, on_epoch=stop)
