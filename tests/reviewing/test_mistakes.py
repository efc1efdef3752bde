"""Wrong labels are found, and right ones are mostly left alone."""

from __future__ import annotations

import numpy as np
import pytest

from edgefashion.reviewing import mistakes

Sets = tuple[np.ndarray, list[str], list[str]]


def blobs(each: int, labels: int, rng: np.random.Generator, size: int = 64) -> Sets:
    """Features of pictures of so many labels, that lie around a middle for each; their labels; and four days."""
    middles = rng.normal(0, 1, (labels, size))
    names = [f"label {i % labels}" for i in range(each * labels)]
    rows = np.array([middles[i % labels] for i in range(len(names))]) + rng.normal(0, 0.8, (len(names), size))
    return rows.astype(np.float32), names, [f"day {i // labels % 4}" for i in range(len(names))]


@pytest.mark.parametrize(("each", "labels"), [(60, 3), (25, 8), (12, 2), (400, 2)])
def test_planted_mistakes(each: int, labels: int) -> None:
    """Of pictures whose labels were changed two in three are found at least, each with the label that it had; of the
    others one in fifty is doubted at most. The likeliest mistakes come first."""
    rng = np.random.default_rng(each)
    rows, names, days = blobs(each, labels, rng)
    wrong = set(rng.choice(len(names), max(2, len(names) // 12), replace=False).tolist())
    given = [f"label {(int(n[6:]) + 1) % labels}" if i in wrong else n for i, n in enumerate(names)]
    found = mistakes.find(rows, given, days)
    hits = [one.index in wrong for one in found]
    assert sum(hits) >= 0.66 * len(wrong)
    assert len(found) - sum(hits) <= 0.02 * len(names)
    assert all(hits[: len(wrong) // 2])
    assert all(one.other == names[one.index] and 0 < one.sure <= 1 for one in found if one.index in wrong)


def test_a_day_does_not_vouch_for_itself() -> None:
    """A whole day's pictures of one garment with a wrong label are found: they are judged by other days only."""
    rng = np.random.default_rng(3)
    rows, names, days = blobs(40, 2, rng)
    twins = [i for i in range(len(names)) if days[i] == "day 0" and names[i] == "label 0"]
    rows[twins] = rows[twins[0]] + rng.normal(0, 0.01, (len(twins), rows.shape[1]))
    given = ["label 1" if i in set(twins) else name for i, name in enumerate(names)]
    assert set(twins) <= {one.index for one in mistakes.find(rows, given, days)}


@pytest.mark.parametrize(
    ("labels", "rows"),
    [
        ([], np.empty((0, 4), np.float32)),
        (["a"] * 9, np.zeros((9, 4), np.float32)),
        (["a"] * 9 + ["b"] * 4, np.eye(13, 4, dtype=np.float32)),  # four of a label: nobody can say how it looks
        (["a", "b"] * 6, np.zeros((12, 4), np.float32)),  # pictures that are all the same
        (["a", "b"] * 6, np.ones((12, 4), np.float32)),
    ],
)
def test_too_little_to_doubt(labels: list[str], rows: np.ndarray) -> None:
    """Where nothing can be told, nothing is doubted."""
    assert mistakes.find(rows, labels, ["one day"] * len(labels)) == []
