"""Statistics of answers agree with their sources: calibration error, intervals, ROC area."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from edgefashion.evaluation import metrics
from edgefashion.evaluation.metrics import expected_calibration_error, reliability, risk_coverage
from edgefashion.training.temperature import fit_temperature


def _drawn(temperature: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities too sharp by ``temperature``, and labels drawn from the honest ones."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (n, 10))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (honest.cumsum(1) > rng.random((n, 1))).argmax(1)
    sharp = np.exp(temperature * logits)
    return (sharp / sharp.sum(1, keepdims=True)).astype(np.float32), labels


def test_an_honest_network_has_no_calibration_error() -> None:
    """Labels drawn from the probabilities themselves leave an error of sampling noise only."""
    probabilities, labels = _drawn(1)
    assert expected_calibration_error(probabilities, labels) < 0.015
    assert fit_temperature(probabilities, labels) == pytest.approx(1, abs=0.02)


def test_the_fitted_temperature_undoes_overconfidence() -> None:
    """Of logits twice too large the fitted temperature is 2, and dividing by it removes the error."""
    probabilities, labels = _drawn(2)
    before = expected_calibration_error(probabilities, labels)
    temperature = fit_temperature(probabilities, labels)
    assert temperature == pytest.approx(2, abs=0.05)
    softened = probabilities ** (1 / temperature)
    after = expected_calibration_error(softened / softened.sum(1, keepdims=True), labels)
    assert before > 0.1
    assert after < 0.015


def test_calibration_error_by_hand() -> None:
    """Two answers, 0.9 sure and right and 0.7 sure and wrong, are 0.1 and 0.7 off: 0.4 on average."""
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3]], np.float32)
    assert expected_calibration_error(probabilities, np.array([0, 1])) == pytest.approx(0.4)


def test_reliability_by_hand() -> None:
    """Answers are put into bins of equal width, the last one with its upper end; an empty bin has no means and no part
    in the error."""
    found = reliability(np.array([0.1, 0.3, 0.8, 0.9, 1.0]), np.array([False, True, True, False, True]), 4)
    assert found.counts.tolist() == [1, 1, 0, 3]
    assert found.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert np.allclose(found.confidence, [0.1, 0.3, np.nan, 0.9], equal_nan=True)
    assert np.allclose(found.right, [0, 1, np.nan, 2 / 3], equal_nan=True)
    assert found.ece == pytest.approx((0.1 + 0.7 + 3 * (0.9 - 2 / 3)) / 5)


def test_risk_coverage_by_hand() -> None:
    """The surest answers come first; those of one confidence are given together, however they are ordered."""
    confidence, right = np.array([0.5, 0.9, 0.5, 0.7]), np.array([True, True, False, False])
    for order in ([0, 1, 2, 3], [2, 3, 1, 0]):
        coverage, risk = risk_coverage(confidence[order], right[order])
        assert coverage.tolist() == [0.25, 0.5, 1]
        assert risk.tolist() == [0, 0.5, 0.5]
    assert [len(of) for of in risk_coverage(np.zeros(0), np.zeros(0, bool))] == [0, 0]


@pytest.mark.parametrize(
    ("right", "n", "expected"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        # The mirror image of 0 of 20.
        (20, 20, (0.8389, 1.0000)),
    ],
)
def test_wilson95(right: int, n: int, expected: tuple[float, float]) -> None:
    """Wilson's interval is the published one to its four decimals."""
    assert metrics.wilson95(right, n) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("right", ["none", "all"])
def test_wilson95_stays_a_share(right: str) -> None:
    """With nothing or everything right the interval still lies within 0 and 1, whatever rounding does."""
    for n in range(1, 500):
        low, high = metrics.wilson95(0 if right == "none" else n, n)
        assert 0 <= low < high <= 1


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_is_scikit_learns(ties: bool) -> None:
    """The area under the ROC curve is scikit-learn's, with ties and without."""
    rng = np.random.default_rng(0)
    high, low = rng.normal(1, 1, 300), rng.normal(0, 1, 50)
    if ties:
        high, low = high.round(), low.round()
    truth = np.r_[np.ones(300), np.zeros(50)]
    ours = metrics.auroc(list(high), list(low))
    assert ours == pytest.approx(roc_auc_score(truth, np.r_[high, low]))
    assert metrics.auroc([], list(low)) is None
