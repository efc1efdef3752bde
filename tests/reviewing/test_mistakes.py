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


@pytest.mark.parametrize("labels", [2, 3, 5, 10])
def test_one_day_alone(labels: int) -> None:
    """Where all pictures are of one day and place mistakes are found too, in whatever order the labels come."""
    rows, names, _ = blobs(20, labels, np.random.default_rng(labels))
    given = [names[1], *names[1:]]
    assert {one.index for one in mistakes.find(rows, given, ["one day"] * len(names))} == {0}


@pytest.mark.parametrize("others", [1, 2, 4, 6, 9])
def test_a_label_of_one_day_is_left_alone(others: int) -> None:
    """The pictures of a label that has one day alone are not doubted, however much they look like another label's, and
    no picture is taken for one of them; mistakes under the other labels are found as ever."""
    rng = np.random.default_rng(others)
    rows, names, _ = blobs(40, 2, rng)
    days = [f"day {i // 2 % others}" for i in range(len(names))]
    new = rows[[i for i in range(len(names)) if names[i] == "label 0"][:10]] + rng.normal(0, 0.3, (10, rows.shape[1]))
    given = ["label 1", "label 1", *names[2:], *["new"] * 10]
    found = mistakes.find(np.vstack([rows, new]).astype(np.float32), given, [*days, *["its day"] * 10])
    assert {one.index for one in found} == ({0} if others > 1 else set())
    assert {one.other for one in found} <= {"label 0"}


@pytest.mark.parametrize("small", [1, 2, 3, 5])
def test_a_label_of_two_days_is_looked_at(small: int) -> None:
    """The two days of a label are looked at apart, also where they are the smallest: its mistakes are found, and its
    other pictures are left alone but for one at most, however much they look like another label's."""
    rng = np.random.default_rng(small)
    rows, names, days = blobs(60, 2, rng)
    at = [i for i in range(len(names)) if names[i] == "label 0"][: 6 * small]
    new = rows[at] + rng.normal(0, 0.6, rows.shape[1]) + rng.normal(0, 0.3, (len(at), rows.shape[1]))
    wrong = rows[[names.index("label 1"), names.index("label 1") + 2]]
    given = [*names, *["new"] * (len(at) + 2)]
    small_days = [f"small day {n % 2}" for n in range(len(at) + 2)]
    found = mistakes.find(np.vstack([rows, new, wrong]).astype(np.float32), given, [*days, *small_days])
    doubted = {one.index: one.other for one in found if given[one.index] == "new"}
    assert [doubted.pop(index, None) for index in (len(given) - 2, len(given) - 1)] == ["label 1", "label 1"]
    assert len(doubted) <= 1


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
