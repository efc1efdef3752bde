"""A bench report as one self-contained HTML page: no script, no request, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Final

from edgefashion.bench.page.charts import time_us
from edgefashion.bench.page.figures import accuracy, latency, throughput
from edgefashion.bench.page.rows import PageRow, page_rows, share, times
from edgefashion.bench.page.tables import by_batch, operations, table
from edgefashion.bench.pictures import FASHION
from edgefashion.bench.report import Report, threads
from edgefashion.bench.report_file import check
from edgefashion.system import files
from edgefashion.system.text import size

ORIGINALS: Final = ("keras-predict", "keras", "tensorflow")
"""The engines that run the network as it was trained. The others are compared with them."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write(report: Report, path: Path) -> None:
    """Write the page to ``path``: to a file beside it first, which then takes its place."""
    text = page(report)
    with files.written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def page(report: Report) -> str:
    """The whole HTML of a report in its JSON form, as ``BenchReport.as_json()`` gives it or a file held it.

    What an older version did not record is left out. Raises
    :class:`~edgefashion.errors.BadInputError` for what is no bench report.
    """
    check(report)
    rows = page_rows(report["rows"])
    machine = report["machine"]
    cores = f", {machine['cores']} cores" if "cores" in machine else ""
    title = f"{report['model']} on {machine['cpu']}{cores}"
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
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
        table(rows, str(report["settings"].get("accuracy_on", FASHION))),
        latency(rows),
        accuracy(rows),
        throughput(rows),
        by_batch(rows),
        operations(rows),
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


# --- The answer first ------------------------------------------------------------------------


def _tiles(rows: list[PageRow]) -> str:
    """The best row in each respect, and how far it is ahead of which other row."""
    cells = "".join(
        f"<div><dt>{what}</dt><dd class=value>{escape(value)}</dd><dd class=who>{escape(who)}</dd>"
        f"<dd class=note>{escape(note)}</dd></div>"
        for what, value, who, note in (*_times(rows), _rightness(rows), *_costs(rows))
    )
    return f'<section aria-label="The best of each"><dl class=tiles>{cells}</dl></section>'


_Tile = tuple[str, str, str, str]
"""The respect, the best value, the row that has it, and a note."""


def _times(rows: list[PageRow]) -> list[_Tile]:
    soonest = next(row for row in rows if row.fastest)
    most = max(rows, key=lambda row: row.fps)
    sooner = _against(soonest, rows, lambda row: row.p50_us / soonest.p50_us, "sooner than")
    return [
        ("One image, median", time_us(soonest.p50_us), soonest.title, sooner + _doubt(soonest, rows)),
        (
            "Images a second",
            f"{most.fps:,.0f}",
            most.title,
            _against(most, rows, lambda row: most.fps / row.fps, "as many as"),
        ),
    ]


def _rightness(rows: list[PageRow]) -> _Tile:
    right = max(rows, key=lambda row: row.facts["accuracy"])
    low, high = right.facts["accuracy_ci95"]
    inside = sum(low <= row.facts["accuracy"] <= high for row in rows)
    alike = f"; all {len(rows)} rows lie in it" if inside == len(rows) > 1 else ""
    interval = f"95 % interval {share(low)} to {share(high)}{alike}"
    return "Right answers", share(right.facts["accuracy"]), right.title, interval


def _costs(rows: list[PageRow]) -> list[_Tile]:
    small = min(rows, key=lambda row: row.facts["size_bytes"])
    quick = min(rows, key=lambda row: row.facts["cold_start_s"])
    least_bytes, least_s = small.facts["size_bytes"], quick.facts["cold_start_s"]
    smaller = _against(small, rows, lambda row: row.facts["size_bytes"] / max(1, least_bytes), "smaller than")
    sooner = _against(quick, rows, lambda row: row.facts["cold_start_s"] / least_s, "sooner than")
    return [
        ("Size", size(least_bytes), small.title, smaller),
        ("Start to first answer", f"{least_s:.2f} s", quick.title, sooner),
    ]


def _against(winner: PageRow, rows: list[PageRow], ratio: Callable[[PageRow], float], what: str) -> str:
    """How many times better than the nearest of the originals, or of all rows where there is no original."""
    originals = [row for row in rows if row.facts["engine"] in ORIGINALS]
    others = [row for row in (originals or rows) if row is not winner]
    if not others:
        return ""
    nearest = min(others, key=ratio)
    return f"{times(ratio(nearest))} times {what} {nearest.title}"


def _doubt(winner: PageRow, rows: list[PageRow]) -> str:
    """Which other rows may be as fast: those with a round that was faster than the winner's slowest round."""
    slowest = max(winner.facts["latency_p50_rounds_us"])
    near = [r.title for r in rows if r is not winner and min(r.facts["latency_p50_rounds_us"]) < slowest]
    named = " and ".join(near if len(near) < 3 else [near[0], f"{len(near) - 1} others"])
    return f"; no sure lead over {named}: rounds overlap" if near else ""


def _warnings(rows: list[PageRow]) -> str:
    found = [f"<li>{escape(row.title)}: {escape(row.facts['marked'])}</li>" for row in rows if row.facts.get("marked")]
    return f'<ul class=warnings aria-label="Warnings">{"".join(found)}</ul>' if found else ""


# --- Machine, settings, how to repeat it -----------------------------------------------------


def _facts(machine: dict[str, Any], settings: dict[str, Any]) -> str:
    about = {
        "CPU": machine["cpu"],
        "Cores": machine.get("cores"),
        "Instruction sets": machine.get("isa"),
        "Memory": f"{machine['ram_gb']} GB" if machine.get("ram_gb") else None,
        "System": machine.get("os"),
        "CPU in others' use": f"{machine['others_cpu_share']:.0%}" if "others_cpu_share" in machine else None,
        **machine.get("versions", {}),
    }
    named = {
        "rounds": "Rounds, interleaved",
        "seconds": "Seconds each, a round",
        "min_calls": "Calls at least, a round",
        "batch": "Images in a batch",
        "cold_starts": "Cold starts",
        "threads": "OpenVINO's threads",
        "vs": "Measured beside",
        "accuracy_on": "Accuracy on",
        "accuracy_images": "Pictures for accuracy",
    }
    ours = {named.get(name, name.replace("_", " ")): value for name, value in settings.items()}
    if "threads" in settings:
        chosen = settings["threads"]
        ours[named["threads"]] = "a row with 1, and one with all" if chosen is None else _plain_threads(chosen)
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
