"""What is put into a folder of collected pictures, and what gives way: limits, duplicates, a disk that is full."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.collecting import garment, names, put
from helpers.events import small_disk

from edgefashion.data import collected, collection
from edgefashion.data.collected import Facts
from edgefashion.data.collection import SAME_BITS, SAME_BITS_OF_LATE, Collection, Limits
from edgefashion.data.heads import hidden_share, hide_heads
from edgefashion.errors import BadInputError

NO_RESERVE: dict[str, Any] = {"reserve_bytes": 0}
DAY_S = 86_400


def opened(folder: Path, **limits: Any) -> Collection:
    made = Collection(folder, Limits(**(NO_RESERVE | limits)))
    made.open()
    return made


def keep(into: Collection, *numbers: int) -> list[bool]:
    """Which of the pictures of these numbers were kept."""
    return [into.keep(garment(number), Facts(label="Coat")) is not None for number in numbers]


def aged(picture: collected.Picture, age_s: float) -> collected.Picture:
    os.utime(picture.path, (time.time() - age_s,) * 2)
    return picture


# --- What is like another --------------------------------------------------------------------


def test_what_is_there_already_is_left_out(tmp_path: Path) -> None:
    """A picture like one that is there is left out, wherever that is by now: to review, decided, deleted, or gone; one
    compressed anew, brighter or of another size is like it."""
    shop = opened(tmp_path)
    assert keep(shop, 0, 1, 2, 3, 0, 1) == [True, True, True, True, False, False]
    first, second, third, _ = collected.listing(tmp_path).undecided
    collected.move(first, "Polo")
    collected.delete(second)
    collected.remove(third)
    for again in (shop, opened(tmp_path)):
        changed = cv2.resize(garment(0) // 2 + 60, (300, 400), interpolation=cv2.INTER_CUBIC)
        assert again.keep(np.asarray(changed, np.uint8), Facts()) is None
        assert keep(again, 0, 1, 3)[:2] == [False, False]
    assert keep(shop, 2) == [False]


@pytest.mark.parametrize(("of_late", "kept"), [(0, [True, True, True]), (2, [True, False, True])])
def test_the_newest_are_compared_more_loosely(tmp_path: Path, of_late: int, kept: list[bool]) -> None:
    """A camera's next picture that is nearly like one of its newest few is left out; it is kept after some others."""
    shop = opened(tmp_path, of_late=of_late)
    nearly = 0b111111111
    assert SAME_BITS < nearly.bit_count() <= SAME_BITS_OF_LATE
    first = 0x0F0F_3333_5555_FF00
    wanted = []
    for phash in (first, first ^ nearly, 0xFFFF_FFFF_0000_0000, 0x1234_5678_9ABC_DEF0):
        wanted.append(shop.wants(phash))
        if wanted[-1]:
            shop.put(collection.jpeg_of(garment(0)), Facts(), phash)
    assert wanted[:3] == kept
    assert wanted[3]
    assert shop.wants(first ^ nearly) is not kept[1]


def test_pictures_are_kept_small(tmp_path: Path) -> None:
    """A large picture is kept no larger than it is looked at, its box with it."""
    kept = opened(tmp_path).keep(garment(0, (1600, 1200)), Facts(box=(400, 200, 800, 600)))
    assert kept
    image = cv2.imread(str(kept.path))
    assert image is not None
    assert image.shape[:2] == (480, 640)
    assert kept.facts() == Facts(box=(160, 80, 320, 240))


# --- Limits ----------------------------------------------------------------------------------


def test_so_many_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than so many are kept an hour, also by a service that is started anew, and whatever the clock does."""
    shop = opened(tmp_path, most_an_hour=3)
    assert keep(shop, *range(5)) == [True, True, True, False, False]
    assert keep(opened(tmp_path, most_an_hour=3), 6) == [False]
    real_time, real_monotonic = time.time, time.monotonic
    monkeypatch.setattr(time, "time", lambda: real_time() - 30 * DAY_S)  # set back
    assert keep(shop, 7) == [False]
    monkeypatch.setattr(time, "monotonic", lambda: real_monotonic() + 3601)
    assert keep(shop, 7, 8, 9, 10) == [True, True, True, False]


def test_so_many_days(tmp_path: Path) -> None:
    """What nobody has decided about is deleted after so many days, what was deleted goes after one, what is decided
    never. What comes from the future, as of a clock that was set back, stays."""
    old, new, decided, future = (aged(put(tmp_path, n), days * DAY_S) for n, days in enumerate((31, 29, 400, -400)))
    blazer, gone, lately = (put(tmp_path, n) for n in (4, 5, 6))
    moved = [collected.move(decided, "Polo"), collected.move(blazer, "Blazer"), collected.delete(gone)]
    deleted = collected.delete(lately)
    assert all(moved)
    assert deleted
    for each in moved:
        assert each
        aged(each.after, 400 * DAY_S)
    opened(tmp_path, days=30).look()
    assert collected.listing(tmp_path).undecided == (new, future)
    assert [picture.label for picture in collected.listing(tmp_path).decided] == ["Blazer", "Polo"]
    outdated = collected.Picture(tmp_path, f".deleted/{old.name}")
    assert set(collected.deleted(tmp_path)) == {deleted.after, outdated}
    aged(outdated, 1.1 * DAY_S)
    opened(tmp_path, days=30).look()
    assert collected.deleted(tmp_path) == (deleted.after,)


def test_a_clock_that_is_wrong_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the clock is set a year ahead, and back some hours later, every picture can still be had back."""
    put_there = [put(tmp_path, number) for number in range(3)]
    camera, real = opened(tmp_path, days=30), time.time
    monkeypatch.setattr(time, "time", lambda: real() + 365 * DAY_S)
    monkeypatch.setattr(os, "utime", _by_this_clock)
    for _ in range(3):
        camera.look(anew=True)
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    camera.look(anew=True)
    for picture in put_there:
        assert collected.undo(collected.Moved(picture, collected.Picture(tmp_path, f".deleted/{picture.name}")))
    camera.look(anew=True)
    assert collected.listing(tmp_path).undecided == tuple(sorted(put_there, key=lambda one: one.name))


_utime = os.utime


def _by_this_clock(path: Path) -> None:
    _utime(path, (time.time(), time.time()))


def _put_back(at: collected.Picture) -> collected.Moved | None:
    """The page's "Put back" of a labelled picture."""
    return collected.move(at, None)


def _undone(at: collected.Picture) -> collected.Moved | None:
    """The label is taken back."""
    return collected.undo(collected.Moved(collected.Picture(at.folder, f"to review/2026-01-02/{at.path.name}"), at))


def _deleted_and_undone(at: collected.Picture) -> collected.Moved | None:
    back = collected.move(at, None)
    gone = back and collected.delete(aged(back.after, 40 * DAY_S))
    return gone and collected.undo(collected.Moved(gone.before, aged(gone.after, 0.9 * DAY_S)))


@pytest.mark.parametrize("back", [_put_back, _undone, _deleted_and_undone])
def test_what_is_put_back_begins_anew(
    tmp_path: Path, back: Callable[[collected.Picture], collected.Moved | None]
) -> None:
    """However old a picture is: put back among those to review, it stays there for all of the days, is the last that
    gives way, and is none that was kept within the hour."""
    moved = collected.move(put(tmp_path, 0, time="2026-01-02T10:11:12+01:00"), "Coat")
    assert moved
    there = back(aged(moved.after, 40 * DAY_S))
    assert there
    others = [aged(put(tmp_path, n, time="2026-01-02T10:11:12+01:00"), 5 * DAY_S) for n in range(1, 4)]
    camera = opened(tmp_path, days=30, most_an_hour=1)
    camera.look()
    assert {*collected.listing(tmp_path).undecided} == {there.after, *others}
    assert camera.wants(1)
    full = opened(tmp_path, mb=1)
    full.look()
    assert full._fits(1_000_000 - there.after.path.stat().st_size)
    assert collected.listing(tmp_path).undecided == (there.after,)


@pytest.mark.parametrize(
    "name",
    [
        "my photos/IMG_0.png",
        "2026-11-27/IMG_0001.jpg",
        "20261127_101112.jpg",
        "1.jpg",
        "2026-11-27/20261127-101112-1.jpg",
    ],
)
def test_photos_that_nobody_has_collected(tmp_path: Path, name: str) -> None:
    """A photo that a person has put among those to review is never removed, however old it is and however little room
    there is, and takes no room from what is collected."""
    own = tmp_path / "to review" / name
    own.parent.mkdir(parents=True)
    own.write_bytes(collection.jpeg_of(garment(0)) + bytes(1_000_000))
    aged(collected.Picture(tmp_path, f"to review/{name}"), 400 * DAY_S)
    camera = opened(tmp_path, days=30, mb=1)
    assert keep(camera, 1, 2) == [True, True]
    camera.look(anew=True)
    assert len(collected.listing(tmp_path).undecided) == 3
    assert own.is_file()


@pytest.mark.parametrize("makes_room", [True, False])
def test_what_was_deleted_is_not_for_room(tmp_path: Path, makes_room: bool) -> None:
    """A picture that was deleted can be had back for a day however full the folder is, and counts for nothing in it."""
    shop = opened(tmp_path, mb=1, makes_room=makes_room)
    large = [shop.keep(garment(number, (640, 640), grain=40), Facts()) for number in range(4)]
    gone = [collected.delete(picture) for picture in large if picture]
    shop.look(anew=True)
    assert all(shop.keep(garment(number, (640, 640), grain=40), Facts()) for number in range(4, 8))
    for number in range(8, 20):
        shop.keep(garment(number, (640, 640), grain=40), Facts())
    assert len(gone) == 4
    assert all(collected.undo(each) for each in gone if each)


@pytest.mark.parametrize("makes_room", [True, False])
def test_so_many_megabytes(tmp_path: Path, makes_room: bool) -> None:
    """Where there is room for no more, the oldest that nobody has decided about give way, or nothing more is kept."""
    shop = opened(tmp_path, mb=1, makes_room=makes_room)
    large = [garment(number, (640, 640), grain=40) for number in range(12)]
    size = len(collection.jpeg_of(large[0]))
    fit = 1_000_000 // size
    assert 4 < fit < 11
    first = shop.keep(large[0], Facts())
    assert first
    collected.move(first, "Polo")
    kept = [shop.keep(image, Facts()) for image in large[1:]]
    assert shop.full is not makes_room
    there = collected.listing(tmp_path)
    assert sum(picture.path.stat().st_size for picture in there.undecided) <= 1_000_000
    assert [picture.label for picture in there.decided] == ["Polo"]
    wanted = [each for each in kept if each]
    assert len(wanted) == (11 if makes_room else len(there.undecided))
    assert set(there.undecided) == set(wanted[-len(there.undecided) :])


# --- What is wrong ---------------------------------------------------------------------------


def test_a_full_disk(tmp_path: Path) -> None:
    """On a disk that fills up keeping fails with its reason, leaves no half picture, and works once there is room."""
    with small_disk(tmp_path / "disk", "256k") as disk:
        shop = opened(disk, reserve_bytes=64 * 1024)
        (disk / "other").write_bytes(bytes(200 * 1024))
        with pytest.raises(OSError, match="are free"):
            keep(shop, 0)
        unreserved = opened(disk)  # the disk's own word, in the middle of writing
        with pytest.raises(OSError, match="No space left"):
            unreserved.keep(garment(1, (600, 600), grain=40), Facts())
        with pytest.raises(OSError, match="No space left"):
            (disk / "more").write_bytes(bytes(60 * 1024))
        with pytest.raises(OSError, match="No space left"):
            unreserved.try_out()
        assert not [name for name in names(disk) if name.endswith("jpg")]
        (disk / "other").unlink()
        assert keep(shop, 0) == [True]


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda place: place.touch(), "can be no folder: File exists"),
        (lambda place: place.symlink_to("gone/away"), "can be no folder: File exists"),
        (None, "cannot be made: the folder above it is not there. Make that"),
    ],
    ids=["file", "link to nowhere", "no parent"],
)
def test_no_folder(tmp_path: Path, made: Any, says: str) -> None:
    """Where nothing can be collected, that is told at the start, with what to do."""
    place = tmp_path / "shop" if made else tmp_path / "none" / "shop"
    if made:
        made(place)
    with pytest.raises(BadInputError, match=says):
        opened(place)


@pytest.mark.linux_only("a folder that root may not write to either")
def test_read_only(tmp_path: Path) -> None:
    """A folder that may not be written to is told at the start."""
    with pytest.raises(BadInputError, match=r"cannot be written to: .*Allow it, or choose another place"):
        opened(Path("/proc/self"))


def test_the_folder_vanishes(tmp_path: Path) -> None:
    """A folder that vanishes, as a disk that is unplugged, is told and not made anew; when it is back all goes on."""
    shop = opened(tmp_path / "shop")
    assert keep(shop, 0) == [True]
    (tmp_path / "shop").rename(tmp_path / "away")
    with pytest.raises(OSError, match="No such file"):
        keep(shop, 1)
    assert not (tmp_path / "shop").exists()
    (tmp_path / "away").rename(tmp_path / "shop")
    assert keep(shop, 1) == [True]


def test_others_decide_meanwhile(tmp_path: Path) -> None:
    """Pictures that somebody moves or removes behind the collection's back cost nobody a picture and raise nothing."""
    shop = opened(tmp_path, mb=1)
    for number in range(30):
        assert shop.keep(garment(number, (640, 640), grain=40), Facts())
        if number % 3 == 0:
            for picture in collected.listing(tmp_path).undecided:
                collected.move(picture, "Polo")
    decided = collected.listing(tmp_path).decided
    assert len(decided) == 28
    assert sum(picture.path.stat().st_size for picture in decided) > 1_000_000


def test_what_a_crash_left_is_cleared_away(tmp_path: Path) -> None:
    """An unfinished file of a process that was killed is removed with the next look, one in the making is not."""
    day = put(tmp_path).path.parent
    for name, age_s in ((".old.new-00ff.jpg", 3600), (".now.new-00ff.jpg", 0)):
        (day / name).write_bytes(b"half")
        os.utime(day / name, (time.time() - age_s,) * 2)
    opened(tmp_path).look()
    assert sorted(path.name for path in day.iterdir())[0] == ".now.new-00ff.jpg"
    assert len(list(day.iterdir())) == 2


# --- Heads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        (30, 20, 40, 50),
        (-20, -10, 60, 60),
        (80, 90, 60, 60),
        (-80, -90, 40, 40),
        (200, 10, 40, 40),
        (0, 0, 0, 0),
        (9, 9, 1, 1),
    ],
)
def test_heads_are_hidden(head: tuple[int, int, int, int]) -> None:
    """Of a head no more than nine colours and what lies between them is left; outside of it nothing changes, also where
    it lies outside of the picture altogether."""
    image = np.random.default_rng(0).integers(0, 256, (120, 90, 3)).astype(np.uint8)
    before = image.copy()
    shown = hide_heads(image, [head])
    np.testing.assert_array_equal(image, before)
    x, y, w, h = head
    rim = round(0.2 * w), round(0.2 * h)
    inside = np.zeros((120, 90), bool)
    inside[max(0, y - rim[1]) : max(0, y + h + rim[1]), max(0, x - rim[0]) : max(0, x + w + rim[0])] = True
    np.testing.assert_array_equal(shown[~inside], image[~inside])
    assert hidden_share((90, 120), [head]) == pytest.approx(inside.mean())
    if inside.sum() > 100:
        assert shown[inside].std() < 0.5 * image[inside].std()
        assert np.abs(np.diff(shown[inside][:20].astype(int), axis=0)).max() < 30
