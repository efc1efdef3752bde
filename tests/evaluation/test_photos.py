"""An evaluation on folders of photos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.types import Run

from edgefashion.evaluation import photos
from edgefashion.inference.load import load

PHOTO_FIELDS = {"n_known", "accuracy", "per_label", "reject_auroc", "accepted_known", "accepted_unknown"}


@pytest.mark.parametrize("model", ["kiosk", "edge"])
def test_evaluate_photos(run: Run, tmp_path: Path, photo_folder: Path, model: str) -> None:
    """Photos are counted, scored and accepted or not as the listed figures say, by either kind of model."""
    mine = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    (mine / "Coat" / "broken-1.jpg").write_bytes(b"not a picture")
    (mine / "Jacket").mkdir()
    shutil.copy(next((mine / "Coat").glob("sender*")), mine / "Jacket")
    done = run("evaluate", *(() if model == "kiosk" else (model,)), "--photos", "photos", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert set(printed) >= PHOTO_FIELDS
    assert printed["model"] == model
    assert (printed["n_known"], printed["n_unknown"], printed["n_no_garment"]) == (120, 24, 24)
    assert set(printed["per_label"]) == {"T-shirt", "Trouser", "Dress", "Coat", "Footwear"}
    assert printed["accuracy"] == pytest.approx(np.mean(list(printed["per_label"].values())))
    assert printed["n_skipped"] == len(printed["skipped"]) == 2
    assert all(0 <= printed[key] <= 1 for key in ("accuracy", "reject_auroc", "accepted_known", "accepted_unknown"))


def test_photo_figures_follow_from_the_photos(photo_folder: Path) -> None:
    """The summary's shares are those of the photos it lists, counted anew."""
    result = photos.evaluate_photos(load("kiosk"), photo_folder)
    right = [s.answer in {"T-shirt": {"T-shirt/top"}, "Footwear": {"Sandal", "Sneaker", "Ankle boot"}}.get(
        s.photo.label, {s.photo.label}) for s in result.known]  # fmt: skip
    assert result.accuracy == np.mean(right)
    assert result.accepted(result.known) == np.mean([s.score >= result.threshold and not s.none for s in result.known])
    assert result.as_json()["no_garment_right"] == np.mean([s.none for s in result.of("No garment")])
    unknown = [s.score for s in result.of("Unknown")]
    pairs = [(a.score > b) + (a.score == b) / 2 for a in result.known for b in unknown]
    assert result.reject_auroc == pytest.approx(np.mean(pairs))
