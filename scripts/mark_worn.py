"""Mark worn garments that nobody outlined: a scenes folder of pictures whose labels are known, and not where they are.

    python scripts/mark_worn.py OUT --model kiosk [--tagged WORN_DIR] [--photos DIR]

WORN_DIR is the folder that ``scripts/prepare_worn`` reads; of its ``tags.csv`` (file, tags of the whole photo) each
photo is taken. Of a photo folder its worn pictures are taken, with the folder's label. The model's finder says where
the things are and the tags what they are: a box counts where both agree, and a name where the photo network holds it
possible. What the finder is unsure of, and what is tagged and not found, is written as a crowd: nobody learns from it
either way.

What comes out is for training only (``scripts/train_kiosk.py --more-scenes``): it is no truth to measure on.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.data import images, photo_folders, scene_labels
from edgefashion.inference.finder import FINDER_PX, GARMENT_KINDS, KINDS, Region, overlap, regions
from edgefashion.inference.load import load
from edgefashion.inference.preprocess import frame_view, view
from edgefashion.inference.scene import with_margin
from edgefashion.labels import GROUPS, LABELS, UNKNOWN
from edgefashion.system.files import written_aside
from edgefashion.training.finder_material import kind_of
from edgefashion.training.photo_material import white_ground

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier

worn = SourceFileLoader("prepare_worn", str(Path(__file__).parent / "prepare_worn")).load_module()

SURE = 0.45
"""Score from which a box counts that nothing else speaks for."""
TAGGED = 0.25
"""The same for a box of a kind that is known to be in the picture."""
DOUBTFUL = 0.12
"""Score from which a kind is not known to be missing."""
POSSIBLE = 0.12
"""Share of the photo network's answer that a label needs, or the name is not learned."""


@dataclass(frozen=True)
class Known:
    """A picture, and what is known of it without its boxes."""

    path: Path
    group: str
    told: dict[str, list[tuple[str, str, tuple[str, ...]]]]
    """Kind of the finder -> what is known of that kind: label, finer kind, other labels as right."""
    all_told: bool
    """True where a kind that is not in ``told`` is not in the picture."""
    studio: bool = False


def tagged(folder: Path) -> Iterator[Known]:
    """The photos of ``tags.csv``."""
    with (folder / "tags.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            told: dict[str, list[Any]] = defaultdict(list)
            for tag in row["tags"].split():
                label = worn.LABEL_OF.get(tag, "")
                kind = kind_of(label, tag) if label else None
                if kind is not None:
                    told[KINDS[kind]].append((label, tag, ()))
            yield Known(folder / "images" / row["file"], str(int(Path(row["file"]).stem) // 20), told, all_told=True)


def worn_photos(folder: Path) -> Iterator[Known]:
    """The worn pictures of a photo folder."""
    for photo in photo_folders.scan(folder).photos:
        label = "T-shirt/top" if photo.label == "T-shirt" else photo.label
        kind = kind_of(label, photo.kind or "")
        if photo.worn and kind is not None:
            told = {KINDS[kind]: [(label, photo.kind or "", photo.also)]}
            yield Known(photo.path, photo.sender, told, all_told=False, studio=True)


@dataclass
class Marked:
    """What is found in one picture."""

    things: list[dict[str, Any]] = field(default_factory=list)

    def add(self, category: str, region: Region | None, size_wh: tuple[int, int], **told: Any) -> None:
        """One annotation; without a region it is somewhere in the picture."""
        width, height = size_wh
        x, y, w, h = region.box if region else (0.0, 0.0, 1.0, 1.0)
        box = [round(x * width, 1), round(y * height, 1), round(w * width, 1), round(h * height, 1)]
        given = {"kind": "", "also": [], "unclear": 0, "iscrowd": 0, "segmentation": None, **told}
        self.things.append({"category": category, "bbox": box, "area": box[2] * box[3], **given})


STANDS_FOR = {"upper": "T-shirt/top", "outer": "Coat", "lower": "Trouser", "whole": "Dress", "bag": "Bag"}
"""What a thing of a kind is called whose name nobody knows."""


def mark(known: Known, picture: NDArray[np.uint8], classifier: Classifier, counts: Counter[str]) -> Marked | None:
    """A picture's annotations; None where nothing in it that is known was found."""
    assert classifier.finder is not None
    height, width = picture.shape[:2]
    size_wh = width, height
    made, anything = Marked(), False
    there = regions(classifier.finder.run(frame_view(picture, FINDER_PX)[None])[0], DOUBTFUL)
    if not known.all_told:
        there = with_the_told(there, next(iter(known.told)))
    for kind in GARMENT_KINDS:
        told = known.told.get(kind, [])
        here = [region for region in there if region.kind == kind]
        if told:
            best, others = [region for region in here[:1] if region.score >= TAGGED], here[1:]
            for region in best:
                anything = True
                label, finer, also = told[0]
                clear = len(told) == 1 and label_fits(picture, region, label, also, classifier)
                counts[f"{label} {'named' if clear else 'unclear'}"] += 1
                category = finer if label == UNKNOWN else label
                made.add(category, region, size_wh, kind=finer, also=list(also), unclear=int(not clear))
            doubt = not best
        else:
            others, doubt = here, False
        if not known.all_told:
            for region in others:
                if region.score >= SURE:
                    made.add(STANDS_FOR.get(kind, "Footwear"), region, size_wh, unclear=1)
            doubt = doubt or any(region.score < SURE for region in others)
        if doubt:
            made.add(STANDS_FOR.get(kind, "Footwear"), None, size_wh, iscrowd=1)
    someone = studio_outline(picture) if known.studio else None
    if someone is not None:
        made.add(scene_labels.PERSON, Region("person", someone[0], 1.0, 1.0), size_wh, segmentation=someone[1])
    for kind, category in (("person", scene_labels.PERSON), ("head", scene_labels.HEAD)):
        if kind != "person" or someone is None:
            for region in [region for region in there if region.kind == kind and region.score >= SURE][:1]:
                made.add(category, region, size_wh)
    return made if anything else None


TORSO = ("upper", "outer", "whole")
"""Kinds that the finder takes for one another."""


def with_the_told(there: list[Region], kind: str) -> list[Region]:
    """What is found in a picture whose main garment is of ``kind``: that first, and no second garment in its place."""
    family = TORSO if kind in TORSO else (kind,)
    main = max(
        (region for region in there if region.kind in family and region.score >= TAGGED),
        key=lambda region: region.score + 0.15 * (region.kind == kind),
        default=None,
    )
    if main is None:
        return [region for region in there if region.kind != kind]
    rest = [
        region
        for region in there
        if region is not main
        and not (
            region.kind in (*TORSO, "lower")
            and (overlap(region.corners, main.corners) > 0.35 or within(region, main) > 0.7)
        )
    ]
    return [replace(main, kind=kind), *(region for region in rest if region.kind != kind or region.score >= DOUBTFUL)]


def within(one: Region, other: Region) -> float:
    """The share of ``one`` that is inside ``other``."""
    low, high = np.maximum(one.corners[:2], other.corners[:2]), np.minimum(one.corners[2:], other.corners[2:])
    return float((high - low).clip(0).prod() / max(1e-9, one.box[2] * one.box[3]))


def label_fits(
    picture: NDArray[np.uint8], region: Region, label: str, also: tuple[str, ...], classifier: Classifier
) -> bool:
    """True where the photo network holds one of the labels possible."""
    height, width = picture.shape[:2]
    box = with_margin(region.in_pixels((0, 0, width, height)), width, height)
    share = dict(zip(classifier.labels, classifier(view(picture, box))[0], strict=True))
    total = 0.0
    for name in (label, *also):
        plain = "T-shirt/top" if name == "T-shirt" else name
        total += sum(share.get(member, 0.0) for member in GROUPS.get(plain, (plain,)))
        total += sum(share.get(m, 0.0) for group in GROUPS.values() if plain in group for m in group if m != plain)
    return bool(total >= POSSIBLE)


def studio_outline(picture: NDArray[np.uint8]) -> tuple[tuple[float, float, float, float], Any] | None:
    """Who is before a studio's white ground: the box, as shares of the picture, and the outline. None where the ground
    is not white."""
    import cv2

    ground = white_ground(np.asarray(cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA), np.uint8))
    if ground is None:
        return None
    height, width = picture.shape[:2]
    before = worn.patches((cv2.resize(ground, (width, height)) < 128).astype(np.uint8), 0.02)
    x, y, w, h = cv2.boundingRect(before)
    return ((x / width, y / height, w / width, h / height), worn.outline(before)) if before.any() else None


def main() -> None:
    """Write OUT/annotations.json; the pictures are linked into OUT/images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="kiosk")
    parser.add_argument("--tagged", type=Path)
    parser.add_argument("--photos", type=Path)
    given = parser.parse_args()
    classifier = load(given.model)
    if classifier.finder is None:
        parser.error(f"{given.model} has no finder")
    listed = worn.categories(sorted({*worn.LABEL_OF} - set(LABELS)))
    known_as = {category["name"] for category in listed}
    all_known = [*(tagged(given.tagged) if given.tagged else ()), *(worn_photos(given.photos) if given.photos else ())]
    finer = {kind for one in all_known for told in one.told.values() for label, kind, _ in told if label == UNKNOWN}
    for name in sorted(finer - known_as):
        listed.append({"id": len(listed) + 1, "name": name, "supercategory": UNKNOWN})
    number_of = {category["name"]: category["id"] for category in listed}
    told: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": listed}
    counts: Counter[str] = Counter()
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    for number, known in enumerate(all_known, 1):
        picture = images.read_image(known.path)
        made = mark(known, picture, classifier, counts)
        if made is None:
            counts["nothing found"] += 1
            continue
        name = f"images/{number}-{known.path.name}"
        worn.bring(known.path, given.out / name, "auto")
        height, width = picture.shape[:2]
        told["images"].append({"id": number, "file_name": name, "width": width, "height": height, "group": known.group})
        for thing in made.things:
            entry = {"id": len(told["annotations"]) + 1, "image_id": number, **thing}
            entry["category_id"] = number_of[entry.pop("category")]
            told["annotations"].append({key: value for key, value in entry.items() if value is not None})
    with written_aside(given.out / "annotations.json") as aside:
        aside.write_text(json.dumps(told, separators=(",", ":")), encoding="utf-8")
    print(f"{given.out}: {len(told['images']):,} pictures, {len(told['annotations']):,} things")
    for name, count in sorted(counts.items()):
        print(f"  {name}: {count}")


if __name__ == "__main__":
    main()
