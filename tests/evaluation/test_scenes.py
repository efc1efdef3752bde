"""An evaluation on annotated scenes: by hand-made answers to hand-made things, and by the real command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.scenes import coco, put_scenes, thing
from helpers.types import Run
from PIL import Image

from edgefashion.data import images
from edgefashion.data.scenes import Box, Scene, Thing
from edgefashion.errors import MissingError
from edgefashion.evaluation import scene_sheet, scenes
from edgefashion.evaluation.metrics import overlaps, wilson95
from edgefashion.evaluation.scene_match import SeenScene, match
from edgefashion.evaluation.scenes import SceneEvaluation
from edgefashion.inference.decision import Answer
from edgefashion.inference.load import load
from edgefashion.inference.predict import SeenGarment
from edgefashion.system import extras

LEFT: Box = (10, 10, 40, 80)
RIGHT: Box = (60, 10, 40, 80)
FAR: Box = (110, 10, 40, 80)


def said(label: str, box: Box, confidence: float = 0.9, *, score: float = 1.0, accepted: bool = True) -> SeenGarment:
    """A model's answer."""
    answer = Answer(label, confidence, accepted, ((label, confidence),))
    x, y, w, h = map(int, box)
    return SeenGarment(answer, (x, y, w, h), np.zeros(12, np.float32), score)


def seen(things: list[Thing], *garments: SeenGarment, alone: list[str | None] | None = None) -> SeenScene:
    """A scene of 160 x 100 and what a model made of it; ``alone``: its answers to the things' own boxes."""
    scene = Scene(Path("a.png"), 160, 100, "a", tuple(things))
    names = alone or [None] * len(things)
    return match(scene, garments, [name and said(name, LEFT).answer for name in names])  # type: ignore[misc]


def measured(*of: SeenScene) -> SceneEvaluation:
    return scenes.evaluation_of(of, model="m", precision="fp32", dataset="d", threshold=0.5, skipped=())


# --- Average precision -----------------------------------------------------------------------


def test_all_right_is_one() -> None:
    """Where every garment is found and named right each annotated label has 1, and no other label is measured."""
    things = [Thing("Coat", LEFT), Thing("Trouser", RIGHT)]
    result = measured(seen(things, said("Coat", LEFT), said("Trouser", RIGHT)))
    assert result.ap50_per_label == {"Trouser": 1, "Coat": 1}
    assert result.ap50 == 1
    assert [share.value for share in (result.found, result.named, result.recall(), result.correct())] == [1, 1, 1, 1]


def test_a_false_answer_between_two_right_ones() -> None:
    """Right, false, right: precision is 1 up to half the recall and two thirds beyond, at COCO's 101 points."""
    things = [Thing("Coat", LEFT), Thing("Coat", RIGHT)]
    answers = said("Coat", LEFT, 0.9), said("Coat", FAR, 0.8), said("Coat", RIGHT, 0.7)
    assert measured(seen(things, *answers)).ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_score_is_the_finders_times_the_confidence() -> None:
    """A sure name on what is hardly a garment ranks below an unsure name on what is one."""
    things = [Thing("Coat", LEFT)]
    unsure_right, sure_false = said("Coat", LEFT, 0.5, score=0.9), said("Coat", FAR, 0.9, score=0.4)
    assert measured(seen(things, unsure_right, sure_false)).ap50 == 1
    assert measured(seen(things, unsure_right, said("Coat", FAR, 0.9, score=0.6))).ap50 == pytest.approx(0.5)


@pytest.mark.parametrize(("overlap", "expected"), [(0.52, 1.0), (0.48, 0.0)])
def test_boxes_have_to_overlap_by_half(overlap: float, expected: float) -> None:
    """A box that overlaps by a little more than half of the union counts, one of a little less does not."""
    wide = round(1000 * overlap)
    result = measured(seen([Thing("Coat", (0, 0, 1000, 50))], said("Coat", (0, 0, wide, 50))))
    assert (result.ap50, result.found.value) == (expected, expected)


def test_the_mean_is_over_labels() -> None:
    """A label of many garments weighs no more than a label of one."""
    coats = [seen([Thing("Coat", LEFT)], said("Coat", LEFT)) for _ in range(9)]
    assert measured(*coats, seen([Thing("Dress", LEFT)])).ap50 == 0.5


@pytest.mark.parametrize("named", ["Footwear", "Sandal"])
@pytest.mark.parametrize("true", ["Footwear", "Sneaker"])
def test_kinds_of_footwear_are_one(true: str, named: str) -> None:
    """Whichever kind of shoe is annotated, and whichever is named, it is footwear."""
    result = measured(seen([Thing(true, LEFT)], said(named, LEFT), alone=[named]))
    assert result.ap50_per_label == {"Footwear": 1}
    assert result.confusion == {"Footwear": {"Footwear": 1}}
    assert (result.recall().value, result.alone().value) == (1, 1)


def test_answers_in_a_crowd_do_not_count() -> None:
    """An answer half inside a crowd of its label is neither right nor wrong, however many there are; others are."""
    things = [Thing("Coat", LEFT), Thing("Coat", (60, 0, 100, 100), crowd=True)]
    coats = said("Coat", LEFT, 0.6), said("Coat", (60, 10, 20, 20)), said("Coat", (100, 10, 20, 20))
    result = measured(seen(things, *coats))
    assert (result.ap50, result.found.n, result.correct()) == (1, 1, scenes.Share(1, 1))
    other = measured(seen([*things, Thing("Dress", LEFT)], *coats, said("Dress", (60, 10, 20, 20))))
    assert (other.correct().hits, other.correct().n) == (1, 2)


def test_unknown_things() -> None:
    """An unsure answer on an Unknown thing is left out; an accepted one is false, and is counted as such."""
    things = [Thing("Coat", LEFT), Thing("Unknown", RIGHT)]
    coat = said("Coat", LEFT, 0.8)
    unsure = measured(seen(things, coat, said("Coat", RIGHT, 0.9, accepted=False)))
    assert (unsure.ap50, unsure.correct().value, unsure.unknown.value) == (1, 1, 0)
    sure = measured(seen(things, coat, said("Coat", RIGHT, 0.9)))
    assert sure.ap50 == pytest.approx(0.5)
    assert (sure.correct().value, sure.unknown.value) == (0.5, 1)
    assert sure.confusion["Unknown"] == {"Coat": 1}
    other = measured(seen([Thing("Coat", LEFT), Thing("Unknown", RIGHT, also=("Coat",))], coat, said("Coat", RIGHT)))
    assert (other.correct().value, other.unknown.value) == (1, 0)


def test_other_names_that_are_as_right() -> None:
    """Where two names are right an answer of either counts, in every figure, and is no confusion."""
    result = measured(seen([Thing("Coat", LEFT, also=("Pullover",))], said("Pullover", LEFT), alone=["Pullover"]))
    assert (result.ap50, result.named.value, result.alone().value, result.correct().value) == (1, 1, 1, 1)
    assert result.confusion == {"Pullover": {"Pullover": 1}}


def test_unclear_things_are_found_and_not_named() -> None:
    """A thing of an unclear label counts among those found, and what it is called counts nowhere."""
    result = measured(seen([Thing("Coat", LEFT, unclear=True), Thing("Dress", FAR)], said("Shirt", LEFT)))
    assert (result.found, result.named.n, result.correct().n) == (scenes.Share(1, 2), 0, 0)
    assert result.ap50_per_label == {"Dress": 0}


# --- What belongs to what ----------------------------------------------------------------------


def test_one_answer_a_thing() -> None:
    """Of two answers to one thing the other is false; one answer to two things finds only one of them."""
    twice = measured(seen([Thing("Coat", LEFT)], said("Coat", LEFT), said("Coat", LEFT)))
    assert (twice.found.value, twice.correct()) == (1, scenes.Share(1, 2))
    once = measured(seen([Thing("Coat", LEFT), Thing("Dress", LEFT)], said("Coat", LEFT)))
    assert once.found == scenes.Share(1, 2)
    assert once.confusion == {"Dress": {"not found": 1}, "Coat": {"Coat": 1}}


def test_the_right_name_comes_before_the_nearer_box() -> None:
    """A dress under a coat of nearly its box: each answer belongs to the thing that it names."""
    inner: Box = (12, 12, 38, 78)
    result = measured(seen([Thing("Coat", LEFT), Thing("Dress", inner)], said("Dress", LEFT), said("Coat", inner)))
    assert (result.named.value, result.ap50) == (1, 1)


def test_counts_by_hand() -> None:
    """Four garments: one right and sure, one right and unsure, one named wrong, one not found; and a false answer."""
    boxes: list[Box] = [(at, 0, 20, 50) for at in (0, 30, 60, 90, 120)]
    things = [Thing(label, box) for label, box in zip(("Coat", "Coat", "Coat", "Dress"), boxes, strict=False)]
    answers = (
        said("Coat", boxes[0]),
        said("Coat", boxes[1], accepted=False),
        said("Pullover", boxes[2]),
        said("Bag", boxes[4]),
    )
    result = measured(seen(things, *answers, alone=["Coat", "Coat", "Pullover", None]))
    told = result.as_json()
    assert (told["found"], told["named_right"], told["box_accuracy"]) == (3 / 4, 2 / 3, 2 / 4)
    assert (told["accepted_recall"], told["accepted_precision"]) == (1 / 4, 1 / 3)
    assert told["found_ci95"] == list(wilson95(3, 4))
    assert told["confusion"] == {
        "Dress": {"not found": 1},
        "Coat": {"Coat": 2, "Pullover": 1},
        "nothing": {"Bag": 1},
    }
    assert told["per_label"]["Coat"] == {
        "n": 3, "ap50": pytest.approx(67 / 101), "found": 1, "named_right": 2 / 3, "box_accuracy": 2 / 3,
        "accepted_recall": 1 / 3, "accepted_precision": 1,
    }  # fmt: skip
    assert told["per_label"]["Dress"]["named_right"] is None
    json.dumps(told, allow_nan=False)


def test_nothing_to_count() -> None:
    """Scenes without a garment with a name have no figures but what was said in them."""
    told = measured(seen([Thing("Person", LEFT), Thing("Head", LEFT)], said("Coat", LEFT))).as_json()
    assert (told["ap50"], told["found"], told["found_ci95"], told["per_label"]) == (None, None, None, {})
    assert (told["accepted_precision"], told["confusion"]) == (0, {"nothing": {"Coat": 1}})


def test_overlaps_by_hand() -> None:
    """Half a box over another half: a third of the union, half of the first; apart and empty boxes have none."""
    boxes = np.array([[0, 0, 10, 10]], np.float64)
    others = np.array([[5, 0, 10, 10], [20, 0, 5, 5], [0, 0, 0, 0]], np.float64)
    np.testing.assert_allclose(overlaps(boxes, others), [[1 / 3, 0, 0]])
    np.testing.assert_allclose(overlaps(boxes, others, of_first=True), [[0.5, 0, 0]])
    assert overlaps(boxes[:0], others).shape == (0, 3)


# --- The contact sheet -------------------------------------------------------------------------


def test_the_sheet_shows_the_worst_first(tmp_path: Path) -> None:
    """Scenes with mistakes are on the sheet, the worst first, with the mistakes drawn on; right ones are not."""
    told = []
    for shade, answers in ((60, (said("Coat", LEFT),)), (120, ()), (200, (said("Bag", LEFT), said("Bag", FAR)))):
        path = tmp_path / f"{shade}.png"
        Image.new("RGB", (160, 100), (shade,) * 3).save(path)
        told.append(match(Scene(path, 160, 100, "a", (Thing("Coat", LEFT),)), answers, [None]))
    sheet = scene_sheet.worst_scenes(measured(*told))
    tile = sheet.shape[1] // 6
    assert sheet.shape[0] < 2 * tile
    assert [int(np.median(sheet[:150, at * tile : (at + 1) * tile])) for at in (0, 1, 2)] == [200, 120, 32]
    assert (sheet[:150, :tile] != 200).any()
    assert scene_sheet.worst_scenes(measured(told[0])).max() == 32


# --- The command -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Path:
    """Scenes of one garment each that fills the picture, and one whose picture is broken."""
    folder = tmp_path_factory.mktemp("shop")
    told: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for category, label in enumerate(("Trouser", "Dress", "Unknown"), 1):
        told["categories"].append({"id": category, "name": label})
        for path in sorted((photo_folder / label).iterdir())[:6]:
            number = len(told["images"]) + 1
            height, width = images.read_image(path).shape[:2]
            name = f"{label}-{path.name}"
            told["images"].append({"id": number, "file_name": name, "width": width, "height": height})
            told["annotations"].append(thing(number, number, category, (0, 0, width, height)))
            (folder / name).write_bytes(path.read_bytes())
    told["images"].append({"id": 99, "file_name": "broken.jpg", "width": 9, "height": 9})
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "annotations.json").write_text(json.dumps(told))
    return folder


def test_evaluate_scenes(run: Run, tmp_path: Path, shop: Path) -> None:
    """The command measures a scenes folder, lists what it skips, writes the sheet; the table says what JSON does."""
    done = run("evaluate", "--scenes", shop, "--json", "--sheet", "worst.png")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["model"], told["n"], told["n_things"], told["n_unknown"]) == ("kiosk", 18, 12, 6)
    assert set(told["per_label"]) == {"Trouser", "Dress"}
    mean = np.mean([row["box_accuracy"] for row in told["per_label"].values()])
    assert told["box_accuracy"] == pytest.approx(mean)
    assert told["n_skipped"] == len(told["skipped"]) == 1
    assert images.read_image(tmp_path / "worst.png").shape[1] == 6 * 300
    table = run("evaluate", "--scenes", shop)
    assert table.returncode == 0, table.stderr
    assert f"{told['found']:.1%} of 12 garments found" in table.stdout
    assert "broken.jpg" in table.stderr


def test_a_true_box_is_named_as_predict_does(shop: Path) -> None:
    """Where the true box is the whole picture, naming it alone is what ``predict`` says of one garment."""
    from edgefashion.inference.predict import predict

    classifier = load("kiosk")
    result = scenes.evaluate_scenes(classifier, shop)
    named = [(t, s.scene.path) for s in result.seen for t in s.things]
    assert len(named) == 12
    for each, path in named:
        alone = predict(classifier, images.read_image(path), single=True).answer
        assert (each.alone and each.alone.label) == (alone and alone.label)


def test_pictures_that_cannot_be_read(run_here: Run, tmp_path: Path) -> None:
    """Where no picture can be read that is told in a line, and the command exits 2."""
    put_scenes(tmp_path / "shop", coco(thing(1, 1, 1, (8, 4, 20, 30))))
    (tmp_path / "shop" / "cam-1.png").write_bytes(b"no picture")
    done = run_here("evaluate", "--scenes", "shop")
    assert done.returncode == 2
    assert "none of the 1 pictures can be read. The first: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--scenes s --photos p", "--photos and --scenes are measured each by itself"),
        ("--scenes s --on train", "--on is for Fashion-MNIST; --scenes measures on the pictures of its folders"),
        ("--scenes s --plot a.png", "--plot is not for --scenes. Their contact sheet is written by --sheet"),
        ("--sheet a.png", "--sheet is for --scenes"),
        ("--photos p --sheet a.png", "--sheet is for --scenes"),
        ("kiosk edge --scenes s", "--scenes measures one model at a time"),
        ("--scenes s --sheet a.jpg", "only PNG pictures"),
        ("--scenes s", "s is no folder. Give one with pictures and their COCO file"),
        ("--scenes photos", "photos is a photo folder: a sub-folder for each label. Use --photos"),
        ("--photos scenes", "scenes has a COCO file: it is a folder of annotated scenes. Use --scenes"),
    ],
)
def test_what_does_not_go_together(run_here: Run, tmp_path: Path, arguments: str, words: str) -> None:
    """Flags that do not go together, and the wrong kind of folder, are refused in a line that says what to do."""
    (tmp_path / "photos" / "Coat").mkdir(parents=True)
    put_scenes(tmp_path / "scenes", coco(thing(1, 1, 1, (8, 4, 20, 30))))
    done = run_here("evaluate", *arguments.split())
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_pycocotools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where pycocotools is not installed the line that installs it is told, before a picture is looked at."""
    monkeypatch.setattr(extras, "installed", lambda module: module != "pycocotools")
    with pytest.raises(MissingError, match=r'pip install "edgefashion\[train\]"'):
        scenes.evaluate_scenes(load("kiosk"), tmp_path)
