"""A picture is found, named and accepted or not, from a file or an array."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgefashion.camera.stability import Smoother
from edgefashion.data.images import read_image, write_png
from edgefashion.errors import BadInputError
from edgefashion.inference.decision import Rule
from edgefashion.inference.load import load
from edgefashion.inference.predict import Prediction, predict, predict_files, scaled
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier


Picture = NDArray[np.uint8]


class ByShape:
    """Calls what is taller than wide a Trouser, everything else a Bag, and keeps what it was shown."""

    labels, rule, takes_photos, finder = LABELS, Rule(0.5), False, None

    def __init__(self, confidence: float = 0.75) -> None:
        self.shown: list[Picture] = []
        self._confidence = confidence

    def __call__(self, images: Picture) -> NDArray[np.float32]:
        self.shown.append(images)
        seen = images.reshape(28, 28) > 0
        label = "Trouser" if seen.any(1).sum() > seen.any(0).sum() else "Bag"
        answer = np.zeros((1, 10), np.float32)
        answer[0, LABELS.index(label)] = self._confidence
        answer[0, LABELS.index("Coat")] = 1 - self._confidence
        return answer


def as_classifier(fake: ByShape) -> Classifier:
    return cast("Classifier", fake)


def page(width: int = 0, height: int = 0) -> Picture:
    """A white page, with a dark thing of that size at (60, 40)."""
    picture = np.full((300, 400, 3), 255, np.uint8)
    picture[40 : 40 + height, 60 : 60 + width] = 30
    return picture


TROUSER, BAG, BLANK = page(60, 200), page(200, 120), page()


@pytest.mark.parametrize(("picture", "label"), [(TROUSER, "Trouser"), (BAG, "Bag")], ids=["trouser", "bag"])
def test_predict(picture: Picture, label: str) -> None:
    """The garment's 28x28 input, not the picture, goes to the model, whose labels and threshold make the answer."""
    model = ByShape()
    seen = predict(as_classifier(model), picture, top=2)
    assert seen.answer is not None
    assert seen.garment is not None
    assert (seen.answer.label, seen.answer.confidence, seen.answer.accepted) == (label, 0.75, True)
    assert seen.answer.top == ((label, 0.75), ("Coat", 0.25))
    assert len(model.shown) == 1
    assert np.array_equal(model.shown[0], seen.garment.pixels)


def test_predict_not_sure() -> None:
    """An answer under the model's threshold is given, but not accepted."""
    model = ByShape()
    model.rule = Rule(0.8)
    seen = predict(as_classifier(model), BAG)
    assert seen.answer is not None
    assert seen.answer.label == "Bag"
    assert not seen.answer.accepted


def test_predict_blank() -> None:
    """Without a garment the model is not asked and there is no answer."""
    model = ByShape()
    assert predict(as_classifier(model), BLANK) == Prediction(None, None)
    assert model.shown == []


def test_predict_within() -> None:
    """Only the given box is looked at."""
    model = as_classifier(ByShape())
    assert predict(model, BAG, within=(0, 0, 50, 300)).answer is None
    seen = predict(model, BAG, within=(50, 30, 300, 200))
    assert seen.garment is not None
    assert np.abs(np.subtract(seen.garment.box, (60, 40, 200, 120))).max() <= 4


def test_predict_smooths_and_forgets() -> None:
    """Frames of one garment share an answer, until what they share is forgotten."""
    smoother = Smoother(weight=0.5)
    sure, unsure = as_classifier(ByShape(1.0)), as_classifier(ByShape(0.0))

    def confidence_in_bag(model: Classifier, picture: Picture) -> float:
        answer = predict(model, picture, smooth=smoother, top=10).answer
        assert answer is not None
        return dict(answer.top)["Bag"]

    assert confidence_in_bag(sure, BAG) == 1
    assert confidence_in_bag(unsure, BAG) == 0.5
    assert predict(sure, BLANK, smooth=smoother).answer is None
    smoother.reset()
    assert confidence_in_bag(unsure, BAG) == 0


FIELDS = ["source", "label", "confidence", "top", "accepted", "box", "garments"]


def test_json_of_a_garment() -> None:
    """``predict --json`` prints exactly the promised fields, of plain JSON types."""
    seen = predict(as_classifier(ByShape()), BAG)
    printed = json.loads(json.dumps(seen.as_json("bag.png")))
    assert list(printed) == FIELDS
    assert seen.garment is not None
    assert printed == {
        "source": "bag.png",
        "label": "Bag",
        "confidence": 0.75,
        "top": [["Bag", 0.75], ["Coat", 0.25], ["T-shirt/top", 0.0]],
        "accepted": True,
        "box": list(seen.garment.box),
        "garments": [{name: printed[name] for name in ("label", "confidence", "accepted", "top", "box")}],
    }


def test_json_without_a_garment() -> None:
    """Where there is no garment, label and box are null and nothing is accepted, in the same fields."""
    printed = json.loads(json.dumps(predict(as_classifier(ByShape()), BLANK).as_json("page.png")))
    assert list(printed) == FIELDS
    assert printed == {
        "source": "page.png",
        "label": None,
        "confidence": 0.0,
        "top": [],
        "accepted": False,
        "box": None,
        "garments": [],
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of pictures, one of them cut off, one no picture at all, one blank."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    write_png(folder / "a.png", BAG)
    write_png(folder / "b.png", TROUSER)
    write_png(folder / "d.png", BLANK)
    write_png(folder / "more/e.png", TROUSER)
    (folder / "b.png").replace(folder / "f.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:-50])
    (folder / "c.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("not asked for")
    return folder


def test_predict_files(photos: Path) -> None:
    """Every picture of a folder gets one result in order: what cannot be read its error by name, and the rest goes
    on."""
    results = list(predict_files(as_classifier(ByShape()), [photos]))
    said = {}
    for path, seen in results:
        if isinstance(seen, BadInputError):
            assert str(path) in str(seen)
            said[path.relative_to(photos).as_posix()] = "error"
        else:
            said[path.relative_to(photos).as_posix()] = seen.answer.label if seen.answer else "nothing"
    assert list(said.items()) == [
        ("a.png", "Bag"),
        ("b.png", "error"),
        ("c.jpg", "error"),
        ("d.png", "nothing"),
        ("f.png", "Trouser"),
        ("more/e.png", "Trouser"),
    ]


def test_predict_files_in_the_order_given(photos: Path) -> None:
    """Files named one by one come in the order they were named, as often as they were named, with as many labels as
    asked for."""
    paths = [photos / "f.png", photos / "a.png", photos / "f.png"]
    results = list(predict_files(as_classifier(ByShape()), paths, top=1))
    assert [path for path, _ in results] == paths
    for _, seen in results:
        assert isinstance(seen, Prediction)
        assert seen.answer is not None
        assert len(seen.answer.top) == 1


@pytest.mark.parametrize("wrong", ["missing.png", "empty"])
def test_predict_files_refuses_first(wrong: str, photos: Path, tmp_path: Path) -> None:
    """A path that does not exist, or a folder without pictures, is refused before the model is asked anything."""
    (tmp_path / "empty").mkdir()
    model = ByShape()
    with pytest.raises(BadInputError, match=wrong):
        next(predict_files(as_classifier(model), [photos, tmp_path / wrong]))
    assert model.shown == []


def test_a_model_is_loaded_for_the_pictures(photos: Path) -> None:
    """Files are answered alike by a MODEL and by the classifier it is loaded as, one whose picture is read while it is
    compiled included."""
    by_name = list(predict_files("edge", [photos]))
    by_classifier = list(predict_files(load("edge"), [photos]))
    assert [path for path, _ in by_name] == [path for path, _ in by_classifier]
    for (_, one), (_, other) in zip(by_name, by_classifier, strict=True):
        if isinstance(one, Prediction):
            assert isinstance(other, Prediction)
            assert one.answer == other.answer
        else:
            assert str(one) == str(other)


@pytest.mark.parametrize(
    ("model", "picture", "told"),
    [("edge", "missing.png", "missing.png"), ("nowhere", "missing.png", "nowhere"), ("nowhere", "a.png", "nowhere")],
)
def test_the_first_error_is_told(model: str, picture: str, told: str, photos: Path) -> None:
    """A missing picture is refused before the first result; where the model is wrong too, the model is told of."""
    with pytest.raises(BadInputError, match=told):
        next(predict_files(model, [photos / picture]))


@pytest.fixture(scope="module")
def kiosk() -> Classifier:
    return load("kiosk")


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((720, 1280, 3), np.uint8),
        np.full((720, 1280, 3), 255, np.uint8),
        np.full((480, 640, 3), (180, 190, 200), np.uint8),
    ],
    ids=["black", "overexposed", "a plain wall"],
)
def test_no_garment_in_view(kiosk: Classifier, frame: Picture) -> None:
    """A black, an overexposed and an empty picture get no name, no box and no confidence."""
    seen = predict(kiosk, frame)
    assert seen.answer is None
    printed = seen.as_json("frame")
    assert (printed["label"], printed["confidence"], printed["box"], printed["accepted"]) == (None, 0.0, None, False)


def test_a_photo_is_named_and_boxed(kiosk: Classifier, photo_folder: Path) -> None:
    """Of drawn photos of trousers most are named, and the box holds what was drawn, not the floor around."""
    named, overlaps = [], []
    for path in sorted((photo_folder / "Trouser").iterdir()):
        seen = predict(kiosk, read_image(path))
        if seen.answer is None or seen.garment is None:
            continue
        named.append(seen.answer.label == "Trouser")
        x, y, w, h = seen.garment.box
        # Drawn into (30, 80) to (270, 320); trousers fill about its middle third.
        inside = max(0, min(x + w, 270) - max(x, 30)) * max(0, min(y + h, 320) - max(y, 80))
        overlaps.append(inside / (w * h))
    assert len(named) >= 12
    assert np.mean(named) > 0.8
    assert np.median(overlaps) > 0.8


def test_within_limits_what_the_network_sees(kiosk: Classifier, photo_folder: Path) -> None:
    """A photo in the guide box of a frame is answered as the photo alone, its box moved along."""
    photo = read_image(next((photo_folder / "Dress").iterdir()))[:300]
    frame = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    frame[100:400, 500:800] = photo
    alone, inside = predict(kiosk, photo), predict(kiosk, frame, within=(500, 100, 300, 300))
    assert alone.answer == inside.answer
    assert alone.garment is not None
    assert inside.garment is not None
    x, y, w, h = alone.garment.box
    assert inside.garment.box == (x + 500, y + 100, w, h)


def test_boxes_are_told_at_full_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a JPEG is too large to be decoded whole, boxes are those of the picture all the same."""
    picture = np.full((1200, 1601), 240, np.uint8)
    picture[304:904, 504:1000] = 30
    Image.fromarray(picture).save(tmp_path / "large.jpg", quality=95)
    classifier = cast("Classifier", ByShape())
    ((_, whole),) = predict_files(classifier, [tmp_path / "large.jpg"])
    for limit in ("WHOLE_JPEG_PIXELS", "DRAFTED_PIXELS"):
        monkeypatch.setattr(f"edgefashion.data.images.{limit}", 500_000)
    ((_, drafted),) = predict_files(classifier, [tmp_path / "large.jpg"])
    assert read_image(tmp_path / "large.jpg").shape == (600, 800, 3)
    assert isinstance(whole, Prediction)
    assert isinstance(drafted, Prediction)
    for box in (whole.as_json("")["box"], drafted.as_json("")["box"], drafted.garments[0].box):
        assert np.abs(np.subtract(box, (504, 304, 496, 600))).max() <= 12
    small = scaled(drafted, (1601, 1200), (800, 600)).garments[0].box
    assert np.abs(np.subtract(small, (252, 152, 248, 300))).max() <= 6
