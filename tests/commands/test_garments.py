"""One picture gets one answer, whichever command looks at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import finding
from helpers.serve import Server, both, infer
from helpers.tagging import SUFFIXES
from helpers.types import Arrays, Run
from numpy.typing import NDArray

from edgefashion.camera import demo_clip
from edgefashion.data import collected
from edgefashion.data.images import read_image, write_png
from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.decision import Answer
from edgefashion.inference.load import load
from edgefashion.inference.predict import Prediction, SeenGarment, predict
from edgefashion.labels import LABELS
from edgefashion.tagging.collecting import CollectOptions, place_of
from edgefashion.tagging.formats import read_rows, to_json
from edgefashion.tagging.run import made_with
from edgefashion.tagging.tag import tag

Garments = list[dict[str, Any]]


@dataclass
class Place:
    """A network with a finder or without, and a server of it."""

    bundle: Path
    classifier: Classifier
    server: Server
    photos: list[Path]

    def url(self, protocol: str) -> str:
        return f"{self.server.said[protocol]}/v2/models/kiosk"


@pytest.fixture(scope="module", params=["finder", "no finder"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, test_set: Arrays
) -> Iterator[Place]:
    bundle = finding.bundle_with_finder(tmp_path_factory.mktemp("models"), finder=request.param == "finder")
    photos = pairs(tmp_path_factory.mktemp("pairs"), test_set)
    with Server(str(bundle)) as server:
        yield Place(bundle, load(bundle), server, photos)
        assert server.end() == (143, "")


def pairs(folder: Path, test_set: Arrays) -> list[Path]:
    """Three photos of a pullover or shirt beside a trouser that the network knows, and one of a bare wall."""
    classifier = load("kiosk")
    images, labels = test_set

    def known(*kinds: str) -> list[NDArray[np.uint8]]:
        chosen = images[np.isin(labels, [LABELS.index(kind) for kind in kinds])][:20]
        return [photo for photo in preprocess.as_photos(chosen, 150) if predict(classifier, photo).answer]

    beside = zip(known("Pullover", "Shirt", "T-shirt/top")[:3], known("Trouser")[:3], strict=True)
    photos = [np.hstack(pair) for pair in beside]
    photos.append(np.full((200, 300, 3), demo_clip.BACKGROUND, np.uint8))
    paths = [folder / f"{number}.png" for number in range(len(photos))]
    for path, photo in zip(paths, photos, strict=True):
        write_png(path, photo)
    return paths


def predicted(classifier: Classifier, photo: Path) -> Garments:
    return [garment.as_json() for garment in predict(classifier, read_image(photo)).garments]


def same(found: Garments, wanted: Garments) -> None:
    """What ``found`` says of each garment is what ``wanted`` says of it, to a ten-thousandth."""
    assert [garment["label"] for garment in found] == [garment["label"] for garment in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert (one["accepted"], list(one["box"])) == (other["accepted"], list(other["box"]))
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-4)


def labels(garment: dict[str, Any]) -> list[str]:
    """The likeliest ones."""
    return [label for label, _ in garment["top"]]


def test_the_photos(place: Place) -> None:
    """Of the three photos a finder finds two garments each, and nobody finds one on the wall."""
    counts = [len(predicted(place.classifier, photo)) for photo in place.photos]
    assert counts == [1 if place.classifier.finder is None else 2] * 3 + [0]


def test_predict(place: Place, run: Run) -> None:
    """Predict says the main garment behind the picture's name, and each of the others in a line of its own."""
    photo, garments = place.photos[0], predicted(place.classifier, place.photos[0])
    said = run("predict", place.bundle, photo).stdout.splitlines()
    alone = run("predict", place.bundle, photo, "--single").stdout.splitlines()
    same(json.loads(run("predict", place.bundle, photo, "--json").stdout)["garments"], garments)
    assert len(said) == len(garments)
    for line, start, garment in zip(said, [f"{photo}: ", *["  also "] * 9], garments, strict=False):
        assert line.startswith(start)
        assert f"{garment['label']} {garment['confidence']:.1%}" in line
    assert alone == [said[0]] if place.classifier.finder is None else len(alone) == 1


def test_predict_in_doubt(run_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two labels share, predict asks which; where one is not enough, it says perhaps."""
    coat = Answer("Coat", 0.5, False, (("Coat", 0.5), ("Pullover", 0.375)), "Pullover")
    others = Answer("Bag", 0.25, False, (("Bag", 0.25), ("Coat", 0.125))), Answer("Dress", 1.0, True, (("Dress", 1.0),))
    garments = tuple(SeenGarment(answer, (0, 0, 1, 1), np.zeros(12, np.float32)) for answer in (coat, *others))
    seen = Prediction(coat, None, garments)
    monkeypatch.setattr("edgefashion.inference.predict.predict_files", lambda *_, **__: iter([(Path("a.png"), seen)]))
    assert run_here("predict", "a.png").stdout.splitlines() == [
        "a.png: not sure: Coat or Pullover?  (Coat 50.0%, Pullover 37.5%)",
        "  also not sure, perhaps Bag 25.0%",
        "  also Dress 100.0%",
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tag(place: Place, suffix: str, tmp_path: Path) -> None:
    """A table's column names the garments that predict names, and the first of them is the row's own."""
    tag(place.photos, tmp_path / f"t{suffix}", model=place.classifier, workers=2)
    rows = {row.path: row for row in read_rows(tmp_path / f"t{suffix}")}
    assert rows.keys() == {str(photo) for photo in place.photos}
    for photo in place.photos:
        row = to_json(rows[str(photo)])
        wanted = predicted(place.classifier, photo)
        same(row["garments"], wanted)
        same([row] if row["label"] else [], wanted[:1])
        assert labels(row) == (labels(wanted[0]) if wanted else [])
        assert (row["width"], row["height"]) == read_image(photo).shape[1::-1]


def test_tag_collects(place: Place, tmp_path: Path) -> None:
    """With a folder to collect in, tag keeps each garment once, as large as it was, with what the network said of it;
    a network that finds no heads is refused."""
    shop, options = tmp_path / "shop", CollectOptions(tmp_path / "shop", rate=1)
    if place.classifier.finder is None:
        with pytest.raises(BadInputError, match=r"heads are not looked for.*Take another network, such as kiosk"):
            tag(place.photos, tmp_path / "t.csv", model=place.classifier, collect=options)
        assert not shop.exists()
        return
    garments = [each for photo in place.photos for each in predict(place.classifier, read_image(photo)).garments]
    summary = tag(place.photos, tmp_path / "t.csv", model=place.classifier, workers=1, collect=options)
    kept = collected.listing(shop).undecided
    assert (summary.collected, summary.not_collected) == (len(kept), "")
    assert 1 < len(kept) <= len(garments)
    facts = [each.facts() or collected.Facts() for each in kept]
    said = {(each.label, each.confidence) for each in facts}
    assert said <= {(each.answer.label, round(each.answer.confidence, 4)) for each in garments}
    assert {each.camera for each in facts} == {place_of(str(place.photos[0]))}
    for number in ({"rate": float("nan")}, {"rate": -0.1}, {"mb": 0}):
        with pytest.raises(BadInputError, match=r"must be"):
            CollectOptions(shop, **number)
    for wrong in ({"single": True}, {"engine": "ray"}):
        with pytest.raises(BadInputError, match=r"single|engine local"):
            tag(place.photos, tmp_path / "u.csv", model=place.classifier, collect=options, **wrong)


def test_large_photo(tmp_path: Path, test_set: Arrays) -> None:
    """Where a finder looks, tag decodes a large JPEG at its full size, as predict does: small garments need it."""
    photo, classifier = read_image(pairs(tmp_path, test_set)[0]), load(finding.bundle_with_finder(tmp_path))
    cv2.imwrite(str(tmp_path / "large.jpg"), cv2.resize(photo, (2800, 1400), interpolation=cv2.INTER_CUBIC))
    tag([tmp_path / "large.jpg"], tmp_path / "t.csv", model=classifier, workers=1)
    (row,) = read_rows(tmp_path / "t.csv")
    same(to_json(row)["garments"], predicted(classifier, tmp_path / "large.jpg"))
    assert (row.width, row.height) == (2800, 1400)


def test_tag_single(place: Place, tmp_path: Path) -> None:
    """With --single a picture is taken for one garment, and a table of the other kind is not gone on with."""
    summary = tag(place.photos, tmp_path / "t.jsonl", model=place.classifier, workers=1, single=True)
    assert summary.errors == 0
    for row in read_rows(tmp_path / "t.jsonl"):
        same(to_json(row)["garments"], predicted(replace(place.classifier, finder=None), Path(row.path)))
    kinds = {str(made_with(place.classifier, single=single)) for single in (True, False)}
    assert len(kinds) == (1 if place.classifier.finder is None else 2)


@both
def test_serve(place: Place, protocol: str) -> None:
    """The server's ``garments`` are those that predict names, of every picture of a request."""
    client = place.server.client(protocol)
    pictures = np.array([photo.read_bytes() for photo in place.photos], object)
    answer = infer(client, "kiosk", pictures, "pictures")
    for number, photo in enumerate(place.photos):
        garments = json.loads(answer.as_numpy("garments")[number])
        wanted = predicted(place.classifier, photo)
        same(garments, wanted)
        assert [labels(garment) for garment in garments] == [labels(garment) for garment in wanted]
        main = garments[0] if garments else {"label": "", "box": [-1] * 4}
        assert answer.as_numpy("label")[number].decode() == main["label"]
        assert answer.as_numpy("box")[number].tolist() == main["box"]
    outputs = json.loads(place.server.get("/v2/models/kiosk")[1])["outputs"]
    assert {"name": "garments", "datatype": "BYTES", "shape": [-1]} in outputs


@both
def test_by_url(place: Place, protocol: str, tmp_path: Path) -> None:
    """A served network names the garments that it names here, to predict and to tag."""
    served = load(place.url(protocol))
    assert (served.finder is None) == (place.classifier.finder is None)
    for photo in place.photos:
        same(predicted(served, photo), predicted(place.classifier, photo))
    tag(place.photos, tmp_path / "t.csv", model=place.url(protocol), workers=1)
    for row in read_rows(tmp_path / "t.csv"):
        same(to_json(row)["garments"], predicted(place.classifier, Path(row.path)))
