"""Fit a network on Fashion-MNIST and write it as a bundle: .keras, SavedModel, history, card."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefashion.bundles import bundle, draft
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError
from edgefashion.system.extras import need
from edgefashion.training.checkpoints import latest_checkpoint, read_history, resumed_options, save_checkpoint
from edgefashion.training.distillation import PrepareProgress
from edgefashion.training.fashion_bundle import write_fashion_bundle
from edgefashion.training.options import fashion_architecture, options_for
from edgefashion.training.run import Run, StepProgress

StartProgress = Callable[[int, int], None]
"""Called before the first epoch with the epochs that an interrupted run did, and how many there are in all."""

EpochProgress = Callable[[dict[str, float]], None]
"""Called after an epoch with its row of history.csv."""


def train(
    arch: str,
    *,
    out: str | Path,
    resume: bool = False,
    on_start: StartProgress | None = None,
    on_step: StepProgress | None = None,
    on_epoch: EpochProgress | None = None,
    on_prepare: PrepareProgress | None = None,
    **given: Any,
) -> bundle.Bundle:
    """Train a network on Fashion-MNIST and write its bundle.

    A run that is stopped leaves its last epoch beside ``out``, from which ``resume`` goes on.

    Args:
        arch: A network's name; ``edgefashion zoo`` lists them.
        out: The bundle to write.
        resume: Go on from an interrupted run's last epoch.
        on_start: Called before the first epoch with the epochs that were done before, and how many there are.
        on_step: Called after a batch with the epoch (from 0), the batches done, their number and the metrics.
        on_epoch: Called after an epoch with its row of ``history.csv``; ``seconds`` among it.
        on_prepare: Called with the images that the teachers have answered, and their number.
        given: Any field of :class:`edgefashion.training.options.TrainOptions` but ``arch``: ``epochs``, ``batch_size``,
            ``learning_rate``, ``seed``, ``limit``, ... What is left out comes from the network's recipe, or with
            ``resume`` from the interrupted run.

    Raises:
        BadInputError: An option out of range, a ``resume`` that does not fit, or an output that cannot be written.
        MissingError: The ``train`` extra or Fashion-MNIST is not installed.

    Example:
        >>> from edgefashion import train
        >>> made = train("cnn-242k", out="models/mine", epochs=1, limit=1000)
        >>> made.path.name, made.has("saved_model"), 0 < made.test_accuracy("original") < 1
        ('mine', True, True)
    """
    out = Path(out)
    fashion_architecture(arch)
    need("tensorflow", "to train")
    need("matplotlib", "to draw the training curves")
    draft.check_new(out)
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
    history = read_history(latest)
    run = Run(options, checkpoints, latest / "model.keras" if latest else None, on_prepare)
    if latest is None:
        # Only now that the new run can begin: an interrupted one might still have been wanted.
        for old in checkpoints.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    if on_start:
        on_start(len(history), options.epochs)
    for epoch in range(len(history), options.epochs):
        history.append(run.epoch(epoch, on_step))
        save_checkpoint(checkpoints, run, history)
        if on_epoch:
            on_epoch(history[-1])
    made = write_fashion_bundle(out, run, history)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return made
