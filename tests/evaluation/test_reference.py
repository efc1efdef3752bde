"""The stored answers of an original."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefashion.evaluation import reference


def test_reference_round_trip(tmp_path: Path) -> None:
    """The stored answers are the first 1,000, to the bit."""
    answers = np.random.default_rng(0).random((1500, 10), np.float32)
    reference.save_reference(tmp_path / "reference.npz", answers)
    loaded = reference.load_reference(tmp_path / "reference.npz")
    assert loaded.dtype == np.float32
    assert np.array_equal(loaded, answers[:1000])
