"""Whose word counts for a picture: the camera's note, or the network in use."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.bundles import FACTS, fill
from helpers.reviewing import drawing

from edgefashion.bundles import draft, revisions
from edgefashion.bundles.facts import Facts
from edgefashion.data import collected
from edgefashion.reviewing.looking import Looking
from edgefashion.reviewing.watched_folder import WatchedFolder


def bundle(place: Path) -> Path:
    """A photo network's bundle, with text for a network."""
    with draft.draft(place) as making:
        fill(making)
        making.facts = Facts.from_json(FACTS | {"name": "shop", "input_shape": [160, 160, 3]})
    return place


@pytest.mark.parametrize(
    ("model", "noted", "in_use", "counts"),
    [
        ("shop", "", ".", True),
        ("shop", ".", ".", True),
        ("shop", "0002-ab12cd34", ".", False),
        ("shop", "0002-ab12cd34", "0002-ab12cd34", True),
        ("shop", "0003-ab12cd34", "0002-ab12cd34", False),
        ("shop", "", "0002-ab12cd34", False),
        ("shop", ".", "0002-ab12cd34", False),
        ("kiosk", "", ".", False),
        ("kiosk", "0002-ab12cd34", "0002-ab12cd34", False),
        ("", "", ".", False),
    ],
)
def test_whose_word_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, noted: str, in_use: str, counts: bool
) -> None:
    """What a camera noted is the word of the network in use only where the very revision in force has noted it."""
    monkeypatch.chdir(tmp_path)
    models, folder = Path("models/shop"), tmp_path / "pictures"
    folder.mkdir()
    place = revisions.next_place(bundle(models), "ab12cd34")
    revisions.record(models, bundle(place), revisions.Origin())
    revisions.switch(models, place.name)
    revisions.switch(models, in_use)
    jpeg, phash = drawing("Coat", 0)
    top = (("Coat", 0.75), ("Bag", 0.25))
    facts = collected.Facts(label="Coat", confidence=0.75, top=top, model=model, revision=noted)
    picture = collected.write(folder, jpeg, facts, phash)
    looking = Looking(WatchedFolder(folder), "shop")
    assert looking.top(picture) == (list(top) if counts else [])
    assert looking._is_of(picture.facts()) is counts
