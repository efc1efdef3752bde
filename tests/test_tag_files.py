"""The tables that tagging writes lose nothing and double nothing, whatever happens to the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefashion.tag_files import Ledger, read_rows
from edgefashion.tag_rows import Row

SUFFIXES = (".parquet", ".csv", ".jsonl")
EDGE = {"model": "edge", "sha256": "00ff"}
ROWS = (
    Row("a\n,\"'\r.jpg", "Coat", 0.5, (("Coat", 0.5), ("Bag", 0.25)), True, (1, 2, 3, 4), 10, 20, "00ff00ff00ff00ff"),
    Row("b\udcff\\udcff\\u005c é😀 C:\\users", error="broken\nline, \udc80"),
    Row("", "T-shirt/top", 0.125, (("T-shirt/top", 0.125),), False, None, 1, 1, "0000000000000012"),
)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_resumed(suffix: str, tmp_path: Path) -> None:
    """A run that ended early goes on where it was, and one that had finished takes further pictures."""
    out = tmp_path / f"tags{suffix}"
    with Ledger(out, EDGE) as ledger:
        ledger.add(ROWS[:1])
    with Ledger(out, EDGE) as ledger:
        assert ledger.done == 1
        assert [ledger.has(row.path) for row in ROWS] == [True, False, False]
        ledger.add(ROWS[:2])
        ledger.finish()
    assert tuple(read_rows(out)) == ROWS[:2]
    with Ledger(out, EDGE) as ledger:
        assert ledger.done == 2
        ledger.add(ROWS)
        ledger.finish()
    assert tuple(read_rows(out)) == ROWS
    assert list(tmp_path.iterdir()) == [out]
