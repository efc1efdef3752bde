"""The model card says what the facts say."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.bundles import fill

from edgefashion.bundles import draft
from edgefashion.bundles.card import write_card
from edgefashion.bundles.facts import AGREEMENT, Measured

pytestmark = pytest.mark.usefixtures("work")


def test_card_agrees_with_facts() -> None:
    """The model card says the facts' own numbers, and says so where the parameters are unknown."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        write_card(making)
        card = making.part("card").read_text(encoding="utf-8")
        making.facts = making.facts._replace(parameters=None)
        write_card(making)
        unknown = making.part("card").read_text(encoding="utf-8")
    for fact in ("# Model card: mine", "12,345 parameters", "90.00 %", "0.4321", "T-shirt/top, Trouser", "10% of"):
        assert fact in card
    assert "unknown parameters" in unknown


def test_card_tells_the_rule() -> None:
    """The card says what an answer needs besides the threshold, where it needs more."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        of = making.facts.thresholds
        making.facts = making.facts._replace(thresholds=of._replace(floors={"Coat": 0.75, "Bag": 0.5}, kind_floor=0.9))
        write_card(making)
        card = making.part("card").read_text(encoding="utf-8")
    assert "besides: Coat 0.75, Bag 0.5" in card
    assert "from 0.9 of the shoes' share" in card


@pytest.mark.parametrize(
    ("taught", "says", "never"),
    [
        (None, "10% of", "of a shop's own"),
        ({"photos": 60, "start": "kiosk"}, "60 of them (last layer alone); it began from kiosk", "came here trained"),
        (
            {"photos": 7, "start": "k", "fine_tuned": True},
            "(whole network fine-tuned on them); it began from k",
            "10% of",
        ),
        ({}, "photos of a shop's own, some of them", "None"),
    ],
)
def test_card_tells_what_it_was_taught(taught: dict[str, object] | None, says: str, never: str) -> None:
    """A taught network's card says whose photos it learned last and from which network it began; and has no table of
    test images where none were measured."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        if taught is not None:
            making.facts = making.facts._replace(others={"taught": taught}, metrics={})
        write_card(making)
        card = making.part("card").read_text(encoding="utf-8")
    assert says in card
    assert never not in card.partition("| form")[0].partition("## ")[0]
    assert ("| form |" in card) == (taught is None)


WHOLE = {
    **dict.fromkeys(AGREEMENT, 1),
    "reference": "TensorFlow",
    "per_class_drop": {"Coat": 0.02, "Bag": 0.0},
}


@pytest.mark.parametrize("without", [None, *AGREEMENT, "all"])
def test_card_tells_how_int8_agrees(without: str | None) -> None:
    """What INT8 costs stands in the card where all of it was measured, and else is left out."""
    told = {} if without == "all" else {name: value for name, value in WHOLE.items() if name != without}
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        making.facts = making.facts.with_measured("int8", Measured(0.9, told))
        write_card(making)
        card = making.part("card").read_text(encoding="utf-8")
    assert ("INT8 against TensorFlow" in card) == ("most is Coat,\n2.0 points" in card) == (without is None)
