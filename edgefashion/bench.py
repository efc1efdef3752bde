"""Latency, throughput, accuracy, size, cold start and memory of a model, engine by engine.

One process per engine; rounds interleaved, so that a machine that slows down does so for all
alike; one process measuring at a time, the others blocked on a pipe.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgefashion import bundle, classify, data, foreign, machine
from edgefashion.errors import BadInputError, EdgeFashionError, install_line, installed, need
from edgefashion.evaluate import wilson95
from edgefashion.originals import BATCH

ORIGINALS: Final = ("tensorflow", "keras")
TITLES: Final = {
    "keras-predict": "Keras model.predict",
    "keras": "Keras call",
    "tensorflow": "TensorFlow SavedModel",
    "openvino": "OpenVINO",
}


@dataclass(frozen=True)
class BenchOptions:
    """How long and how often each row is measured."""

    rounds: int = 5
    seconds: float = 0.5
    """Of each measurement in each round."""
    min_calls: int = 20
    batch: int = BATCH
    cold_starts: int = 3
    """Fresh processes started to time their first answer, after one that warms the disk."""

    @classmethod
    def quick(cls) -> BenchOptions:
        """A third of the time, for a first look."""
        return cls(rounds=3, seconds=0.25, min_calls=10, cold_starts=1)


@dataclass(frozen=True)
class Contender:
    """One row to be: an engine, a precision and where its files are."""

    name: str
    model: str
    engine: str
    precision: str
    threads: int | None
    size_bytes: int


@dataclass(frozen=True)
class Row:
    """One measured row. ``threads`` are those of the batch-1 latency; ``batch`` is the
    throughput's."""

    name: str
    engine: str
    precision: str
    runtime_precision: str
    threads: int
    """0: the engine's own choice, all cores."""
    batch: int
    latency_us: dict[str, float]
    """p50, p90, p99 over all rounds, at batch 1."""
    latency_p50_rounds_us: list[float]
    throughput_fps: float
    """Images a second in synchronous batches; the median over the rounds."""
    throughput_async_fps: float | None
    """Through OpenVINO's asynchronous queue; None for other engines."""
    accuracy: float
    accuracy_ci95: tuple[float, float]
    size_bytes: int
    cold_start_s: float
    peak_rss_mb: float


@dataclass(frozen=True)
class BenchReport:
    """What ``bench --json`` prints."""

    model: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def contenders(
    model: str | Path, vs: tuple[str, ...] | None = None, threads: int | None = None
) -> tuple[list[Contender], list[str]]:
    """The rows MODEL gives, and notes on those it could have given.

    ``vs`` names the originals to measure beside the IRs (any of ``tensorflow``, ``keras``); None
    means both where they are installed. Raises :class:`BadInputError` for an unknown one and
    :class:`MissingError` for one asked for by name that is not installed.
    """
    found = bundle.resolve(model)
    rows: list[Contender] = []
    notes: list[str] = []
    if unknown := set(vs or ()) - set(ORIGINALS):
        raise BadInputError(f"--vs: no engine named {min(unknown)!r}. Known: {', '.join(ORIGINALS)}")
    if vs is None:
        vs = ORIGINALS if installed("tensorflow") else ()
        if not vs:
            notes.append(
                f"The original was not measured: TensorFlow is not installed. Run: {install_line('tensorflow')}"
            )
    elif vs:
        need("tensorflow", f"to measure {', '.join(vs)}")

    def add(engine: str, precision: str, size_bytes: int) -> None:
        suffix = f" {precision.upper()}" if engine == "openvino" else ""
        name = f"{TITLES[engine]}{suffix}"
        rows.append(
            Contender(name, str(found.path), engine, precision, threads if engine == "openvino" else None, size_bytes)
        )

    if found.kind == "bundle" and found.bundle is not None:
        parts = found.bundle
        if "keras" in vs and parts.has("keras"):
            add("keras-predict", "fp32", parts.size_bytes("keras"))
            add("keras", "fp32", parts.size_bytes("keras"))
        if "tensorflow" in vs and parts.has("saved_model"):
            add("tensorflow", "fp32", parts.size_bytes("saved_model"))
        if parts.has("fp32"):
            add("openvino", "fp32", parts.size_bytes("fp32"))
            if classify.cpu_has_bf16():
                add("openvino", "bf16", parts.size_bytes("fp32"))
            else:
                notes.append("No BF16 row: this CPU cannot run it.")
        if parts.has("int8"):
            add("openvino", "int8", parts.size_bytes("int8"))
        else:
            notes.append("No INT8 row: this bundle has no INT8 IR. Run: edgefashion convert --int8")
    elif found.kind == "ir":
        size = sum(p.stat().st_size for p in (found.path, found.path.with_suffix(".bin")))
        stem = found.path.stem
        add("openvino", stem if stem in classify.PRECISIONS else "fp32", size)
    else:
        files = [found.path] if found.path.is_file() else [p for p in found.path.rglob("*") if p.is_file()]
        engines = ("tensorflow",) if found.kind == "saved_model" else ("keras-predict", "keras")
        need("tensorflow", f"to measure {found.path}")
        for engine in engines:
            add(engine, "fp32", sum(f.stat().st_size for f in files))
    without = set(vs) - {row.engine.removesuffix("-predict") for row in rows}
    notes.extend(f"No {name} row: {found.path} holds nothing it can run." for name in sorted(without))
    if not rows:
        raise BadInputError(f"{found.path} holds nothing to measure. Run: edgefashion convert {found.name}")
    return rows, notes


def bench(
    model: str | Path = bundle.DEFAULT_MODEL,
    *,
    vs: tuple[str, ...] | None = None,
    threads: int | None = None,
    options: BenchOptions | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> BenchReport:
    """Measure MODEL with every engine it can run on, side by side, on this CPU.

    ``threads``: OpenVINO's; 0 means all cores, None one for a single image and all for a batch.
    ``on_progress`` is called with what is being done, the steps done and their number.
    """
    options = options or BenchOptions()
    if options.rounds < 1 or options.seconds <= 0:
        raise BadInputError("--rounds must be at least 1 and --seconds above 0")
    if threads is not None and threads < 0:
        raise BadInputError("--threads must be at least 0 (0 means all cores)")
    found = bundle.resolve(model)
    if found.kind in foreign.KINDS:
        with foreign.temporary_ir(found.path) as (ir, theirs):
            report = bench(ir, vs=vs or (), threads=threads, options=options, on_progress=on_progress)
        return replace(report, model=str(model), notes=[*report.notes, theirs.in_short()])
    chosen, notes = contenders(model, vs, threads)
    steps = len(chosen) * (options.rounds + 2 + options.cold_starts)
    done = 0

    def step(doing: str) -> None:
        nonlocal done
        if on_progress:
            on_progress(doing, done, steps)
        done += 1

    measured: list[_Measured] = []
    try:
        for contender in chosen:
            step(f"start {contender.name}")
            measured.append(_Measured(contender))
            measured[-1].ask("prepare")
        for number in range(options.rounds):
            # Each round starts with another engine, so that none is always the first.
            for m in _rotated(measured, number):
                step(f"round {number + 1} of {options.rounds}: {m.contender.name}")
                m.round(options)
        for m in measured:
            step(f"accuracy of {m.contender.name}")
            m.finish()
        for _ in range(options.cold_starts):
            for m in measured:
                step(f"cold start of {m.contender.name}")
                m.cold_start()
    finally:
        for m in measured:
            m.close()
    if on_progress:
        on_progress("done", steps, steps)
    return BenchReport(
        model=str(model),
        machine=machine.describe(),
        settings={**asdict(options), "threads": threads, "vs": list(vs) if vs is not None else None},
        rows=[m.row(options) for m in measured],
        notes=notes,
    )


def _rotated(items: list[_Measured], by: int) -> list[_Measured]:
    by %= len(items)
    return items[by:] + items[:by]


class _Measured:
    """A contender's process and what it has answered so far."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close())
        self._process = self._spawn()
        try:
            self._first = self._read(self._process)
        except BaseException:
            self.close()
            raise
        self._cold_s: list[float] = []
        self._latency_us: list[list[float]] = []
        self._throughput: list[float] = []
        self._queue: list[float] = []
        self._end: dict[str, Any] = {}

    def _spawn(self) -> subprocess.Popen[str]:
        spec = {k: getattr(self.contender, k) for k in ("model", "engine", "precision", "threads")}
        return subprocess.Popen(
            [sys.executable, "-m", "edgefashion.bench_worker", json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
        )

    def _read(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            self._log.seek(0)
            last = self._log.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise EdgeFashionError(
                f"the process measuring {self.contender.name} ended early ({last[0]}). Is there memory enough?"
            )
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            error = EdgeFashionError(reply["error"])
            error.exit_code = reply["exit_code"]
            raise error
        return reply

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it died in between: reading tells
            print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
        return self._read(self._process)

    def round(self, options: BenchOptions) -> None:
        self._latency_us.append(self.ask("latency", seconds=options.seconds, min_calls=options.min_calls)["latency_us"])
        self._throughput.append(self.ask("throughput", seconds=options.seconds, batch=options.batch)["throughput_fps"])
        if "peak_rss_mb" not in self._end:
            # Before the queue is made: memory is that of the engine as a kiosk uses it.
            self._end |= self.ask("memory")
        if self.contender.engine == "openvino":
            self._queue.append(self.ask("queue", seconds=options.seconds)["throughput_fps"])

    def finish(self) -> None:
        self._end |= self.ask("accuracy")

    def cold_start(self) -> None:
        start = time.perf_counter()
        process = self._spawn()
        try:
            self._read(process)
            self._cold_s.append(time.perf_counter() - start)
        finally:
            _stop(process)

    def close(self) -> None:
        _stop(self._process)
        self._log.close()

    def row(self, options: BenchOptions) -> Row:
        every = np.concatenate([np.asarray(r) for r in self._latency_us])
        p50, p90, p99 = (round(float(v), 2) for v in np.percentile(every, (50, 90, 99)))
        right, n = self._end["right"], self._end["n"]
        return Row(
            name=self.contender.name,
            engine=self.contender.engine,
            precision=self.contender.precision,
            runtime_precision=self._first["runtime_precision"],
            threads=self._first["settings"]["threads"],
            batch=options.batch,
            latency_us={"p50": p50, "p90": p90, "p99": p99},
            latency_p50_rounds_us=[round(statistics.median(r), 2) for r in self._latency_us],
            throughput_fps=round(statistics.median(self._throughput), 1),
            throughput_async_fps=round(statistics.median(self._queue), 1) if self._queue else None,
            accuracy=right / n,
            accuracy_ci95=wilson95(right, n),
            size_bytes=self.contender.size_bytes,
            cold_start_s=round(statistics.median(self._cold_s), 3),
            peak_rss_mb=round(self._end["peak_rss_mb"], 1),
        )


def _stop(process: subprocess.Popen[str]) -> None:
    """End a worker: closing its stdin is its signal; one that does not obey is killed."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def plot(report: BenchReport, path: Path) -> None:
    """Write a PNG chart: batch-1 latency and best throughput of each row."""
    need("matplotlib", "to draw the chart")
    from matplotlib.figure import Figure

    rows = report.rows[::-1]
    names = [r.name for r in rows]
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
    with data.written_aside(path) as aside:
        figure.savefig(aside, dpi=110)
