"""A measured row as the bench page shows it: its number, its name, its figures in words."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from edgefashion.bench.report import titles


@dataclass(frozen=True)
class PageRow:
    """A row, its number on the page and its name there."""

    number: int
    title: str
    facts: dict[str, Any]
    fastest: bool

    @property
    def p50_us(self) -> float:
        return float(self.facts["latency_us"]["p50"])

    @property
    def fps(self) -> float:
        """The better of the two ways of answering many images."""
        return float(max(self.facts["throughput_fps"], self.facts["throughput_async_fps"] or 0.0))

    @property
    def classes(self) -> str:
        """CSS classes: whether the row is OpenVINO's, and whether it is the fastest."""
        return ("ours" if self.facts["engine"] == "openvino" else "other") + (" best" if self.fastest else "")

    @property
    def heading(self) -> str:
        """Number and name, as HTML."""
        pill = "<span class=pill>fastest</span>" if self.fastest else ""
        return f"<span class=n>{self.number}</span>{escape(self.title)}{pill}"


def page_rows(found: list[dict[str, Any]]) -> list[PageRow]:
    """A report's rows, numbered from 1, each with a name of its own. The one with the least median is marked."""
    least = min(range(len(found)), key=lambda i: found[i]["latency_us"]["p50"])
    return [PageRow(i + 1, title, found[i], i == least) for i, title in enumerate(titles(found))]


def by_latency(row: PageRow) -> float:
    """The key to sort rows by, the fastest one first."""
    return row.p50_us


def share(value: float) -> str:
    """0.9457 as 94.57 %."""
    return f"{value:.2%}".replace("%", " %")


def times(ratio: float) -> str:
    """How many times: 1.53, 5.6, 18."""
    return f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
