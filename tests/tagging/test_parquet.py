"""The Parquet file is one that other readers understand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.tagging import EDGE, finished, tagged

from edgefashion.tagging import parquet as ours
from edgefashion.tagging.table import read_rows


def test_parquet_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reader finds typed columns, several row groups, and what the rows are made with."""
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(ours, "GROUP_ROWS", 100)
    rows = tagged(150)
    file = parquet.ParquetFile(finished(tmp_path / "t.parquet", rows))
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types["path"] == types["label"] == types["phash"] == types["error"] == "string"
    assert types["confidence"] == "float"
    assert types["accepted"] == "bool"
    assert types["width"] == "int32"
    assert types["box"].count("int32") == 4
    for kind in ("label: string", "confidence: float", "accepted: bool", "width: int32"):
        assert kind in types["garments"]
    assert not file.schema_arrow.field("path").nullable
    assert json.loads(file.schema_arrow.metadata[b"edgefashion.made_with"]) == EDGE
    assert file.metadata.num_row_groups == 2
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert list(read_rows(tmp_path / "t.parquet")) == rows
