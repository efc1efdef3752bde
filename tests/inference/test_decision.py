"""Probabilities to an answer: the threshold and the ranking."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.inference.decision import Answer, accept_threshold, decide
from edgefashion.labels import LABELS

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
    assert decide(of(*probabilities), ABC, threshold) == expected


@pytest.mark.parametrize(("top", "expected"), [(1, 1), (3, 3), (10, 10), (99, 10)])
def test_decide_top(top: int, expected: int) -> None:
    """As many labels are named as asked for, or all there are, in falling order."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10)).astype(np.float32)
    ranked = decide(probabilities, LABELS, 0.0, top).top
    assert len(ranked) == expected
    assert [p for _, p in ranked] == sorted(probabilities.tolist(), reverse=True)[:expected]
    assert all(p == probabilities[LABELS.index(label)] for label, p in ranked)


def test_accept_threshold() -> None:
    """All but a hundredth of the held-out answers reach the threshold, which is rounded down to four decimals."""
    rng = np.random.default_rng(0)
    best = rng.permutation(np.linspace(0.5, 1.0, 1001)).astype(np.float32)
    probabilities = np.column_stack([1 - best, best])
    threshold = accept_threshold(probabilities)
    rejected = sum(not decide(p, ("no", "yes"), threshold).accepted for p in probabilities)
    assert rejected == 10
    assert threshold == pytest.approx(0.505, abs=1.1e-4)
    assert round(threshold, 4) == threshold


def test_accept_threshold_rounds_down() -> None:
    """Where every answer has the same confidence, rounding does not reject them all."""
    same = np.tile(of(0.33336, 0.66664), (100, 1))
    assert accept_threshold(same) == 0.6666
