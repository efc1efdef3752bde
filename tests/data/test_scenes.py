"""Folders of annotated scenes: where the COCO file and its pictures may be, what is left out and said, masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.photos import put
from helpers.scenes import CATEGORIES, coco, put_scenes, thing
from helpers.types import Run
from PIL import Image

from edgefashion.data import photo_folders, scene_labels, scene_things, scenes
from edgefashion.data.scenes import Thing, scan_scenes
from edgefashion.errors import BadInputError

TROSERS = {"id": 5, "name": "trosers"}
COAT = thing(1, 1, 1, (8, 4, 20, 30))


@pytest.mark.parametrize(
    ("name", "under"),
    [
        ("annotations.json", ""),
        ("annotations.json", "images"),
        ("_annotations.coco.json", ""),
        ("result.json", "images"),
        ("instances_default.json", "images"),
        ("annotations/instances_default.json", "images/default"),
        ("annotations/instances_default.json", "images"),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/mine.json", ""),
        ("shop.json", "images"),
    ],
)
def test_where_exports_put_things(tmp_path: Path, name: str, under: str) -> None:
    """The file and its pictures are found wherever CVAT, Label Studio, Roboflow and COCO itself put them."""
    put_scenes(tmp_path, coco(COAT), name, under)
    (scene,) = scan_scenes(tmp_path).scenes
    assert scene.path == tmp_path / under / "cam-1.png"
    assert (scene.width, scene.height, scene.group) == (64, 64, "cam")
    assert scene.things == (Thing("Coat", (8, 4, 20, 30), kind="coat"),)


def test_parts_of_an_export(tmp_path: Path) -> None:
    """Where train and valid have a file each, both are read."""
    for part in ("train", "valid"):
        put_scenes(tmp_path / part, coco(COAT), "_annotations.coco.json")
    assert [scene.path.parent.name for scene in scan_scenes(tmp_path).scenes] == ["train", "valid"]


@pytest.mark.parametrize(
    "name",
    ["cam-1.png", "images\\cam-1.png", "../../media/upload/3/cam-1.png", "/gone/cam-1.png", "https://x/y/cam-1.png"],
)
def test_file_names_of_another_machine(tmp_path: Path, name: str) -> None:
    """A picture is found by the last part of its name where the rest of the path is another machine's."""
    put(tmp_path / "images", "cam-1.png")
    told = coco(COAT)
    told["images"][0]["file_name"] = name
    put_scenes(tmp_path, json.dumps(told))
    assert scan_scenes(tmp_path).scenes[0].path.name == "cam-1.png"


@pytest.mark.parametrize(
    ("file_name", "group", "expected"),
    [
        ("station-001.png", None, "station"),
        ("station_001.png", None, "station"),
        ("station.png", None, "station"),
        ("3f0c9d21-station-7.png", None, "station"),
        ("20250131-7.png", None, "20250131"),
        ("station-001_png.rf.0c2d.png", None, "station"),
        ("station-001.png", 7, "7"),
        ("station-001.png", "main", "main"),
    ],
)
def test_groups(tmp_path: Path, file_name: str, group: object, expected: str) -> None:
    """A scene's group is what its image says, else its name's first part, behind what Label Studio puts before it."""
    told = coco(COAT)
    told["images"][0] |= {"file_name": file_name, **({} if group is None else {"group": group})}
    put_scenes(tmp_path, told)
    assert scan_scenes(tmp_path).scenes[0].group == expected


@pytest.mark.parametrize(
    ("name", "above", "label"),
    [
        ("T-shirt/top", "", "T-shirt/top"),
        ("t_shirt", "", "T-shirt/top"),
        ("Tees", "", "T-shirt/top"),
        ("JEANS", "", "Trouser"),
        ("trousers", "clothes", "Trouser"),
        ("Hoodies", "", "Pullover"),
        ("blazer", "", "Coat"),
        ("blouses", "", "Shirt"),
        ("dresses", "", "Dress"),
        ("handbag", "accessory", "Bag"),
        ("shoes", "", "Footwear"),
        ("Ankle_Boot", "", "Ankle boot"),
        ("boots", "shoes", "Ankle boot"),
        ("skirt", "", "Unknown"),
        ("Scarves", "", "Unknown"),
        ("sunglasses", "", "Unknown"),
        ("face", "", "Head"),
        ("Person", "", "Person"),
        ("kagool", "Coat", "Coat"),
        ("jumper", "Unknown", "Unknown"),
        ("jumper", "", None),
        ("zipper", "", None),
        ("buckle", "shoes", None),
        (None, None, None),
    ],
)
def test_category_names(name: str | None, above: str | None, label: str | None) -> None:
    """Our labels and plain words for them are known, in any case and number; what has two meanings or none is not."""
    assert scene_labels.label_of({"name": name, "supercategory": above}) == label


def test_every_photo_folder_name_is_a_category() -> None:
    """The names of photo folders are categories as well, but for pictures in which there is nothing."""
    names = set(photo_folders.LABELS) - {"No garment"}
    assert all(scene_labels.label_of({"name": name}) in scene_labels.SCENE_LABELS for name in names)


# What is wrong with one thing or picture -> the words that say so, and how many scenes and things are left.
LEFT_OUT: dict[str, tuple[dict[str, Any], str, int, int]] = {
    "picture gone": (coco(COAT, images=[*coco()["images"], {"id": 2, "file_name": ""}]), "no id or no file_name", 1, 1),
    "image twice": (coco(COAT, images=coco()["images"] * 2), "there twice", 1, 1),
    "annotation twice": (coco(COAT, COAT), "there twice; 1 annotations", 1, 1),
    "other image": (coco(COAT, thing(2, 9, 1, (0, 0, 9, 9))), "an image that is not in the list; 1", 1, 1),
    "other category": (coco(COAT, thing(2, 1, 9, (0, 0, 9, 9))), "a category that is not in the list; 1", 1, 1),
    "unknown category": (
        coco(COAT, thing(2, 1, 5, (0, 0, 9, 9)), thing(3, 1, 5, (0, 0, 9, 9)), categories=[*CATEGORIES, TROSERS]),
        "did you mean Trouser?); 2 annotations",
        1,
        1,
    ),
    "outside": (coco(COAT, thing(2, 1, 1, (70, 70, 9, 9))), "coat 2 has a box without an area, or outside", 1, 1),
    "no area": (coco(COAT, thing(2, 1, 1, (7, 7, 0, 9))), "box without an area", 1, 1),
    "not a number": (coco(COAT, thing(2, 1, 1, (7, 7, 10**400, 9))), "neither a box nor an outline", 1, 1),
    "no box": (coco(COAT, {"id": 2, "image_id": 1, "category_id": 1}), "neither a box nor an outline", 1, 1),
    "odd polygon": (coco(COAT, thing(2, 1, 1, (7, 7, 9, 9), segmentation=[[1, 2, 3]])), "no list of x, y", 1, 1),
    "other size": (
        coco(COAT, thing(2, 1, 1, (7, 7, 9, 9), segmentation={"size": [9, 9], "counts": [81]})),
        "outline of another picture's size",
        1,
        1,
    ),
    "run lengths too short": (
        coco(COAT, {"id": 2, "image_id": 1, "category_id": 1, "segmentation": {"size": [64, 64], "counts": [5, 6]}}),
        "do not fill a picture of 64 x 64",
        1,
        1,
    ),
    "run lengths that are no numbers": (
        coco(COAT, thing(2, 1, 1, (1, 1, 9, 9), segmentation={"size": [64, 64], "counts": [{}]})),
        "do not fill a picture of 64 x 64",
        1,
        1,
    ),
    "run lengths beyond counting": (
        coco(COAT, thing(2, 1, 1, (1, 1, 9, 9), segmentation={"size": [64, 64], "counts": [10**30]})),
        "do not fill a picture of 64 x 64",
        1,
        1,
    ),
    "compressed run lengths beyond counting": (
        coco(
            COAT,
            {
                "id": 2,
                "image_id": 1,
                "category_id": 1,
                "segmentation": {"size": [64, 64], "counts": "oooooooooooooooooooo0"},
            },
        ),
        "do not fill a picture of 64 x 64",
        1,
        1,
    ),
    "run lengths of no size": (
        coco(COAT, thing(2, 1, 1, (1, 1, 9, 9), segmentation={"size": 5, "counts": [4096]})),
        "another picture's size",
        1,
        1,
    ),
}  # fmt: skip


def test_a_picture_of_infinite_width(tmp_path: Path) -> None:
    """Where the file tells no size that a picture can have, the picture's own is taken."""
    told = coco(COAT)
    told["images"][0]["width"] = float("inf")
    put_scenes(tmp_path, told)
    (scene,) = scan_scenes(tmp_path).scenes
    assert (scene.width, scene.height) == (64, 64)


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_is_listed(tmp_path: Path, case: str) -> None:
    """Something wrong with one picture, category or annotation is told in one line; the rest goes on."""
    told, words, pictures, things = LEFT_OUT[case]
    put_scenes(tmp_path, told)
    found = scan_scenes(tmp_path)
    (line,) = found.skipped
    assert words in line
    assert "\n" not in line
    assert (len(found.scenes), sum(len(scene.things) for scene in found.scenes)) == (pictures, things)


def test_a_missing_picture_is_listed(tmp_path: Path) -> None:
    """A picture that is not there is left out with a line that names it, its file and where it was looked for."""
    put_scenes(tmp_path, coco(COAT, pictures=2))
    (tmp_path / "cam-2.png").unlink()
    found = scan_scenes(tmp_path)
    assert found.skipped == (f"{tmp_path}/annotations.json: there is no picture cam-2.png beside it or in images/",)
    assert len(found.scenes) == 1


@pytest.mark.parametrize("second", ["scenes/", "./scenes", "{here}/scenes", "other"])
def test_a_scene_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str) -> None:
    """Whatever paths and files lead to a picture it is there once, as the first file has it; the others are counted."""
    monkeypatch.chdir(tmp_path)
    put_scenes(tmp_path / "scenes", coco(COAT, pictures=2))
    told = coco(COAT)
    told["images"][0]["file_name"] = "../scenes/cam-1.png"
    put_scenes(tmp_path / "other", told)
    found = scan_scenes(Path("scenes"), Path(second.format(here=tmp_path)))
    assert [(scene.path.name, len(scene.things)) for scene in found.scenes] == [("cam-1.png", 1), ("cam-2.png", 0)]
    (line,) = found.skipped
    assert f": {1 if second == 'other' else 2} of its pictures were named before" in line


# A folder of scenes that cannot be used -> what is said of it.
REFUSED: dict[str, tuple[Any, str]] = {
    "all pictures missing": (json.dumps(coco(COAT)), "holds no picture .* no picture cam-1.png beside it"),
    "no annotation": (coco(), "no annotation of a known category: annotate the garments first"),
    "no known category": (coco(COAT, categories=[{"id": 1, "name": "zip"}]), 'known category: .*category "zip"'),
    "no image": (coco(images=[]), "holds no picture that its annotations name: none is named"),
    "no whole JSON": ('{"images": [', "is no whole JSON file. Export the annotations as COCO again"),
    "deep JSON": ("[" * 100_000, "is no whole JSON file"),
    "a list": ('[{"image": "a.png"}]', "no COCO file: it has no list of images and of annotations and of categories"),
    "captions": (json.dumps({"images": [], "annotations": []}), "no COCO file: it has no list of categories"),
    "ids of lists": (json.dumps(coco(thing(1, 1, 1, (0, 0, 9, 9)) | {"image_id": [1]})), "an id in it is a list"),
    "nothing": ("", "is no whole JSON file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused(tmp_path: Path, case: str) -> None:
    """A folder of which nothing is left, and a file that is no COCO file, are refused in a sentence."""
    told, words = REFUSED[case]
    put_scenes(tmp_path, told)
    with pytest.raises(BadInputError, match=words):
        scan_scenes(tmp_path)


def test_other_folders_are_told_apart(tmp_path: Path) -> None:
    """A photo folder given as scenes, scenes given as photos, and a folder of neither get the way out."""
    put(tmp_path / "photos", "Coat/a-1.png")
    put_scenes(tmp_path / "scenes", coco(COAT))
    put(tmp_path / "pictures", "a.png")
    with pytest.raises(BadInputError, match=r"is a photo folder: .* Use --photos"):
        scan_scenes(tmp_path / "photos")
    with pytest.raises(BadInputError, match=r"folder of annotated scenes. Use --scenes"):
        photo_folders.scan(tmp_path / "scenes")
    with pytest.raises(BadInputError, match=r"holds no COCO file. Export"):
        scan_scenes(tmp_path / "pictures")
    with pytest.raises(BadInputError, match="is no folder"):
        scan_scenes(tmp_path / "nowhere")


def test_what_a_thing_may_say(tmp_path: Path) -> None:
    """Crowds are kept and marked, a finer name and other right labels are kept, a box is cut at the picture's edge."""
    more = {"iscrowd": 1, "kind": "parka", "also": ["pullover", "nonsense"]}
    put_scenes(tmp_path, coco(thing(1, 1, 1, (-10, 50, 30, 40), **more), thing(2, 1, 4, (0, 0, 64, 64))))
    coat, person = scan_scenes(tmp_path).scenes[0].things
    assert coat == Thing("Coat", (0, 50, 20, 14), None, True, ("Pullover",), "parka")
    assert (coat.known, coat.garment, person.known, person.garment) == (True, True, False, False)


def test_what_cvat_says_in_attributes(tmp_path: Path) -> None:
    """CVAT's attributes say the same. Its brush masks, all of which it marks as crowds, are one thing each."""
    mask = {"iscrowd": 1, "segmentation": {"size": [64, 64], "counts": [0, 64 * 64]}}
    told = {"occluded": False, "also": "Shirt|Pullover", "kind": "parka", "unclear": "true"}
    put_scenes(
        tmp_path,
        coco(
            thing(1, 1, 1, (0, 0, 9, 9), **mask, attributes=told),
            thing(2, 1, 1, (0, 0, 9, 9), **mask, attributes={"occluded": False, "crowd": True}),
            thing(3, 1, 1, (0, 0, 9, 9), **mask),
        ),
    )
    coat, crowd, plain = scan_scenes(tmp_path).scenes[0].things
    assert (coat.crowd, coat.also, coat.kind, coat.unclear) == (False, ("Shirt", "Pullover"), "parka", True)
    assert (crowd.crowd, plain.crowd, plain.unclear) == (True, True, False)


def test_sizes_that_are_not_told(tmp_path: Path) -> None:
    """Where the file tells no size it is the upright picture's."""
    told = coco(COAT)
    del told["images"][0]["width"]
    put_scenes(tmp_path, told)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (48, 64)).save(tmp_path / "cam-1.png", exif=exif)
    (scene,) = scan_scenes(tmp_path).scenes
    assert (scene.width, scene.height) == (64, 48)


def test_pictures_that_do_not_fit_are_left_out_in_reading(tmp_path: Path) -> None:
    """A broken picture, and one of another size than its annotations, are listed; the others are read."""
    put_scenes(tmp_path, coco(COAT, pictures=3))
    (tmp_path / "cam-1.png").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "cam-2.png"), np.zeros((32, 64, 3), np.uint8))
    skipped: list[str] = []
    read = list(scenes.read(scan_scenes(tmp_path).scenes, skipped))
    assert [scene.path.name for scene, _ in read] == ["cam-3.png"]
    assert "cam-2.png is 64 x 32, its annotations are of 64 x 64. Export both together" in skipped[1]


# --- Masks -----------------------------------------------------------------------------------


def _blob() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A disc with a hole, which no single polygon can tell."""
    drawn = np.zeros((48, 64), np.uint8)
    cv2.circle(drawn, (30, 20), 15, 1, -1)
    cv2.circle(drawn, (30, 20), 5, 0, -1)
    return drawn


def test_run_lengths_give_the_mask() -> None:
    """Run lengths, plain or compressed as COCO does it, give the very mask that they were made of."""
    from pycocotools import mask

    blob = _blob()
    flat = blob.T.ravel()
    turns = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *turns, flat.size]).tolist()
    code = mask.encode(np.asfortranarray(blob))
    for each in (counts, code["counts"], code["counts"].decode()):
        np.testing.assert_array_equal(
            Thing("Coat", (0, 0, 9, 9), {"size": [48, 64], "counts": each}).mask(48, 64), blob
        )


def test_the_box_of_run_lengths() -> None:
    """A thing without a box has the one around its run lengths, whatever they outline: runs over several columns, runs
    of no length, a single pixel."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        turns = np.sort(rng.integers(0, 7 * 5 + 1, rng.integers(1, 6)))
        outline = {"size": [7, 5], "counts": np.diff([0, *turns, 7 * 5]).tolist()}
        rows, columns = np.nonzero(Thing("Coat", (0, 0, 5, 7), outline).mask(7, 5))
        if len(rows):
            box = scene_things.box_of({}, outline, (5, 7))
            assert [*box] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        else:
            with pytest.raises(BadInputError, match="an empty outline"):
                scene_things.box_of({}, outline, (5, 7))


def test_more_pixels_than_memory_holds(tmp_path: Path) -> None:
    """A file that claims a picture of a million million pixels, all of them outlined, is read; the picture, which is
    smaller, is left out."""
    wide = {"size": [999_999, 999_999], "counts": [0, 999_999**2]}
    told = coco({"id": 2, "image_id": 1, "category_id": 1, "segmentation": wide})
    told["images"][0] |= {"width": 999_999, "height": 999_999}
    put_scenes(tmp_path, told)
    found = scan_scenes(tmp_path)
    assert [*found.scenes[0].things[0].box] == [0, 0, 999_999, 999_999]
    skipped: list[str] = []
    read = [scene for scene, _ in scenes.read(found.scenes, skipped)]
    assert (read, len(skipped)) == ([], 1)
    assert "its annotations are of 999999 x 999999" in skipped[0]


@pytest.mark.parametrize(
    "counts",
    [
        [1, 2],
        [3000, -1, 73],
        [2**62, 2**62, 2**62, 2**62, 48 * 64],
        "zzz",
        "0",
        "oooooooooooooooooooo0",
        "o" * 2_000_000,
        "".join(["ooooooo0"] * 5000),
    ],
    ids=["too few", "negative", "round to the right sum", "no end", "zero", "too long", "far too long", "ever longer"],
)
def test_wrong_run_lengths_are_refused(counts: Any) -> None:
    """Run lengths that do not fill the picture are refused, never drawn in part or beyond it."""
    with pytest.raises(BadInputError, match="do not fill a picture of 64 x 48"):
        Thing("Coat", (0, 0, 9, 9), {"size": [48, 64], "counts": counts}).mask(48, 64)


def test_polygons_give_the_mask() -> None:
    """Polygons are filled, one over another without a hole, cut at the edge however far outside they reach."""
    left, right = [0, 0, 20, 0, 20, 47, 0, 47], [10, 0, 1e9, 0, 1e9, 47, 10, 47]
    drawn = Thing("Coat", (0, 0, 64, 48), [left, right]).mask(48, 64)
    assert drawn.dtype == np.uint8
    assert drawn.all()
    assert Thing("Coat", (0, 0, 21, 48), [left]).mask(48, 64).sum() == 21 * 48


def test_without_an_outline_the_mask_is_the_box() -> None:
    """A thing that has a box alone is all of the box."""
    drawn = Thing("Coat", (2.5, 3, 4, 5)).mask(48, 64)
    assert (drawn.sum(), drawn[3:8, 2:7].sum()) == (25, 25)


# --- data check ------------------------------------------------------------------------------


def test_data_check_of_scenes(run: Run, tmp_path: Path) -> None:
    """``data check`` counts a scenes folder's things, groups and empty pictures, and finds copies and broken files."""
    jeans = thing(2, 1, 2, (0, 0, 9, 9)), thing(3, 2, 2, (0, 0, 9, 9))
    told = coco(COAT, *jeans, thing(4, 2, 1, (0, 0, 9, 9), iscrowd=1), pictures=4)
    told["images"][1]["group"] = "other"
    put_scenes(tmp_path / "shop", told)
    (tmp_path / "shop" / "cam-2.png").write_bytes((tmp_path / "shop" / "cam-1.png").read_bytes())
    (tmp_path / "shop" / "cam-3.png").write_bytes(b"no picture")
    done = run("data", "check", "shop")
    assert done.returncode == 0, done.stderr
    assert "few: at least" in next(line for line in done.stdout.splitlines() if line.strip().startswith("Trouser"))
    assert "<- one picture, two groups" in done.stdout
    assert "3 scenes (1 of them empty) in 2 groups, 3 things, 1 duplicates, 1 skipped" in done.stdout
    facts = json.loads(run("data", "check", "shop", "--json").stdout)
    assert {label: n for label, n in facts["labels"].items() if n} == {"Coat": 1, "Trouser": 2}
    assert (facts["scenes"], facts["empty"], facts["groups"], len(facts["skipped"])) == (3, 1, 2, 1)
    assert [[Path(path).name for path in pair] for pair in facts["duplicates"]] == [["cam-1.png", "cam-2.png"]]
    put(tmp_path / "photos", "Coat/a-1.png")
    mixed = run("data", "check", "shop", "photos")
    assert mixed.returncode == 2
    assert "Check each kind by itself" in mixed.stderr
