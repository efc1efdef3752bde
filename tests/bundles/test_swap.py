"""A crash between the two renames of a swap loses no bundle."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.bundles import content_of, make, names

from edgefashion.bundles import bundle, resolve

pytestmark = pytest.mark.usefixtures("work")


@pytest.mark.parametrize(
    "first_use",
    [
        lambda: bundle.open_bundle(Path("models/mine")),
        lambda: resolve.resolve("mine").bundle,
        lambda: resolve.resolve("models/mine").bundle,
        lambda: resolve.resolve(Path("models/mine").absolute()).bundle,
    ],
    ids=["open", "by name", "by path", "by absolute path"],
)
def test_crash_between_renames(first_use: Callable[[], bundle.Bundle]) -> None:
    """After a crash that had moved the old bundle away but not yet put the new one in its place, the next use finds
    the old one whole where it was."""
    before = content_of(make().path)
    # The first of the two renames, by hand.
    Path("models/mine").rename("models/.mine.previous")
    found = first_use()
    found.verify_all()
    assert content_of(Path("models/mine")) == before
    assert names("models") == {"mine"}


def test_crash_after_renames() -> None:
    """After a crash that left the old bundle beside the new one, the new one is used and the next draft clears up."""
    shutil.copytree(make(content="old").path, "old")
    made = make(content="new")
    Path("old").rename("models/.mine.previous")
    assert resolve.resolve("mine").path == made.path
    assert [found.path for found in resolve.known() if found.path.parent == Path("models")] == [made.path]
    assert made.verified("keras").read_text() == "new keras"
    make(content="newest")
    assert names("models") == {"mine"}
