"""Stored results, and what the tables made of them share: a Markdown table, shares, spreads."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doc_parts.parts import PageError


@dataclass(frozen=True)
class Results:
    """The results that a checkout holds: of the benchmarks by file name, of the networks by their bundles."""

    root: Path

    def path(self, name: str) -> Path:
        """The one file of this name in a folder `results` below `benchmarks`."""
        found = sorted((self.root / "benchmarks").glob(f"**/results/{name}"))
        if len(found) != 1:
            raise PageError(f"benchmarks hold {len(found)} results named {name}, not one")
        return found[0]

    def json(self, name: str) -> Any:
        """A result as it was written."""
        return json.loads(self.path(name).read_text(encoding="utf-8"))

    def text(self, name: str) -> str:
        """A table that the benchmark itself wrote."""
        return self.path(name).read_text(encoding="utf-8").strip()

    def bundle(self, model: str) -> tuple[Path, dict[str, Any], dict[str, Any]]:
        """A shipped network's folder, its facts (bundle.json) and its report (report.json)."""
        folder = self.root / "models" / model
        info, report = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("bundle", "report"))
        return folder, info, report


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def share(value: float, digits: int = 1) -> str:
    """0.884 as `88.4 %`."""
    return f"{value * 100:.{digits}f} %"


def middle(ratios: Sequence[float], digits: int = 2) -> tuple[str, str]:
    """The median, and the quartiles as `0.39 to 0.76`."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):.{digits}f}", f"{low:.{digits}f} to {high:.{digits}f}"


def spread(of: dict[str, Any], digits: int = 2, median: str = "median") -> tuple[str, str]:
    """As :func:`middle`, of a result that holds `median` and `quartiles` already."""
    low, high = of["quartiles"]
    return f"{of[median]:,.{digits}f}", f"{low:,.{digits}f} to {high:,.{digits}f}"


def size_text(size_wh: Sequence[int]) -> str:
    """(640, 480) as `640x480`."""
    return "x".join(map(str, size_wh))
