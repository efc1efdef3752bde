"""`edgefashion bench`: parse, call :func:`edgefashion.bench.benchmark.benchmark`, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefashion.bundles.places import DEFAULT_MODEL
from edgefashion.cli.common import DEVICE_HELP, JsonOption, ServedModelArgument, names_of, new_table, print_table
from edgefashion.cli.made_elsewhere import made_elsewhere
from edgefashion.errors import printable
from edgefashion.system.text import size

if TYPE_CHECKING:
    from edgefashion.bench.report import BenchReport, Row


VsOption = Annotated[
    str | None,
    typer.Option(
        help="What to measure beside the IRs: onnxruntime,litert,tensorflow,keras or none; beside a served model: "
        "models of this machine. Default: what is installed.",
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option(help="Threads, 0: all cores. Default: a row at 1 and one at all.", show_default=False)
]
IsaOption = Annotated[
    str | None,
    typer.Option(
        help="Cap OpenVINO at these instruction sets, a row for each: avx2,avx2_vnni,avx512,avx512_vnni,amx.",
        show_default=False,
    ),
]
DevicesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help=f"{DEVICE_HELP} May be repeated, with rows for each. Default: every device that is found.",
        show_default=False,
    ),
]
PhotosOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR",
        help="For a photo network: photos to measure accuracy on, and to calibrate the peers' INT8 on. "
        "May be repeated.",
        show_default=False,
    ),
]
BaselineOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Compare with an earlier --json; exit 1 if something is worse beyond the noise.",
        show_default=False,
    ),
]


@made_elsewhere(tells=False)
def bench(
    model: ServedModelArgument = DEFAULT_MODEL,
    vs: VsOption = None,
    threads: ThreadsOption = None,
    isa: IsaOption = None,
    device: DevicesOption = None,
    photos: PhotosOption = None,
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 5,
    seconds: Annotated[float, typer.Option(help="Seconds of each measurement in a round.")] = 0.5,
    chart: Annotated[Path | None, typer.Option(help="Write a PNG chart.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write everything as one self-contained page.")] = None,
    baseline: BaselineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure latency, throughput, accuracy, size, cold start and memory, engine beside engine.

    Example: edgefashion bench --html bench.html
    """
    from edgefashion.bench.benchmark import benchmark
    from edgefashion.cli.progress import Progress

    with Progress("starting") as progress:
        done = benchmark(
            model,
            vs=names_of(vs, none="none"),
            threads=threads,
            isa=names_of(isa) or (),
            devices=device or None,
            photos=photos or (),
            rounds=rounds,
            seconds=seconds,
            chart=chart,
            html=html,
            baseline=baseline,
            on_estimate=progress.expect,
            on_progress=lambda doing, step, steps: progress.step(step, steps, doing),
        )
    if as_json:
        print(json.dumps(done.report.as_json()))
    else:
        print_report(done.report)
        for written in filter(None, (chart, html)):
            print(printable(written))
    for change in done.changes:
        print(f"{change.verdict or 'note':8}{change}", file=sys.stderr if as_json else sys.stdout)
    done.raise_if_worse()


def runs_in(row: Row) -> str:
    """The precision that a row really ran in, and where, if AUTO chose that."""
    ran_on = row.settings.get("ran_on") or []
    return f"{row.runtime_precision} on {'+'.join(ran_on)}" if row.device.startswith("AUTO") else row.runtime_precision


def print_report(report: BenchReport) -> None:
    """Print a report as two tables, with what has to be known to read them."""
    machine = report.machine
    print(
        f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['isa'])}; "
        f"openvino {machine['versions']['openvino']}"
    )
    capped = ("cap",) if any(r.isa for r in report.rows) else ()
    threads = ("engine", *capped, ">threads")
    speed = new_table(*threads, "runs in", ">p50 us", ">p90 us", ">p99 us", ">img/s", ">batch", ">img/s async")
    cost = new_table(*threads, ">accuracy", "95 % interval", ">size", ">cold start", ">peak memory")
    for r in report.rows:
        low, high = r.accuracy_ci95
        who = (r.name, *((r.isa or "-",) if capped else ()), str(r.threads or "all"))
        speed.add_row(
            *who,
            runs_in(r),
            *(f"{r.latency_us[q]:,.0f}" for q in ("p50", "p90", "p99")),
            f"{r.throughput_fps:,.0f}",
            str(r.batch),
            "-" if r.throughput_async_fps is None else f"{r.throughput_async_fps:,.0f}",
        )
        cost.add_row(
            *who,
            f"{r.accuracy:.2%}{' (!)' if r.marked else ''}",
            f"{low:.2%} to {high:.2%}",
            size(r.size_bytes),
            f"{r.cold_start_s:.2f} s",
            f"{r.peak_rss_mb:,.0f} MB",
        )
    print_table(speed)
    print("p50, p90, p99: one image; img/s: in batches of a peer's best size; async: OpenVINO's queue")
    print_table(cost)
    print(f"cold start: process start to first answer; accuracy: {report.settings['accuracy_on']}")
    for r in report.rows:
        if r.marked:
            print(f"(!) {' '.join(filter(None, (r.name, r.isa)))}: {r.marked}")
    for note in report.notes:
        print(note)
