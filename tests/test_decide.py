"""Probabilities to an answer: the threshold, the ranking, the memory of a garment."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.decide import SCENE_CHANGE, SMOOTHING, Answer, Smoother, accept_threshold, decide
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


# --- The smoother ----------------------------------------------------------------------------


def picture(level: int = 100) -> NDArray[np.uint8]:
    return np.full((28, 28, 1), level, np.uint8)


def test_smoother_weights() -> None:
    """The first frame counts whole, each later one of the same garment with the given weight."""
    smooth = Smoother(weight=0.25)
    assert smooth(picture(), of(1, 0)).tolist() == [1, 0]
    assert smooth(picture(), of(0, 1)).tolist() == [0.75, 0.25]
    assert smooth(picture(), of(0, 1)).tolist() == [0.5625, 0.4375]


def test_smoother_averages_noise() -> None:
    """Over frames of one garment the answer wavers less than half as much as the frames' own, around the truth."""
    rng = np.random.default_rng(0)
    truth = np.full(10, 0.1)
    frames = np.clip(truth + rng.normal(0, 0.03, (400, 10)), 0, 1).astype(np.float32)
    smooth = Smoother()
    # Camera noise in the pixels must not be taken for another garment.
    shots = np.clip(rng.normal(100, 5, (400, 28, 28, 1)), 0, 255).astype(np.uint8)
    smoothed = np.array([smooth(shot, frame) for shot, frame in zip(shots, frames, strict=True)])[20:]
    # An exponential average leaves w / (2 - w) of the variance: at 0.3 a standard deviation of 0.42.
    left = (SMOOTHING / (2 - SMOOTHING)) ** 0.5
    assert left < 0.5
    assert smoothed.std(0).mean() / frames.std(0).mean() == pytest.approx(left, abs=0.06)
    assert np.abs(smoothed.mean(0) - truth).max() < 0.01


@pytest.mark.parametrize(
    ("step", "kept"), [(0, True), (SCENE_CHANGE - 1, True), (SCENE_CHANGE, False), (150, False), (-90, False)]
)
def test_smoother_forgets_another_garment(step: float, kept: bool) -> None:
    """From a mean change of the pixels by the limit on, up or down, the garment is another one and starts afresh."""
    smooth = Smoother()
    smooth(picture(100), of(1, 0))
    after = smooth(picture(int(100 + step)), of(0, 1))
    assert after.tolist() == (pytest.approx([1 - SMOOTHING, SMOOTHING]) if kept else [0, 1])


def test_smoother_forgets_on_reset() -> None:
    """After a reset the same garment starts afresh."""
    smooth = Smoother()
    smooth(picture(), of(1, 0))
    smooth.reset()
    assert smooth(picture(), of(0, 1)).tolist() == [0, 1]


def test_smoother_keeps_its_own_copy() -> None:
    """A caller that writes each frame's answer into one array, or changes what it was given, spoils nothing."""
    smooth, buffer = Smoother(), of(1, 0)
    smooth(picture(), buffer)
    buffer[:] = 0, 1
    after = smooth(picture(), buffer)
    assert after.tolist() == pytest.approx([1 - SMOOTHING, SMOOTHING])
