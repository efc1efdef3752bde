"""Folders of labelled photos: what is found, what is skipped and said, how they are split and checked."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.photos import put
from helpers.types import Run

from edgefashion.data import images, photo_check, photo_folders
from edgefashion.errors import BadInputError
from edgefashion.labels import PHOTO_LABELS


def huge_png(path: Path) -> None:
    """A few hundred bytes that claim 65,000 x 65,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 65_000, 65_000, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("T-shirt", "T-shirt"),
        ("t-shirt_top", "T-shirt"),
        ("Ankle boot", "Ankle boot"),
        ("ankle_boot", "Ankle boot"),
        ("footwear", "Footwear"),
        ("UNKNOWN", "Unknown"),
        ("none", "No garment"),
    ],
)
def test_folder_names(tmp_path: Path, folder: str, label: str) -> None:
    """A folder is its label's in any case, with blanks or underscores."""
    put(tmp_path, f"{folder}/a.png")
    assert [p.label for p in photo_folders.scan(tmp_path).photos] == [label]


def test_senders(tmp_path: Path) -> None:
    """The sender is the sub-folder, else the part of the name before - or _, else the name."""
    put(tmp_path, "Coat/anna/x.png", "Coat/ben-1.png", "Coat/cy_2.png", "Coat/dora.png")
    assert {p.sender for p in photo_folders.scan(tmp_path).photos} == {"anna", "ben", "cy", "dora"}


def test_finer_kinds_come_from_the_list(tmp_path: Path) -> None:
    """A photo's finer kind is what ``photos.csv`` says of its file; without a line, or a list, there is none."""
    for name in ("Coat/1-a.jpg", "Coat/1-b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.kind for p in photo_folders.scan(tmp_path).photos] == [None, None]
    (tmp_path / "photos.csv").write_text("file,label,kind\nCoat/1-a.jpg,Coat,Blazer\n")
    assert [p.kind for p in photo_folders.scan(tmp_path).photos] == ["Blazer", None]
    (tmp_path / "photos.csv").write_bytes(b"file,kind\n\xff\xfe\n")
    with pytest.raises(BadInputError, match=r"photos\.csv cannot be read"):
        photo_folders.scan(tmp_path)


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ("", "its first line names no column file"),
        ("name,kind\nCoat/1-a.jpg,Blazer\n", "its first line names no column file"),
        ("file;kind\nCoat/1-a.jpg;Blazer\n", "the columns are separated by commas"),
        ("file,kind\nCoat/1-a.jpg,Blazer,Parka\n", "the line of Coat/1-a.jpg has more cells than the first line names"),
        ("file,also\nCoat/1-a.jpg,Pullover|Trousers\n", "is also 'Trousers', which is no label (did you mean Trouser"),
        ("file,worn\nCoat/1-a.jpg,yes\n", "worn of Coat/1-a.jpg is 'yes', neither 1 nor 0"),
        ("file,kind\nCoat/1-a.jpg,Blazer\nCoat/1-a.jpg,Parka\n", "line 3 tells of Coat/1-a.jpg otherwise"),
    ],
)
def test_a_list_that_would_be_half_read(tmp_path: Path, listed: str, says: str) -> None:
    """A ``photos.csv`` of which a part would not be understood is refused with what is wrong with it."""
    put(tmp_path, "Coat/1-a.jpg")
    (tmp_path / "photos.csv").write_text(listed)
    with pytest.raises(BadInputError) as refused:
        photo_folders.scan(tmp_path)
    assert f"photos.csv cannot be read: {says}" in str(refused.value) or says in str(refused.value)
    assert str(refused.value).endswith("Mend it or take it away")


def test_lists_as_spreadsheets_write_them(tmp_path: Path) -> None:
    """A mark at the beginning, backslashes, CR LF, empty cells and lines said twice are read; files that are not there
    are counted."""
    put(tmp_path, "Coat/1-a.jpg", "Coat/1-b.jpg")
    listed = "\ufefffile,kind,also,worn\r\nCoat\\1-a.jpg,Blazer,pullover| Dress ,TRUE\r\n\r\nCoat/1-b.jpg,,,\r\n"
    listed += "Coat/1-b.jpg,,,\r\nCoat/gone.jpg,,,\r\n,,,\r\n"
    (tmp_path / "photos.csv").write_bytes(listed.encode())
    found = photo_folders.scan(tmp_path)
    assert [(p.kind, p.also, p.worn) for p in found.photos] == [
        ("Blazer", ("Pullover", "Dress"), True),
        (None, (), False),
    ]
    assert found.skipped == (
        f"{tmp_path / 'photos.csv'}: 1 of the files that it names are no photo here, such as Coat/gone.jpg",
    )


def test_unknown_folder_names_are_told_with_the_near_ones(tmp_path: Path) -> None:
    """A folder of no label's name is left out with one line that names near labels; the rest goes on."""
    put(tmp_path, "Coat/a.png", "Trousers/b.png", "Trousers/c.png", "Xyz/d.png")
    found = photo_folders.scan(tmp_path)
    assert len(found.photos) == 1
    trousers, other = found.skipped
    assert "did you mean Trouser" in trousers
    assert "2 files left out" in trousers
    assert "known: T-shirt" in other


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """Photos are known by their bytes; what systems leave, what is no picture and what lies in no label's folder is
    told in a line each."""
    put(tmp_path, "Coat/a.png", "Coat/sub/b.png", "Coat/@eaDir/a.png", ".thumbnails/c.png", "Coat/._d.png", "loose.png")
    (tmp_path / "Coat/a.png").rename(tmp_path / "Coat/a")
    (tmp_path / "Coat/notes.txt").write_text("a coat")
    found = photo_folders.scan(tmp_path)
    assert [photo.path.relative_to(tmp_path).as_posix() for photo in found.photos] == ["Coat/a", "Coat/sub/b.png"]
    loose, left_out = found.skipped
    assert "1 picture in no label's folder" in loose
    for told in ("2 hidden files", "1 thumbnail", "1 file that is no picture (.txt)"):
        assert told in left_out


@pytest.mark.linux_only("links")
@pytest.mark.parametrize(
    ("first", "second", "again"),
    [
        ("shop", "shop/", 3),
        ("shop", "./shop", 3),
        ("shop", "shop/Coat/..", 3),
        ("shop", "{here}/shop", 3),
        ("{here}/shop", "shop", 3),
        ("shop", "link", 3),
        ("shop", "others", 2),  # its Coat is a link to the shop's
        ("shop", "copy", 0),
    ],
)
def test_a_photo_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str, again: int
) -> None:
    """Whatever paths lead to a photo, it is there once, as it was found first, and how many were found again is told;
    ``data check`` counts alike. A photo under two labels is under both."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "shop/Coat/anna/1.png", "shop/Coat/ben/1.png", "copy/Coat/carl/2.png")
    (tmp_path / "shop/photos.csv").write_text("file,kind\nCoat/anna/1.png,Parka\n")
    (tmp_path / "shop/Dress").mkdir()
    (tmp_path / "shop/Dress/two labels.png").symlink_to(tmp_path / "shop/Coat/ben/1.png")
    (tmp_path / "link").symlink_to("shop")
    (tmp_path / "others").mkdir()
    (tmp_path / "others/Coat").symlink_to(tmp_path / "shop/Coat")
    folders = [Path(name.format(here=tmp_path)) for name in (first, second)]
    found = photo_folders.scan(*folders)
    assert [(p.label, p.kind) for p in found.photos[:3]] == [("Coat", "Parka"), ("Coat", None), ("Dress", None)]
    assert len(found.photos) == 3 + (second == "copy")
    assert [line.split(": ")[1].split()[0] for line in found.skipped] == ([str(again)] if again else [])
    assert sum(photo_check.check(*folders).counts.values()) == len(found.photos)


@pytest.mark.parametrize(
    ("make", "words"), [((), "sub-folder for each label"), (("Jeans/a.png",), "no label is named")]
)
def test_nothing_labelled(tmp_path: Path, make: tuple[str, ...], words: str) -> None:
    """A folder without a labelled photo is refused in a sentence that says what is wanted."""
    put(tmp_path, *make)
    with pytest.raises(BadInputError, match=words):
        photo_folders.scan(tmp_path)
    with pytest.raises(BadInputError, match="is no folder"):
        photo_folders.scan(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("label", "answers"), [("T-shirt", {"T-shirt/top"}), ("Footwear", {"Sandal", "Sneaker", "Ankle boot"})]
)
def test_members(label: str, answers: set[str]) -> None:
    """A group counts as its members."""
    assert {PHOTO_LABELS[i] for i in photo_folders.members(label)} == answers


def test_every_label_has_members() -> None:
    """No folder name is accepted that an answer could not match."""
    assert all(photo_folders.members(label) for label in photo_folders.LABELS)


def test_unreadable_and_huge_files_are_left_out(tmp_path: Path) -> None:
    """A truncated file and a header of 65,000 x 65,000 are skipped with a line each, the others read."""
    put(tmp_path, "Coat/good.png", "Coat/short.png")
    short = tmp_path / "Coat/short.png"
    short.write_bytes(short.read_bytes()[:200])
    huge_png(tmp_path / "Coat/huge.png")
    skipped: list[str] = []
    read = list(photo_folders.read(photo_folders.scan(tmp_path).photos, skipped))
    assert [photo.path.name for photo, _ in read] == ["good.png"]
    assert sorted("pixels" in line for line in skipped) == [False, True]


def test_the_hash_survives_resizing_and_compression(photo_folder: Path) -> None:
    """A picture halved and compressed keeps its hash to 4 bits; different pictures differ by more."""
    pictures = [images.read_image(p.path) for p in photo_folders.scan(photo_folder).photos[:40]]
    hashes = [images.perceptual_hash(picture) for picture in pictures]
    for picture, known in zip(pictures, hashes, strict=True):
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        small = cv2.imdecode(cv2.imencode(".jpg", half, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], cv2.IMREAD_COLOR)
        assert small is not None
        assert (images.perceptual_hash(np.asarray(small, np.uint8)) ^ known).bit_count() <= photo_folders.SAME_BITS
    assert min((a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]) > photo_folders.SAME_BITS


def test_data_check(run: Run, tmp_path: Path, photo_folder: Path) -> None:
    """``data check`` counts labels and senders, and finds the copy, the broken file and the small class."""
    mine = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    first = sorted((mine / "Coat").iterdir())[0]
    shutil.copy(first, mine / "Dress" / "copy-of.jpg")
    (mine / "Coat" / "broken.jpg").write_bytes(b"not a picture")
    put(mine, "Shirt/a-1.png", "Jacket/b-1.png")
    done = run("data", "check", "photos")
    assert done.returncode == 0, done.stderr
    assert "<- one picture, two labels" in done.stdout
    assert "few: at least" in next(line for line in done.stdout.splitlines() if line.strip().startswith("Shirt"))
    assert "none" in next(line for line in done.stdout.splitlines() if line.strip().startswith("Bag"))
    assert "broken.jpg" in done.stdout
    assert "Jacket" in done.stdout
    facts = json.loads(run("data", "check", "photos", "--json").stdout)
    assert facts["labels"]["Coat"] == 24
    assert facts["senders"] == 7
    assert len(facts["skipped"]) == 2
    assert sorted(Path(p).name for p in facts["duplicates"][0]) == sorted([first.name, "copy-of.jpg"])
