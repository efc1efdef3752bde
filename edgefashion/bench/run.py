"""Latency, throughput, accuracy, size, cold start and memory of a model, engine by engine.

One process per engine; rounds interleaved, so that a machine that slows down does so for all
alike; one process measuring at a time, the others blocked on a pipe. An engine that crashes or
hangs loses its own row.
"""

from __future__ import annotations

import contextlib
import shlex
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from edgefashion.bench.candidates import cappable, contenders, served, with_files
from edgefashion.bench.report import BenchOptions, BenchReport, Row, titles
from edgefashion.bench.rounds import Race
from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.inference import foreign_files
from edgefashion.inference.classifier import BATCH
from edgefashion.inference.onnx_litert_engine import Own
from edgefashion.system import files, machine
from edgefashion.system.extras import need
from edgefashion.system.text import is_url, without_password

__all__ = ["BenchOptions", "BenchReport", "Row", "bench", "plot"]

MARKED_FROM: Final = 0.005
"""Accuracy, 0 to 1, by which a row may differ from the original's unmarked."""


def bench(
    model: str | Path = resolve.DEFAULT_MODEL,
    *,
    vs: tuple[str, ...] | None = None,
    threads: int | None = None,
    isa: tuple[str, ...] = (),
    options: BenchOptions | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> BenchReport:
    """Measure MODEL with every engine it can run on, side by side, on this CPU.

    ``vs``, ``threads``, ``isa``: see :func:`contenders`. ``on_progress`` is called with what is being
    done, the steps done and their number. Raises :class:`BadInputError` for settings that cannot be,
    and the first failure where no row is left.
    """
    options = options or BenchOptions()
    if options.rounds < 1 or options.seconds <= 0:
        raise BadInputError("--rounds must be at least 1 and --seconds above 0")
    if threads is not None and threads < 0:
        raise BadInputError("--threads must be at least 0 (0 means all cores)")
    with _opened(model) as (found, own, said), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if found and found.bundle is not None and found.bundle.info["input_shape"][-1] == 3:
            options = replace(options, batches=(BATCH,))  # of photos, each twenty times the work
        chosen, notes = contenders(found.path, vs, threads, isa, own) if found else served(str(model), vs, threads, isa)
        chosen, more = cappable(chosen)
        notes += [*more, *said]
        converted = {c.engine for c in chosen if c.converted}
        steps = len(converted) + len(chosen) * (options.rounds + 2 + options.cold_starts)
        done = 0

        def step(doing: str) -> None:
            nonlocal done
            if on_progress:
                on_progress(doing, done, steps)
            done += 1

        chosen, more = with_files(chosen, Path(folder), options.batches, step)
        notes += more
        if not chosen:
            raise EdgeFashionError(f"nothing is left to measure. {' '.join(more)}")
        race = Race(options, step, notes)
        try:
            race.start(chosen)
            race.run()
        finally:
            race.close()
        rows, others = race.rows(), race.others_cpu_share
    if others > machine.BUSY:
        notes.append(f"Others used {others:.0%} of this machine's CPU: measure again when it is idle.")
    if on_progress:
        on_progress("done", steps, steps)
    return BenchReport(
        model=without_password(str(model)),
        machine={**machine.describe(), "others_cpu_share": others},
        settings={
            **asdict(options),
            "threads": threads,
            "vs": list(vs) if vs is not None else None,
            "isa": list(isa),
        },
        rows=marked(rows, found, own.engine if own else None) if found else rows,
        notes=notes,
        command=_command(model, options, vs=vs, threads=threads, isa=isa or None),
    )


@contextlib.contextmanager
def _opened(model: str | Path) -> Iterator[tuple[resolve.Model | None, Own | None, list[str]]]:
    """What MODEL names, in a form that OpenVINO runs, None for a served one; the file it was made from elsewhere; what
    to say of that."""
    if is_url(model):
        yield None, None, []
        return
    found = resolve.resolve(model)
    if found.kind in foreign_files.KINDS:
        with foreign_files.temporary_ir(found.path) as (ir, theirs):
            yield resolve.resolve(ir), theirs.own, [theirs.in_short()]
    else:
        yield found, foreign_files.original(found.bundle) if found.bundle and found.kind == "bundle" else None, []


def _command(model: str | Path, options: BenchOptions, **given: tuple[str, ...] | int | None) -> str:
    """The command line that measures the same again."""
    words = ["edgefashion", "bench", without_password(str(model))]
    for name, value in {**given, "rounds": options.rounds, "seconds": options.seconds}.items():
        if value is not None:
            words += [f"--{name}", (",".join(value) or "none") if isinstance(value, tuple) else str(value)]
    return shlex.join(words)


def marked(rows: list[Row], found: resolve.Model, own: str | None = None) -> list[Row]:
    """The rows, those marked whose accuracy is not the original's: that of engine ``own``, or TensorFlow's."""
    originals = (own,) if own else ("tensorflow", "keras")
    measured = next((row.accuracy for row in rows if row.engine in originals), None)
    stated = found.bundle.info["metrics"].get("original", {}).get("test_accuracy") if found.bundle else None
    original = stated if measured is None else measured
    if original is None:
        return rows
    return [
        replace(row, marked=f"accuracy {row.accuracy - original:+.2%} from the original's".replace("%", " points"))
        if abs(row.accuracy - original) > MARKED_FROM
        else row
        for row in rows
    ]


def plot(report: BenchReport, path: Path) -> None:
    """Write a PNG chart: batch-1 latency and best throughput of each row."""
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
