"""Where a taught network is written: the next revision of what is there, whoever else writes meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.bundles import make

from edgefashion.bundles import resolve, revisions
from edgefashion.errors import BadInputError
from edgefashion.evaluation.before_after import Verdict
from edgefashion.training import shop_bundle

SHOP = Path("models/shop")
ANY: Any = SimpleNamespace(photos=[1, 2], taught={"data_sha256": "ab"})


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle of text files in the place of a network, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def made(out: Path, *_: Any) -> str:
        make(out, str(out))
        return "INT8 answers as FP16 does"

    monkeypatch.setattr(shop_bundle, "_write", made)


def write(compared: str | None, *, take: bool) -> tuple[shop_bundle.Written, list[str]]:
    shop_bundle.check_target(SHOP)
    return shop_bundle.write(SHOP, ANY, ANY, ANY, ANY, Verdict("", "words"), compared, take=take)


def test_taught_again_and_again() -> None:
    """A model of which no other revision is in force yet is taught again: each teaching is the next revision."""
    assert write(None, take=True)[0].revision is None
    names = []
    for _ in range(3):
        written, _notes = write(shop_bundle.in_force(SHOP), take=False)
        names.append((written.revision or "")[:4])
        assert not (SHOP / "current").exists()
    assert names == ["0002", "0003", "0004"]
    written, _notes = write(shop_bundle.in_force(SHOP), take=True)
    assert written.in_force
    assert resolve.resolve("shop").path.name == written.revision
    assert len(revisions.history(SHOP)) == 5


@pytest.mark.parametrize("first", [None, "plain"])
def test_two_teachings_at_once(first: str | None) -> None:
    """The second of two that began together has another number, and is kept beside: it was not compared with the
    first."""
    if first:
        make(SHOP, first)
    compared = shop_bundle.in_force(SHOP)
    one, told = write(compared, take=True)
    assert one.in_force
    assert len(told) == 1
    other, told = write(compared, take=True)
    assert not other.in_force
    assert "put in force while this one was learning" in told[1]
    assert other.revision != one.revision
    assert shop_bundle.in_force(SHOP) == one.bundle.sha256


def test_a_number_is_given_once() -> None:
    """While a revision is being written whoever asks for the next one gets another number; what fails leaves none."""
    make(SHOP)
    first, second = shop_bundle._reserved(SHOP), shop_bundle._reserved(SHOP)
    assert (first.name[:4], second.name[:4]) == ("0002", "0003")


def test_a_folder_of_something_else_is_refused() -> None:
    """What is no model stays: a folder of other things, and one of revisions without a model."""
    (SHOP / "revisions").mkdir(parents=True)
    (SHOP / "revisions" / "0002-ab12cd34.json").write_text("{}")
    with pytest.raises(BadInputError, match="keeps the revisions"):
        shop_bundle.check_target(SHOP)
