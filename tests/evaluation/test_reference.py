"""The stored answers of an original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.damaged import DAMAGED

from edgefashion.errors import BadInputError
from edgefashion.evaluation import reference


def test_reference_round_trip(tmp_path: Path) -> None:
    """The stored answers are the first 1,000, to the bit."""
    answers = np.random.default_rng(0).random((1500, 10), np.float32)
    reference.save_reference(tmp_path / "reference.npz", answers)
    loaded = reference.load_reference(tmp_path / "reference.npz")
    assert loaded.dtype == np.float32
    assert np.array_equal(loaded, answers[:1000])


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_reference_that_is_none(tmp_path: Path, content: bytes) -> None:
    """A damaged file of answers, or another one, is refused in a sentence that says what to do."""
    (tmp_path / "reference.npz").write_bytes(content)
    with pytest.raises(BadInputError, match="Restore the bundle"):
        reference.load_reference(tmp_path / "reference.npz")
