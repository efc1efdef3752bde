"""Tables of the camera: how soon an answer stands, what it survives, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from doc_parts.results import Results, table


def steady(results: Results) -> str:
    """How soon a new garment's name stands, and how often it changes then."""
    rows = [
        (
            f"`{of['model']}` on {of['on']}",
            f"{of['garments']}",
            f"{of['right_at_the_end']}",
            f"{of['right_within_half_a_second']:.0%}",
            f"{of['right_after_s']['p95']:.2f} s",
            f"{of['changes_a_garment_after_the_first'] * of['garments']:.0f}",
            f"{of['least_between_changes_s']:.1f} s",
        )
        for of in results.json("steady.json")
    ]
    header = (
        "network",
        "garments",
        "named right at the end",
        "of these within half a second",
        "of these 95 % within",
        "later changes of an answer",
        "shortest time between two answers",
    )
    return table(header, rows)


def faults(results: Results) -> str:
    """What was made to happen to the running command; the benchmark writes it."""
    return results.text("faults.md")


def soak(results: Results) -> str:
    """A long run: what grew."""
    found = results.json("soak.json")
    first = found["samples"][0]
    p99 = found["latency_ms_p99"]
    rows = [
        ("frames answered, with `kiosk`", f"{found['frames']:,}"),
        ("times that the stream was cut", f"{found['reconnects']}"),
        ("faults told", f"{found['faults']}"),
        (
            f"memory of the loop, {first['rss_mb']:.0f} MB after {first['frame']:,} frames, grew by",
            f"{found['rss_growth_mb']:.2f} MB",
        ),
        (
            f"memory of the process that reads the camera, {first['capture_rss_mb']:.0f} MB, grew by",
            f"{found['capture_rss_growth_mb']:.2f} MB",
        ),
        ("threads grew by", f"{found['thread_growth']}"),
        ("open files grew by", f"{found['fd_growth']}"),
        ("frame to answer, 99th percentile, first tenth of the run", f"{p99['first_tenth']:.1f} ms"),
        ("frame to answer, 99th percentile, last tenth of the run", f"{p99['last_tenth']:.1f} ms"),
        ("last tenth / first tenth", f"{found['latency_ratio_p99']:.2f}"),
    ]
    return table(("a long run", "result"), rows)


def cpu(results: Results) -> str:
    """How much of one core a kiosk uses."""
    rows = [
        (
            row["run"],
            f"{row['loop']:.1f} %",
            f"{row['decode']:.1f} %",
            f"{row['window']:.1f} %" if "window" in row else "-",
            f"{row['together']:.1f} %",
        )
        for row in results.json("kiosk_cpu.json")["rows"]
    ]
    return table(("share of one core", "loop with inference", "decoding", "window", "together"), rows)


PARTS: Final[dict[str, Callable[[Results], str]]] = {
    "steady": steady,
    "faults": faults,
    "soak": soak,
    "kiosk-cpu": cpu,
}
