"""The built wheel, alone in a clean environment, is a whole kiosk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.camera import demo_clip
from edgefashion.data import images
from edgefashion.evaluation import reference

if TYPE_CHECKING:
    from helpers.types import Arrays

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip")
Kiosk = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel's base install and nothing else: not even pip, which takes as long to
    unpack as all of it."""
    folder = tmp_path_factory.mktemp("wheel")

    def pip(*arguments: str | Path) -> None:
        done = subprocess.run([*PIP, *arguments], capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr

    pip("wheel", "-q", "--no-deps", "-w", folder, ROOT)
    (wheel,) = folder.glob("edgefashion-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # What is imported is compiled then; to compile all of it takes longer than to install it.
    pip("--python", python, "install", "-q", "--no-compile", "-c", ROOT / "constraints.txt", wheel)
    return python


@pytest.fixture
def kiosk(environment: Path, tmp_path: Path) -> Kiosk:
    """Run the installed command in an empty folder."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment.parent / "edgefashion", *map(str, arguments)],
            cwd=tmp_path,
            env=clean,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return command


def test_base_install_has_no_training_packages(environment: Path) -> None:
    """The base install brings neither TensorFlow, Keras, NNCF, matplotlib nor torch."""
    listed = subprocess.run([*PIP, "--python", environment, "list", "--format", "json"], capture_output=True, text=True)
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert "openvino" in names
    assert not names & {"tensorflow", "keras", "nncf", "matplotlib", "torch", "scikit-learn"}


def test_the_wheel_carries_the_shipped_bundles(kiosk: Kiosk) -> None:
    """Doctor finds both bundles inside the installed package and verifies every file of them."""
    done = kiosk("doctor")
    assert done.returncode == 0, done.stdout
    models = [line for line in done.stdout.splitlines() if line.split()[1] == "model"]
    assert len(models) == 2
    assert all(line.startswith("ok") and "site-packages" in line for line in models)


def test_kiosk_predicts_evaluates_and_watches(kiosk: Kiosk, tmp_path: Path, test_set: Arrays) -> None:
    """predict, evaluate and camera work without TensorFlow."""
    images.write_png(tmp_path / "boot.png", demo_clip.scene_of(test_set[0][0]))
    assert "Ankle boot" in kiosk("predict", "edge", "boot.png").stdout
    assert json.loads(kiosk("evaluate", "--json").stdout)["accuracy"] > 0.92
    photo = kiosk("predict", "boot.png", "--json", "--explain", "why.png")
    assert set(json.loads(photo.stdout)) == {"source", "label", "confidence", "top", "accepted", "box", "garments"}
    demo_clip.make_clip(tmp_path / "clip.mp4", test_set[0][:5])
    watched = kiosk("camera", "edge", "--source", "clip.mp4", "--headless")
    assert watched.returncode == 0, watched.stderr
    assert [json.loads(line)["state"] for line in watched.stdout.splitlines()][-1] == "ended"


def test_kiosk_benches_the_irs(kiosk: Kiosk) -> None:
    """Bench measures the IRs and says, with each install line, what of --vs is left out."""
    short = ("--threads", "1", "--rounds", "1", "--seconds", "0.02", "--json")
    done = kiosk("bench", "--vs", "litert,tensorflow", *short)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {row["engine"] for row in report["rows"]} == {"openvino"}
    assert {row["precision"] for row in report["rows"]} >= {"fp32", "int8"}
    lines = [note.partition("edgefashion[")[2][:-2] for note in report["notes"] if "pip install" in note]
    assert lines == ["bench", "train"]


def test_kiosk_converts_against_the_stored_answers(kiosk: Kiosk, tmp_path: Path) -> None:
    """Without TensorFlow the gate compares with the answers stored at training; the shipped bundle
    is not touched, the new one is written to ./models."""
    done = kiosk("convert")
    assert done.returncode == 0, done.stderr
    assert "stored at training" in done.stdout
    made = bundle.open_bundle(tmp_path / "models" / "edge")
    made.verify_all()
    assert [p["reference"] for p in made.report()["convert"]["parity"]] == ["stored at training"] * 2


def test_the_stored_answers_can_fail_the_gate(kiosk: Kiosk, tmp_path: Path) -> None:
    """If the stored answers are another network's, the gate exits 1 and writes no bundle."""
    source = resolve.resolve("edge").bundle
    assert source is not None
    with draft.draft(tmp_path / "other", source) as making:
        stored = reference.load_reference(making.part("reference"))
        reference.save_reference(making.part("reference"), np.roll(stored, 1, axis=0))
    done = kiosk("convert", "./other", "--out", "made")
    assert done.returncode == 1
    assert "parity gate failed" in done.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("train kiosk --photos .", 'pip install "edgefashion[train]"'),
        ("train cnn-242k", 'pip install "edgefashion[train]"'),
        ("convert --int8", 'pip install "edgefashion[int8]"'),
        ("convert model.keras", 'pip install "edgefashion[train]"'),
        ("convert ./saved_model", 'pip install "edgefashion[train]"'),
        ("bench --chart chart.png", 'pip install "edgefashion[bench]"'),
        ("evaluate --plot heat.png", 'pip install "edgefashion[bench]"'),
        ("evaluate --scenes .", 'pip install "edgefashion[train]"'),
    ],
)
def test_a_missing_extra_is_named(command: str, line: str, kiosk: Kiosk, tmp_path: Path) -> None:
    """What needs an extra exits 3 in one line that ends with the exact install line, and writes
    nothing."""
    shipped: Any = resolve.resolve("edge").bundle
    shutil.copytree(shipped.verified("saved_model"), tmp_path / "saved_model")
    shutil.copy(shipped.verified("keras"), tmp_path)
    before = sorted(tmp_path.iterdir())
    done = kiosk(*command.split())
    assert done.returncode == 3, done.stderr
    assert done.stderr.strip().endswith(line)
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
