"""Our best against each peer's best, on the same weights in the same run: latency and throughput.

    python benchmarks/networks/peers.py                  # measures `edge`, and `cnn-242k` where it has been trained
    python benchmarks/networks/peers.py kiosk PHOTOS...  # measures `kiosk` on folders of labelled photos
    python benchmarks/networks/peers.py table            # the tables anew from what was measured

Writes ``benchmarks/networks/results/peers.json``, ``peers.md`` and ``peers.png``, and of ``kiosk`` ``peers_kiosk.json``
and ``peers_kiosk.md``. Leave the machine alone meanwhile: five minutes a network, ten for ``kiosk``. A ratio is taken
round by round, of medians measured seconds apart; its spread is the quartiles over the rounds.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from edgefashion.bench import run
from edgefashion.bench.chart import plot
from edgefashion.bench.report import BenchOptions
from edgefashion.bundles import resolve

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("edge", "cnn-242k")
PHOTO_NETWORK = "kiosk"
PEERS = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime"}
ROUNDS = 9

Row = dict[str, Any]


def main() -> None:
    match sys.argv[1:]:
        case []:
            measure()
            write_table("peers")
        case ["kiosk", *photos] if photos:
            measure_on_photos([Path(folder) for folder in photos])
            write_table("peers_kiosk")
        case ["table"]:
            for name in ("peers", "peers_kiosk"):
                write_table(name)
        case _:
            sys.exit(__doc__)


def measure() -> None:
    # A network that is not trained here keeps what was measured of it.
    kept = RESULTS / "peers.json"
    reports: dict[str, Row] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    for name in NETWORKS:
        if not resolve.is_model(name):
            print(f"{name} is left out: run benchmarks/networks/seeds.py {name} first", file=sys.stderr)
            continue
        measured = run.bench(name, options=BenchOptions(rounds=ROUNDS), on_progress=_say)
        reports[name] = measured.as_json()
        if name == NETWORKS[0]:
            plot(measured, RESULTS / "peers.png")
    _write("peers", reports)


def measure_on_photos(photos: list[Path]) -> None:
    options = BenchOptions(rounds=ROUNDS)
    measured = run.bench(PHOTO_NETWORK, vs=tuple(PEERS), photos=photos, options=options, on_progress=_say)
    _write("peers_kiosk", {PHOTO_NETWORK: measured.as_json()})


def _say(doing: str, done: int, total: int) -> None:
    print(f"{done} of {total}: {doing}", file=sys.stderr)


def _write(name: str, reports: dict[str, Row]) -> None:
    (RESULTS / f"{name}.json").write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")


def write_table(name: str) -> None:
    reports = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    text = "\n\n".join(_table(network, report) for network, report in reports.items())
    (RESULTS / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def _table(name: str, report: Row) -> str:
    machine, rows = report["machine"], report["rows"]
    lines = [
        f"**{name}** on {machine['cpu']}, {machine['cores']} cores ({' '.join(machine['isa'])})",
        "",
        "| engine | threads | p50 | images/s | batch | accuracy | size | cold start | memory |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {r['name']} | {r['threads'] or 'all'} | {r['latency_us']['p50']:,.0f} us | {_best(r):,.0f} | "
            f"{r['batch'] if _best(r) == r['throughput_fps'] else 'queue'} | {r['accuracy']:.2%} | "
            f"{r['size_bytes'] / 1e6:.1f} MB | {r['cold_start_s']:.2f} s | {r['peak_rss_mb']:,.0f} MB |"
            for r in rows
        ),
        "",
        "| ratio | median | quartiles |",
        "|---|---|---|",
    ]
    for title, ratios in _ratios(rows).items():
        low, _, high = statistics.quantiles(ratios, n=4)
        lines.append(f"| {title} | {statistics.median(ratios):.2f} | {low:.2f} to {high:.2f} |")
    if report["settings"].get("photos"):
        lines += ["", *report["notes"]]
    return "\n".join(lines)


def _best(row: Row) -> float:
    return float(max(row["throughput_fps"], row["throughput_async_fps"] or 0.0))


def _ratios(rows: list[Row]) -> dict[str, list[float]]:
    """Each claim's ratio, ours over the peer's, one a round."""
    ours = [r for r in rows if r["engine"] == "openvino"]
    found: dict[str, list[float]] = {}

    def p50(row: Row) -> float:
        return float(row["latency_us"]["p50"])

    for threads in sorted({r["threads"] for r in ours}):
        mine = [r for r in ours if r["threads"] == threads and r["precision"] == "int8"]
        theirs = [r for r in rows if (r["engine"], r["precision"], r["threads"]) == ("litert", "int8", threads)]
        if mine and theirs:
            title = f"latency, INT8, {threads} thread{'s' * (threads > 1)}: OpenVINO / LiteRT"
            found[title] = _divided(mine[0]["latency_p50_rounds_us"], theirs[0]["latency_p50_rounds_us"])
    for engine, title in PEERS.items():
        theirs = [r for r in rows if r["engine"] == engine]
        if not theirs:
            continue
        a, b = min(ours, key=p50), min(theirs, key=p50)
        found[f"latency, best of each ({_kind(a)}; {_kind(b)}): OpenVINO / {title}"] = _divided(
            a["latency_p50_rounds_us"], b["latency_p50_rounds_us"]
        )
    most = max(ours, key=_best)
    for engine, precision in (("litert", "int8"), ("onnxruntime", "fp32"), ("onnxruntime", "int8")):
        theirs = [r for r in rows if (r["engine"], r["precision"]) == (engine, precision)]
        if theirs:
            b = max(theirs, key=_best)
            found[f"throughput, best of each: OpenVINO / {b['name']}"] = _divided(_rounds(most), _rounds(b))
    return found


def _kind(row: Row) -> str:
    return f"{row['precision'].upper()} at {row['threads'] or 'all'}"


def _rounds(row: Row) -> list[float]:
    asynchronous = (row["throughput_async_fps"] or 0.0) > row["throughput_fps"]
    rounds: list[float] = row["throughput_async_rounds_fps" if asynchronous else "throughput_rounds_fps"]
    return rounds


def _divided(a: list[float], b: list[float]) -> list[float]:
    return [x / y for x, y in zip(a, b, strict=True)]


if __name__ == "__main__":
    main()
