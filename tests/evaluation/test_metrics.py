"""Confidence is measured against accuracy, and mended."""

from __future__ import annotations

import numpy as np
import pytest

from edgefashion.evaluation.metrics import expected_calibration_error
from edgefashion.training.train import fit_temperature


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
