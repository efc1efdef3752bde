"""Where one image's time goes, operation by operation."""

from __future__ import annotations

from typing import Any


def test_each_operation_has_its_time(short_report: dict[str, Any]) -> None:
    """Each OpenVINO row has its operations with their times, none of them a constant."""
    for row in short_report["rows"]:
        kinds = [operation["type"] for operation in row["operations"]]
        assert 3 <= kinds.count("Convolution") <= 6, "edge has six, of which a few may take less than a microsecond"
        assert "Const" not in kinds
        assert all(operation["latency_us"] > 0 for operation in row["operations"])
        assert row["operations"][kinds.index("Convolution")]["shape"] == [1, 96, 14, 14], "the first one's output"
