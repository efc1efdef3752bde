"""Probabilities to an answer: the rule, the ranking, groups and their members."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.inference.decision import Answer, Rule, accept_threshold, decide, decide_all
from edgefashion.labels import LABELS, PHOTO_LABELS

ABC = ("a", "b", "c")


def of(*probabilities: float) -> NDArray[np.float32]:
    return np.array(probabilities, np.float32)


@pytest.mark.parametrize(
    ("probabilities", "threshold", "expected"),
    [
        ((0.125, 0.625, 0.25), 0.5, Answer("b", 0.625, True, (("b", 0.625), ("c", 0.25), ("a", 0.125)))),
        ((0.125, 0.625, 0.25), 0.625, Answer("b", 0.625, True, (("b", 0.625), ("c", 0.25), ("a", 0.125)))),
        ((0.125, 0.625, 0.25), 0.75, Answer("b", 0.625, False, (("b", 0.625), ("c", 0.25), ("a", 0.125)))),
        ((0.0, 0.0, 1.0), 0.0, Answer("c", 1.0, True, (("c", 1.0), ("a", 0.0), ("b", 0.0)))),
        ((0.25, 0.375, 0.375), 0.0, Answer("b", 0.375, True, (("b", 0.375), ("c", 0.375), ("a", 0.25)))),
    ],
    ids=["above", "at the threshold", "below", "no threshold", "a tie goes to the first"],
)
def test_decide(probabilities: tuple[float, ...], threshold: float, expected: Answer) -> None:
    """The likeliest label answers, counts from the threshold on, and ties keep the labels' order."""
    assert decide(of(*probabilities), ABC, Rule(threshold)) == expected


@pytest.mark.parametrize(("top", "expected"), [(1, 1), (3, 3), (10, 10), (99, 10)])
def test_decide_top(top: int, expected: int) -> None:
    """As many labels are named as asked for, or all there are, in falling order."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10)).astype(np.float32)
    ranked = decide(probabilities, LABELS, Rule(0.0), top).top
    assert len(ranked) == expected
    assert [p for _, p in ranked] == sorted(probabilities.tolist(), reverse=True)[:expected]
    assert all(p == probabilities[LABELS.index(label)] for label, p in ranked)


def test_accept_threshold() -> None:
    """All but a hundredth of the held-out answers reach the threshold, which is rounded down to four decimals."""
    rng = np.random.default_rng(0)
    best = rng.permutation(np.linspace(0.5, 1.0, 1001)).astype(np.float32)
    probabilities = np.column_stack([1 - best, best])
    threshold = accept_threshold(probabilities)
    rejected = sum(not decide(p, ("no", "yes"), Rule(threshold)).accepted for p in probabilities)
    assert rejected == 10
    assert threshold == pytest.approx(0.505, abs=1.1e-4)
    assert round(threshold, 4) == threshold


def test_accept_threshold_rounds_down() -> None:
    """Where every answer has the same confidence, rounding does not reject them all."""
    same = np.tile(of(0.33336, 0.66664), (100, 1))
    assert accept_threshold(same) == 0.6666


def photo(**shares: float) -> NDArray[np.float32]:
    """A photo network's probabilities: what is given (spaces as _), the rest with Unknown."""
    probabilities = np.zeros(len(PHOTO_LABELS), np.float32)
    for name, share in shares.items():
        probabilities[PHOTO_LABELS.index(name.replace("_", " "))] = share
    probabilities[PHOTO_LABELS.index("Unknown")] += 1 - sum(shares.values())
    return probabilities


SHOES = photo(Sandal=0.125, Sneaker=0.25, Ankle_boot=0.125, Bag=0.375)


@pytest.mark.parametrize(
    ("kind_floor", "label"), [(None, "Footwear"), (0.75, "Footwear"), (0.5, "Sneaker"), (0.0, "Sneaker")]
)
def test_group(kind_floor: float | None, label: str) -> None:
    """The kinds of shoe win together over what each of them loses to, with the sum of their shares; the likeliest
    kind is named only where it has its floor of that sum, and never without one."""
    answer = decide(SHOES, PHOTO_LABELS, Rule(0.5, kind_floor=kind_floor))
    assert (answer.label, answer.confidence) == (label, 0.5)
    assert answer.top == ((label, 0.5), ("Bag", 0.375), ("T-shirt/top", 0.0))


def test_group_stands_once_in_the_ranking() -> None:
    """A group has one place among the likeliest, under the name it would be shown by, and nothing stands above the
    answer; neither reject label is in it."""
    rng = np.random.default_rng(0)
    given = rng.dirichlet(np.full(len(PHOTO_LABELS), 0.3), 500).astype(np.float32)
    for kind_floor in (None, 0.6):
        for row, answer in zip(given, decide_all(given, PHOTO_LABELS, Rule(0.5, {}, kind_floor), 99), strict=True):
            names, shares = zip(*answer.top, strict=True)
            assert answer.top[0] == (answer.label, answer.confidence)
            assert list(shares) == sorted(shares, reverse=True)
            assert len(names) == len(set(names)) == 8
            shoe = set(names) & {"Footwear", "Sandal", "Sneaker", "Ankle boot"}
            assert len(shoe) == 1
            parts = row[[5, 7, 9]] / row[[5, 7, 9]].sum()
            kind = PHOTO_LABELS[(5, 7, 9)[int(parts.argmax())]]
            assert shoe == {kind if kind_floor is not None and parts.max() >= kind_floor else "Footwear"}


@pytest.mark.parametrize(
    ("threshold", "floor", "accepted", "doubt"),
    [
        (0.5, 0.5, True, None),
        (0.5, 0.5001, False, "Coat"),
        (0.5, 0.875, False, "Coat"),
        (0.5, 0.9, False, None),
        (0.99, 0.5, False, None),
        (0.99, 0.6, False, None),
    ],
    ids=[
        "both reached",
        "the floor missed",
        "reached by two",
        "missed by two",
        "the threshold missed",
        "threshold and floor missed",
    ],
)
def test_floor(threshold: float, floor: float, accepted: bool, doubt: str | None) -> None:
    """An answer counts where the known labels together reach the threshold and its own share its floor; where the
    floor alone is missed and the two likeliest reach it together, the second is the doubt."""
    given = photo(Pullover=0.5, Coat=0.375, Bag=0.0625)
    answer = decide(given, PHOTO_LABELS, Rule(threshold, {"Pullover": floor, "Coat": 1.0}))
    assert (answer.label, answer.accepted, answer.doubt) == ("Pullover", accepted, doubt)


def test_floor_is_the_groups() -> None:
    """A shoe's floor is that of Footwear, whichever name is shown; a label without a floor needs none."""
    assert not decide(SHOES, PHOTO_LABELS, Rule(0.5, {"Footwear": 0.6}, 0.5)).accepted
    assert decide(SHOES, PHOTO_LABELS, Rule(0.5, {"Footwear": 0.5, "Sneaker": 0.9}, 0.5)).accepted
    assert decide(SHOES, PHOTO_LABELS, Rule(0.5, {"Bag": 0.9})).accepted
    bag = photo(Bag=0.5, Sandal=0.125, Sneaker=0.25)
    assert decide(bag, PHOTO_LABELS, Rule(0.5, {"Bag": 0.75}, 0.6)).doubt == "Sneaker"
    assert decide(bag, PHOTO_LABELS, Rule(0.5, {"Bag": 0.75})).doubt == "Footwear"


def test_without_the_reject_label_there_are_no_groups() -> None:
    """A network of the ten labels names the likeliest of them, and neither floors nor the kinds' one concern it."""
    shoes = SHOES[:10] / SHOES[:10].sum()
    answer = decide(shoes, LABELS, Rule(0.4, {"Bag": 0.9, "Footwear": 0.9}, 0.9))
    assert (answer.label, answer.accepted, answer.doubt) == ("Bag", True, None)
    assert [label for label, _ in answer.top] == ["Bag", "Sneaker", "Sandal"]
