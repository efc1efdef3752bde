"""How far a converted network's answers are from the original's, and whether that is chance."""

from __future__ import annotations

import numpy as np
import pytest

from edgefashion.evaluation import agreement, metrics
from edgefashion.labels import LABELS


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 3), (4, 13), (25, 75), (0, 40), (2100, 1900)])
def test_p_is_scipys(first: int, second: int) -> None:
    """The p-value is that of scipy's exact two-sided binomial test, small and large counts alike."""
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert metrics.mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_p_of_a_published_table() -> None:
    """Two classifiers that differ on 5 and 1 of the images: 2 * (1 + 6) / 64, worked out by hand."""
    assert metrics.mcnemar(5, 1) == 14 / 64


def test_every_figure_of_a_small_table() -> None:
    """Differences, agreement, lost and gained answers and each class's drop are those counted by hand."""
    labels = np.array([0, 0, 1, 1, 2])
    before, after = np.zeros((5, 10), np.float32), np.zeros((5, 10), np.float32)
    before[np.arange(5), [0, 0, 1, 3, 2]] = 1.0  # the fourth is wrong
    after[np.arange(5), [0, 4, 1, 1, 5]] = 1.0  # the second and fifth are lost, the fourth gained
    found = agreement.compare(before, after, labels, "hand")
    assert (found.max_abs_difference, found.n, found.reference) == (1.0, 5, "hand")
    assert found.mean_abs_difference == pytest.approx(6 / 50)
    assert found.top1_agreement == pytest.approx(2 / 5)
    assert found.accuracy_before == pytest.approx(0.8)
    assert found.accuracy_after == pytest.approx(0.6)
    assert (found.only_original_right, found.only_converted_right, found.p_value) == (2, 1, 1.0)
    assert found.per_class_drop == {LABELS[0]: 0.5, LABELS[1]: -0.5, LABELS[2]: 1.0}
