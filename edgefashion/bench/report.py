"""A bench report in its JSON form: read back from a file, every figure checked, its rows named."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import BATCH

Report = dict[str, Any]
"""What :meth:`edgefashion.bench.report.BenchReport.as_json` gives."""

Key = tuple[str, int, str]
"""What two reports' rows are matched by: name, threads, instruction-set cap ("" for none)."""


def read(path: Path) -> Report:
    """The report that ``bench --json`` printed into ``path``.

    Raises :class:`BadInputError` for a file that is none, saying which field is wrong.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}. Make it with: edgefashion bench --json > {path}") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is no JSON. Make it with: edgefashion bench --json > {path}") from error
    try:
        check(found)
    except (BadInputError, RecursionError) as error:
        raise BadInputError(f"{path} is no bench report: {error}. Make one: edgefashion bench --json > FILE") from error
    checked: Report = found
    return checked


def key(row: dict[str, Any]) -> Key:
    """What a row is known by in any report."""
    return row["name"], row["threads"], row.get("isa") or ""


def titles(rows: list[dict[str, Any]]) -> list[str]:
    """A name for each row that no other has: threads and instruction sets where the names alone are not."""
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


# --- The check -------------------------------------------------------------------------------


def _number(low: float, high: float = math.inf) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return plain and math.isfinite(value) and low <= value <= high

    return fits


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _list_of(fits: Callable[[Any], bool], *lengths: int) -> Callable[[Any], bool]:
    def fit(value: Any) -> bool:
        return isinstance(value, list | tuple) and all(map(fits, value)) and (not lengths or len(value) in lengths)

    return fit


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _operation(value: Any) -> bool:
    words = isinstance(value, dict) and all(_text(value.get(name)) for name in ("name", "type", "primitive"))
    return words and _number(0)(value.get("latency_us")) and _list_of(_whole)(value.get("shape", []))


def _by_batch(value: Any) -> bool:
    return isinstance(value, dict) and all(str(k).isdecimal() and _POSITIVE(v) for k, v in value.items())


_POSITIVE: Final = _number(1e-9, 1e15)
_SHARE: Final = _number(0, 1)

_TOP: Final[dict[str, Callable[[Any], bool]]] = {
    "model": _text,
    "machine": lambda value: (
        isinstance(value, dict)
        and _text(value.get("cpu"))
        and isinstance(value.get("versions", {}), dict)
        and _SHARE(value.get("others_cpu_share", 0.0))
    ),
    "settings": lambda value: isinstance(value, dict),
    "rows": lambda value: isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value),
}
_ROW: Final[dict[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("name", "engine", "precision", "runtime_precision"), _text),
    **dict.fromkeys(("threads", "batch", "size_bytes"), _whole),
    "latency_us": lambda value: isinstance(value, dict) and all(_POSITIVE(value.get(q)) for q in ("p50", "p90", "p99")),
    "latency_p50_rounds_us": lambda value: _list_of(_POSITIVE)(value) and len(value) > 0,
    "throughput_fps": _POSITIVE,
    "throughput_async_fps": _or_none(_POSITIVE),
    "accuracy": _SHARE,
    "accuracy_ci95": _list_of(_SHARE, 2),
    "cold_start_s": _POSITIVE,
    "peak_rss_mb": _POSITIVE,
}
_OPTIONAL: Final[dict[str, Callable[[Any], bool]]] = {
    "isa": _or_none(_text),
    "marked": _or_none(_text),
    "latency_percentiles_us": _list_of(_POSITIVE, 0, 101),
    "throughput_rounds_fps": _list_of(_POSITIVE),
    "operations": _or_none(_list_of(_operation)),
    "throughput_by_batch_fps": _or_none(_by_batch),
}


def check(report: Any) -> None:
    """Raise :class:`BadInputError` unless ``report`` has a bench report's fields with values that can be true.

    What a later version added may be missing.
    """
    if not isinstance(report, dict):
        raise BadInputError("it is not one JSON object")
    _fits(report, _TOP, "")
    _fits(report, {"notes": _list_of(_text), "command": _text}, "", optional=True)
    for number, row in enumerate(report["rows"], 1):
        _fits(row, _ROW, f"row {number}: ")
        _fits(row, _OPTIONAL, f"row {number}: ", optional=True)


def _fits(
    facts: dict[str, Any], rules: dict[str, Callable[[Any], bool]], where: str, *, optional: bool = False
) -> None:
    for name, fits in rules.items():
        if name not in facts:
            if not optional:
                raise BadInputError(f"{where}{name} is missing")
        elif not fits(facts[name]):
            raise BadInputError(f"{where}{name} cannot be {json.dumps(facts[name], default=str)[:60]}")


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
    """Of each measurement in each round."""
    min_calls: int = 20
    batches: tuple[int, ...] = (16, BATCH, 256)
    """Batch sizes tried for the peers' throughput, of which the best is measured: they have a file for each. So is a
    file from elsewhere in its own runtime, unless its batch is fixed. The other engines are called with
    :data:`edgefashion.inference.classifier.BATCH` images at a time, which is how they are cut."""
    cold_starts: int = 3
    """Fresh processes started to time their first answer, after one that warms the disk and counts if there
    are none."""

    @classmethod
    def quick(cls) -> BenchOptions:
        """A third of the time, for a first look."""
        return cls(rounds=3, seconds=0.25, min_calls=10, cold_starts=1)


@dataclass(frozen=True)
class Row:
    """One measured row. ``threads`` are those of the batch-1 latency; ``batch`` is the
    throughput's."""

    name: str
    engine: str
    precision: str
    runtime_precision: str
    threads: int
    """0: the engine's own choice; TensorFlow and Keras are not told any."""
    isa: str | None
    """The instruction set the row was capped at; None for all the CPU has."""
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
    """Of a first short try of each batch size."""
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
    """Of one image, in the order they run: name, type, primitive, shape, latency_us; None for other engines."""
