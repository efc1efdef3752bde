"""What the Python around OpenVINO costs a call, and whether OpenVINO's own tool measures what bench does.

    python benchmarks/networks/overhead.py

Writes ``benchmarks/networks/results/overhead.json``: the ``Classifier`` call beside the bare ``infer()`` of the same
compiled model, calls interleaved, and what OpenVINO itself says that the network took; and ``benchmark_app`` on the
same IR and settings beside ``bench``'s row. ``benchmark_app`` reports the time inside OpenVINO: the way into it from
Python and back, some microseconds, is in our row and not in its.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefashion import load
from edgefashion.bench import run
from edgefashion.bundles import resolve
from edgefashion.data import fashion_mnist
from edgefashion.system import machine

RESULTS = Path(__file__).parent / "results" / "overhead.json"
ROUNDS, CALLS, TURNS = 40, 400, 3
PRECISIONS = ("fp32", "int8")


def main() -> None:
    found: dict[str, Any] = {"machine": machine.describe()}
    for precision in PRECISIONS:
        found[precision] = {"call": _call(precision), "benchmark_app": _tools(precision)}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({p: found[p] for p in PRECISIONS}, indent=1))


def _call(precision: str) -> dict[str, Any]:
    """The whole call, and the bare one of the same request."""
    classifier = load("edge", precision=precision)
    images = fashion_mnist.load("test")[0]
    classifier(images[:1])
    request: Any = classifier.run.request  # type: ignore[attr-defined]
    bare: Callable[[], Any] = request.infer
    times: dict[str, list[float]] = {"call": [], "infer": [], "inside": []}
    for number in range(ROUNDS):
        image = images[number : number + 1]
        for name, do in (("call", lambda image=image: classifier(image)), ("infer", bare)):
            taken, inside = [], []
            for _ in range(CALLS):
                start = time.perf_counter()
                do()
                taken.append(time.perf_counter() - start)
                inside.append(request.latency)
            times[name].append(statistics.median(taken) * 1e6)
        times["inside"].append(statistics.median(inside) * 1e3)
    more = [a - b for a, b in zip(times["call"], times["infer"], strict=True)]
    return {
        **{f"{name}_us": statistics.median(taken) for name, taken in times.items()},
        "overhead_us": statistics.median(more),
        "overhead_quartiles_us": statistics.quantiles(more, n=4)[::2],
    }


def _tools(precision: str) -> dict[str, Any]:
    """Median latency by benchmark_app and by bench, turn and turn about."""
    made = resolve.resolve("edge").bundle
    assert made is not None
    tool = Path(sys.executable).with_name("benchmark_app")
    command = [str(tool), "-m", str(made.verified(precision)), "-d", "CPU", "-hint", "none", "-api", "sync"]
    command += ["-nstreams", "1", "-nthreads", "1", "-infer_precision", "f32", "-t", "5", "-pin", "NO"]
    theirs, ours = [], []
    for _ in range(TURNS):
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        median = re.search(r"Median:\s+([\d.]+) (ms|us)", said)
        assert median, said
        theirs.append(float(median[1]) * (1e3 if median[2] == "ms" else 1))
        options = run.BenchOptions(rounds=3, seconds=0.5, batches=(64,), cold_starts=0)
        rows = run.bench("edge", vs=(), threads=1, options=options).rows
        ours += [r.latency_us["p50"] for r in rows if (r.engine, r.precision) == ("openvino", precision)]
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "bench_us": statistics.median(ours),
        "benchmark_app_us": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "ratios": [round(r, 3) for r in ratios],
        "command": " ".join(["benchmark_app", "-m", f"{precision}.xml", *command[3:]]),
    }


if __name__ == "__main__":
    main()
