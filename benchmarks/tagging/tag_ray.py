"""From how many pictures on does tagging on Ray pay? Measured on this machine, and reckoned for more of them.

    python benchmarks/tagging/tag_ray.py PICTURES [--quick]     # a folder with 8,000 pictures; 700 will do for --quick

Both engines tag the first n pictures, in turns. A line through the two smaller sizes,

    T_local(n) = a + b n        T_ray(n, machines) = a' + b' n / machines,

is checked against two larger ones. That b' divides by the machines is an assumption: the machines share nothing but the
hand-out of paths, but network, storage and a slow machine at the end are left out. Two nodes on this machine would
share its cores and show nothing of it. Writes ``benchmarks/tagging/results/tag_ray.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from edgefashion import load
from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.system import files, machine
from edgefashion.tagging import inventory, run
from edgefashion.tagging.ray_engine import tag_on_ray

RESULTS = Path(__file__).parent / "results" / "tag_ray.json"
FITTED = (500, 2000)
CHECKED = (4000, 8000)
QUICK = ((50, 200), (400, 700))
MACHINES = (1, 2, 4, 8)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("pictures")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--quick", action="store_true", help="small sizes, one round")
    given = arguments.parse_args()
    fitted, checked = QUICK if given.quick else (FITTED, CHECKED)
    rounds = 1 if given.quick else given.rounds
    paths = list(itertools.islice(inventory.walk([given.pictures]), checked[-1]))
    if len(paths) < checked[-1]:
        raise SystemExit(f"{given.pictures} has {len(paths):,} pictures, and {checked[-1]:,} are needed")
    seconds = measure(paths, (*fitted, *checked), rounds)
    lines = {engine: line(fitted, [seconds[engine][n] for n in fitted]) for engine in seconds}
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "model": PHOTO_MODEL,
        "rounds": rounds,
        "seconds": seconds,
        "fitted_on": fitted,
        "line": {engine: {"start_s": a, "picture_ms": 1e3 * b} for engine, (a, b) in lines.items()},
        "checked_error_percent": {
            engine: {n: round(100 * ((a + b * n) / seconds[engine][n] - 1), 1) for n in checked}
            for engine, (a, b) in lines.items()
        },
        "pays_from_pictures": {count: pays_from(lines["local"], lines["ray"], count) for count in MACHINES},
        "left_out": "network, shared storage and the last machine's rest; more than one machine was not measured",
    }
    with files.written_aside(RESULTS) as aside:
        aside.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def measure(paths: list[str], sizes: tuple[int, ...], rounds: int) -> dict[str, dict[int, float]]:
    """Median seconds of each engine for the first n pictures, the model's loading counted in."""
    taken: dict[str, dict[int, list[float]]] = {engine: {n: [] for n in sizes} for engine in ("local", "ray")}
    Path(paths[0]).read_bytes()
    for _, n, engine in itertools.product(range(rounds), sizes, taken):
        with tempfile.TemporaryDirectory() as folder:
            began_s = time.perf_counter()
            classifier = load(PHOTO_MODEL, purpose="throughput" if engine == "local" else "latency")
            engines = {"local": run.tag, "ray": tag_on_ray}
            summary = engines[engine](classifier, paths[:n], Path(folder) / "tags.jsonl")
            taken[engine][n].append(time.perf_counter() - began_s)
        assert summary.pictures == n
        print(f"{engine}, {n:,} pictures: {taken[engine][n][-1]:.1f} s", flush=True)
    return {engine: {n: statistics.median(times) for n, times in by_n.items()} for engine, by_n in taken.items()}


def line(sizes: tuple[int, ...], seconds: list[float]) -> tuple[float, float]:
    """Start and slope of the line through two points."""
    slope = (seconds[1] - seconds[0]) / (sizes[1] - sizes[0])
    return seconds[0] - slope * sizes[0], slope


def pays_from(local: tuple[float, float], ray: tuple[float, float], machines: int) -> int | None:
    """The count of pictures from which Ray on so many machines is sooner done; None if it never is."""
    saved_s = local[1] - ray[1] / machines
    return max(0, round((ray[0] - local[0]) / saved_s)) if saved_s > 0 else None


if __name__ == "__main__":
    main()
