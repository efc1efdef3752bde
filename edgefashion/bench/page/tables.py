"""The bench page's tables: every row, throughput by batch, the operations of one image."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from edgefashion.bench.page.charts import Axis, bar, figures, time_us
from edgefashion.bench.page.rows import PageRow, by_latency, share
from edgefashion.system.text import size

OPERATIONS_SHOWN: Final = 20
PROFILES_OPEN: Final = 4


def table(rows: list[PageRow], accuracy_on: str) -> str:
    """Every figure of every row, the best of each column in bold. ``accuracy_on``: what accuracy was measured on."""
    batches = sorted({row.facts["batch"] for row in rows})
    best = _best(rows)
    lines = [_line(row, best, batch=len(batches) > 1, alone=len(rows) == 1) for row in rows]
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
        f"its 95 % interval, on {escape(accuracy_on)}. Cold start: process start to first answer. Memory: the "
        "process's peak.</p></section>"
    )


def _best(rows: list[PageRow]) -> dict[str, Any]:
    """The best value of each column."""
    return {
        "p50": min(row.facts["latency_us"]["p50"] for row in rows),
        "p90": min(row.facts["latency_us"]["p90"] for row in rows),
        "p99": min(row.facts["latency_us"]["p99"] for row in rows),
        "throughput_fps": max(row.facts["throughput_fps"] for row in rows),
        "throughput_async_fps": max(row.facts["throughput_async_fps"] or 0 for row in rows),
        "accuracy": max(row.facts["accuracy"] for row in rows),
        "size_bytes": min((row.facts["size_bytes"] for row in rows if row.facts["size_bytes"]), default=None),
        **{name: min(row.facts[name] for row in rows) for name in ("cold_start_s", "peak_rss_mb")},
    }


def _line(row: PageRow, best: dict[str, Any], *, batch: bool, alone: bool) -> str:
    """One row. ``batch``: whether the table has that column; ``alone``: of a single row nothing is the best."""

    def cell(name: str, value: Any, text: str) -> str:
        if not alone and value == best[name]:
            return f"<td class=best>{text}<span class=hidden> (best)</span></td>"
        return f"<td>{text}</td>"

    r = row.facts
    low, high = r["accuracy_ci95"]
    queued = r["throughput_async_fps"]
    marked = f"<small class=marked>{escape(r['marked'])}</small>" if r.get("marked") else ""
    cells = [
        f"<th scope=row class=row>{row.heading}{marked}</th>",
        f"<td class=word>{escape(r['runtime_precision'])}</td>",
        f"<td>{r['threads'] or 'all'}</td>",
        *(cell(q, r["latency_us"][q], figures(r["latency_us"][q])) for q in ("p50", "p90", "p99")),
        f"<td>{r['batch']}</td>" if batch else "",
        cell("throughput_fps", r["throughput_fps"], f"{r['throughput_fps']:,.0f}"),
        "<td>-</td>" if queued is None else cell("throughput_async_fps", queued, f"{queued:,.0f}"),
        cell("accuracy", r["accuracy"], f"{share(r['accuracy'])} <small>{share(low)} to {share(high)}</small>"),
        cell("size_bytes", r["size_bytes"], size(r["size_bytes"])),
        cell("cold_start_s", r["cold_start_s"], f"{r['cold_start_s']:.2f} s"),
        cell("peak_rss_mb", r["peak_rss_mb"], f"{r['peak_rss_mb']:,.0f} MB"),
    ]
    return f'<tr class="{row.classes}{" fastest" if row.fastest else ""}">{"".join(cells)}</tr>'


def by_batch(rows: list[PageRow]) -> str:
    """Throughput by size of batch; empty where no row was measured so."""
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


def operations(rows: list[PageRow]) -> str:
    """Where one image's time goes, a table for each row whose engine tells; empty where none does."""
    told = [row for row in rows if row.facts.get("operations")]
    if not told:
        return ""
    longest = max(op["latency_us"] for row in told for op in row.facts["operations"])
    axis = Axis(0, max(longest, 1e-3) * 1.02, "")
    profiles = [_profile(row, axis, place < PROFILES_OPEN) for place, row in enumerate(sorted(told, key=by_latency))]
    return (
        "<section><h2>Time by operation</h2><p class=quiet>What OpenVINO runs for one image, in that order, as its own "
        "counters tell it: means in whole microseconds, with counting switched on. All bars have one scale.</p>"
        f"<div class=operations>{''.join(profiles)}</div></section>"
    )


def _profile(row: PageRow, axis: Axis, shown_first: bool) -> str:
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
