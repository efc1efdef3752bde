"""The table of what the camera tells a person."""

from __future__ import annotations

import pytest

from edgefashion.camera import wording
from edgefashion.camera.events.event import ANSWERS, CONDITIONS
from edgefashion.camera.moment import Kept


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
