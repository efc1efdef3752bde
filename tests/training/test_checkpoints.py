"""A checkpoint that was damaged is refused in one line, whichever of its files it is."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgefashion.bundles import draft
from edgefashion.training.train import train

if TYPE_CHECKING:
    from helpers.types import Run

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_test_images")]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training's folder, stopped after the first of its two epochs."""
    out = tmp_path_factory.mktemp("interrupted") / "run"

    def stop(_: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("logistic-regression", out=out, epochs=2, batch_size=32, limit=300, validation_split=0.01, on_epoch=stop)
    return draft.checkpoints_dir(out)


def _another_network(path: Path) -> None:
    import keras

    other = keras.Sequential([keras.layers.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(5)])
    other.compile("sgd", "mse")
    other.save(path)


def _without_optimizer(path: Path) -> None:
    import keras

    model = keras.models.load_model(path, compile=False)
    model.save(path)


def _without_weights(path: Path) -> None:
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist() if not name.endswith(".h5")}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def _option(**changed: Any) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


DAMAGE: list[tuple[str, str, Callable[[Path], object]]] = [
    ("model.keras", "gone", Path.unlink),
    ("model.keras", "empty", _text("")),
    ("model.keras", "half", _half),
    ("model.keras", "without weights", _without_weights),
    ("model.keras", "without optimizer", _without_optimizer),
    ("model.keras", "another network", _another_network),
    ("history.csv", "gone", Path.unlink),
    ("history.csv", "empty", _text("")),
    ("history.csv", "no number", _text("epoch,accuracy,loss,seconds\n1,high,2,3\n")),
    ("history.csv", "a row too short", _text("epoch,accuracy,loss,seconds\n1,0.5\n")),
    ("history.csv", "a row too long", _text("epoch,accuracy,loss,seconds\n1,0.5,2,3,4\n")),
    ("history.csv", "other columns", _text("epoch,accuracy,cost,seconds\n1,0.5,2,3\n")),
    ("history.csv", "other epochs", _text("epoch,accuracy,loss,seconds\n1,0.5,2,3\n2,0.5,2,3\n")),
    ("history.csv", "no text", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    ("options.json", "gone", Path.unlink),
    ("options.json", "half", _half),
    ("options.json", "deep", _text("[" * 100_000)),
    ("options.json", "settings that are none", _option(settings=5)),
    ("options.json", "a rate that is none", _option(learning_rate=float("inf"))),
]


@pytest.mark.parametrize(
    ("name", "how"), [pytest.param(name, how, id=f"{name} {damage}") for name, damage, how in DAMAGE]
)
def test_a_damaged_checkpoint(
    name: str, how: Callable[[Path], object], interrupted: Path, tmp_path: Path, run_here: Run
) -> None:
    """Going on from a checkpoint of which a file is damaged or gone is refused in one line that names it, and the
    checkpoint is left."""
    out = tmp_path / "run"
    shutil.copytree(interrupted, draft.checkpoints_dir(out))
    file = draft.checkpoints_dir(out) / "epoch-0001" / name
    how(file)
    done = run_here("train", "logistic-regression", "--out", out, "--resume")
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("edgefashion: ")]
    assert line.endswith("Train without --resume") or "must be above 0" in line
    assert file.parent.is_dir()
    assert not out.exists()


def test_a_whole_checkpoint(interrupted: Path, tmp_path: Path) -> None:
    """One that is whole is gone on with."""
    shutil.copytree(interrupted, draft.checkpoints_dir(tmp_path / "run"))
    assert train("logistic-regression", out=tmp_path / "run", resume=True).report()["train"]["epochs"] == 2
