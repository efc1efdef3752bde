"""Fit a network on Fashion-MNIST and write it as a bundle: .keras, SavedModel, history, card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefashion.bundles import bundle, card, draft
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError
from edgefashion.evaluation import metrics, reference
from edgefashion.inference import decision
from edgefashion.inference.classifier import PIXELS
from edgefashion.inference.tensorflow_engine import export_saved_model
from edgefashion.labels import LABELS
from edgefashion.system.extras import need
from edgefashion.training.checkpoints import latest_checkpoint, read_history, resumed_options, save_checkpoint
from edgefashion.training.distillation import PrepareProgress
from edgefashion.training.history import draw_curves, write_history
from edgefashion.training.options import fashion_architecture, options_for
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
    draft.check_target(out)
    checkpoints = draft.checkpoints_dir(out)
    latest = latest_checkpoint(checkpoints) if resume else None
    if latest is None:
        if resume:
            raise BadInputError(f"nothing to resume: {checkpoints} holds no checkpoint. Run without --resume")
        options = options_for(arch, **given)
    else:
        options = resumed_options(latest, arch, given)
    fashion_mnist.find()
    # Fail on an unwritable place now rather than after the last epoch.
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{checkpoints} cannot be written: {error.strerror}. Choose another --out") from error
    run, history = (
        Run(options, checkpoints, latest / "model.keras" if latest else None, on_prepare),
        read_history(latest),
    )
    if latest is None:
        # Only now that the new run can begin: an interrupted one might still have been wanted.
        for old in checkpoints.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for epoch in range(len(history), options.epochs):
        history.append(run.epoch(epoch, on_step))
        save_checkpoint(checkpoints, run, history)
        if on_epoch:
            on_epoch(history[-1])
    made = _write_bundle(out, run, history)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return made


# --- Checkpoints -----------------------------------------------------------------------------


# --- The bundle ------------------------------------------------------------------------------


def _write_bundle(out: Path, run: Run, history: list[dict[str, float]]) -> bundle.Bundle:
    options, arch = run.options, architecture(run.options.arch)
    model = run.network()
    threshold_at = run.validation_at if len(run.validation_at) else run.fit_at
    held_out = model.predict(run.images[threshold_at], batch_size=500, verbose=0)
    temperature = 1.0
    if options.calibrate and len(run.validation_at):
        temperature = fit_temperature(held_out, run.labels[threshold_at])
        _divide_logits(model, temperature)
        held_out = model.predict(run.images[threshold_at], batch_size=500, verbose=0)
    test_images, test_labels = fashion_mnist.load("test")
    test = model.predict(test_images, batch_size=500, verbose=0)
    accuracy = float(np.mean(test.argmax(1) == test_labels))
    with draft.draft(out) as making:
        model.save(making.part("keras"))
        export_saved_model(model, making.part("saved_model"))
        reference.save_reference(making.part("reference"), test)
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
        card.write_card(making)
    return bundle.open_bundle(out)


def _divide_logits(model: keras.Model, temperature: float) -> None:
    """Put a temperature into the network's last dense layer, where it costs nothing."""
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    last.set_weights([weight / temperature for weight in last.get_weights()])


def training_versions() -> dict[str, str]:
    """What a network was trained with, for its bundle's facts."""
    return {name: version(name) for name in ("tensorflow", "keras", "numpy")} | {"python": platform.python_version()}


def fit_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature by which to divide the logits for the least negative log-likelihood of ``labels``.

    Temperature scaling (Guo et al., 2017), by golden-section search over its logarithm from 0.1 to 10.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]))

    low, high, ratio = np.log(0.1), np.log(10.0), (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))
