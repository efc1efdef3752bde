"""`scripts/prepare_photos`, `prepare_shop` and `prepare_empty`: published sets of pictures become photo folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helpers.photos import put

from edgefashion.data import photo_folders

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(script: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_photos_get_the_labels_that_were_looked_at(tmp_path: Path) -> None:
    """A photo whose label was corrected lies under the new one, with what else is right for it; others stay."""
    put(tmp_path / "given", "Shirt/a-1.png", "Shirt/a-2.png", "Coat/b-1.png")
    listed = "file,label,kind\nShirt/a-1.png,Shirt,Blouse\nShirt/a-2.png,Shirt,\nCoat/b-1.png,Coat,\n"
    (tmp_path / "given" / "photos.csv").write_text(listed)
    (tmp_path / "looked.csv").write_text("file,label,also\nShirt/a-1.png,Coat,Pullover|Shirt\nCoat/b-1.png,drop,\n")
    run("prepare_photos", tmp_path / "given", tmp_path / "out", "--labels", tmp_path / "looked.csv")
    found = {photo.path.name: photo for photo in photo_folders.scan(tmp_path / "out").photos}
    assert sorted(found) == ["a-1.png", "a-2.png"]
    changed = found["a-1.png"]
    assert (changed.label, changed.also, changed.kind, changed.sender) == ("Coat", ("Pullover", "Shirt"), "Blouse", "a")
    assert (found["a-2.png"].label, found["a-2.png"].also) == ("Shirt", ())


def test_a_shop_becomes_a_photo_folder(tmp_path: Path) -> None:
    """Article types become labels; a looked-at label goes before them; neighbouring numbers are one sender."""
    put(tmp_path / "shop" / "images", *(f"{number}.png" for number in (100, 119, 120, 140, 160)))
    kinds = {100: "Sandals", 119: "Tops", 120: "Handbags", 140: "Cufflinks", 160: "Tshirts"}
    rows = "".join(f"{number}.png,{kind}\n" for number, kind in kinds.items())
    (tmp_path / "shop" / "shop.csv").write_text(f"file,article_type\n{rows}")
    (tmp_path / "looked.csv").write_text("file,label,also,worn\n119.png,Shirt,Pullover,1\n160.png,drop,,\n")
    said = run("prepare_shop", tmp_path / "shop", tmp_path / "out", "--labels", tmp_path / "looked.csv")
    found = {photo.path.name: photo for photo in photo_folders.scan(tmp_path / "out").photos}
    assert {name: photo.label for name, photo in found.items()} == {
        "5-100.png": "Sandal",
        "5-119.png": "Shirt",
        "6-120.png": "Bag",
    }
    assert (found["5-119.png"].also, found["5-119.png"].worn) == (("Pullover",), True)
    assert found["5-100.png"].sender == found["5-119.png"].sender != found["6-120.png"].sender
    assert "Sandal 1" in said


def test_empty_pictures_become_a_photo_folder(tmp_path: Path) -> None:
    """Each source's pictures show no garment, ten neighbours are one sender, and what is no picture is left out."""
    put(tmp_path / "given" / "shelf", *(f"{number:02d}.png" for number in range(12)))
    put(tmp_path / "given" / "hand", "IMG_7.png")
    (tmp_path / "given" / "LICENSE").write_text("MIT")
    (tmp_path / "given" / "shelf" / "notes.txt").write_text("none")
    said = run("prepare_empty", tmp_path / "given", tmp_path / "out")
    found = photo_folders.scan(tmp_path / "out").photos
    assert {photo.label for photo in found} == {"No garment"}
    senders = [photo.sender for photo in sorted(found, key=lambda photo: photo.path.name)]
    assert senders == ["hand0", *["shelf0"] * 10, *["shelf1"] * 2]
    assert "13 pictures" in said
