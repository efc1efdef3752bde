"""A bench report as a PNG chart: batch-1 latency and best throughput of each row."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from edgefashion.bench.report import BenchReport, titles
from edgefashion.system import files
from edgefashion.system.extras import need


def plot(report: BenchReport, path: Path) -> None:
    """Write the chart. Raises :class:`MissingError` without matplotlib."""
    need("matplotlib", "to draw the chart")
    from matplotlib.figure import Figure

    rows = report.rows[::-1]
    names = titles([asdict(r) for r in rows])
    colours = ["#0068b5" if r.engine == "openvino" else "#9aa5b1" for r in rows]
    figure = Figure(figsize=(11, 1.6 + 0.5 * len(rows)), layout="constrained")
    figure.suptitle(f"{report.model} on {report.machine['cpu']}, {report.machine['cores']} cores")
    latency, throughput = figure.subplots(1, 2, sharey=True)
    p50 = [r.latency_us["p50"] for r in rows]
    best = [max(r.throughput_fps, r.throughput_async_fps or 0) for r in rows]
    for axes, values, label, form in (
        (latency, p50, "latency of one image, p50, microseconds (log scale, less is better)", "{:,.0f}"),
        (throughput, best, "images a second (more is better)", "{:,.0f}"),
    ):
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, [form.format(v) for v in values], padding=4)
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.18)
    latency.set_xscale("log")
    latency.set_xlim(min(p50) / 2, max(p50) * 4)
    with files.written_aside(path) as aside:
        figure.savefig(aside, dpi=110)
