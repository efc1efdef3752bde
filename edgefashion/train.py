"""Fit a network on Fashion-MNIST and write it as a bundle: .keras, SavedModel, history, card.

A run is a function of its options: every epoch draws its order of images and its dropout masks
from (seed, epoch) alone, so a run resumed from a checkpoint ends where an unbroken one would have.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion import bundle, data, decide
from edgefashion.bundle import PHOTO_MODEL
from edgefashion.classify import PIXELS
from edgefashion.errors import BadInputError, need
from edgefashion.labels import LABELS
from edgefashion.originals import export_saved_model, tensorflow
from edgefashion.zoo import INPUT_SHAPE, architecture

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray


OPTIMIZERS: Final = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD"}
_SEED_LIMIT: Final = 2**32

StepProgress = Callable[[int, int, int, dict[str, float]], None]
"""Called after a batch with the epoch (from 0), the batches done, their number and the metrics."""
EpochProgress = Callable[[dict[str, float]], None]
"""Called after an epoch with its row of history.csv."""


@dataclass(frozen=True)
class TrainOptions:
    """Everything that decides how a run goes. Validated here, so a bad value costs no waiting."""

    arch: str
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    validation_split: float
    seed: int
    limit: int | None = None
    """Train on so many of the images only, to try things out; None means all."""

    def __post_init__(self) -> None:
        for rule, ok in (
            ("--epochs must be at least 1", self.epochs >= 1),
            ("--batch-size must be at least 1", self.batch_size >= 1),
            ("--learning-rate must be above 0", self.learning_rate > 0),
            ("--validation-split must be from 0 to 0.5", 0 <= self.validation_split <= 0.5),
            (f"--optimizer must be one of {', '.join(OPTIMIZERS)}", self.optimizer in OPTIMIZERS),
            ("--limit must be at least 1", self.limit is None or self.limit >= 1),
            (f"--seed must be from 0 to {_SEED_LIMIT - 1}", 0 <= self.seed < _SEED_LIMIT),
        ):
            if not ok:
                raise BadInputError(rule)


def options_for(arch: str, **given: Any) -> TrainOptions:
    """The architecture's own recipe, with whatever is ``given`` (and not None) in its place."""
    recipe = asdict(architecture(arch).recipe)
    return TrainOptions(arch=arch, **{**recipe, "seed": 0, **_without_none(given)})


def train(
    arch: str,
    *,
    out: Path,
    resume: bool = False,
    on_step: StepProgress | None = None,
    on_epoch: EpochProgress | None = None,
    **given: Any,
) -> bundle.Bundle:
    """Train ``arch`` and write the bundle ``out``.

    ``given``: any of epochs, batch_size, optimizer, learning_rate, validation_split, seed, limit;
    what is left out comes from the architecture's recipe, or with ``resume`` from the interrupted run.
    Raises :class:`BadInputError` for options out of range or a resume that does not fit,
    :class:`MissingError` without the ``train`` extra or the dataset.
    """
    if arch == PHOTO_MODEL:
        raise BadInputError(f"{arch} learns from photos: use edgefashion.finetune, or `train {arch} --photos DIR`")
    need("tensorflow", "to train")
    need("matplotlib", "to draw the training curves")
    bundle.check_target(out)
    checkpoints = bundle.checkpoints_dir(out)
    latest = _latest(checkpoints) if resume else None
    if latest is None:
        if resume:
            raise BadInputError(f"nothing to resume: {checkpoints} holds no checkpoint. Run without --resume")
        options = options_for(arch, **given)
        shutil.rmtree(checkpoints, ignore_errors=True)
    else:
        options = _resumed(latest, arch, given)
    images, labels = data.load("train")
    # Fail on an unwritable place now rather than after the last epoch.
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{checkpoints} cannot be written: {error.strerror}. Choose another --out") from error
    fit_at, val_at = data.split(labels, options.validation_split, options.seed)
    if options.limit is not None:
        # Drawn from the training part alone: validation images stay unseen.
        fit_at = fit_at[data.calibration_indices(labels[fit_at], options.limit, options.seed)]

    model, history = _start(options) if latest is None else _restore(latest)
    for epoch in range(len(history), options.epochs):
        history.append(_run_epoch(model, options, epoch, images, labels, fit_at, val_at, on_step))
        _checkpoint(checkpoints, model, options, history)
        if on_epoch:
            on_epoch(history[-1])
    made = _write_bundle(out, model, options, history, images, val_at if len(val_at) else fit_at)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return made


def _start(options: TrainOptions) -> tuple[keras.Model, list[dict[str, float]]]:
    keras = _keras()
    keras.utils.set_random_seed(options.seed)
    model = architecture(options.arch).build()
    optimizer = getattr(keras.optimizers, OPTIMIZERS[options.optimizer])(options.learning_rate)
    # XLA off: on a CPU its compilation costs more than it saves at this size.
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model, []


def _keras() -> Any:
    tensorflow("to train").config.experimental.enable_op_determinism()
    import keras

    return keras


def _run_epoch(
    model: keras.Model,
    options: TrainOptions,
    epoch: int,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    fit_at: NDArray[np.int64],
    val_at: NDArray[np.int64],
    on_step: StepProgress | None,
) -> dict[str, float]:
    import keras

    steps = -(-len(fit_at) // options.batch_size)

    class Report(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            if on_step:
                on_step(epoch, batch + 1, steps, logs or {})

    _reseed(model, options.seed, epoch)
    keras.utils.set_random_seed((options.seed + epoch) % _SEED_LIMIT)
    order = np.random.default_rng((options.seed, epoch)).permutation(fit_at)
    start = time.perf_counter()
    result = model.fit(
        images[order],
        labels[order],
        batch_size=options.batch_size,
        shuffle=False,
        validation_data=(images[val_at], labels[val_at]) if len(val_at) else None,
        verbose=0,
        callbacks=[Report()],
    )
    measured = {key: float(values[-1]) for key, values in result.history.items()}
    return {"epoch": epoch + 1, **measured, "seconds": round(time.perf_counter() - start, 2)}


def _reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every layer's random state (dropout masks) to a function of seed, epoch and layer."""
    for number, layer in enumerate(model._flatten_layers()):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.default_rng((seed, epoch, number)).integers(0, _SEED_LIMIT, 2, np.uint32)
            generator.state.assign(state)


# --- Checkpoints -----------------------------------------------------------------------------


def _checkpoint(folder: Path, model: keras.Model, options: TrainOptions, history: list[dict[str, float]]) -> None:
    """Write ``epoch-NNN``, weights and optimizer with their history in one rename; drop the last."""
    done = folder / f"epoch-{len(history):04d}"
    aside = folder / f".{done.name}.new"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    model.save(aside / "model.keras")
    write_history(aside / "history.csv", history)
    (aside / "options.json").write_text(json.dumps(asdict(options)), encoding="utf-8")
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
    given = {"arch": arch, **_without_none(given)}
    # More epochs may be asked for; anything else would make it another run.
    changed = [k for k, v in given.items() if k != "epochs" and v != getattr(stored, k)]
    if changed:
        was = ", ".join(f"{k} {getattr(stored, k)} (now {given[k]})" for k in changed)
        raise BadInputError(f"cannot resume: the interrupted run had {was}. Give the same, or run without --resume")
    return replace(stored, epochs=given.get("epochs", stored.epochs))


def _restore(latest: Path) -> tuple[keras.Model, list[dict[str, float]]]:
    with (latest / "history.csv").open(newline="", encoding="utf-8") as file:
        history = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return _keras().models.load_model(latest / "model.keras"), history


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in given.items() if v is not None}


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """Write an epoch a row as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in history)


# --- The bundle ------------------------------------------------------------------------------


def _write_bundle(
    out: Path,
    trained: keras.Model,
    options: TrainOptions,
    history: list[dict[str, float]],
    images: NDArray[np.uint8],
    threshold_at: NDArray[np.int64],
) -> bundle.Bundle:
    arch = architecture(options.arch)
    # Built anew: float32 whatever the training policy was, and no optimizer state in the file.
    model = arch.build()
    model.set_weights(trained.get_weights())
    test_images, test_labels = data.load("test")
    test = model.predict(test_images, batch_size=500, verbose=0)
    accuracy = float(np.mean(test.argmax(1) == test_labels))
    held_out = model.predict(images[threshold_at], batch_size=500, verbose=0)
    with bundle.draft(out) as making:
        model.save(making.part("keras"))
        export_saved_model(model, making.part("saved_model"))
        data.save_reference(making.part("reference"), test)
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
                "accept": decide.accept_threshold(held_out),
                "chosen_on": "validation images" if options.validation_split else "training images",
            },
            metrics={"original": {"test_accuracy": accuracy}},
            versions=training_versions(),
            data_sha256=dict(data.SHA256),
            seed=options.seed,
            validation_split=options.validation_split,
        )
        bundle.write_card(making)
    return bundle.open_bundle(out)


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
