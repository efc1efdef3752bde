"""Every garment in view: what a photo network with its finder finds and names in pictures held out from its training.

    python benchmarks/networks/garments.py MODEL --photos DIR --scenes DIR --studio DIR --empty DIR [--precision int8]

``--photos``: garments lying or hanging; ``--studio``: an online shop's pictures, many of them worn, as
``scripts/prepare_shop`` makes them; ``--scenes``: street photos as ``scripts/prepare_worn`` makes them; ``--empty``: a
photo folder of No garment. Of each set the fifth is measured that ``edgefashion train kiosk`` holds out with its
defaults, or another ``--fold`` of five (``--all`` measures everything: for pictures that took no part in training at
all). Pairs and held garments are put together from held-out pictures. ``--rooms``: a photo folder of No garment that no
training has seen, as ``no_garment.py`` makes it. The figures go to results/garments.json under MODEL and precision.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgefashion.data import fashion_mnist, images, photo_folders, scene_labels, scenes, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.evaluation.acceptance import is_right
from edgefashion.evaluation.metrics import auroc, wilson95
from edgefashion.evaluation.scenes import evaluation_of, see
from edgefashion.evaluation.spoiled import dark, part_hidden
from edgefashion.inference import decision
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.load import load
from edgefashion.inference.predict import Prediction, predict
from edgefashion.labels import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

RESULTS = Path(__file__).parent / "results" / "garments.json"
SEED = 0
SMALLEST_FACE_PX = 24
PAIRS, HELD = 200, 200
FASHION_PNGS = 1000


def share(hits: list[bool]) -> dict[str, Any]:
    """A share with its number and Wilson's interval."""
    n = len(hits)
    return {"share": sum(hits) / n, "n": n, "ci95": list(wilson95(sum(hits), n))} if n else {"share": None, "n": 0}


def held_out(folder: Path, given: argparse.Namespace) -> list[Photo]:
    """The photos of a folder that training holds out."""
    photos = photo_folders.scan(folder).photos
    if given.all:
        return list(photos)
    return [photos[at] for at in splits.in_fold(photos, given.fold, splits.split_by_sender)[1]]


def truths(photo: Photo) -> list[str]:
    return [photo.label, *photo.also]


class Accepted:
    """Counts, over all sets, what is accepted and how much of it is right."""

    def __init__(self) -> None:
        self.right: list[bool] = []

    def add(self, seen: Prediction, allowed: list[str]) -> None:
        """Each accepted garment of a picture in which any of ``allowed`` is right."""
        for garment in seen.garments:
            if garment.answer.accepted:
                self.right.append(is_right(garment.answer.label, allowed))


def of_photos(
    classifier: Classifier,
    photos: list[Photo],
    counts: Accepted,
    *,
    single: bool,
    spoiled: Callable[[Picture], Picture] = lambda picture: picture,
) -> dict[str, Any]:
    """Lone garments: the main answer, nothing rejected."""
    rows = []
    for photo, picture in photo_folders.read(photos, []):
        seen = predict(classifier, spoiled(picture), single=single)
        if single == photo.worn:  # what else somebody wears is named nowhere: there the picture is one garment
            counts.add(seen, truths(photo))
        main = seen.garments[0] if seen.garments else None
        score = 0.0 if main is None else float(decision.acceptance(main.probabilities, classifier.labels))
        rows.append((photo, "" if main is None else main.answer.label, score, bool(main and main.answer.accepted)))
    known = [row for row in rows if row[0].known]
    strict = {
        label: share([is_right(said, [label]) for photo, said, *_ in known if photo.label == label])
        for label in sorted({photo.label for photo, *_ in known})
    }
    unknown = [row for row in rows if row[0].label == UNKNOWN]
    return {
        "strict": share([is_right(said, [photo.label]) for photo, said, *_ in known]),
        "defensible": share([is_right(said, truths(photo)) for photo, said, *_ in known]),
        "accepted": share([accepted for *_, accepted in known]),
        "accepted_right": share([is_right(said, truths(photo)) for photo, said, _, accepted in rows if accepted]),
        "unknown_accepted": share([accepted for *_, accepted in unknown]),
        "reject_auroc": auroc([row[2] for row in known], [row[2] for row in unknown]),
        "per_label": strict,
    }


def of_empty(classifier: Classifier, photos: list[Photo], counts: Accepted) -> dict[str, Any]:
    """Pictures of no garment, by what the files' names begin with: nothing may be accepted."""
    quiet: dict[str, list[bool]] = {}
    for photo, picture in photo_folders.read(photos, []):
        seen = predict(classifier, picture)
        counts.add(seen, [])
        kind = "".join(c for c in photo.sender if not c.isdigit())
        quiet.setdefault(kind, []).append(not any(garment.answer.accepted for garment in seen.garments))
    found = {kind: share(hits) for kind, hits in quiet.items()}
    return {**found, "all": share([hit for hits in quiet.values() for hit in hits])}


def of_faces(classifier: Classifier, marked: Sequence[scenes.Scene], counts: Accepted) -> dict[str, Any]:
    """Heads cut out of street photos, down to the chin: nothing may be accepted."""
    quiet = []
    for scene, picture in scenes.read(marked, []):
        for thing in scene.things:
            if thing.label == scene_labels.HEAD and min(thing.box[2:]) >= SMALLEST_FACE_PX:
                x, y, w, h = (round(edge) for edge in thing.box)
                seen = predict(classifier, picture[y : y + h, x : x + w])
                counts.add(seen, [])
                quiet.append(not any(garment.answer.accepted for garment in seen.garments))
    return share(quiet)


def side_by_side(photos: list[Photo], rng: np.random.Generator) -> Iterator[tuple[Picture, list[list[str]]]]:
    """Pairs of photos of two labels, as high as one another."""
    known = [photo for photo in photos if photo.known and not photo.worn]
    for _ in range(PAIRS):
        one, other = (known[at] for at in rng.choice(len(known), 2, replace=False))
        if one.label == other.label:
            continue
        pictures = [images.read_image(photo.path) for photo in (one, other)]
        fit = [cv2.resize(p, (max(1, round(p.shape[1] * 480 / p.shape[0])), 480)) for p in pictures]
        yield np.hstack(fit), [truths(one), truths(other)]


def held_up(
    photos: list[Photo], grounds: list[Path], rng: np.random.Generator
) -> Iterator[tuple[Picture, list[list[str]]]]:
    """A photo held before people or a room: over the middle of another picture, half as high as that."""
    known = [photo for photo in photos if photo.known and not photo.worn]
    for _ in range(HELD):
        ground = images.read_image(grounds[rng.integers(len(grounds))]).copy()
        photo = known[rng.integers(len(known))]
        picture = images.read_image(photo.path)
        height, width = ground.shape[:2]
        scale = min(0.5 * height / picture.shape[0], 0.6 * width / picture.shape[1])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        y = round((height - small.shape[0]) * rng.uniform(0.35, 0.65))
        x = round((width - small.shape[1]) * rng.uniform(0.3, 0.7))
        ground[y : y + small.shape[0], x : x + small.shape[1]] = small
        yield ground, [truths(photo)]


def all_named(
    classifier: Classifier, made: Iterator[tuple[Picture, list[list[str]]]], *, accepted: bool
) -> dict[str, Any]:
    """Share of pictures in which every one of the garments is among the names given (accepted, or any)."""
    hits = []
    for picture, wanted in made:
        names = [g.answer.label for g in predict(classifier, picture).garments if g.answer.accepted or not accepted]
        hits.append(all(any(is_right(name, allowed) for name in names) for allowed in wanted))
    return share(hits)


def of_fashion(classifier: Classifier) -> dict[str, Any]:
    """Fashion-MNIST's test images: as arrays, and the first of them as pictures through ``predict``."""
    pictures, labels = fashion_mnist.load("test")
    answers = decision.likeliest(classifier(pictures))
    as_png = []
    for image, label in zip(pictures[:FASHION_PNGS], labels[:FASHION_PNGS], strict=True):
        seen = predict(classifier, np.repeat(image.reshape(28, 28, 1), 3, 2))
        as_png.append(bool(seen.garments) and is_right(seen.garments[0].answer.label, [classifier.labels[label]]))
    return {"arrays": share((answers == labels).tolist()), "pngs": share(as_png)}


def measure(classifier: Classifier, given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Every line."""
    counts, rng = Accepted(), np.random.default_rng(SEED)
    photos, studio, empty = (held_out(folder, given) for folder in (given.photos, given.studio, given.empty))
    marked = scenes.scan_scenes(given.scenes).scenes
    if not given.all:
        groups = [scene.group for scene in marked]
        marked = tuple(marked[at] for at in splits.in_fold(groups, given.fold, splits.split_by_group)[1])
    figures: dict[str, Any] = {}

    def add(name: str, found: Any) -> None:
        figures[name] = found
        say(f"{name}: {json.dumps(found, default=float)[:600]}")

    add("photos", of_photos(classifier, photos, counts, single=False))
    add("photos_single", of_photos(classifier, photos, counts, single=True))
    add("studio", of_photos(classifier, [p for p in studio if p.worn], counts, single=False))
    add("studio_single", of_photos(classifier, [p for p in studio if p.worn], counts, single=True))
    evaluation = evaluation_of(
        [see(classifier, scene, picture) for scene, picture in scenes.read(marked, [])],
        model=classifier.name,
        precision=classifier.precision,
        dataset=given.scenes.name,
        threshold=classifier.accept_threshold,
        skipped=(),
    )
    correct = evaluation.correct()
    counts.right += [True] * correct.hits + [False] * (correct.n - correct.hits)
    told = evaluation.as_json()
    add("scenes", {key: told[key] for key in told if key not in ("skipped", "confusion")})
    add("pairs_both_accepted", all_named(classifier, side_by_side(photos, np.random.default_rng(1)), accepted=True))
    add("pairs_both_named", all_named(classifier, side_by_side(photos, np.random.default_rng(1)), accepted=False))
    grounds = [scene.path for scene in marked] + [photo.path for photo in empty]
    add("held_accepted", all_named(classifier, held_up(photos, grounds, rng), accepted=True))
    add("empty", of_empty(classifier, empty, counts))
    if given.rooms:  # whole folders of other places: nothing of them was trained on
        add("rooms", of_empty(classifier, list(photo_folders.scan(given.rooms).photos), counts))
    add("faces", of_faces(classifier, marked, counts))
    add("accepted_right", share(counts.right))
    aside = Accepted()
    for name, spoiled in (("photos_dark", dark), ("photos_part_hidden", part_hidden)):
        add(name, of_photos(classifier, photos, aside, single=False, spoiled=spoiled))
    add("fashion", of_fashion(classifier))
    figures["n"] = {"photos": dict(Counter(photo.label for photo in photos)), "scenes": len(marked)}
    return figures


def main() -> None:
    """Measure, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    for name in ("photos", "scenes", "studio", "empty"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rooms", type=Path, help="a photo folder of No garment that no training has seen")
    parser.add_argument("--fold", type=int, choices=range(splits.FOLDS), default=0)
    parser.add_argument("--precision")
    parser.add_argument("--name", help="the figures' name, in place of the model's and its precision")
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    classifier = load(given.model, precision=given.precision)
    figures = measure(classifier, given, lambda line: print(line, flush=True))
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept[given.name or f"{classifier.name} {classifier.precision}"] = figures
    RESULTS.write_text(json.dumps(kept, indent=1, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
