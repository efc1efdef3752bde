"""Any photos.csv and any COCO file are read whole, or refused, or what is left out is told."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from helpers.fuzzing import as_json, check_refusal, fuzz, json_mutations, json_values, mutations, scratch
from helpers.scenes import CATEGORIES, coco, put_scenes, thing
from hypothesis import example, given
from hypothesis import strategies as st

from edgefashion.data import coco_file, photo_folders, scenes
from edgefashion.errors import BadInputError

# --- photos.csv ------------------------------------------------------------------------------

PHOTOS = scratch()
(PHOTOS / "Coat").mkdir()
for _name in ("1-a.jpg", "1,b.jpg", "ü.jpg"):
    (PHOTOS / "Coat" / _name).touch()
LISTED = PHOTOS / "photos.csv"
LIST = 'file,kind,also,worn\nCoat/1-a.jpg,Blazer,Pullover|Dress,1\n"Coat/1,b.jpg",,,\nCoat/ü.jpg,Parka,,0\n'.encode()
WORDS = [b",", b";", b"\t", b'"', b"\n", b"\r", b"\0", b"|", b"\xff", b"\xef\xbb\xbf", b"file", b"Coat/1-a.jpg", b"yes"]


@fuzz(80)
@given(st.binary() | mutations([LIST], WORDS))
@example(b"\xef\xbb\xbf" + LIST)
@example(LIST.replace(b",", b";"))
@example(LIST.replace(b"file", b"name"))
def test_any_list(raw: bytes) -> None:
    """A list of photos is refused, or every line of it that names a file is taken, with all that it says."""
    LISTED.write_bytes(raw)
    try:
        found = photo_folders.scan(PHOTOS)
    except BadInputError as error:
        check_refusal(error)
        return
    assert len(found.photos) == 3
    kinds = {photo.path.relative_to(PHOTOS).as_posix(): photo.kind for photo in found.photos}
    rows = [row for row in csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")) if row["file"]]
    names = {row["file"].replace("\\", "/") for row in rows}
    for row in rows:
        if (name := row["file"].replace("\\", "/")) in kinds:
            assert kinds[name] == (row.get("kind") or None)
    assert bool(names - kinds.keys()) == any("photos.csv" in line for line in found.skipped)


# --- COCO ------------------------------------------------------------------------------------

SCENES = scratch()
RUN_LENGTHS = {"size": [64, 64], "counts": [100, 50, 64 * 64 - 150]}
TOLD = coco(
    thing(
        1, 1, 1, (5, 5, 20, 20), segmentation=[[5, 5, 25, 5, 25, 25]], attributes={"occluded": False, "kind": "Parka"}
    ),
    thing(2, 1, 2, (0, 0, 9, 9), segmentation=RUN_LENGTHS, iscrowd=1, also=["Coat"]),
    thing(3, 2, 3, (0, 0, 9, 9), segmentation={"size": [64, 64], "counts": "PPYo0"}, also="Coat|Dress"),
    {"id": 4, "image_id": 2, "category_id": 4, "segmentation": RUN_LENGTHS, "unclear": True},
    pictures=2,
)
put_scenes(SCENES, TOLD)
FILE = SCENES / "annotations.json"
JSON_WORDS = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"1e999",
    b"NaN",
    b"-1",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
]


def looked_at(raw: bytes) -> None:
    """List the scenes and fill every outline; what is refused is refused in one printable line."""
    FILE.write_bytes(raw)
    try:
        found = scenes.scan_scenes(SCENES)
    except BadInputError as error:
        check_refusal(error)
        return
    told = coco_file.read(FILE, SCENES)
    assert len(found.scenes) + len(found.skipped) >= len(json.loads(raw)["images"]), "an image was left out untold"
    if not found.skipped:
        assert sum(len(scene.things) for scene in found.scenes) == len(json.loads(raw)["annotations"])
    for scene in found.scenes:
        assert scene.path in {told.picture(f"cam-{n}.png") for n in (1, 2)} or scene.path.is_file()
        for each in scene.things:
            x, y, width, height = each.box
            assert 0 <= x < x + width <= scene.width
            assert 0 <= y < y + height <= scene.height
            if scene.width * scene.height > 10**6:
                continue
            try:
                assert each.mask(scene.height, scene.width).shape == (scene.height, scene.width)
            except BadInputError as error:
                check_refusal(error)


@fuzz(40)
@given(st.binary() | mutations([as_json(TOLD)], JSON_WORDS))
def test_any_bytes_for_coco(raw: bytes) -> None:
    """A COCO file of whatever bytes is read or refused, and what it leaves out is told."""
    looked_at(raw)


@fuzz(80)
@given(json_mutations([TOLD]) | json_values)
@example({**TOLD, "images": [{"id": 1, "file_name": "a" * 5000, "width": 64, "height": 64}]})
@example({**TOLD, "images": [{"id": 1, "file_name": "\0"}, {"id": 2, "file_name": "\ud800"}]})
@example({**TOLD, "annotations": [*TOLD["annotations"], 5]})
@example({**TOLD, "categories": [*CATEGORIES, None]})
@example({**TOLD, "annotations": [{"id": 9, "image_id": 1}], "categories": [{}]})  # neither has the id
def test_any_annotations(told: Any) -> None:
    """Whatever stands in place of a part of it, the rest is read, and what is left out is told."""
    looked_at(as_json(told))
