"""A bench report in its JSON form, read back from a file and checked field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edgefashion.bench.report import Report
from edgefashion.bundles.places import DEFAULT_MODEL
from edgefashion.errors import BadInputError
from edgefashion.system.addresses import shown
from edgefashion.system.text import quoted


def read(path: Path, model: str | Path = DEFAULT_MODEL) -> Report:
    """The report that ``bench --json`` printed into ``path``. An error's hint says how to make one of ``model``.

    Raises :class:`BadInputError` for a file that is none, saying which field is wrong.
    """
    measure = f"edgefashion bench {quoted(shown(str(model)))} --json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}. Make it with: {measure} > {quoted(path)}") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is no JSON. Make it with: {measure} > {quoted(path)}") from error
    try:
        check(found)
    except (BadInputError, RecursionError) as error:
        raise BadInputError(f"{path} is no bench report: {error}. Make one: {measure} > FILE") from error
    checked: Report = found
    return checked


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
    "device": _text,
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
