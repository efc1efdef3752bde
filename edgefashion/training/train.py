"""Fit a network on Fashion-MNIST and write it as a bundle: .keras, SavedModel, history, card."""

from __future__ import annotations

import csv
import json
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.bundles import bundle
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError, need
from edgefashion.evaluation import metrics
from edgefashion.inference import decision
from edgefashion.inference.openvino_engine import PIXELS
from edgefashion.inference.tensorflow_engine import export_saved_model
from edgefashion.labels import LABELS
from edgefashion.training.distillation import PrepareProgress
from edgefashion.training.options import TrainOptions, fashion_architecture, options_for, without_none
from edgefashion.training.run import Run, StepProgress
from edgefashion.training.zoo import INPUT_SHAPE, architecture

if TYPE_CHECKING:
    import keras

EpochProgress = Callable[[dict[str, float]], None]
"""Called after an epoch with its row of history.csv."""


def train(
    arch: str,
    *,
    out: Path,
    resume: bool = False,
    on_step: StepProgress | None = None,
    on_epoch: EpochProgress | None = None,
    on_prepare: PrepareProgress | None = None,
    **given: Any,
) -> bundle.Bundle:
    """Train ``arch`` and write the bundle ``out``.

    ``given``: any field of :class:`TrainOptions` but arch; what is left out comes from the
    architecture's recipe, or with ``resume`` from the interrupted run.
    Raises :class:`BadInputError` for options out of range or a resume that does not fit,
    :class:`MissingError` without the ``train`` extra or the dataset.
    """
    fashion_architecture(arch)
    need("tensorflow", "to train")
    need("matplotlib", "to draw the training curves")
    bundle.check_target(out)
    checkpoints = bundle.checkpoints_dir(out)
    latest = _latest(checkpoints) if resume else None
    if latest is None:
        if resume:
            raise BadInputError(f"nothing to resume: {checkpoints} holds no checkpoint. Run without --resume")
        options = options_for(arch, **given)
    else:
        options = _resumed(latest, arch, given)
    fashion_mnist.find()
    # Fail on an unwritable place now rather than after the last epoch.
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{checkpoints} cannot be written: {error.strerror}. Choose another --out") from error
    run, history = Run(options, checkpoints, latest / "model.keras" if latest else None, on_prepare), _history(latest)
    if latest is None:
        # Only now that the new run can begin: an interrupted one might still have been wanted.
        for old in checkpoints.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for epoch in range(len(history), options.epochs):
        history.append(run.epoch(epoch, on_step))
        _checkpoint(checkpoints, run, history)
        if on_epoch:
            on_epoch(history[-1])
    made = _write_bundle(out, run, history)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return made


# --- Checkpoints -----------------------------------------------------------------------------


def _checkpoint(folder: Path, run: Run, history: list[dict[str, float]]) -> None:
    """Write ``epoch-NNN``, weights and optimizer with their history in one rename; drop the last."""
    done = folder / f"epoch-{len(history):04d}"
    aside = folder / f".{done.name}.new"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    run.save(aside / "model.keras")
    write_history(aside / "history.csv", history)
    (aside / "options.json").write_text(json.dumps(asdict(run.options)), encoding="utf-8")
    for path in aside.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    shutil.rmtree(done, ignore_errors=True)
    aside.replace(done)
    for old in folder.glob("epoch-*"):
        if old != done:
            shutil.rmtree(old, ignore_errors=True)


def _latest(folder: Path) -> Path | None:
    return max(folder.glob("epoch-*"), default=None)


def _resumed(latest: Path, arch: str, given: dict[str, Any]) -> TrainOptions:
    try:
        stored = TrainOptions(**json.loads((latest / "options.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadInputError(f"{latest} is no readable checkpoint ({error}). Train without --resume") from error
    given = {"arch": arch, **without_none(given)}
    asked = replace(stored, **given)
    # More epochs may be asked for, unless the learning rate is planned to the last; anything else would
    # make it another run.
    fixed = [k for k in given if k != "epochs" or stored.schedule != "constant"]
    changed = [k for k in fixed if getattr(asked, k) != getattr(stored, k)]
    if changed:
        was = ", ".join(f"{k} {getattr(stored, k)} (now {given[k]})" for k in changed)
        raise BadInputError(f"cannot resume: the interrupted run had {was}. Give the same, or run without --resume")
    return asked


def _history(latest: Path | None) -> list[dict[str, float]]:
    if latest is None:
        return []
    with (latest / "history.csv").open(newline="", encoding="utf-8") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """Write an epoch a row as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in history)


# --- The bundle ------------------------------------------------------------------------------


def _write_bundle(out: Path, run: Run, history: list[dict[str, float]]) -> bundle.Bundle:
    options, arch = run.options, architecture(run.options.arch)
    model = run.network()
    threshold_at = run.validation_at if len(run.validation_at) else run.fit_at
    held_out = model.predict(run.images[threshold_at], batch_size=500, verbose=0)
    temperature = 1.0
    if options.calibrate and len(run.validation_at):
        temperature = metrics.fit_temperature(held_out, run.labels[threshold_at])
        _divide_logits(model, temperature)
        held_out = model.predict(run.images[threshold_at], batch_size=500, verbose=0)
    test_images, test_labels = fashion_mnist.load("test")
    test = model.predict(test_images, batch_size=500, verbose=0)
    accuracy = float(np.mean(test.argmax(1) == test_labels))
    with bundle.draft(out) as making:
        model.save(making.part("keras"))
        export_saved_model(model, making.part("saved_model"))
        fashion_mnist.save_reference(making.part("reference"), test)
        write_history(making.part("history"), history)
        draw_curves(making.part("curves"), history, f"{arch.name} on Fashion-MNIST")
        making.add_report(
            "train",
            {
                "options": asdict(options),
                "epochs": len(history),
                "wall_time_s": round(sum(row["seconds"] for row in history), 1),
                "final": history[-1],
                "test_accuracy": accuracy,
                "test_calibration_error": metrics.expected_calibration_error(test, test_labels),
                "temperature": temperature,
                "reported_accuracy": arch.reported_accuracy,
            },
        )
        making.info.update(
            name=out.name,
            architecture=arch.name,
            source=arch.source,
            parameters=model.count_params(),
            labels=list(LABELS),
            input_shape=list(INPUT_SHAPE),
            pixels=PIXELS,
            thresholds={
                "accept": decision.accept_threshold(held_out),
                "chosen_on": "validation images" if options.validation_split else "training images",
            },
            metrics={"original": {"test_accuracy": accuracy}},
            versions=training_versions(),
            data_sha256=dict(fashion_mnist.SHA256),
            seed=options.seed,
            split_seed=fashion_mnist.SPLIT_SEED,
            validation_split=options.validation_split,
        )
        bundle.write_card(making)
    return bundle.open_bundle(out)


def _divide_logits(model: keras.Model, temperature: float) -> None:
    """Put a temperature into the network's last dense layer, where it costs nothing."""
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    last.set_weights([weight / temperature for weight in last.get_weights()])


def training_versions() -> dict[str, str]:
    """What a network was trained with, for its bundle's facts."""
    return {name: version(name) for name in ("tensorflow", "keras", "numpy")} | {"python": platform.python_version()}


def draw_curves(path: Path, history: list[dict[str, float]], title: str) -> None:
    """Write each metric of the history over the epochs as a PNG."""
    from matplotlib.figure import Figure

    measured = [key for key in history[0] if key not in ("epoch", "seconds") and not key.startswith("val_")]
    figure = Figure(figsize=(5 * len(measured), 4), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in history]
    for axes, metric in zip(figure.subplots(1, len(measured), squeeze=False)[0], measured, strict=True):
        for key, label in ((metric, "training"), (f"val_{metric}", "validation")):
            if key in history[0]:
                axes.plot(epochs, [row[key] for row in history], marker=".", label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
