"""`scripts/prepare_worn`: street photos with masks become a scenes folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefashion.data.scenes import Scene, scan_scenes

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_worn"
TAGS = ("null", "skin", "hair", "top", "jeans", "shoes", "coat", "skirt", "watch")


def _mask() -> np.ndarray:
    """Somebody of 300 x 200 pixels in a coat, open over a top, and jeans."""
    mask = np.zeros((300, 200), np.uint8)

    def fill(tag: str, top: int, left: int, bottom: int, right: int) -> None:
        mask[top:bottom, left:right] = TAGS.index(tag)

    fill("skin", 40, 90, 60, 110)
    fill("hair", 20, 85, 40, 115)
    fill("skin", 60, 95, 80, 105)  # the neck, and what is below it
    fill("coat", 80, 60, 160, 140)
    fill("top", 85, 90, 150, 110)
    fill("jeans", 160, 80, 250, 120)
    fill("shoes", 250, 80, 260, 95)
    fill("shoes", 250, 105, 260, 120)
    fill("skirt", 5, 5, 10, 10)  # a speck
    fill("watch", 120, 62, 140, 80)
    return mask


@pytest.fixture
def worn(tmp_path: Path) -> Path:
    folder = tmp_path / "worn"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    (folder / "tags.txt").write_text("\n".join(TAGS) + "\n")
    for number in ("0001", "0019", "0020"):
        cv2.imwrite(str(folder / "images" / f"{number}.jpg"), np.zeros((300, 200, 3), np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), _mask())
    cv2.imwrite(str(folder / "images" / "0021.jpg"), np.zeros((300, 200, 3), np.uint8))
    cv2.imwrite(str(folder / "masks" / "0021.png"), np.zeros((300, 200), np.uint8))
    return folder


def _made(worn: Path, *arguments: str | Path) -> tuple[Scene, ...]:
    out = worn.parent / "scenes"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(worn), str(out), *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "0021.png has nothing in it" in done.stderr
    return scan_scenes(out).scenes


def test_tags_become_things(worn: Path) -> None:
    """Each tag is a thing of its label with the mask's own outline; specks and jewellery are none; twenty numbers are a
    group."""
    scenes = _made(worn)
    assert [(scene.path.name, scene.group) for scene in scenes] == [
        ("0001.jpg", "0"),
        ("0019.jpg", "0"),
        ("0020.jpg", "1"),
    ]
    things = {thing.label: thing for thing in scenes[0].things}
    assert sorted(things) == sorted(["T-shirt/top", "Trouser", "Footwear", "Coat", "Person", "Head"])
    mask = _mask()
    for label, tag in (("T-shirt/top", "top"), ("Trouser", "jeans"), ("Footwear", "shoes"), ("Coat", "coat")):
        # The coat has a hole where the top is, which polygons could not tell.
        np.testing.assert_array_equal(things[label].mask(300, 200), mask == TAGS.index(tag))
        assert things[label].kind == tag
    assert things["Footwear"].box == (80, 250, 40, 10)


def test_the_head_ends_above_the_body(worn: Path) -> None:
    """The head has all of the hair and the face, and ends well above the coat though the skin goes on."""
    head = next(thing for thing in _made(worn)[0].things if thing.label == "Head")
    x, y, width, height = head.box
    assert (x, y, width) == (85, 20, 30)
    assert 35 <= height <= 48


def test_labels_of_ones_own(worn: Path) -> None:
    """A list gives a file's tag another label, other labels that are as right, or says that nobody can tell."""
    labels = worn.parent / "labels.csv"
    labels.write_text(
        "file,tag,label,also\n0001.jpg,coat,Pullover,Coat|Shirt\n0001.jpg,top,drop,\n0019.jpg,jeans,Unknown,\n"
    )
    first, second, third = ({thing.kind: thing for thing in scene.things} for scene in _made(worn, "--labels", labels))
    assert (first["coat"].label, first["coat"].also) == ("Pullover", ("Coat", "Shirt"))
    assert (first["top"].unclear, first["jeans"].unclear) == (True, False)
    assert [each["jeans"].label for each in (first, second, third)] == ["Trouser", "Unknown", "Trouser"]


@pytest.mark.parametrize("link", ["hard", "copy"])
def test_pictures_are_linked_or_copied(worn: Path, link: str) -> None:
    """The pictures are the same files, or copies of them where that is asked for."""
    scenes = _made(worn, "--link", link)
    assert scenes[0].path.samefile(worn / "images" / "0001.jpg") == (link == "hard")
    assert scenes[0].path.read_bytes() == (worn / "images" / "0001.jpg").read_bytes()
