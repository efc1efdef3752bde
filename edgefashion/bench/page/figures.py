"""The bench page's figures: latency distribution, accuracy against latency, throughput."""

from __future__ import annotations

from typing import Any, Final

from edgefashion.bench.page.charts import Axis, Point, axis_labels, bar, marks, scatter, tick, time_us
from edgefashion.bench.page.rows import PageRow, by_latency, share

_CAPTION_LATENCY: Final = (
    "Every single-image call of all rounds, on a log scale: the dark line is the median, half of the calls lie in "
    "the dark band, 98 of 100 in the light one; the hairline goes from the quickest call to the slowest."
)
_CAPTION_LATENCY_OLD: Final = (
    "Single-image calls, on a log scale: the dark line is the median, the band ends at the 99th percentile."
)


def _strip(row: PageRow, drawn: str, value: str, more: str) -> str:
    return (
        f'<li class="{row.classes}"><span class=title>{row.heading}</span>{drawn}'
        f"<span class=value><b>{value}</b>{f'<small>{more}</small>' if more else ''}</span></li>"
    )


def _figure(ident: str, title: str, caption: str, body: str) -> str:
    return (
        f"<section><h2 id={ident}>{title}</h2><figure aria-labelledby={ident}><figcaption>{caption}</figcaption>"
        f"{body}</figure></section>"
    )


def latency(rows: list[PageRow]) -> str:
    """Each row's spread of single-image calls, the fastest first."""
    complete = all(row.facts.get("latency_percentiles_us") for row in rows)
    values = [v for row in rows for v in _spread(row.facts)]
    axis = Axis.around(values, "µs", log=True)
    lines = []
    for row in sorted(rows, key=by_latency):
        least, one, quarter, middle, three_quarters, most, last = _spread(row.facts)
        drawn = (
            bar(axis, least, last, "hair", 1.5)
            + bar(axis, one, most, "soft", 16)
            + bar(axis, quarter, three_quarters, "mid", 16)
            + tick(axis, middle, "middle", 22)
        )
        lines.append(_strip(row, marks(axis, drawn), time_us(middle), f"p99 {time_us(row.facts['latency_us']['p99'])}"))
    caption = _CAPTION_LATENCY if complete else _CAPTION_LATENCY_OLD
    return _figure("latency", "Latency of one image", caption, _strips(lines, axis))


def _spread(facts: dict[str, Any]) -> tuple[float, ...]:
    """Percentiles 0, 1, 25, 50, 75, 99 and 100. An older report has only p50 and p99, which stand in for the others."""
    every = facts.get("latency_percentiles_us")
    if every:
        return tuple(every[p] for p in (0, 1, 25, 50, 75, 99, 100))
    p50, p99 = facts["latency_us"]["p50"], facts["latency_us"]["p99"]
    return (p50, p50, p50, p50, p50, p99, p99)


def _strips(lines: list[str], axis: Axis) -> str:
    return (
        f"<ol class=strips>{''.join(lines)}<li class=axis-row aria-hidden=true><span></span>{axis_labels(axis)}"
        "<span></span></li></ol>"
    )


def accuracy(rows: list[PageRow]) -> str:
    """Every row's accuracy with its interval against its median latency."""
    points = [
        Point(row.number, row.title, row.p50_us, row.facts["accuracy"], tuple(row.facts["accuracy_ci95"]), row.classes)
        for row in rows
    ]
    told = "; ".join(f"{p.title}: {time_us(p.latency_us)}, {share(p.accuracy)}" for p in points)
    caption = "The nearer to the upper left corner the better. Numbers are the table's."
    drawn = scatter(points, "Accuracy against latency", told)
    return _figure("accuracy", "Accuracy against latency", caption, drawn)


def throughput(rows: list[PageRow]) -> str:
    """Each row's images a second, synchronously and through the queue, the most first."""
    axis = Axis.around([v for r in rows for v in (r.fps, *r.facts.get("throughput_rounds_fps", ()))], "", log=False)
    lines = []
    for row in sorted(rows, key=lambda row: -row.fps):
        r = row.facts
        queue = r["throughput_async_fps"]
        drawn = bar(axis, 0, queue, "soft", 18) if queue else ""
        drawn += bar(axis, 0, r["throughput_fps"], "full", 10)
        if rounds := r.get("throughput_rounds_fps"):
            drawn += bar(axis, min(rounds), max(rounds), "spread", 2)
        both = sorted([(r["throughput_fps"], "sync"), *([(queue, "async")] if queue else [])], reverse=True)
        more = ", ".join([both[0][1], *(f"{fps:,.0f} {way}" for fps, way in both[1:])])
        lines.append(_strip(row, marks(axis, drawn), f"{both[0][0]:,.0f}", more))
    caption = (
        "Solid: batches one after the other (sync), the median of the rounds, with a thin line from the slowest round "
        "to the quickest. Pale: OpenVINO's asynchronous queue (async)."
    )
    return _figure("throughput", "Images a second", caption, _strips(lines, axis))
