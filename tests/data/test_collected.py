"""The folder of collected pictures: labels, facts, and what is moved while others move it too."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.camera import wait_until
from helpers.collecting import garment, names, put

from edgefashion.data import collected, images, label_names, photo_folders
from edgefashion.data.collected import Facts
from edgefashion.data.collection import jpeg_of
from edgefashion.errors import BadInputError

# --- Labels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "folder"),
    [
        ("School blazer", "School blazer"),
        ("polo", "Polo"),  # there already
        ("POLO", "Polo"),
        ("  polo  ", "Polo"),
        ("brand_x hoodie", "Brand X hoodie"),
        ("Brand  X\thoodie", "Brand X hoodie"),
        ("unknown", "Unknown"),
        ("no_garment", "No garment"),
        ("None", "No garment"),
        ("none of These", "Unknown"),
        ("T-shirt/top", "T-shirt"),
        ("Ankle boot", "Ankle boot"),
        ("Mu\u0308tze", "M\u00fctze"),  # as a Mac writes it
        ("\u30dd\u30ed\u30b7\u30e3\u30c4", "\u30dd\u30ed\u30b7\u30e3\u30c4"),
        ("St. James 50%", "St. James 50%"),
        ("a" * 60, "a" * 60),
        ("console", "console"),
    ],
)
def test_a_label_that_is_typed(typed: str, folder: str) -> None:
    """A label becomes a folder's name, that of a folder that is there where it differs by case or blanks only."""
    made = label_names.folder_of_label(typed, ["Polo", "Brand X hoodie"])
    assert made == folder
    assert label_names.is_label_folder(made)
    assert label_names.folder_of_label(made, [made]) == made


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "it is empty"),
        (" \t ", "it is empty"),
        ("___", "it is empty"),
        ("a" * 61, "more than 60 characters"),
        ("x" * 5000, "more than 60 characters"),
        *((f"a{c}b", f"{c} may not be in it") for c in '/\\:*?"<>|'),
        ("../../etc/passwd", "/ may not be in it"),
        ("C:", ": may not be in it"),
        ("..", "begins with a dot"),
        (".hidden", "begins with a dot"),
        (".deleted", "begins with a dot"),
        ("Coats.", "dot at the end"),
        ("con", "Windows keeps this name"),
        ("NUL", "Windows keeps this name"),
        ("Lpt1", "Windows keeps this name"),
        ("com\u00b2", "Windows keeps this name"),
        ("aux.txt", "Windows keeps this name"),
        ("to review", "another meaning here"),
        ("To_Review", "another meaning here"),
        ("lost+found", "another meaning here"),
        ("Thumbs.db", "another meaning here"),
        ("photos.csv", "another meaning here"),
        ("co\u200bat", "cannot be seen"),
        ("co\x00at", "cannot be seen"),
        ("\u202etaoc", "cannot be seen"),
        ("a\ud800", "cannot be seen"),
    ],
)
def test_a_label_that_can_be_none(typed: str, says: str) -> None:
    """What can be no folder's name on one of the systems is refused in one line that says what to do."""
    with pytest.raises(BadInputError) as error:
        label_names.folder_of_label(typed)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_two_labels_that_differ_by_case_are_one(tmp_path: Path) -> None:
    """Whatever the file system thinks of case, a second spelling of a label goes into the folder of the first."""
    for number, label in enumerate(("Polo", "polo", "POLO ", "pOlO")):
        collected.move(put(tmp_path, number), label)
    assert {picture.label for picture in collected.listing(tmp_path).decided} == {"Polo"}
    assert len(collected.listing(tmp_path).decided) == 4


# --- Facts -----------------------------------------------------------------------------------

FACTS = Facts(
    time="2026-11-27T10:11:12+01:00",
    camera="kiosk-17 camera 0",
    why="unsure",
    label="T-shirt/top",
    confidence=0.4375,
    top=(("T-shirt/top", 0.4375), ("\u30dd\u30ed", 0.25)),
    model="shop",
    revision="0002-ab12cd34",
    worn=True,
    box=(4, 5, 60, 70),
)


def test_a_picture_and_its_facts_are_one_file(tmp_path: Path) -> None:
    """The facts come back from the file, whose pixels are those of the JPEG that was given, also for other readers."""
    image = garment(1)
    picture = collected.write(tmp_path, jpeg_of(image), FACTS, images.perceptual_hash(image))
    assert picture.facts() == FACTS
    assert (picture.label, picture.phash) == (None, images.perceptual_hash(image))
    (tmp_path / "plain.jpg").write_bytes(jpeg_of(image))
    np.testing.assert_array_equal(images.read_image(picture.path), images.read_image(tmp_path / "plain.jpg"))
    assert collected.read_facts(tmp_path / "plain.jpg") is None
    assert names(tmp_path / "to review") == [f"2026-11-27/20261127-101112-{picture.phash:016x}.jpg"]


@pytest.mark.parametrize(
    ("changed", "read"),
    [
        ({}, {}),
        ({"time": "yesterday"}, {"time": ""}),
        ({"time": "2026-11-27T10:11:12"}, {"time": ""}),  # of no time zone
        ({"confidence": "high"}, {"confidence": 0.0}),
        ({"confidence": float("nan")}, {"confidence": 0.0}),
        ({"confidence": 10**309}, {"confidence": 0.0}),
        ({"confidence": 1.5}, {"confidence": 0.0}),
        ({"camera": "half a letter \ud800"}, {"camera": ""}),
        ({"top": [["half a letter \udce9", 0.5]]}, {"top": ()}),
        ({"accepted": 1}, {"accepted": False}),
        ({"label": 7}, {"label": None}),
        ({"top": "Coat"}, {"top": ()}),
        ({"top": [["Coat", 0.5], ["Bag"]]}, {"top": ()}),
        ({"box": [1, 2, 3]}, {"box": None}),
        ({"box": [1, 2, 3, "4"]}, {"box": None}),
        ({"later": "a field of a later version"}, {}),
    ],
    ids=str,
)
def test_facts_that_are_none(tmp_path: Path, changed: dict[str, Any], read: dict[str, Any]) -> None:
    """A fact that is not what it should be has its default, and the others stay."""
    known = {"edgefashion": 1, "time": FACTS.time, "label": "Coat", "confidence": 0.5, "model": "kiosk"}
    path = tmp_path / "a.jpg"
    text = json.dumps(known | changed).encode()
    path.write_bytes(b"\xff\xd8\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg_of(garment(0))[2:])
    wanted: dict[str, Any] = {"time": FACTS.time, "label": "Coat", "confidence": 0.5, "model": "kiosk"} | read
    assert collected.read_facts(path) == Facts(**wanted)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8\xff\xfe\xff",
        b"\xff\xd8\xff\xfe\x00\x00",
        b"\xff\xd8\xff\xfe\x00\x09[[[[[[[",
        b"\xff\xd8\xff\xfe\xff\xff{",
        b"\xff\xd8\xff\xfe\x00\x0f" + b'{"edgefashio',
        b"\xff\xd8\xff\xfe\x00\x03\xfe\xff\xda",
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=str,
)
def test_files_without_facts(tmp_path: Path, content: bytes) -> None:
    """Whatever a file holds, and where there is none, reading its facts ends in none."""
    (tmp_path / "a.jpg").write_bytes(content)
    assert collected.read_facts(tmp_path / "a.jpg") is None
    assert collected.read_facts(tmp_path / "b.jpg") is None
    assert collected.read_facts(tmp_path) is None


# --- Decided ---------------------------------------------------------------------------------


def test_a_picture_is_decided_and_had_back(tmp_path: Path) -> None:
    """A label, another one, delete, and three times undo: the file is where it was, and no empty folder is left."""
    before = put(tmp_path)
    begun = names(tmp_path)
    moves = [collected.move(before, "Polo")]
    for step in (lambda at: collected.move(at, "Blazer"), collected.delete):
        assert moves[-1]
        moves.append(step(moves[-1].after))
    assert moves[-1]
    assert moves[-1].after.name == f".deleted/Blazer/{Path(before.name).name}"
    assert collected.listing(tmp_path) == collected.Listing((), ())
    assert [picture.name for picture in collected.deleted(tmp_path)] == [moves[-1].after.name]
    for move in reversed(moves):
        assert move
        assert collected.undo(move)
    assert names(tmp_path) == begun
    assert sorted(p.name for p in tmp_path.iterdir()) == ["to review"]


def test_a_sender_s_folder_is_kept(tmp_path: Path) -> None:
    """A photo of the shop's own, in a sender's folder, keeps the sender under another label; nothing is overwritten."""
    for name in ("Polo/anna/1.jpg", "Blazer/anna/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(jpeg_of(garment(len(name))))
    polo = collected.find(tmp_path, "Polo/anna/1.jpg")
    assert polo
    moved = collected.move(polo, "Blazer")
    assert moved
    assert moved.after.name == "Blazer/anna/1-2.jpg"
    assert names(tmp_path) == ["Blazer/anna/1-2.jpg", "Blazer/anna/1.jpg"]
    back = collected.move(moved.after, None)
    assert back
    assert back.after.label is None


COLLECTED = "20261127-101112-0123456789abcdef.jpg"


@pytest.mark.parametrize(
    ("name", "to_review", "again"),
    [
        ("Polo/1.jpg", "to review/1.jpg", "Blazer/1.jpg"),
        ("Polo/anna/1.jpg", "to review/anna/1.jpg", "Blazer/anna/1.jpg"),
        ("Polo/anna/left/1.jpg", "to review/anna/left/1.jpg", "Blazer/anna/left/1.jpg"),
        ("Polo/2026-11-02/1.jpg", "to review/2026-11-02/1.jpg", "Blazer/2026-11-02/1.jpg"),
        (f"Polo/{COLLECTED}", f"to review/2026-11-27/{COLLECTED}", f"Blazer/{COLLECTED}"),
        (f"Polo/anna/{COLLECTED}", f"to review/2026-11-27/anna/{COLLECTED}", f"Blazer/anna/{COLLECTED}"),
        ("to review/anna/1.jpg", "to review/anna/1.jpg", "Blazer/anna/1.jpg"),
        (f"to review/2026-11-27/{COLLECTED}", f"to review/2026-11-27/{COLLECTED}", f"Blazer/{COLLECTED}"),
        # Copied together by hand.
        (f"to review/till/2026-11-27/{COLLECTED}", f"to review/2026-11-27/{COLLECTED}", f"Blazer/{COLLECTED}"),
        (f"to review/till/{COLLECTED}", f"to review/2026-11-27/{COLLECTED}", f"Blazer/{COLLECTED}"),
    ],
)
def test_who_sent_it_outlasts_a_second_thought(tmp_path: Path, name: str, to_review: str, again: str) -> None:
    """Put back and labelled anew, a picture is of the same sender: the folder that tells it is kept."""
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(jpeg_of(garment(0)))
    picture = collected.find(tmp_path, name)
    assert picture
    back = collected.move(picture, None)
    assert back
    assert back.after.name == to_review
    labelled = collected.move(back.after, "Blazer")
    assert labelled
    assert labelled.after.name == again
    assert names(tmp_path) == [again]


def test_who_is_slower_is_told(tmp_path: Path) -> None:
    """Of many who decide about the same pictures at once, each to another label, one each has decided, no picture is
    lost or there twice, and the others get None."""
    pictures = [put(tmp_path, number) for number in range(12)]
    labels = [f"label {n}" for n in range(6)]
    barrier = threading.Barrier(len(labels))

    def decide(label: str) -> list[bool]:
        barrier.wait()
        return [collected.move(picture, label) is not None for picture in pictures]

    with ThreadPoolExecutor(len(labels)) as people:
        done = np.array(list(people.map(decide, labels)))
    assert (done.sum(0) == 1).all()
    found = collected.listing(tmp_path)
    assert not found.undecided
    assert sorted(Path(p.name).name for p in found.decided) == sorted(Path(p.name).name for p in pictures)
    assert collected.delete(pictures[0]) is None
    assert collected.undo(collected.Moved(pictures[0], pictures[0])) is None


def test_what_was_deleted_this_moment_can_be_had_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever a camera or a page empties the folder of deleted pictures, one deleted just now stays, however old it
    is; one that was deleted long ago goes."""
    old, gone = put(tmp_path, 0), put(tmp_path, 1)
    os.utime(old.path, (0, 0))
    long_ago = collected.delete(gone)
    assert long_ago
    os.utime(long_ago.after.path, (0, 0))
    emptied: list[int] = []
    # It comes right after the rename.
    monkeypatch.setattr(
        collected, "sync_folder", lambda _: emptied.append(collected.empty(tmp_path, time.time() - 3600))
    )
    deleted = collected.delete(old)
    assert sum(emptied) == 1
    assert deleted
    assert collected.undo(deleted)
    assert old.path.is_file()


def _moved(picture: collected.Picture) -> collected.Picture | None:
    moved = collected.move(picture, "Polo")
    return moved.after if moved else None


def _deleted(picture: collected.Picture) -> collected.Picture | None:
    moved = collected.delete(picture)
    return moved.after if moved else None


def _undone(picture: collected.Picture) -> collected.Picture | None:
    moved = collected.move(picture, "Polo")
    back = collected.undo(moved) if moved else None
    return back.after if back else None


def _written(picture: collected.Picture) -> collected.Picture | None:
    return collected.write(picture.folder, jpeg_of(garment(7)), Facts(time="2026-11-27T10:11:12+01:00"), 7)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("act", [_moved, _deleted, _undone, _written])
def test_a_name_that_another_process_takes_just_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[..., collected.Picture | None], links: bool
) -> None:
    """What another process puts under the very name, after it was seen to be free, is not overwritten, and nothing is
    lost; on file systems without links neither."""
    picture, free = put(tmp_path), collected._free
    taken: list[Path] = []

    def free_and_taken(*wanted: Any) -> Path:
        place = free(*wanted)
        if not taken or taken[-1].parent != place.parent:
            place.write_bytes(b"another's")
            taken.append(place)
        return place

    def no_link(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(collected, "_free", free_and_taken)
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    made = act(picture)
    assert made
    assert made.path.stem.endswith("-2")
    assert collected.read_facts(made.path) is not None
    assert [each.read_bytes() for each in taken] == [b"another's"] * len(taken)
    assert len(names(tmp_path)) == len(taken) + 1 + (act is _written)


@pytest.mark.parametrize(
    ("name", "is_found"),
    [
        ("Polo/a.jpg", True),
        ("Polo/b.jpg", False),
        ("Polo", False),
        ("", False),
        ("a.jpg", False),
        ("../outside.jpg", False),
        ("Polo/../Polo/a.jpg", False),
        ("./Polo/a.jpg", False),
        ("/etc/passwd", False),
        ("C:/a.jpg", False),
        ("Polo\\a.jpg", False),
        (".deleted/Polo/c.jpg", False),
        ("Polo/\x00.jpg", False),
        ("Polo/" + "a" * 5000, False),
    ],
)
def test_names_that_come_from_outside(tmp_path: Path, name: str, is_found: bool) -> None:
    """Only a picture of a label or to review is found by its name: nothing deleted, nothing outside."""
    for place in ("shop/Polo/a.jpg", "shop/.deleted/Polo/c.jpg", "outside.jpg", "shop/a.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(jpeg_of(garment(0)))
    assert (collected.find(tmp_path / "shop", name) is not None) == is_found


@pytest.mark.linux_only("names that Windows has not")
@pytest.mark.parametrize(
    ("name", "is_named"),
    [
        ("Polo/Screenshot 2026-11-27 at 10.11.12\u202fAM.png", True),  # as a Mac names it
        ("Polo/a\u00a0b.jpg", True),
        ("School\u3000blazer/a.jpg", True),
        ("Polo/anna\u2009b/a.jpg", True),
        ("Polo/\u200fa\u200b.jpg", True),
        ("Polo/a\u2028b.jpg", True),
        ("Polo/\ue000\U0001faf8\U0001fadc.jpg", True),  # private, and newer than this Python
        ("to review/10:11:12.jpg", True),
        ("Polo\\tie/C:\\a.jpg", True),
        ("Polo/a..jpg", True),
        ("Polo/ ../a.jpg", True),
        ("Polo/a\nb.jpg", False),
        ("Po\x7flo/a.jpg", False),
        ("Polo/a\x85.jpg", False),
        ("to review/a\udce9.jpg", False),
    ],
)
def test_what_is_listed_is_found(tmp_path: Path, name: str, is_named: bool) -> None:
    """Every picture that is listed is found by its name, moved and had back; what no page can name is told apart."""
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(jpeg_of(garment(0)))
    listed = collected.listing(tmp_path)
    assert [one.name for one in (*listed.undecided, *listed.decided)] == [name] * is_named
    assert [one.name for one in listed.unnamed] == [name] * (not is_named)
    found = collected.find(tmp_path, name)
    assert (found is not None) == is_named
    deleted = collected.delete(found) if found else None
    assert [one.name for one in collected.deleted(tmp_path)] == [f".deleted/{name}"] * is_named
    assert deleted is None or collected.undo(deleted)


@pytest.mark.parametrize(
    "name", ["C:/a.jpg", "Polo/C:a.jpg", "Polo/a.jpg:b", "Polo/..\\..\\a.jpg", "Polo/\\\\host\\a.jpg"]
)
def test_names_that_lead_elsewhere_on_windows(name: str) -> None:
    """A name that parts a path on Windows is none there; on other systems it is one like any other."""
    assert [collected.is_name(name, system) for system in ("nt", "posix")] == [False, True]


def test_what_is_listed(tmp_path: Path) -> None:
    """Labels of any name are listed with their pictures; a system's files, hidden ones and what is no picture are not.
    Training from photos passes over what is not decided, and says nothing of it."""
    undecided = put(tmp_path, 0)
    collected.move(put(tmp_path, 1), "Coat")
    collected.move(put(tmp_path, 2), "School blazer")
    collected.delete(put(tmp_path, 3))
    for junk in ("Coat/.a.new-00ff.jpg", "Coat/Thumbs.db", "Coat/notes.txt", "@eaDir/x.jpg", "loose.jpg"):
        (tmp_path / junk).parent.mkdir(exist_ok=True)
        (tmp_path / junk).write_bytes(jpeg_of(garment(0)) if junk.endswith("jpg") else b"x")
    found = collected.listing(tmp_path)
    assert found.undecided == (undecided,)
    assert [picture.label for picture in found.decided] == ["Coat", "School blazer"]
    scanned = photo_folders.scan(tmp_path)
    assert [photo.label for photo in scanned.photos] == ["Coat"]
    assert scanned.photos[0].sender == "2026-11-27"  # a day's pictures stay on one side of a split
    assert not [line for line in scanned.skipped if "to review" in line or "deleted" in line]
    with pytest.raises(BadInputError, match="cannot be read"):
        collected.listing(tmp_path / "none")


# --- A crash ---------------------------------------------------------------------------------

_WRITER = """
import sys, itertools
from pathlib import Path
from edgefashion.data import collected
jpeg = Path(sys.argv[2]).read_bytes()
print("begun", flush=True)
for number in itertools.count():
    collected.write(Path(sys.argv[1]), jpeg, collected.Facts(label="Coat"), number)
"""


@pytest.mark.linux_only("SIGKILL")
def test_killed_while_it_writes(tmp_path: Path) -> None:
    """Wherever a process that collects is killed, every picture that is listed is whole, with its facts."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (tmp_path / "large.jpg").write_bytes(jpeg_of(garment(0, (900, 1200))))
    for delay_s in (0.0, 0.004, 0.009, 0.013):
        writing = subprocess.Popen(
            [sys.executable, "-c", _WRITER, shop, tmp_path / "large.jpg"], stdout=subprocess.PIPE
        )
        assert writing.stdout
        writing.stdout.readline()
        seen = len(names(shop))
        wait_until(lambda seen=seen: len(names(shop)) > seen, "a picture")  # type: ignore[misc]
        time.sleep(delay_s)
        writing.send_signal(signal.SIGKILL)
        writing.wait()
        writing.stdout.close()
    found = collected.listing(shop).undecided
    assert found
    whole = len((tmp_path / "large.jpg").read_bytes())
    for picture in found:
        assert picture.path.stat().st_size > whole
        assert picture.facts() == Facts(label="Coat")
