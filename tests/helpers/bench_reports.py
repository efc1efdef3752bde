"""Bench reports in their JSON form, made up."""

from __future__ import annotations

from typing import Any

from edgefashion.bench.report import Report

STEADY = [70.0, 71.0, 69.5, 70.4, 70.9]
"""Five rounds, p50 in microseconds."""


def made(
    latency_us: list[float], fps: list[float] | None = None, engine: str = "openvino", **changes: Any
) -> dict[str, Any]:
    """A row with these rounds."""
    fps = fps or [5000.0] * len(latency_us)
    p50 = sorted(latency_us)[len(latency_us) // 2]
    return {
        "name": f"{engine} row",
        "engine": engine,
        "precision": "fp32",
        "runtime_precision": "f32",
        "threads": 1,
        "batch": 64,
        "latency_us": {"p50": p50, "p90": p50 * 2, "p99": p50 * 3},
        "latency_p50_rounds_us": latency_us,
        "throughput_fps": sorted(fps)[len(fps) // 2],
        "throughput_rounds_fps": fps,
        "throughput_async_fps": None,
        "accuracy": 0.9457,
        "accuracy_ci95": [0.9411, 0.95],
        "size_bytes": 756_000,
        "cold_start_s": 0.5,
        "peak_rss_mb": 120.0,
    } | changes


def report(*rows: dict[str, Any], **changes: Any) -> Report:
    """A report of the shipped model with these rows."""
    here = {"cpu": "AMD EPYC", "cores": 2, "isa": ["avx2"], "versions": {"openvino": "2026.4.1"}}
    return {"model": "edge", "machine": here | changes, "settings": {}, "rows": list(rows)}
