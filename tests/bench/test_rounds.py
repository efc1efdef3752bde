"""The candidates' processes take turns, and one that fails loses its own row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgefashion.bench import candidates, rounds
from edgefashion.bench.pictures import Pictures
from edgefashion.bench.report import BenchOptions


def test_every_call_and_round_is_told(short_report: dict[str, Any]) -> None:
    """Each row has the percentiles of its calls and the figures of its rounds."""
    assert short_report["command"] == "edgefashion bench edge --vs none --threads 1 --rounds 3 --seconds 0.02"
    for row in short_report["rows"]:
        percentiles = row["latency_percentiles_us"]
        assert len(percentiles) == 101
        assert percentiles == sorted(percentiles)
        assert [percentiles[p] for p in (50, 90, 99)] == [row["latency_us"][q] for q in ("p50", "p90", "p99")]
        assert len(row["throughput_rounds_fps"]) == len(row["latency_p50_rounds_us"]) == 3


def test_a_file_no_runtime_can_load_loses_its_own_row(tmp_path: Path) -> None:
    """A broken file for a peer ends that peer's process and no other."""
    for batch in (1, 64):
        (tmp_path / f"fp32-{batch}.tflite").write_bytes(b"TFL3" + bytes(100))
    ours = candidates.of_model("edge", vs=(), threads=1)[0][0]
    broken = replace(ours, name="LiteRT FP32", engine="litert", model=str(tmp_path))
    notes: list[str] = []
    options = BenchOptions(rounds=1, seconds=0.02, min_calls=3, batches=(64,), cold_starts=0)
    running = rounds.Rounds(options, lambda doing: None, notes, Pictures(images=500))
    try:
        running.start([broken, ours])
        running.run()
    finally:
        running.close()
    assert [row.name for row in running.rows()] == [ours.name]
    assert len(notes) == 1
    assert notes[0].startswith("No LiteRT FP32 at 1 thread row: fp32-1.tflite cannot be run by LiteRT")
