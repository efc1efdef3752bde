"""A bench report as one self-contained HTML page: no script, no request, light or dark as the reader's system is."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

from edgefashion import data
from edgefashion.bench_charts import Axis, Point, axis_labels, bar, figures, marks, scatter, tick, time_us
from edgefashion.bench_report import Report, check, threads, titles

ORIGINALS: Final = ("keras-predict", "keras", "tensorflow")
"""The engines that run the network as it was trained: what the others are compared with."""
OPERATIONS_SHOWN: Final = 20
PROFILES_OPEN: Final = 4

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_CAPTION_LATENCY: Final = (
    "Every single-image call of all rounds, on a log scale: the dark line is the median, half of the calls lie in "
    "the dark band, 98 of 100 in the light one; the hairline goes from the quickest call to the slowest."
)
_CAPTION_LATENCY_OLD: Final = (
    "Single-image calls, on a log scale: the dark line is the median, the band ends at the 99th percentile."
)


def write(report: Report, path: Path) -> None:
    """Write :func:`page` to ``path``, aside first."""
    text = page(report)
    with data.written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def page(report: Report) -> str:
    """The whole HTML of a report in its JSON form, as ``BenchReport.as_json()`` gives it or a file held it.

    What an older version did not record is left out. Raises
    :class:`~edgefashion.errors.BadInputError` for what is no bench report.
    """
    check(report)
    rows = _rows(report["rows"])
    machine = report["machine"]
    cores = f", {machine['cores']} cores" if "cores" in machine else ""
    title = f"{report['model']} on {machine['cpu']}{cores}"
    style = Path(__file__).with_name("bench_page.css").read_text(encoding="utf-8")
    header = (
        f"<header><p class=overline>edgefashion bench</p><h1>{escape(report['model'])}</h1>"
        f"<p class=lead>Measured on {escape(machine['cpu'] + cores)}; every engine in a process of its own, "
        "one measuring at a time.</p></header>"
    )
    footer = (
        f"<footer>Written by edgefashion {escape(str(machine.get('versions', {}).get('edgefashion', '')))}. "
        "Times of one run on one machine: compare rows with one another, not with another machine's.</footer>"
    )
    parts = [
        header,
        "<main>",
        _tiles(rows),
        _warnings(rows),
        _table(rows),
        _latency(rows),
        _accuracy(rows),
        _throughput(rows),
        _by_batch(rows),
        _operations(rows),
        _facts(machine, report["settings"]),
        _repeat(report.get("command", ""), report.get("notes", [])),
        "</main>",
        footer,
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(f"Bench: {title}")}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><link rel="icon" href="data:,">'
        f"<style>{style}</style></head>\n<body>\n" + "\n".join(part for part in parts if part) + "\n</body></html>\n"
    )


@dataclass(frozen=True)
class _Row:
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
        """CSS classes that say whose row it is, and whether it is the one to look at."""
        return ("ours" if self.facts["engine"] == "openvino" else "other") + (" best" if self.fastest else "")

    @property
    def heading(self) -> str:
        """Number and name, as HTML."""
        pill = "<span class=pill>fastest</span>" if self.fastest else ""
        return f"<span class=n>{self.number}</span>{escape(self.title)}{pill}"


def _rows(found: list[dict[str, Any]]) -> list[_Row]:
    least = min(range(len(found)), key=lambda i: found[i]["latency_us"]["p50"])
    return [_Row(i + 1, title, found[i], i == least) for i, title in enumerate(titles(found))]


def _by_latency(row: _Row) -> float:
    return row.p50_us


def _share(value: float) -> str:
    return f"{value:.2%}".replace("%", " %")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"


# --- The answer first ------------------------------------------------------------------------


def _tiles(rows: list[_Row]) -> str:
    """Who wins at what, and against which row."""
    originals = [row for row in rows if row.facts["engine"] in ORIGINALS]

    def against(winner: _Row, others: list[_Row], ratio: Any, what: str) -> str:
        others = [row for row in (originals or others) if row is not winner]
        if not others:
            return ""
        nearest = min(others, key=lambda row: ratio(row))
        return f"{_times(ratio(nearest))} times {what} {nearest.title}"

    soonest = next(row for row in rows if row.fastest)
    most = max(rows, key=lambda row: row.fps)
    right = max(rows, key=lambda row: row.facts["accuracy"])
    small = min(rows, key=lambda row: row.facts["size_bytes"])
    quick = min(rows, key=lambda row: row.facts["cold_start_s"])
    low, high = right.facts["accuracy_ci95"]
    inside = sum(low <= row.facts["accuracy"] <= high for row in rows)
    alike = f"; all {len(rows)} rows lie in it" if inside == len(rows) > 1 else ""
    tiles = [
        (
            "One image, median",
            time_us(soonest.p50_us),
            soonest.title,
            against(soonest, rows, lambda row: row.p50_us / soonest.p50_us, "sooner than") + _doubt(soonest, rows),
        ),
        (
            "Images a second",
            f"{most.fps:,.0f}",
            most.title,
            against(most, rows, lambda row: most.fps / row.fps, "as many as"),
        ),
        (
            "Right answers",
            _share(right.facts["accuracy"]),
            right.title,
            f"95 % interval {_share(low)} to {_share(high)}{alike}",
        ),
        (
            "Size",
            _size(small.facts["size_bytes"]),
            small.title,
            against(
                small, rows, lambda row: row.facts["size_bytes"] / max(1, small.facts["size_bytes"]), "smaller than"
            ),
        ),
        (
            "Start to first answer",
            f"{quick.facts['cold_start_s']:.2f} s",
            quick.title,
            against(quick, rows, lambda row: row.facts["cold_start_s"] / quick.facts["cold_start_s"], "sooner than"),
        ),
    ]
    cells = "".join(
        f"<div><dt>{what}</dt><dd class=value>{escape(value)}</dd><dd class=who>{escape(who)}</dd>"
        f"<dd class=note>{escape(note)}</dd></div>"
        for what, value, who, note in tiles
    )
    return f'<section aria-label="The best of each"><dl class=tiles>{cells}</dl></section>'


def _doubt(winner: _Row, rows: list[_Row]) -> str:
    """Who else may be the fastest: rows with a round that beat the winner's slowest."""
    slowest = max(winner.facts["latency_p50_rounds_us"])
    near = [r.title for r in rows if r is not winner and min(r.facts["latency_p50_rounds_us"]) < slowest]
    named = " and ".join(near if len(near) < 3 else [near[0], f"{len(near) - 1} others"])
    return f"; no sure lead over {named}: rounds overlap" if near else ""


def _warnings(rows: list[_Row]) -> str:
    found = [f"<li>{escape(row.title)}: {escape(row.facts['marked'])}</li>" for row in rows if row.facts.get("marked")]
    return f'<ul class=warnings aria-label="Warnings">{"".join(found)}</ul>' if found else ""


# --- The table -------------------------------------------------------------------------------


def _table(rows: list[_Row]) -> str:
    batches = sorted({row.facts["batch"] for row in rows})
    best = {
        "p50": min(row.facts["latency_us"]["p50"] for row in rows),
        "p90": min(row.facts["latency_us"]["p90"] for row in rows),
        "p99": min(row.facts["latency_us"]["p99"] for row in rows),
        "throughput_fps": max(row.facts["throughput_fps"] for row in rows),
        "throughput_async_fps": max(row.facts["throughput_async_fps"] or 0 for row in rows),
        "accuracy": max(row.facts["accuracy"] for row in rows),
        **{name: min(row.facts[name] for row in rows) for name in ("size_bytes", "cold_start_s", "peak_rss_mb")},
    }

    def cell(name: str, value: Any, text: str) -> str:
        if len(rows) > 1 and value == best[name]:
            return f"<td class=best>{text}<span class=hidden> (best)</span></td>"
        return f"<td>{text}</td>"

    lines = []
    for row in rows:
        r = row.facts
        low, high = r["accuracy_ci95"]
        marked = f"<small class=marked>{escape(r['marked'])}</small>" if r.get("marked") else ""
        cells = [
            f"<th scope=row class=row>{row.heading}{marked}</th>",
            f"<td class=word>{escape(r['runtime_precision'])}</td>",
            f"<td>{r['threads'] or 'all'}</td>",
            *(cell(q, r["latency_us"][q], figures(r["latency_us"][q])) for q in ("p50", "p90", "p99")),
            f"<td>{r['batch']}</td>" if len(batches) > 1 else "",
            cell("throughput_fps", r["throughput_fps"], f"{r['throughput_fps']:,.0f}"),
            "<td>-</td>"
            if r["throughput_async_fps"] is None
            else cell("throughput_async_fps", r["throughput_async_fps"], f"{r['throughput_async_fps']:,.0f}"),
            cell("accuracy", r["accuracy"], f"{_share(r['accuracy'])} <small>{_share(low)} to {_share(high)}</small>"),
            cell("size_bytes", r["size_bytes"], _size(r["size_bytes"])),
            cell("cold_start_s", r["cold_start_s"], f"{r['cold_start_s']:.2f} s"),
            cell("peak_rss_mb", r["peak_rss_mb"], f"{r['peak_rss_mb']:,.0f} MB"),
        ]
        lines.append(f'<tr class="{row.classes}{" fastest" if row.fastest else ""}">{"".join(cells)}</tr>')
    batch = ["<th scope=col rowspan=2>batch</th>"] if len(batches) > 1 else []
    head = (
        "<tr><th scope=col rowspan=2>engine</th>"
        "<th scope=col rowspan=2 class=word>runs in</th><th scope=col rowspan=2>threads</th>"
        "<th scope=colgroup colspan=3 class=group>one image, µs</th>"
        + "".join(batch)
        + "<th scope=colgroup colspan=2 class=group>images a second</th>"
        + "".join(f"<th scope=col rowspan=2>{w}</th>" for w in ("accuracy", "size", "cold start", "memory"))
        + "</tr><tr>"
        + "".join(f"<th scope=col>{w}</th>" for w in ("p50", "p90", "p99", "sync", "async"))
        + "</tr>"
    )
    sizes = f"batches of {batches[0]}" if len(batches) == 1 else "batches"
    return (
        "<section><h2 id=rows>Every row</h2>"
        "<div class=scroll role=region aria-labelledby=rows tabindex=0><table><caption class=hidden>Latency, "
        f"throughput, accuracy, size, cold start and memory of each engine</caption><thead>{head}</thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div><p class=legend>Best of each column in bold. Images a second: "
        f"in {sizes}, one after the other (sync), and through OpenVINO's asynchronous queue (async). Accuracy: with "
        "its 95 % interval, on the test images. Cold start: process start to first answer. Memory: the process's "
        "peak.</p></section>"
    )


# --- The charts ------------------------------------------------------------------------------


def _strip(row: _Row, drawn: str, value: str, more: str) -> str:
    return (
        f'<li class="{row.classes}"><span class=title>{row.heading}</span>{drawn}'
        f"<span class=value><b>{value}</b>{f'<small>{more}</small>' if more else ''}</span></li>"
    )


def _figure(ident: str, title: str, caption: str, body: str) -> str:
    return (
        f"<section><h2 id={ident}>{title}</h2><figure aria-labelledby={ident}><figcaption>{caption}</figcaption>"
        f"{body}</figure></section>"
    )


def _latency(rows: list[_Row]) -> str:
    complete = all(row.facts.get("latency_percentiles_us") for row in rows)
    values = [v for row in rows for v in _spread(row.facts)]
    axis = Axis.around(values, "µs", log=True)
    lines = []
    for row in sorted(rows, key=_by_latency):
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
    """Percentiles 0, 1, 25, 50, 75, 99 and 100; what an older report has, twice."""
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


def _accuracy(rows: list[_Row]) -> str:
    points = [
        Point(row.number, row.title, row.p50_us, row.facts["accuracy"], tuple(row.facts["accuracy_ci95"]), row.classes)
        for row in rows
    ]
    told = "; ".join(f"{p.title}: {time_us(p.latency_us)}, {_share(p.accuracy)}" for p in points)
    caption = "The nearer to the upper left corner the better. Numbers are the table's."
    drawn = scatter(points, "Accuracy against latency", told)
    return _figure("accuracy", "Accuracy against latency", caption, drawn)


def _throughput(rows: list[_Row]) -> str:
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


def _by_batch(rows: list[_Row]) -> str:
    sizes = sorted({int(size) for row in rows for size in row.facts.get("throughput_by_batch_fps") or {}})
    if not sizes:
        return ""
    lines = []
    for row in rows:
        found = {int(size): fps for size, fps in (row.facts.get("throughput_by_batch_fps") or {}).items()}
        cells = "".join(f"<td>{f'{found[size]:,.0f}' if size in found else '-'}</td>" for size in sizes)
        lines.append(f'<tr class="{row.classes}"><th scope=row class=row>{row.heading}</th>{cells}</tr>')
    head = "<th scope=col class=word>engine</th>" + "".join(f"<th scope=col>{size}</th>" for size in sizes)
    return (
        "<section><h2 id=batches>Images a second by batch</h2><div class=scroll role=region aria-labelledby=batches "
        f"tabindex=0><table><caption class=hidden>Images a second in batches of each size</caption><thead><tr>{head}"
        f"</tr></thead><tbody>{''.join(lines)}</tbody></table></div></section>"
    )


# --- Operations ------------------------------------------------------------------------------


def _operations(rows: list[_Row]) -> str:
    told = [row for row in rows if row.facts.get("operations")]
    if not told:
        return ""
    longest = max(op["latency_us"] for row in told for op in row.facts["operations"])
    axis = Axis(0, max(longest, 1e-3) * 1.02, "")
    profiles = [_profile(row, axis, place < PROFILES_OPEN) for place, row in enumerate(sorted(told, key=_by_latency))]
    return (
        "<section><h2>Time by operation</h2><p class=quiet>What OpenVINO runs for one image, in that order, as its own "
        "counters tell it: means in whole microseconds, with counting switched on. All bars have one scale.</p>"
        f"<div class=operations>{''.join(profiles)}</div></section>"
    )


def _profile(row: _Row, axis: Axis, shown_first: bool) -> str:
    every = row.facts["operations"]
    shown = sorted(every, key=lambda op: -op["latency_us"])[:OPERATIONS_SHOWN]
    total = sum(op["latency_us"] for op in every)
    lines = []
    for op in [op for op in every if any(op is one for one in shown)]:
        shape = f" {'x'.join(map(str, op['shape'][1:]))}" if op.get("shape") else ""
        drawn = bar(axis, 0, op["latency_us"], "full", 12)
        lines.append(
            f"<tr><th scope=row>{escape(op['type'])}{shape}<small>{escape(op['primitive'])}</small></th>"
            f"<td>{op['latency_us']:,.1f}</td><td class=wide>"
            f"<svg width='100%' height='30' aria-hidden=true>{drawn}</svg></td></tr>"
        )
    rest = len(every) - len(shown)
    if rest:
        left = total - sum(op["latency_us"] for op in shown)
        lines.append(f"<tr><th scope=row>{rest} shorter ones</th><td>{left:,.1f}</td><td></td></tr>")
    count = f"{len(every)} operations" if len(every) != 1 else "1 operation"
    return (
        f'<details class="{row.classes}"{" open" if shown_first else ""}>'
        f"<summary><b>{escape(row.title)}</b>"
        f"<small>{count}, {time_us(total) if total else '0 µs'} together; a whole call takes {time_us(row.p50_us)} "
        f"(p50)</small></summary><table><caption class=hidden>Operations of {escape(row.title)}</caption><thead><tr>"
        "<th scope=col class=word>operation, output, kernel</th><th scope=col>µs</th><th scope=col class=word>"
        "<span class=hidden>the same as a bar</span></th></tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></details>"
    )


# --- Machine, settings, how to repeat it -----------------------------------------------------


def _facts(machine: dict[str, Any], settings: dict[str, Any]) -> str:
    about = {
        "CPU": machine["cpu"],
        "Cores": machine.get("cores"),
        "Instruction sets": machine.get("isa"),
        "Memory": f"{machine['ram_gb']} GB" if machine.get("ram_gb") else None,
        "System": machine.get("os"),
        **(machine["versions"] if isinstance(machine.get("versions"), dict) else {}),
    }
    named = {
        "rounds": "Rounds, interleaved",
        "seconds": "Seconds each, a round",
        "min_calls": "Calls at least, a round",
        "batch": "Images in a batch",
        "cold_starts": "Cold starts",
        "threads": "OpenVINO's threads",
        "vs": "Originals measured",
    }
    ours = {named.get(name, name.replace("_", " ")): value for name, value in settings.items()}
    if "threads" in settings:
        chosen = settings["threads"]
        ours[named["threads"]] = "1 for one image, all for a batch" if chosen is None else _plain_threads(chosen)
    if "vs" in settings:
        ours[named["vs"]] = "all that are installed" if settings["vs"] is None else settings["vs"] or "none"
    return f"<div class=facts>{_list('Machine', about)}{_list('Settings', ours)}</div>"


def _plain_threads(chosen: Any) -> str:
    return threads(chosen) if isinstance(chosen, int) else str(chosen)


def _list(title: str, facts: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value)) or "none"
        return str(value)

    items = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(text(value))}</dd>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<section><h2>{title}</h2><dl>{items}</dl></section>"


def _repeat(command: str, notes: list[str]) -> str:
    run = (
        "<h2 id=repeat>To repeat it</h2><p class=quiet>On an otherwise idle machine:</p>"
        f"<pre tabindex=0 aria-labelledby=repeat><code>{escape(command)}</code></pre>"
        if command
        else ""
    )
    listed = (
        f"<h2>Notes</h2><ul class=notes>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""
    )
    return f"<section>{run}{listed}</section>" if run or listed else ""
