"""Decisions on the disk, groups, and what is like what: without a browser and a network."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.collecting import garment
from helpers.reviewing import collect, there
from PIL import Image

from edgefashion.data import collected, photo_folders
from edgefashion.data.collected import Facts, Picture, with_facts
from edgefashion.data.collection import jpeg_of
from edgefashion.errors import BadInputError
from edgefashion.reviewing.doubts import RIGHT_IN, Doubts
from edgefashion.reviewing.review import Review
from edgefashion.reviewing.thumbs import Thumbs
from edgefashion.reviewing.watched_folder import WatchedFolder


class Looked:
    """Stands for the network: it says what the camera noted, and sees in a picture what its first letters tell."""

    labels = ("T-shirt/top", "Pullover", "Coat", "Bag", "Unknown", "No garment")
    done, changes, failure = 0, 0, ""

    def __init__(self, folder: WatchedFolder) -> None:
        self.folder = folder
        self.unread: set[str] = set()

    def says(self, picture: Picture) -> tuple[str, float] | None:
        facts = self.folder.facts(picture)
        return (str(facts.label), facts.confidence) if facts else None

    def top(self, picture: Picture) -> list[tuple[str, float]]:
        return []

    def seen(self, pictures: list[Picture]) -> tuple[list[Picture], Any]:
        kinds = [("Pullover", "Coat", "Bag").index((self.says(one) or ("Bag",))[0]) for one in pictures]
        return list(pictures), np.eye(3, dtype=np.float32)[kinds]


@pytest.fixture
def review(folder: Path) -> Review:
    watched = WatchedFolder(folder)
    return Review(watched, Looked(watched))  # type: ignore[arg-type]


def ids(review: Review, group: str = "undecided") -> list[str]:
    return [one["id"] for one in review.group(group, 99)["pictures"]]


def test_groups(review: Review) -> None:
    """Pictures to decide come by what the network says, the least sure first; each state tells how many there are."""
    told = review.state()
    assert {one["name"]: one["count"] for one in told["says"]} == {"Pullover": 3, "Coat": 3, "Bag": 3}
    sure = [one["sure"] for one in review.group("undecided", 99)["pictures"]]
    assert sure == sorted(sure)
    assert len(sure) == told["undecided"] == told["pictures"] == 9
    assert {one["says"] for one in review.group("says/Coat", 99)["pictures"]} == {"Coat"}
    assert (review.group("undecided", 4)["total"], len(review.group("undecided", 4)["pictures"])) == (9, 4)
    with pytest.raises(BadInputError, match="no group"):
        review.group("nonsense", 9)


def test_decisions(review: Review, folder: Path) -> None:
    """Each decision is on the disk at once, says what it did, and is undone in any order."""
    one, two, three, four, five = ids(review)[:5]
    done = [
        review.confirm([one, two]),
        review.label([three], " none "),
        review.label([four], "Polo  shirt"),
        review.delete([five]),
    ]
    assert [each.said for each in done] == [
        "2 pictures put under Pullover",
        "1 picture put under No garment",
        "1 picture put under Polo shirt",
        "1 picture deleted",
    ]
    assert there(folder) == {"to review": 4, "Pullover": 2, "No garment": 1, "Polo shirt": 1, ".deleted": 1}
    (deleted,) = ids(review, "deleted")
    assert review.back([deleted]).done == 1
    with pytest.raises(BadInputError, match="undone already"):
        review.undo(99)
    for each in (done[1], done[0], done[2]):
        assert review.undo(each.batch).done == each.done
    assert there(folder) == {"to review": 9}
    with pytest.raises(BadInputError, match="undone already"):
        review.undo(done[0].batch)


@pytest.mark.parametrize(
    ("typed", "folder_name"),
    [
        ("polo", "Polo"),
        (" POLO ", "Polo"),
        ("pullover", "Pullover"),
        ("T-shirt/top", "T-shirt"),
        ("Bläzer", "Bläzer"),
        ("學生外套", "學生外套"),
        ("a/b", None),
        ("../../etc", None),
        ("", None),
        (".hidden", None),
        ("CON", None),
        ("to review", None),
        ("x" * 61, None),
        ("a\x00b", None),
    ],
)
def test_labels_that_are_typed(review: Review, folder: Path, typed: str, folder_name: str | None) -> None:
    """Any name is a label, one that differs by case is the one there is, and what can be no folder is refused with a
    sentence; nothing is moved then."""
    review.label(ids(review)[:1], "Polo")
    before = there(folder)
    if folder_name is None:
        with pytest.raises(BadInputError):
            review.label(ids(review)[:1], typed)
        assert there(folder) == before
    else:
        review.label(ids(review)[:1], typed)
        assert there(folder)[folder_name] == 1 + before.get(folder_name, 0)


def test_somebody_was_faster(review: Review, folder: Path) -> None:
    """Of pictures that another has moved, deleted or brought back meanwhile it is said that they are gone; nothing is
    done to them, and nothing is overwritten."""
    first, second, third = ids(review)[:3]
    found = collected.find(folder, first)
    assert found is not None
    collected.move(found, "Jumper")
    done = review.label([first, second], "Polo")
    assert (done.done, done.gone) == (1, 1)
    assert done.said == "1 picture put under Polo. 1 was not there any more: somebody was faster"
    batch = review.label([third], "Polo").batch
    for picture in collected.listing(folder).decided:
        if picture.label == "Polo":
            collected.move(picture, "Jumper")
    assert review.undo(batch).gone == 1
    assert there(folder) == {"to review": 6, "Jumper": 3}
    for hostile in ("../outside.jpg", "/etc/passwd", "to review", ".deleted/../../x.jpg", "\x00", "Jumper/\ud800.jpg"):
        assert review.delete([hostile]).done == 0


def test_full_disk(review: Review, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full in the middle, what was moved stays moved and can be undone; the rest stays, and it is
    said."""
    move, moved = collected.move, list[Picture]()
    full = os.strerror(errno.ENOSPC)

    def until_full(picture: Picture, label: str | None) -> collected.Moved | None:
        if len(moved) == 2:
            raise OSError(errno.ENOSPC, full)
        moved.append(picture)
        return move(picture, label)

    monkeypatch.setattr(collected, "move", until_full)
    done = review.label(ids(review)[:5], "Polo")
    assert done.said == f"2 pictures put under Polo. 3 not moved: the disk says: {full}"
    assert there(folder) == {"to review": 7, "Polo": 2}
    assert review.label(ids(review)[:1], "Polo").said == f"1 not moved: the disk says: {full}"
    assert review.undo(done.batch).done == 2


def test_keys_stay(review: Review, folder: Path) -> None:
    """A label keeps its place and its key while the page runs; a new one takes no key of another, and is gone with its
    last picture."""
    collected.move(collected.listing(folder).undecided[0], "Coat")
    before = review.choices()
    assert before[0] == "Coat"
    review.label(ids(review)[:2], "Bag")
    assert review.choices() == before
    review.label(ids(review)[:1], "Polo")
    keys = {one["name"]: one["key"] for one in review.state()["labels"]}
    assert review.choices() == [*before, "Polo"]
    assert [keys[name] for name in before] == list("1234")
    assert (keys["Polo"], keys["Unknown"], keys["No garment"]) == ("5", "0", "N")
    for number in range(5):
        review.label(ids(review)[:1], f"New {number}")
    keys = {one["name"]: one["key"] for one in review.state()["labels"]}
    assert [keys[name] for name in (*before, "Polo")] == list("12345")
    assert keys["New 4"] == "", "nine have keys, and none loses it"
    mistyped = review.label(ids(review, "label/New 4"), "Poloo")
    assert "Poloo" in review.choices()
    review.undo(mistyped.batch)
    assert "Poloo" not in review.choices()


def test_what_the_set_lacks(review: Review, folder: Path) -> None:
    """Too few of a label, and all of one day, are told in words."""
    review.label(ids(review)[:2], "Polo")
    for number in range(20):
        collected.move(collect(folder, "Coat", number, day=21), "Coat")

    def lacks() -> dict[str, str]:
        return {one["name"]: one["lacks"] for one in review.state()["labels"] if one["count"]}

    assert lacks() == {"Polo": "20 are wanted", "Coat": "all are of one day: take some on another"}
    collected.move(collect(folder, "Coat", 0, day=22), "Coat")
    assert lacks()["Coat"] == ""
    (folder / "POLO").mkdir()
    picture = collect(folder, "Bag", 9)
    picture.path.rename(folder / "POLO" / "x.jpg")  # as by hand: the page would have put it under Polo
    assert lacks() == {
        "Coat": "",
        "POLO": "Polo is the same label: put all under one",
        "Polo": "POLO is the same label: put all under one",
    }


@pytest.mark.parametrize(
    ("names", "days"),
    [
        (["IMG_20261101_101112.jpg", "IMG_20261102_101112.jpg"], 2),
        (["IMG_20261101_101112.jpg", "PXL_20261101_101112345.jpg"], 1),
        (["photo (1).jpg", "photo (2).jpg"], 1),
        (["IMG_0001.jpg", "IMG_0002.jpg"], 2),  # taken on two days, as the pictures tell
        (["DSC_0001.jpg", "P1010001.jpg"], 1),
        (["anna/1.jpg", "anna/2.jpg"], 1),
        (["anna-1.jpg", "ben-1.jpg", "anna-2.jpg"], 2),
        (["20261127-101112-0123456789abcdef.jpg", "20261127-101113-0123456789abcdef.jpg"], 2),  # of two cameras
        (["20261127-101112-0123456789abcdef.jpg", "2026-11-27/1.jpg"], 2),
    ],
    ids=str,
)
def test_places_are_those_that_a_training_holds_out(
    review: Review, folder: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], days: int
) -> None:
    """Which pictures are of one day and place is told here as it is to a training, and of one only is said; a file is
    opened for it once."""
    for number, name in enumerate(names):
        place = folder / "Polo" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if name.startswith("IMG_0"):
            exif[0x0132] = f"2026:11:{1 + number:02} 10:11:12"
        made = io.BytesIO()
        Image.new("RGB", (60, 80), (90 * number, 80, 70)).save(made, "JPEG", exif=exif)
        place.write_bytes(with_facts(made.getvalue(), Facts(camera=f"camera {number}")))
    scanned = {photo.path: photo.sender for photo in photo_folders.scan(folder, of=None).photos}
    decided = review.folder.now().decided
    assert {one.path: review.folder.place(one) for one in decided} == scanned
    assert len(set(scanned.values())) == days
    monkeypatch.setattr("edgefashion.reviewing.review.WANTED", 1)
    (lacks,) = [one["lacks"] for one in review.state()["labels"] if one["count"]]
    assert lacks == ("" if days > 1 else "all are of one day: take some on another")
    monkeypatch.setattr("edgefashion.data.senders.sender_of", None)
    assert {one.path: review.folder.place(one) for one in decided} == scanned


def test_like_this(review: Review) -> None:
    """Alike are pictures that the network sees so, of the same heap only; the nearest labelled ones are told apart."""
    coat = ids(review, "says/Coat")[0]
    assert sorted(one.name for one in review.like(coat)) == sorted(ids(review, "says/Coat"))
    review.label([ids(review, "says/Coat")[1]], "Raincoat")
    assert [one.name for one in review.like(coat)][:1] == [coat]
    assert len(review.like(coat)) == 2
    assert review.closer(coat)["nearest"][0]["label"] == "Raincoat"
    with pytest.raises(BadInputError, match="somebody was faster"):
        review.like("to review/gone.jpg")


def test_doubted(review: Review, folder: Path) -> None:
    """A labelled picture that looks like another label is doubted; once a person calls it right it is not doubted
    again, after a restart neither."""
    for name in ("Pullover", "Coat"):
        for number in range(8):
            collect(folder, name, number, day=21 + number % 4)
    review.confirm([name for kind in ("Pullover", "Coat") for name in ids(review, f"says/{kind}")])
    wrong = next(one for one in collected.listing(folder).decided if one.label == "Coat")
    moved = collected.move(wrong, "Pullover")
    assert moved is not None
    review.doubts._look()
    assert ids(review, "doubted") == [moved.after.name]
    assert review.group("doubted", 9)["pictures"][0]["why"] == "Coat"
    assert review.confirm([moved.after.name]).said == "1 picture kept as it is"
    assert ids(review, "doubted") == []
    again = Review(review.folder, review.looking)
    again.doubts._look()
    assert ids(again, "doubted") == []


ALIKE = ("Polo/monday/1.jpg", "Polo/tuesday/1.jpg", "Coat/monday/1.jpg", "Polo/1.jpg")
"""Photos of a shop's own: their names tell them apart only with their folders."""


@pytest.mark.parametrize(
    ("kept", "right"),
    [
        ({}, []),
        ({"Polo/monday/1.jpg": "Polo"}, [ALIKE[0]]),
        ({"Polo/monday/1.jpg": "Polo", "Coat/monday/1.jpg": "Coat"}, [ALIKE[0], ALIKE[2]]),
        ({"1.jpg": "Polo"}, [ALIKE[3]]),  # as a version before has written it
        ({"1.jpg": 7, "": "", "Polo": "Polo"}, []),
        (["Polo/1.jpg"], []),
        ("no JSON", []),
    ],
    ids=str,
)
def test_photos_that_are_called_alike(tmp_path: Path, kept: object, right: list[str]) -> None:
    """What is remembered of a photo is remembered of that one, whatever others are called: that it is right, after a
    restart too, what the camera noted, and how it looks."""
    for number, name in enumerate(ALIKE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        jpeg = with_facts(jpeg_of(garment(number)), Facts(camera=name))
        (tmp_path / name).write_bytes(jpeg + bytes(20_000 - len(jpeg)))
        os.utime(tmp_path / name, (0, 0))  # as an archive may have it
    (tmp_path / RIGHT_IN).write_text(kept if isinstance(kept, str) else json.dumps(kept))
    watched = WatchedFolder(tmp_path)
    there = {one.name: one for one in watched.now().decided}
    doubts = Doubts(watched, Looked(watched))  # type: ignore[arg-type]
    doubts._found = {name: (one, "Bag") for name, one in there.items()}
    assert {one.name for one in doubts.found()} == {*ALIKE}.difference(right)
    for name in ALIKE[1:3]:
        doubts.right(there[name])
    again = Doubts(watched, Looked(watched))  # type: ignore[arg-type]
    again._found = doubts._found
    for each in (doubts, again):
        assert {one.name for one in each.found()} == {*ALIKE}.difference(right) - set(ALIKE[1:3])
    assert [(watched.facts(there[name]) or Facts()).camera for name in ALIKE] == list(ALIKE)
    thumbs = Thumbs()
    assert len({thumbs.of(there[name].path) for name in ALIKE}) == len(ALIKE)
