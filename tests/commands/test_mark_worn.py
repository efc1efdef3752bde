"""`scripts/mark_worn.py`: pictures of which only the labels are known become scenes to train on."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefashion.data import drawn, fashion_mnist
from edgefashion.data.scenes import scan_scenes
from edgefashion.labels import LABELS

SCRIPT = Path(__file__).parents[2] / "scripts" / "mark_worn.py"


def _drawn(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, tuple[int, int, int, int]]]:
    """Somebody drawn in a T-shirt and trousers, and where these are."""
    images, labels = fashion_mnist.load("train")
    shirt, trousers = (images[np.flatnonzero(labels == LABELS.index(name))[7]] for name in ("T-shirt/top", "Trouser"))
    picture, boxes = drawn.person_of(shirt, trousers, None, rng, 640)
    return picture, boxes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[int, int, int, int]]]:
    """A folder of tagged photos, marked; and where in the first one things are."""
    folder = tmp_path_factory.mktemp("worn")
    (folder / "images").mkdir()
    picture, boxes = _drawn(np.random.default_rng(3))
    cv2.imwrite(str(folder / "images" / "0041.jpg"), picture)
    cv2.imwrite(str(folder / "images" / "0100.jpg"), np.full((300, 200, 3), 128, np.uint8))
    with (folder / "tags.csv").open("w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerows([("file", "tags"), ("0041.jpg", "hair pants skin t-shirt"), ("0100.jpg", "coat skin")])
    out = folder / "scenes"
    command = [sys.executable, str(SCRIPT), str(out), "--tagged", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out, boxes


def test_what_is_tagged_and_found_is_marked(made: tuple[Path, dict[str, tuple[int, int, int, int]]]) -> None:
    """A tagged garment gets the finder's box and the tag's label; a photo of which nothing tagged is found is left out;
    what is not tagged is not marked."""
    (scene,) = scan_scenes(made[0]).scenes
    assert (scene.path.name, scene.group) == ("1-0041.jpg", "2")
    known = {thing.kind: thing for thing in scene.things if thing.garment and not thing.crowd}
    assert set(known) <= {"pants", "t-shirt"}
    assert "pants" in known
    x, y, w, h = made[1]["trousers"]
    found = known["pants"]
    assert found.label == "Trouser"
    assert np.abs(np.array(found.box) - (x, y, w, h)).max() < 0.15 * max(scene.width, scene.height)


def test_what_is_tagged_and_not_found_is_a_crowd(made: tuple[Path, dict[str, tuple[int, int, int, int]]]) -> None:
    """Every tagged kind is there: with its box, or as a crowd of which nobody learns."""
    (scene,) = scan_scenes(made[0]).scenes
    told = {thing.label for thing in scene.things if thing.garment}
    assert told == {"Trouser", "T-shirt/top"}
