"""``edgefashion bench`` as a function: a report, its chart and its page, and how it compares with an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefashion.bench import run
from edgefashion.bench.baseline import Change, compare, gate, same_machine
from edgefashion.bench.chart import plot
from edgefashion.bench.page import page
from edgefashion.bench.report import BenchOptions, BenchReport
from edgefashion.bench.report_file import read
from edgefashion.bundles import places
from edgefashion.system import machine
from edgefashion.system.extras import need
from edgefashion.system.files import check_not_read, check_output


@dataclass(frozen=True)
class Benchmark:
    """What was measured, and what changed since an earlier report."""

    report: BenchReport
    changes: tuple[Change, ...] = ()
    """Every quantity of every row that both reports have; empty without an earlier one."""

    def raise_if_worse(self) -> None:
        """Raise :class:`edgefashion.errors.GateError` if anything is worse than it was, naming each row."""
        gate(list(self.changes))


def benchmark(
    model: str | Path = places.DEFAULT_MODEL,
    *,
    vs: tuple[str, ...] | None = None,
    threads: int | None = None,
    isa: tuple[str, ...] = (),
    devices: Sequence[str] | None = None,
    photos: Sequence[Path] = (),
    rounds: int = BenchOptions.rounds,
    seconds: float = BenchOptions.seconds,
    chart: Path | None = None,
    html: Path | None = None,
    baseline: Path | None = None,
    on_estimate: Callable[[float, str], None] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Benchmark:
    """Measure MODEL with every engine and device it can run on, side by side, on this machine.

    Each engine runs in a process of its own; their rounds take turns. Latency is of one image, throughput of batches.
    All that can be refused is refused before the minutes of measuring.

    Args:
        model: MODEL; the URL of a served one too.
        vs: What to measure beside the IRs: ``onnxruntime``, ``litert``, ``tensorflow``, ``keras``; of a served model:
            models of this machine. None: what is installed. Empty: nothing.
        threads: Of every row that can be told; 0 means all cores. None: a row at 1 thread and one at all.
        isa: Instruction sets to cap OpenVINO at, a row for each: ``avx2``, ``avx2_vnni``, ``avx512``,
            ``avx512_vnni``, ``amx``.
        devices: What OpenVINO runs on, as :func:`edgefashion.load` takes each, with rows for each. None: every device
            that OpenVINO finds here.
        photos: Folders of labelled photos, for a photo network, in place of Fashion-MNIST: the INT8 of ONNX Runtime and
            LiteRT is calibrated on the photos of some senders, and accuracy is measured on those of the others.
        rounds: Interleaved rounds, at least 1.
        seconds: Of each measurement in a round, in seconds.
        chart: A PNG file to draw latency and throughput in; needs the ``bench`` extra.
        html: A file to write everything into, as one page.
        baseline: A file that ``edgefashion bench --json`` wrote on this machine, to compare with.
        on_estimate: Called once, before the measuring, with the seconds it will about take, and with what is measured.
        on_progress: Called with what is being done, the steps done and their number.

    Returns:
        The report, and the changes since ``baseline``. In a row of the report, ``latency_us`` has p50, p90 and p99 in
        microseconds, ``throughput_fps`` images a second, ``accuracy`` a share from 0 to 1 of what
        ``settings["accuracy_on"]`` names.

    Raises:
        BadInputError: A model, an option or a ``baseline`` that cannot be used, or an output that cannot be written.
        MissingError: matplotlib for ``chart``, or TensorFlow for a model that nothing else runs, is not installed; or
            there is no such device.
        EdgeFashionError: Nothing could be measured.

    Example:
        >>> from edgefashion import benchmark
        >>> done = benchmark("edge", vs=(), threads=1, rounds=1, seconds=0.02)
        >>> sorted({row.engine for row in done.report.rows})
        ['openvino']
        >>> all(row.latency_us["p50"] > 0 for row in done.report.rows)
        True
    """
    if chart:
        need("matplotlib", "to draw the chart")
        check_output(chart, (".png",), "only PNG pictures")
    if html:
        check_output(html, (".html", ".htm"), "only HTML pages")
        check_not_read(html, filter(None, [baseline]))
    earlier = read(baseline, model) if baseline else None
    if earlier:
        same_machine(machine.describe(), earlier)
    report = run.bench(
        model,
        vs=vs,
        threads=threads,
        isa=isa,
        devices=devices,
        photos=photos,
        options=BenchOptions(rounds=rounds, seconds=seconds),
        writes=chart,
        on_estimate=on_estimate,
        on_progress=on_progress,
    )
    if chart:
        plot(report, chart)
    if html:
        page.write(report.as_json(), html)
    return Benchmark(report, tuple(compare(report.as_json(), earlier)) if earlier else ())
