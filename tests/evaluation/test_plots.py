"""The pictures of an evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.evaluations import answers, evaluated
from helpers.types import Run

from edgefashion.data.images import read_image
from edgefashion.evaluation import plots
from edgefashion.evaluation.metrics import reliability, risk_coverage


def test_the_worst_are_shown(run: Run, tmp_path: Path, photo_folder: Path) -> None:
    """``--plot`` writes a contact sheet of the mistakes, and the table names each label."""
    done = run("evaluate", "edge", "--photos", photo_folder, "--plot", "worst.png")
    assert done.returncode == 0, done.stderr
    assert all(label in done.stdout for label in ("T-shirt", "Footwear", "Unknown", "No garment"))
    assert read_image(tmp_path / "worst.png").shape[1] == 8 * 180


@pytest.mark.parametrize("kind", ["mostly right", "a class never shown"])
def test_plot_confusion(kind: str, tmp_path: Path) -> None:
    """The heat map is a readable PNG with a dark diagonal where the model is right."""
    path = tmp_path / "confusion.png"
    plots.plot_confusion(evaluated(*answers(kind)), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    image = read_image(path)
    assert min(image.shape[:2]) > 500
    other = tmp_path / "other.png"
    plots.plot_confusion(evaluated(*answers("one answer")), other)
    assert not np.array_equal(image, read_image(other))


def test_plot_reliability_and_risk(tmp_path: Path) -> None:
    """Both diagrams are readable PNGs; they show what they were given."""
    rng = np.random.default_rng(0)
    confidence = rng.random(500)
    made = []
    for name, right in (("honest", rng.random(500) < confidence), ("wrong", rng.random(500) < confidence**3)):
        plots.plot_reliability(reliability(confidence, right), tmp_path / f"{name}.png", "kiosk")
        plots.plot_risk_coverage(risk_coverage(confidence, right), tmp_path / f"{name}2.png", "kiosk", (0.5, 0.1))
        made += [tmp_path / f"{name}.png", tmp_path / f"{name}2.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)
    pictures = [read_image(path) for path in made]
    assert all(min(picture.shape[:2]) > 400 for picture in pictures)
    assert not np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[1], pictures[3])
