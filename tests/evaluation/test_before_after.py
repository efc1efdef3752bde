"""The verdict on a network that was taught: what counts, and what chance can do."""

from __future__ import annotations

import numpy as np
import pytest

from edgefashion.evaluation.before_after import Answered, Compared, answered, suffering, verdict
from edgefashion.inference.decision import Rule
from edgefashion.labels import PHOTO_LABELS
from edgefashion.training.shop_report import silent

LABELS = (*PHOTO_LABELS[:-2], "Polo", *PHOTO_LABELS[-2:])


def compared(n: int, both: int, gained: int, lost: int) -> Compared:
    """``n`` pictures, of which ``both`` networks do so many right, and each alone so many more."""
    before, after = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    before[: both + lost] = True
    after[:both] = True
    after[both + lost : both + lost + gained] = True
    return Compared.of(*(Answered(good, good, good, np.zeros_like(good)) for good in (before, after)))


@pytest.mark.parametrize(
    ("own", "kept", "word", "says"),
    [
        ((15, 15, 0, 0), None, "too few to tell", "15 photos are too few to tell: keep the one you have"),
        ((45, 40, 5, 0), None, "too few to tell", "Add photos: from 54 on"),
        ((45, 20, 20, 1), None, "better", "of 45 pictures"),
        ((200, 150, 10, 8), None, "within chance", "No difference that is more than chance"),
        ((200, 150, 30, 5), None, "better", "180 are done right, before 155"),
        ((200, 150, 5, 30), None, "worse", "Keep the one you have"),
        ((15, 5, 0, 10), None, "worse", "It got worse"),
        ((200, 150, 30, 5), (600, 500, 5, 60), "worse", "It forgot too much: of 600 pictures"),
        ((200, 150, 30, 5), (600, 500, 2, 14), "better", "Take the new one"),
        ((200, 150, 30, 5), (600, 500, 20, 30), "better", "Take the new one"),
    ],
)
def test_verdicts(own: tuple[int, ...], kept: tuple[int, ...] | None, word: str, says: str) -> None:
    """A difference counts where chance alone would hardly make it; few photos are too few to tell; what is forgotten
    beyond two in a hundred outweighs what is new."""
    found = verdict(compared(*own), compared(*kept) if kept else None)
    assert found.word == word
    assert says in found.words


@pytest.mark.parametrize(
    ("shares", "truth", "right", "named", "good"),
    [
        ({"Polo": 0.9}, "Polo", True, True, True),
        ({"Polo": 0.9}, "Coat", False, True, False),
        ({"Polo": 0.4, "Coat": 0.3}, "Polo", True, False, False),
        ({"Unknown": 0.9}, "Polo", False, False, False),
        ({"Unknown": 0.9}, "Unknown", True, False, True),
        ({"Polo": 0.9}, "Unknown", False, True, False),
        ({"No garment": 0.9}, "No garment", True, False, True),
        ({"No garment": 0.9}, "Polo", False, False, False),
        ({"Sneaker": 0.4, "Sandal": 0.4}, "Footwear", True, True, True),
        ({"T-shirt/top": 0.9}, "T-shirt", True, True, True),
    ],
)
def test_what_is_done_right(shares: dict[str, float], truth: str, right: bool, named: bool, good: bool) -> None:
    """Done right is a right name that is told, or none where there is none to tell; a right guess in silence is not."""
    rest = (1 - sum(shares.values())) / (len(LABELS) - len(shares))
    row = np.array([[shares.get(label, rest) for label in LABELS]], np.float32)
    seen = answered(row, [(truth,)], LABELS, Rule(0.5, {"Polo": 0.5}))
    assert (bool(seen.right[0]), bool(seen.named[0]), bool(seen.good[0])) == (right, named, good)


@pytest.mark.parametrize(
    ("wrong", "word"), [(0, "better"), (29, "better"), (30, "within chance"), (60, "within chance")]
)
def test_naming_more_at_any_price_is_no_better(wrong: int, word: str) -> None:
    """A network that tells as many more wrong names as right ones is not better."""
    before, after, none = np.zeros(200, np.bool_), np.zeros(200, np.bool_), np.zeros(200, np.bool_)
    after[:30] = True
    told_wrong = np.arange(200) >= 200 - wrong
    pair = Answered(before, none, before, none), Answered(after, after | told_wrong, after, told_wrong)
    assert verdict(Compared.of(*pair), None).word == word


@pytest.mark.parametrize(
    ("labels", "word", "says"),
    [
        ({"Coat": (43, 31, 0, 12), "Dress": (42, 30, 0, 0)}, "within chance", "but Coat suffers: Coat (of 43 31 are"),
        ({"Coat": (43, 20, 0, 20), "Dress": (42, 20, 1, 15), "Shirt": (42, 40, 0, 0)}, "within chance", "and Dress su"),
        ({"Coat": (43, 40, 0, 5)}, "better", "Take the new one"),
        ({f"Label {at}": (43, 36, 0, 7) if at == 0 else (43, 36, 0, 0) for at in range(13)}, "better", "Take the new"),
        ({"Coat": (2000, 1900, 3, 30)}, "better", "Take the new one"),
        ({"Coat": (43, 20, 20, 0)}, "better", "Take the new one"),
        ({"Coat": (0, 0, 0, 0)}, "better", "Take the new one"),
        ({}, "better", "Take the new one"),
    ],
)  # fmt: skip
def test_one_label_that_suffers(labels: dict[str, tuple[int, ...]], word: str, says: str) -> None:
    """What is better on the whole is not taken where a label that was not taught loses beyond chance, by as many labels
    as there are; the words name it."""
    by_name = {name: compared(*of) for name, of in labels.items()}
    found = verdict(compared(200, 150, 30, 5), None, by_name)
    assert found.word == word
    assert says in found.words
    assert (word == "better") == (not suffering(by_name))


@pytest.mark.parametrize(
    ("name", "n", "right", "named", "told"),
    [
        ("Skirt", 100, 97, 23, True),
        ("Skirt", 100, 97, 80, False),
        ("Skirt", 100, 40, 23, False),
        ("Skirt", 5, 5, 0, False),
        ("Unknown", 100, 97, 0, False),
    ],
)
def test_a_label_that_is_known_and_not_named(name: str, n: int, right: int, named: int, told: bool) -> None:
    """A label that is known and hardly ever said is told of in words, with what to do."""
    hit, said = np.arange(n) < right, np.arange(n) < named
    of = Compared.of(*[Answered(hit, said, hit & said, said & ~hit)] * 2)
    words = silent({name: of})
    assert bool(words) == told
    assert not told or f"{name}: {right / n:.0%} are known, and only {named / n:.0%} are named" in words[0]


def test_figures_of_nothing() -> None:
    """No pictures have no shares, and no difference."""
    found = compared(0, 0, 0, 0)
    assert (found.before.right, found.after.good_ci95, found.p_value) == (None, None, 1.0)
