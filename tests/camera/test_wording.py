"""The table of what the camera tells a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.hand_made import moment, standing

from edgefashion.camera import wording
from edgefashion.camera.events.event import ANSWERS, CONDITIONS
from edgefashion.camera.moment import Kept

if TYPE_CHECKING:
    from edgefashion.camera.standing import StandingGarment


@pytest.mark.parametrize(
    "show", [*(each for each in (*ANSWERS, *CONDITIONS) if each not in ("garment", "live")), "stopped"]
)
def test_every_state_has_words(show: str) -> None:
    """Every state in which no garment is named has a headline that fits the page, and a sentence below it."""
    words = wording.words(show)
    assert 0 < len(words.headline) <= 18
    assert words.detail
    assert words.short


def test_a_garment_is_said_by_its_name_alone() -> None:
    """Of a garment, whose name is the headline, nothing else is said."""
    assert wording.words("garment") == wording.Words("", "", "Live")
    assert wording.detail("garment", "") == ""


def test_a_known_reason_is_said() -> None:
    """A reason takes the place of the general sentence, and begins like a sentence."""
    assert wording.detail("reconnecting", "") == wording.WORDS["reconnecting"].detail
    assert wording.detail("reconnecting", "connection refused") == "Connection refused"


@pytest.mark.parametrize(
    ("kept", "files"),
    [
        (Kept(), ()),
        (Kept("clip.mp4"), ("clip.mp4",)),
        (Kept(recordings=("run.mp4",)), ("run.mp4",)),
        (Kept("clip.mp4", ("run.mp4", "run-2.mp4")), ("clip.mp4", "run.mp4", "run-2.mp4")),
    ],
    ids=["nothing", "clip", "recording", "both"],
)
def test_what_is_kept_is_said(kept: Kept, files: tuple[str, ...]) -> None:
    """The sentence names every file that is being written, or says that there is none."""
    assert kept.files == files
    assert wording.kept(kept) == (f"Recording to {' and '.join(files)}" if files else "Nothing is recorded")


# --- Of all garments in view ------------------------------------------------------------------

BOX = (0, 0, 100, 100)
WORN: dict[str, Any] = {"held": False, "worn": 0.9}
WALL = np.zeros((120, 160, 3), np.uint8)


@pytest.mark.parametrize(
    ("garments", "people", "says"),
    [
        ([], False, ("Show me a garment", "Anywhere in the picture")),
        ([], True, ("Hold a garment up", "Show all of it to the camera")),
        ([standing("Coat", BOX), standing("Bag", BOX)], True, ("Coat", "")),
        ([standing("Coat", BOX, **WORN)], True, ("Hold a garment up", "Worn: Coat")),
        (
            [standing(label, BOX, **WORN) for label in ("Coat", "Trouser", "Coat", "Sneaker")],
            True,
            ("Hold a garment up", "Worn: Coat, Trouser and Sneaker"),
        ),
        (
            [standing("Coat", BOX, **WORN), standing("Trouser", BOX, accepted=False, **WORN)],
            False,
            ("Hold a garment up", "Worn: Coat"),
        ),
        (
            [standing("Coat", BOX, accepted=False, **WORN)],
            True,
            ("Hard to tell", "Somebody is in view. Hold a garment up to the camera"),
        ),
        ([standing("Coat", BOX, accepted=False)], True, ("Not sure", "Turn it to the camera, or bring it closer")),
        (
            [standing("Coat", BOX, accepted=False, doubt=("Coat", "Pullover"))],
            False,
            ("Coat or Pullover?", "Not sure. Turn it to the camera, or bring it closer"),
        ),
    ],
)
def test_what_is_in_view_is_said(garments: list[StandingGarment], people: bool, says: tuple[str, str]) -> None:
    """A held garment is named; else it is said what to do, with what is worn or what a garment may be."""
    words = wording.answer(moment(WALL, *garments, people=people))
    assert (words.headline, words.detail, words.short) == (*says, "Live")


@pytest.mark.parametrize("show", ["anywhere", "nothing held", "untold"])
def test_their_headlines_fit(show: str) -> None:
    """What is said of all garments in view fits as well."""
    assert 0 < len(wording.words(show).headline) <= 18


def test_chosen_names_are_said() -> None:
    """Where a name was chosen for a label it is said wherever the label would be; other labels are said as they are."""
    names = {"Coat": "Mantel", "Pullover": "Pulli"}
    doubtful = standing("Coat", BOX, accepted=False, doubt=("Coat", "Pullover"))
    assert wording.tag(standing("Coat", BOX), names) == "Mantel"
    assert wording.tag(standing("Bag", BOX), names) == "Bag"
    assert wording.tag(doubtful, names) == "Mantel or Pulli?"
    assert wording.tag(standing("Coat", BOX, accepted=False), names) == "Not sure"
    for garment, says in (
        (standing("Coat", BOX), "Mantel"),
        (doubtful, "Mantel or Pulli?"),
        (standing("Coat", BOX, **WORN), "Worn: Mantel"),
    ):
        words = wording.answer(moment(WALL, garment, labels=names))
        assert says in (words.headline, words.detail)


def test_one_garment_is_said_as_before() -> None:
    """Where one garment is looked for in the middle, that is what is said."""
    nothing = moment(WALL, several=False)
    assert wording.answer(nothing) == wording.WORDS["none"]
    assert wording.answer(moment(WALL, several=False, state="unknown")) == wording.WORDS["unknown"]
