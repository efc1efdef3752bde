"""A training that can be interrupted: what is stored after each epoch, and read again."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from edgefashion.errors import BadInputError
from edgefashion.training.history import write_history
from edgefashion.training.options import TrainOptions, without_none
from edgefashion.training.run import Run

_MEASURED: Final = frozenset({"epoch", "accuracy", "loss", "seconds"})
_VALIDATED: Final = frozenset({"val_accuracy", "val_loss"})
"""Of an epoch, where validation images were held out."""


def _name(epochs: int) -> str:
    return f"epoch-{epochs:04d}"


def save_checkpoint(folder: Path, run: Run, history: list[dict[str, float]]) -> None:
    """Write ``epoch-NNN``, weights and optimizer with their history in one rename; drop the last."""
    done = folder / _name(len(history))
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


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest epoch stored in ``folder``; None where there is none."""
    return max(folder.glob("epoch-*"), default=None)


def resumed_options(latest: Path, arch: str, given: dict[str, Any]) -> TrainOptions:
    """The options of the run that left ``latest``, with more epochs where they were asked for.

    Raises :class:`BadInputError` for a checkpoint that cannot be read, and where ``given`` would make it another run.
    """
    try:
        stored = TrainOptions(**json.loads((latest / "options.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
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


def read_history(latest: Path | None) -> list[dict[str, float]]:
    """The epochs run before, as the checkpoint ``latest`` has them. Raises :class:`BadInputError` where it cannot be
    read, or has others than the checkpoint was left by."""
    if latest is None:
        return []
    path = latest / "history.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)) or latest.name != _name(len(rows)):
            raise ValueError("its epochs are not those that were run")
        if not all(_MEASURED <= set(row) <= _MEASURED | _VALIDATED for row in rows):
            raise ValueError("its columns are not those of a training")
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise BadInputError(f"{path} cannot be read ({error}). Train without --resume") from error
    return rows
