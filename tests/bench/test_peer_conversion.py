"""A converter that fails costs its own rows, and says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgefashion.bench import peer_conversion, pictures, run
from edgefashion.bench.report import BenchOptions
from edgefashion.bundles import resolve
from edgefashion.errors import EdgeFashionError


def test_a_peer_that_fails_loses_its_own_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that takes too long, and one that has not got what it needs, leave the other rows."""
    monkeypatch.setattr(peer_conversion, "LIMIT_S", 0.05)
    monkeypatch.setattr(pictures, "FASHION_IMAGES", 500)
    short = BenchOptions(rounds=1, seconds=0.02, min_calls=3, batches=(64,), cold_starts=0)
    report = run.bench("edge", vs=("litert",), threads=1, options=short)
    assert {row.engine for row in report.rows} == {"openvino"}
    assert [note for note in report.notes if "took longer than" in note] == [
        "No LiteRT FP32 row: its conversion took longer than 0.05 s",
        "No LiteRT INT8 row: its conversion took longer than 0.05 s",
    ]


def test_nothing_left_to_measure_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the only engine asked for fails there is an error, not an empty report."""
    made = resolve.resolve("edge").bundle
    assert made is not None
    saved = Path(shutil.copytree(made.verified("saved_model"), tmp_path / "saved_model"))
    monkeypatch.setattr(peer_conversion, "LIMIT_S", 0.05)
    with pytest.raises(EdgeFashionError, match=r"nothing is left to measure. No LiteRT FP32 row: its conversion took"):
        run.bench(saved, vs=("litert",), threads=1)
