"""What is told of photo folders before training: all that it would refuse, in one go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.photos import put
from helpers.types import Run

from edgefashion.data import photo_check, photo_folders
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.labels import LABELS, PHOTO_LABELS, folder_labels, stands_for


def photos(**counts: int) -> list[Photo]:
    """So many photos of each label, in turn of two senders; ``_`` in a name is a blank."""
    return [
        Photo(Path(f"{name}/{at}.jpg"), name.replace("_", " "), f"sender {at % 2}")
        for name, count in counts.items()
        for at in range(count)
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (photos(Polo=5, Hoodie=5), []),
        (photos(Polo=5, Unknown=5), []),
        (photos(Polo=5, Coat=5, Footwear=5), []),
        (photos(Polo=5, polo=5), ["Polo and polo differ by case or blanks only"]),
        (photos(Rain_coat=5, rain_Coat=5, Polo=9), ["Rain coat and rain Coat differ by case"]),
        (photos(Polo=30), ["Polo is the only label"]),
        (photos(Polo=30, Hoodie=1), ["Hoodie has 1 photo: 5 are needed"]),
        (photos(Hoodie=30, Hoody=4), ["Hoody has 4 photos (did you mean Hoodie?): 5 are needed"]),
        (photos(Polo=1, polo=1), ["differ by case", "Polo has 1 photo", "polo has 1 photo", "of one place and day"]),
        (photos(**{f"Label_{at}": 5 for at in range(201)}), ["there are 201 labels, and 200 are possible at most"]),
        (photos(**{f"Label_{at}": 5 for at in range(200)}), []),
        ([Photo(Path("a"), label, "front") for label in "AB" * 9], ["all 18 photos are of one place and day (front)"]),
        ([Photo(Path("a"), label, label) for label in "AB" * 9], ["each label has the photos of one place and day"]),
        ([], ["no photo can be read"]),
        (photos(**{"Polo": 5, "bell\x07": 5, "x" * 61: 5, "a:b": 5}), ["'a:b' can", "cannot be seen", "more than 60"]),
    ],
)  # fmt: skip
def test_what_a_teaching_refuses(given: list[Photo], says: list[str]) -> None:
    """Every fault of a set of photos is told at once, each in a sentence; good sets have none."""
    found = photo_check.shop_faults(given)
    assert len(found) == len(says)
    for sentence, words in zip(found, says, strict=True):
        assert words in sentence


def test_data_check_tells_what_both_trainings_refuse(run: Run, tmp_path: Path) -> None:
    """``data check`` names the senders and how they are told, and what ``train shop`` and ``train kiosk`` would refuse,
    with exit code 1 where neither takes it; of several folders that are none it names all."""
    put(tmp_path / "shop", *(f"Polo/IMG_{at:04}.png" for at in range(6)), "polo/anna-1.png", "to review/x-1.png")
    done = run("data", "check", "shop")
    assert done.returncode == 1, done.stderr
    for words in (
        "train shop refuses this: Polo and polo differ by case",
        "train shop refuses this: polo has 1 photo",
        "train kiosk refuses this: it has labels of its own",
        "names that a phone or a camera gives",
        "a day that no file tells (6), anna (1)",
    ):
        assert words in done.stdout
    in_json = run("data", "check", "shop", "--json")
    assert in_json.returncode == 1
    facts = json.loads(in_json.stdout)
    assert (facts["labels"]["Polo"], facts["labels"]["Coat"], facts["senders"]) == (6, 0, 2)
    assert facts["sender_names"] == {"a day that no file tells": 6, "anna": 1}
    assert facts["senders_by"] == {"no day": 1, "name": 1}
    with pytest.raises(BadInputError, match=r"no-1, .*no-2 are no folders"):
        photo_check.check(tmp_path / "no-1", tmp_path / "no-2")


def test_data_check_of_a_shops_own_labels(run: Run, tmp_path: Path) -> None:
    """Labels of the shop's own are no fault: those there are listed, and the last line says who learns."""
    put(
        tmp_path / "shop", *(f"{label}/{who}-{at}.png" for label in ("Polo", "Tie") for who in "abc" for at in range(3))
    )
    done = run("data", "check", "shop")
    assert (done.returncode, "skipped by" in done.stdout, "refuses" in done.stdout) == (0, False, False)
    assert [line.split()[0] for line in done.stdout.splitlines()[3:5]] == ["Polo", "Tie"]
    assert done.stdout.splitlines()[-1].startswith("train shop can learn from this.")
    (tmp_path / "shop" / "Polo").rename(tmp_path / "shop" / "Unknown")
    (tmp_path / "shop" / "Tie").rename(tmp_path / "shop" / "No garment")
    done = run("data", "check", "shop")
    assert done.stdout.splitlines()[-1] == "train shop can learn from this"


def test_any_name_is_a_label(tmp_path: Path) -> None:
    """Asked for any labels, a scan takes every folder but hidden ones, a system's and those to review; the shipped
    network's labels are spelt as ever."""
    put(tmp_path, "Polo/a.png", "school_blazer/a.png", "t-shirt_top/a.png", "to review/a.png", ".deleted/a.png")
    put(tmp_path, "@eaDir/a.png")
    found = photo_folders.scan(tmp_path, of=None).photos
    assert [photo.label for photo in found] == ["Polo", "school_blazer", "T-shirt"]
    of = (*PHOTO_LABELS[:-2], "Polo", *PHOTO_LABELS[-2:])
    assert {photo.label for photo in photo_folders.scan(tmp_path, of=of).photos} == {"Polo", "T-shirt"}


def test_folders_of_a_taught_network() -> None:
    """A network's folders are named after its labels; a group where it has all of its members."""
    of = (*LABELS, "Polo", "Unknown", "No garment")
    assert folder_labels(of)[-7:] == ("Polo", "Footwear", "Sandal", "Sneaker", "Ankle boot", "Unknown", "No garment")
    assert "Footwear" not in folder_labels(("Sneaker", "Polo"))
    assert stands_for("Footwear") == {"Sandal", "Sneaker", "Ankle boot"}
    assert stands_for("T-shirt") == {"T-shirt/top"}
    assert stands_for("Polo") == {"Polo"}
