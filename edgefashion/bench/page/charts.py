"""The charts of the bench page as inline SVG: marks on a shared axis, and the scatter of accuracy and latency.

Marks are placed in percent of the width, so they fit any screen while their words stay HTML and keep their
size. The scatter's words are inside it: it is drawn twice, for a wide and for a narrow screen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import Final

TICKS: Final = 7
"""The most labels of an axis: there is no room for more on a phone."""
NAMED_POINTS: Final = 10
"""Where there are more points, the scatter names only the best one and numbers the others."""
HEIGHT_PX: Final = 30
"""Of one row's marks."""


@dataclass(frozen=True)
class Axis:
    """Values to percent of the width. ``unit`` is what a tick's label ends in."""

    low: float
    high: float
    unit: str
    log: bool = False

    @classmethod
    def around(cls, values: list[float], unit: str, *, log: bool) -> Axis:
        """An axis with room for all ``values``: from 0, or in decades (``log``) with a little air."""
        if log:
            return cls(min(values) / 1.15, max(values) * 1.15, unit, log=True)
        return cls(0.0, max(values) * 1.02, unit)

    def at(self, value: float) -> float:
        """Percent of the width, 0 to 100."""
        if self.log:
            return 100 * math.log(value / self.low) / math.log(self.high / self.low)
        return 100 * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round values, at most ``TICKS``."""
        if not self.log:
            step = _round_step((self.high - self.low) / (TICKS - 2))
            first = math.ceil(self.low / step - 1e-9)
            return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        found: list[float] = []
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [d * 10.0**k for k in decades for d in digits if self.low <= d * 10.0**k <= self.high]
            if len(found) <= TICKS:
                break
        return found


def _round_step(least: float) -> float:
    decade = 10.0 ** math.floor(math.log10(least))
    return next(d * decade for d in (1, 2, 5, 10) if d * decade >= least * 0.999)


def time_us(value_us: float) -> str:
    """Microseconds as people read them: 74 us, 1.36 ms, 62.7 ms."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if value_us >= size * 0.9995:
            return f"{figures(value_us / size)} {unit}"
    return f"{figures(value_us)} µs"


def figures(value: float) -> str:
    """Three significant figures, thousands parted: 0.0742, 7.42, 74.2, 742, 7,420."""
    if value >= 999.5:
        return f"{value:,.0f}"
    rounded = float(f"{value:.3g}")
    digits = 2 - math.floor(math.log10(rounded)) if rounded > 0 else 0
    return f"{rounded:.{max(0, digits)}f}"


def _tick(value: float, unit: str) -> str:
    if unit == "µs":
        return time_us(value).replace(".00", "").replace(".0", "")
    return f"{value:,.0f}{unit}"


# --- Marks on a shared axis ------------------------------------------------------------------


def marks(axis: Axis, drawn: str) -> str:
    """One row's marks (:func:`bar`, :func:`tick`) on the axis's grid."""
    grid = "".join(f'<line class="grid" x1="{p}" x2="{p}" y1="0" y2="100%"/>' for p in _percents(axis))
    return f'<svg class="marks" width="100%" height="{HEIGHT_PX}" aria-hidden="true">{grid}{drawn}</svg>'


def axis_labels(axis: Axis) -> str:
    """The numbers of the axis, which stand below its rows."""
    words = []
    for value, place in zip(axis.ticks, _percents(axis), strict=True):
        percent = axis.at(value)
        anchor = "start" if percent < 5 else "end" if percent > 95 else "middle"
        words.append(f'<text x="{place}" y="15" text-anchor="{anchor}">{_tick(value, axis.unit)}</text>')
    return f'<svg class="axis" width="100%" height="22" aria-hidden="true">{"".join(words)}</svg>'


def _percents(axis: Axis) -> list[str]:
    return [f"{axis.at(value):.2f}%" for value in axis.ticks]


def bar(axis: Axis, low: float, high: float, style: str, height_px: float) -> str:
    """A bar of the CSS class ``style`` from ``low`` to ``high``, wide enough to be seen in any case."""
    x, width = axis.at(low), max(axis.at(high) - axis.at(low), 0.15)
    y = (HEIGHT_PX - height_px) / 2
    return f'<rect class="{style}" x="{x:.2f}%" width="{width:.2f}%" y="{y:g}" height="{height_px:g}" rx="1.5"/>'


def tick(axis: Axis, value: float, style: str, height_px: float = 20) -> str:
    """An upright line at ``value``."""
    x, y = f"{axis.at(value):.2f}%", (HEIGHT_PX - height_px) / 2
    return f'<line class="{style}" x1="{x}" x2="{x}" y1="{y:g}" y2="{y + height_px:g}"/>'


# --- The scatter -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """One row in the scatter of accuracy against latency."""

    number: int
    title: str
    latency_us: float
    accuracy: float
    ci95: tuple[float, float]
    style: str
    """CSS classes: ``ours``, ``other``, ``best``."""


Box = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


def scatter(points: list[Point], title: str, description: str) -> str:
    """Accuracy against latency, each point with its 95 % interval, for wide and for narrow screens."""
    return _scatter(points, title, description, "wide", 1040, 440) + _scatter(
        points, title, description, "narrow", 356, 400
    )


def _scatter(points: list[Point], title: str, description: str, style: str, width: int, height: int) -> str:
    left, right, top, bottom = 56, width - 10, 30, height - 46
    x_axis = Axis.around([p.latency_us for p in points], "µs", log=True)
    x_axis = Axis(x_axis.low / 1.25, x_axis.high * 1.25, "µs", log=True)
    ends = [end for p in points for end in p.ci95]
    air = max((max(ends) - min(ends)) * 0.08, 0.001)
    y_axis = Axis(max(0.0, min(ends) - air) * 100, min(1.0, max(ends) + air) * 100, " %")

    def x(value: float) -> float:
        return left + (right - left) * x_axis.at(value) / 100

    def y(share: float) -> float:
        return bottom - (bottom - top) * y_axis.at(share * 100) / 100

    parts = [
        f'<svg class="scatter {style}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>",
    ]
    digits = 0 if y_axis.high - y_axis.low > 5 else 1
    for value in y_axis.ticks:
        at = y(value / 100)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{value:.{digits}f} %</text>')
    for value in _fewer(x_axis.ticks, (right - left) / 64):
        at = x(value)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{_tick(value, "µs")}</text>')
    parts.append(f'<text class="quiet" x="{left}" y="16">right answers, with the 95 % interval</text>')
    parts.append(
        f'<text class="quiet" x="{right}" y="{height - 6}" text-anchor="end">one image, p50 (log scale)</text>'
    )
    for p in points:
        at = x(p.latency_us)
        parts.append(
            f'<line class="whisker {p.style}" x1="{at:.1f}" x2="{at:.1f}" '
            f'y1="{y(p.ci95[0]):.1f}" y2="{y(p.ci95[1]):.1f}"/>'
        )
    taken: list[Box] = [_around(x(p.latency_us), y(p.accuracy), 7, 7) for p in points]
    whiskers = [_around(x(p.latency_us), y(sum(p.ci95) / 2), 2, (y(p.ci95[0]) - y(p.ci95[1])) / 2) for p in points]
    # The best one first: its name must not be left out for want of room.
    for p in sorted(points, key=lambda p: ("best" not in p.style, p.latency_us)):
        named = len(points) <= NAMED_POINTS or "best" in p.style
        parts += _label(p, named, x(p.latency_us), y(p.accuracy), taken, whiskers, (left, top, right, bottom))
    parts += [
        f'<circle class="dot {p.style}" cx="{x(p.latency_us):.1f}" cy="{y(p.accuracy):.1f}" r="5"/>' for p in points
    ]
    return "".join(parts) + "</svg>"


def _fewer(ticks: list[float], most: float) -> list[float]:
    """Every second of them, again and again, until there are no more than ``most``."""
    while len(ticks) > most:
        ticks = ticks[::2]
    return ticks


def _around(x: float, y: float, half_width: float, half_height: float) -> Box:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _label(
    point: Point, named: bool, x: float, y: float, taken: list[Box], whiskers: list[Box], frame: Box
) -> list[str]:
    """The point's number and name where nothing else is, or at most a whisker, or its number alone.

    ``taken`` grows by the label.
    """
    short = f"{point.number}"
    full = f"{short} {point.title}" if named else short
    for words, avoided, places in ((full, whiskers, 2), (full, [], 30), (short, [], 30)):
        width = 7.6 * len(words) + 6  # a little more than a sans serif of 13 px takes
        for cx, cy in islice(_places(x, y, width), places):
            box = _around(cx, cy, width / 2, 8)
            inside = box[0] >= frame[0] and box[2] <= frame[2] and box[1] >= frame[1] and box[3] <= frame[3]
            if inside and not any(_overlap(box, other) for other in (*taken, *avoided)):
                taken.append(box)
                anchor, at = ("start", box[0]) if cx > x else ("end", box[2])
                text = (
                    f'<text class="name {point.style}" x="{at:.1f}" y="{cy + 4.5:.1f}" '
                    f'text-anchor="{anchor}">{escape(words)}</text>'
                )
                return [text] if abs(cy - y) < 16 else [_leader(x, y, box), text]
    return []


def _places(x: float, y: float, width: float) -> Iterator[tuple[float, float]]:
    """Where a label may stand: beside its point, then farther and farther above and below."""
    for dy in (0, -18, 18, -36, 36, -54, 54, -72, 72, -90, 90, -108, 108, -126, 126):
        for dx in (width / 2 + 9, -width / 2 - 9):
            yield x + dx, y + dy


def _leader(x: float, y: float, box: Box) -> str:
    to_x = box[0] if box[0] > x else box[2]
    return f'<line class="leader" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{(box[1] + box[3]) / 2:.1f}"/>'


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
