"""An evaluation on folders of photos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.types import Run

from edgefashion.data.images import read_image
from edgefashion.data.photo_folders import Photo
from edgefashion.evaluation import photos
from edgefashion.inference.decision import Rule
from edgefashion.inference.load import load
from edgefashion.inference.predict import predict
from edgefashion.labels import PHOTO_LABELS

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
    shares = "accuracy", "reject_auroc", "accepted_known", "accepted_unknown", "accepted_right", "ece"
    assert all(0 <= printed[key] <= 1 for key in shares)
    assert printed["defensible_accuracy"] is None
    assert list(printed)[-4:] == ["accepted_right", "defensible_accuracy", "ece", "by_label"]


def test_photo_figures_follow_from_the_photos(photo_folder: Path) -> None:
    """The summary's shares are those of the photos it lists, counted anew."""
    classifier = load("kiosk")
    result = photos.evaluate_photos(classifier, photo_folder)
    shown = {s.photo.path: predict(classifier, read_image(s.photo.path), single=True).answer for s in result.seen}
    for s in result.seen:
        answer = shown[s.photo.path]
        assert s.none == (answer is None)
        assert answer is None or (s.answer, s.confidence, s.accepted) == (
            answer.label,
            answer.confidence,
            answer.accepted,
        )
    shoes = ("Footwear", "Sandal", "Sneaker", "Ankle boot")
    names = {"T-shirt": ("T-shirt/top",), "Footwear": shoes}
    right = [s.answer in names.get(s.photo.label, (s.photo.label,)) for s in result.known]
    assert result.accuracy == np.mean(right)
    assert result.accepted(result.known) == np.mean([s.accepted and not s.none for s in result.known])
    assert result.as_json()["no_garment_right"] == np.mean([s.none for s in result.of("No garment")])
    unknown = [s.score for s in result.of("Unknown")]
    pairs = [(a.score > b) + (a.score == b) / 2 for a in result.known for b in unknown]
    assert result.reject_auroc == pytest.approx(np.mean(pairs))


def seen(label: str, also: tuple[str, ...] = (), **shares: float) -> photos.SeenPhoto:
    """A photo of a label and what the network gives it (spaces as _, T for T-shirt/top, the rest Unknown), by a rule
    with floors that tells kinds of shoe."""
    probabilities = np.zeros(len(PHOTO_LABELS), np.float32)
    for name, share in {**shares, "Unknown": 1 - sum(shares.values())}.items():
        probabilities[PHOTO_LABELS.index({"T": "T-shirt/top"}.get(name, name.replace("_", " ")))] = share
    rule = Rule(0.8, {"Coat": 0.9, "Footwear": 0.5}, 0.7)
    return photos.seen_as(Photo(Path("a.jpg"), label, "me", also=also), probabilities, PHOTO_LABELS, rule)


def test_figures_of_labels() -> None:
    """Each label that may be shown has its figures: of its photos, and of the accepted answers that name it; what
    ``photos.csv`` counts as right beside the folder's label counts in the defensible ones alone."""
    every = (
        seen("Coat", Coat=0.95),
        seen("Coat", Coat=0.85),  # its floor is higher
        seen("Coat", ("Pullover",), Pullover=0.9),
        seen("Pullover", Coat=0.95),
        seen("Footwear", Sneaker=0.5, Sandal=0.4),
        seen("Sneaker", Sneaker=0.9),
        seen("Sneaker", Sandal=0.9),
        seen("Sneaker", Sneaker=0.3, Sandal=0.2, Ankle_boot=0.4),
        seen("Unknown", Bag=0.9),
        seen("Unknown", Bag=0.5),
        seen("No garment", No_garment=0.9),
        seen("No garment", T=0.9),
    )
    result = photos.PhotoEvaluation("m", "fp32", "d", 0.8, every, ())
    assert [s.answer for s in every[4:8]] == ["Footwear", "Sneaker", "Sandal", "Footwear"]
    rows = result.by_label
    assert list(rows) == ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Shirt", "Bag", "Footwear", "Sneaker"]
    assert rows["Coat"] == photos.LabelFigures(3, 2 / 3, 1.0, 2 / 3, 1.0, 2, 0.5)
    assert rows["Pullover"] == photos.LabelFigures(1, 0.0, 0.0, 1.0, 0.0, 1, 1.0)
    assert rows["Footwear"] == photos.LabelFigures(1, 1.0, 1.0, 1.0, 1.0, 4, 0.75)
    assert rows["Sneaker"] == photos.LabelFigures(3, 2 / 3, 2 / 3, 1.0, 2 / 3, 1, 1.0)
    assert rows["Bag"] == photos.LabelFigures(0, None, None, None, None, 1, 0.0)
    assert rows["T-shirt"] == photos.LabelFigures(0, None, None, None, None, 1, 0.0)
    assert result.accepted_right == 5 / 9
    assert (result.accuracy, result.defensible_accuracy) == (5 / 8, 6 / 8)
    assert result.reliability is not None
    assert result.reliability.counts.sum() == 11
    printed = json.loads(json.dumps(result.as_json()))
    assert printed["ece"] == result.reliability.ece
    assert printed["by_label"]["Bag"]["said_right"] == 0.0


def test_also_in_a_folder(run: Run, tmp_path: Path, photo_folder: Path) -> None:
    """The column ``also`` of photos.csv makes a defensible accuracy, and a column of the table."""
    mine = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    coats = sorted((mine / "Coat").iterdir())
    lines = ["file,also", *(f"Coat/{path.name},Pullover|Shirt" for path in coats)]
    (mine / "photos.csv").write_text("\n".join(lines) + "\n")
    printed = json.loads(run("evaluate", "--photos", "photos", "--json").stdout)
    coat = printed["by_label"]["Coat"]
    assert coat["defensible_accuracy"] > coat["accuracy"] + 0.5
    assert printed["defensible_accuracy"] == pytest.approx(
        printed["accuracy"] + (coat["defensible_accuracy"] - coat["accuracy"]) * len(coats) / printed["n_known"]
    )
    assert "arguable" in run("evaluate", "--photos", "photos").stdout
