"""A training that can be interrupted: what is stored after each epoch, and read again."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgefashion.errors import BadInputError
from edgefashion.training.history import write_history
from edgefashion.training.options import TrainOptions, without_none
from edgefashion.training.run import Run


def save_checkpoint(folder: Path, run: Run, history: list[dict[str, float]]) -> None:
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


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest epoch stored in ``folder``; None where there is none."""
    return max(folder.glob("epoch-*"), default=None)


def resumed_options(latest: Path, arch: str, given: dict[str, Any]) -> TrainOptions:
    """The options of the run that left ``latest``, with more epochs where they were asked for.

    Raises :class:`BadInputError` for a checkpoint that cannot be read, and where ``given`` would make it another run.
    """
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


def read_history(latest: Path | None) -> list[dict[str, float]]:
    """The epochs run before, as the checkpoint ``latest`` has them."""
    if latest is None:
        return []
    with (latest / "history.csv").open(newline="", encoding="utf-8") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
