"""What is held out stays out of everything else that is learned from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from helpers.photos import put
from helpers.scenes import CATEGORIES, put_scenes, thing

from edgefashion.data import photo_folders, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.data.scenes import Scene
from edgefashion.training.held_out import Parts, part, part_in_fold

PEOPLE = ("anna", "ben", "cleo", "dora", "emil", "finn")


def test_further_scenes_are_of_nobody_held_out() -> None:
    """Of further scenes to train on, those of a held-out sender and those of a held-out group are left out."""

    def scene(group: str) -> Scene:
        return Scene(Path(f"{group}.jpg"), 64, 64, group, ())

    held = [Photo(Path("a.jpg"), "Coat", "anna")]
    parts = Parts([], [scene("street 1")], held, [scene("street 2")], [], Counter())
    more = [scene(group) for group in ("anna", "ben", "street 1", "street 2")]
    assert [one.group for one in parts.apart(more)] == ["ben", "street 1"]


def _photos(folder: Path, *senders: str) -> Path:
    """Two photos of each sender, of two labels."""
    put(folder, *(f"{label}/{sender}-1.png" for label in ("Coat", "Trouser") for sender in senders))
    return folder


def _scenes(folder: Path, *groups: str) -> Path:
    """Two scenes of each group, named as their camera would name them."""
    names = [f"{group}-{number}.png" for group in groups for number in (1, 2)]
    images = [{"id": at, "file_name": name, "width": 64, "height": 64} for at, name in enumerate(names)]
    things = [thing(at, at, 1 + at % 2, (8, 4, 20, 30)) for at in range(len(names))]
    return put_scenes(folder, {"images": images, "annotations": things, "categories": CATEGORIES})


def _sides(parts: Parts) -> tuple[set[str], set[str]]:
    """The names of those who are trained on, and of those who are held out."""
    fit = {photo.sender for photo in parts.fit_photos} | {scene.group for scene in parts.fit_scenes}
    return fit, {photo.sender for photo in parts.held_photos} | {scene.group for scene in parts.held_scenes}


def _sizes(parts: Parts) -> tuple[int, ...]:
    return len(parts.fit_photos), len(parts.held_photos), len(parts.fit_scenes), len(parts.held_scenes)


# Who is in the photos and who in the scenes: the two of the manual, all, some, none.
BOTH = [
    (("mainstreet", "station"), ("mainstreet", "station")),
    (PEOPLE, PEOPLE),
    (PEOPLE, (*PEOPLE[:2], "till", "door", "street")),
    (PEOPLE, ("till", "door", "street")),
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("senders", "groups"), BOTH, ids=["two", "all", "some", "none"])
def test_nobody_is_on_both_sides(senders: tuple[str, ...], groups: tuple[str, ...], seed: int, tmp_path: Path) -> None:
    """Somebody of whom there are photos and scenes is held out with both or with neither. No picture is left out, and
    photos and scenes are on either side."""
    parts = part([_photos(tmp_path / "photos", *senders)], [_scenes(tmp_path / "scenes", *groups)], 0.2, seed)
    fit, held = _sides(parts)
    assert not fit & held
    assert fit | held == {*senders, *groups}
    assert sum(_sizes(parts)) == 2 * len(senders) + 2 * len(groups)
    assert 0 not in _sizes(parts)
    assert parts.skipped == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("side", ["photos held out", "photos learned from"])
def test_scenes_that_are_all_of_one_side(side: str, seed: int, tmp_path: Path) -> None:
    """Where all scenes are of people who are held out, or all of people who are not, some are still on either side;
    then photos of theirs are left out, and it is told how many."""
    folder = _photos(tmp_path / "photos", *PEOPLE)
    photos = photo_folders.scan(folder).photos
    fit_at, held_at = splits.split_by_sender(photos, 0.5, seed)
    groups = sorted({photos[at].sender for at in (held_at if side == "photos held out" else fit_at)})
    parts = part([folder], [_scenes(tmp_path / "scenes", *groups)], 0.5, seed)
    fit, held = _sides(parts)
    assert not fit & held
    assert fit | held == {*PEOPLE}
    assert 0 not in _sizes(parts)
    left_out = len(photos) - len(parts.fit_photos) - len(parts.held_photos)
    words = "learned from" if side == "photos held out" else "held out"
    assert parts.skipped == [f"{left_out} photos left out: the scenes of their senders are {words}"]


@pytest.mark.parametrize("seed", range(5))
def test_numbers_meet_by_chance(seed: int, tmp_path: Path) -> None:
    """Where senders and groups are numbers, photos and scenes are parted each by themselves, as if the scenes' had
    names that no sender has; no picture is left out."""
    numbers = [str(number) for number in range(1, 9)]
    folder = _photos(tmp_path / "photos", *numbers)
    of_numbers = part([folder], [_scenes(tmp_path / "scenes", *numbers)], 0.2, seed)
    of_names = part([folder], [_scenes(tmp_path / "named", *(f"g{number}" for number in numbers))], 0.2, seed)
    assert of_numbers.held_photos == of_names.held_photos
    assert [f"g{scene.group}" for scene in of_numbers.held_scenes] == [scene.group for scene in of_names.held_scenes]
    assert _sizes(of_numbers) == _sizes(of_names)
    assert of_numbers.skipped == []


def test_folds_hold_each_out_once(tmp_path: Path) -> None:
    """Of five folds one holds somebody's photos of all folders and scenes out; numbers are parted folder by folder."""
    first = _photos(tmp_path / "first", *PEOPLE, "1", "2", "3")
    second = _photos(tmp_path / "second", *PEOPLE[2:], "gus", "1", "2", "3")
    marked = _scenes(tmp_path / "scenes", *PEOPLE[1:], "till", "1", "2", "3")
    held_in: Counter[str] = Counter()
    for fold in range(splits.FOLDS):
        parts = part_in_fold([first, second], [marked], fold)
        fit, held = ({name for name in names if not name.isdecimal()} for names in _sides(parts))
        assert not fit & held
        assert sum(_sizes(parts)) == 2 * (9 + 8 + 9)
        held_in.update(held)
    assert held_in == Counter([*PEOPLE, "gus", "till"])
