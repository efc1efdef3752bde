"""A bench report: how it is measured, its rows, and how each row is named."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from edgefashion.inference.classifier import BATCH

Report = dict[str, Any]
"""What :meth:`edgefashion.bench.report.BenchReport.as_json` gives."""

Key = tuple[str, int, str]
"""By what a row is found again in another report: name, threads, instruction-set cap ("" for none)."""


@dataclass(frozen=True)
class BenchReport:
    """What ``bench --json`` prints."""

    model: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    command: str = ""
    """What to run to repeat it."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class BenchOptions:
    """How long and how often each row is measured."""

    rounds: int = 5
    seconds: float = 0.5
    """Seconds of each measurement in each round."""
    min_calls: int = 20
    batches: tuple[int, ...] = (16, BATCH, 256)
    """Batch sizes that are tried for the throughput of the peers, which have a file for each, and of a file from
    elsewhere in its own runtime, unless its batch is fixed. The best of them is measured. The other engines cut what
    they are given into batches of :data:`edgefashion.inference.classifier.BATCH` images."""
    cold_starts: int = 3
    """How many processes are started, after the first one, to time their first answer. The first one warms the disk.
    It counts only where this is 0."""

    @classmethod
    def quick(cls) -> BenchOptions:
        """A third of the time, for a first look."""
        return cls(rounds=3, seconds=0.25, min_calls=10, cold_starts=1)


@dataclass(frozen=True)
class Row:
    """One measured row. ``threads`` are those of the latency of one image, ``batch`` is that of the throughput."""

    name: str
    engine: str
    precision: str
    runtime_precision: str
    threads: int
    """0: the engine chooses, as TensorFlow and Keras do."""
    isa: str | None
    """The instruction set that OpenVINO was capped at; None: it used all that the CPU has."""
    batch: int
    latency_us: dict[str, float]
    """p50, p90, p99 over all rounds, at batch 1."""
    latency_p50_rounds_us: list[float]
    latency_percentiles_us: list[float]
    """The 0th to the 100th percentile of every call."""
    throughput_fps: float
    """Images a second in synchronous batches; the median over the rounds."""
    throughput_rounds_fps: list[float]
    throughput_by_batch_fps: dict[str, float]
    """Images a second for each batch size, from a first short try."""
    throughput_async_fps: float | None
    """Through OpenVINO's asynchronous queue, or by several requests at once to a server; None for other engines."""
    throughput_async_rounds_fps: list[float]
    accuracy: float
    accuracy_ci95: tuple[float, float]
    marked: str | None
    """What is wrong with the row: an accuracy that is not the original's."""
    size_bytes: int
    cold_start_s: float
    peak_rss_mb: float
    settings: dict[str, Any]
    """The engine's settings in force for one image."""
    operations: list[dict[str, Any]] | None
    """Of one image, in the order they run: name, type, primitive, shape, latency_us; None for other engines and
    devices than the CPU."""
    device: str = "CPU"
    """What OpenVINO was told to run on. What AUTO chose stands in the settings as ``ran_on``."""


def key(row: dict[str, Any]) -> Key:
    """By what a row is found again in another report."""
    return row["name"], row["threads"], row.get("isa") or ""


def titles(rows: list[dict[str, Any]]) -> list[str]:
    """A name for each row that no other row has. It tells threads and instruction set where the names are the same."""
    times = Counter(row["name"] for row in rows)
    found = []
    for row in rows:
        same = [other for other in rows if other["name"] == row["name"]]
        parts = []
        if len({other["threads"] for other in same}) > 1:
            parts.append(threads(row["threads"]))
        if row.get("isa"):
            parts.append(row["isa"])
        several = times[row["name"]] > 1 or row.get("isa")
        found.append(f"{row['name']}, {', '.join(parts)}" if several and parts else row["name"])
    return found


def threads(count: int) -> str:
    """A row's threads in words."""
    return "all threads" if count == 0 else "1 thread" if count == 1 else f"{count} threads"
