"""The candidates of a bench side by side, each in a process of its own, round after round."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any, Final

import numpy as np

from edgefashion.bench import pictures
from edgefashion.bench.candidates import ISA_CAPS, Candidate
from edgefashion.bench.pictures import FASHION_MNIST, Pictures
from edgefashion.bench.report import BenchOptions, Row
from edgefashion.bench.worker_process import Worker
from edgefashion.errors import EdgeFashionError
from edgefashion.evaluation.metrics import wilson95
from edgefashion.inference.classifier import BATCH
from edgefashion.system import machine

_PROBE_S: Final = 0.15
"""For each batch size tried, before the best one is measured."""

_WHOLE_S: Final = 1200.0
"""For the test images, all of them: of photos, on a slow CPU at one thread, a quarter of an hour."""


class Rounds:
    """The candidates' processes side by side; one that fails drops out with a note."""

    def __init__(
        self,
        options: BenchOptions,
        step: Callable[[str], None],
        notes: list[str],
        measured_on: Pictures = FASHION_MNIST,
    ) -> None:
        """``step`` is told what is done next, ``notes`` grows by why a row is missing, and ``measured_on`` holds what
        accuracy is measured on."""
        self._options, self._step, self._notes, self._measured_on = options, step, notes, measured_on
        self._running: list[_Measured] = []
        self._failure: EdgeFashionError | None = None
        self.others_cpu_share = 0.0
        """Of the CPU, 0 to 1, while the rounds were measured."""

    def start(self, chosen: list[Candidate]) -> None:
        for c in chosen:
            self._step(f"start {c.title}")
            one = _Measured(c, self._options, self._measured_on)
            self._running.append(one)
            self._go(one, one.start)

    def run(self) -> None:
        load = machine.OthersLoad([one.pid for one in self._running])
        for number in range(self._options.rounds):
            # Each round starts with another engine, so that none is always the first.
            for one in _rotated(self._running, number):
                self._step(f"round {number + 1} of {self._options.rounds}: {one.candidate.title}")
                self._go(one, one.round)
        self.others_cpu_share = round(load.share(), 3)
        for one in list(self._running):
            self._step(f"accuracy of {one.candidate.title}")
            self._go(one, one.finish)
        for _ in range(self._options.cold_starts):
            for one in list(self._running):
                self._step(f"cold start of {one.candidate.title}")
                self._go(one, one.cold_start)

    def _go(self, one: _Measured, do: Callable[[], None]) -> None:
        try:
            do()
        except EdgeFashionError as error:
            self._failure = self._failure or error
            self._notes.append(f"No {one.candidate.title} row: {error}")
            self._running.remove(one)
            one.close()

    def rows(self) -> list[Row]:
        if not self._running and self._failure is not None:
            raise self._failure
        return [one.row() for one in self._running]

    def close(self) -> None:
        for one in self._running:
            one.close()


def _rotated(items: list[_Measured], by: int) -> list[_Measured]:
    by %= max(1, len(items))
    return items[by:] + items[:by]


class _Measured:
    """A candidate's process and what it has answered so far."""

    def __init__(self, candidate: Candidate, options: BenchOptions, measured_on: Pictures) -> None:
        self.candidate = candidate
        self._options, self._measured_on = options, measured_on
        self._worker: Worker | None = None
        self._batch = BATCH
        self._cold_s: list[float] = []
        self._latency_us: list[list[float]] = []
        self._throughput: list[float] = []
        self._queue: list[float] = []
        self._end: dict[str, Any] = {}

    def _spawn(self) -> Worker:
        names = ("model", "engine", "precision", "threads", "own", "labels", "device")
        spec: dict[str, Any] = {name: getattr(self.candidate, name) for name in names}
        spec["batches"] = self._options.batches
        photos = self._measured_on.photos
        spec |= {"photos": str(photos) if photos else None, "images": self._measured_on.images}
        spec["timed_photos"] = pictures.TIMED_PHOTOS
        cap = {"ONEDNN_MAX_CPU_ISA": ISA_CAPS[self.candidate.isa][0]} if self.candidate.isa else {}
        return Worker(self.candidate.title, "edgefashion.bench.worker", spec, cap)

    def _ask(self, do: str, seconds: float = 0.0, *, limit_s: float = 0.0, **request: Any) -> dict[str, Any]:
        assert self._worker is not None
        if seconds:
            request["seconds"] = seconds
        return self._worker.ask(do, limit_s=seconds + limit_s, **request)

    def start(self) -> None:
        self._worker = self._spawn()
        batches = self._ask("prepare", limit_s=_WHOLE_S)["batches"]
        rates = {b: self._ask("throughput", _PROBE_S, batch=b)["throughput_fps"] for b in batches}
        self._batch = max(rates, key=lambda batch: rates[batch])
        self._end["by_batch"] = {str(batch): round(rate, 1) for batch, rate in rates.items()}

    def round(self) -> None:
        seconds = self._options.seconds
        self._latency_us.append(self._ask("latency", seconds, min_calls=self._options.min_calls)["latency_us"])
        self._throughput.append(self._ask("throughput", seconds, batch=self._batch)["throughput_fps"])
        if "peak_rss_mb" not in self._end:
            # Before the queue is made: memory is that of the engine as a kiosk uses it.
            self._end |= self._ask("memory")
        if self.candidate.engine in ("openvino", "remote"):
            self._queue.append(self._ask("queue", seconds)["throughput_fps"])

    @property
    def pid(self) -> int:
        assert self._worker is not None
        return self._worker.pid

    def finish(self) -> None:
        self._end |= self._ask("accuracy", limit_s=_WHOLE_S)
        self._end |= self._ask("operations", limit_s=_WHOLE_S)
        self._end |= self._ask("precision", limit_s=_WHOLE_S)

    def cold_start(self) -> None:
        worker = self._spawn()
        self._cold_s.append(worker.cold_start_s)
        worker.close()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()

    def row(self) -> Row:
        assert self._worker is not None
        every = np.concatenate([np.asarray(r) for r in self._latency_us])
        percentiles = [round(float(v), 2) for v in np.percentile(every, range(101))]
        right, n = self._end["right"], self._end["n"]
        first = self._worker.first
        return Row(
            name=self.candidate.name,
            engine=self.candidate.engine,
            precision=self.candidate.precision,
            runtime_precision=self._end["runtime_precision"],
            threads=first["settings"]["threads"],
            isa=self.candidate.isa,
            device=self.candidate.device,
            batch=self._batch,
            latency_us={"p50": percentiles[50], "p90": percentiles[90], "p99": percentiles[99]},
            latency_p50_rounds_us=[round(median(r), 2) for r in self._latency_us],
            latency_percentiles_us=percentiles,
            throughput_fps=round(median(self._throughput), 1),
            throughput_by_batch_fps=self._end["by_batch"],
            throughput_rounds_fps=[round(r, 1) for r in self._throughput],
            throughput_async_fps=round(median(self._queue), 1) if self._queue else None,
            throughput_async_rounds_fps=[round(r, 1) for r in self._queue],
            accuracy=right / n,
            accuracy_ci95=wilson95(right, n),
            marked=None,
            size_bytes=self.candidate.size_bytes,
            cold_start_s=round(median(self._cold_s or [self._worker.cold_start_s]), 3),
            peak_rss_mb=round(self._end["peak_rss_mb"], 1),
            settings=self._end.get("settings", first["settings"]),
            operations=self._end["operations"],
        )
