"""What a camera's frame costs from its pixels to an answer: preprocessed by Python and OpenCV, and inside the IR.

    python benchmarks/networks/embed.py [--rounds 30]

Each network is embedded for each frame size in a copy of its bundle, on a small parity gate. Then both ways
answer the same drawn frames in interleaved rounds, one thread each. Writes ``benchmarks/networks/results/embed.json``
and prints it as a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgefashion import load
from edgefashion.bundles import bundle, resolve
from edgefashion.conversion import embed
from edgefashion.data import fashion_mnist
from edgefashion.inference import preprocess
from edgefashion.inference.classifier import Classifier
from edgefashion.system import machine

MODELS = ("edge", "kiosk")
SIZES_WH = ((640, 480), (1280, 720))
FRAMES = 20
"""Frames of a round: some megabytes, so that none waits in a cache for its turn."""
GATE_FRAMES = 100
RESULTS = Path(__file__).parent / "results" / "embed.json"


def main() -> None:
    import cv2

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)  # as OpenVINO is given one
    rows = [measure(model, size_wh, rounds) for model in MODELS for size_wh in SIZES_WH]
    results = {"machine": machine.describe(), "settings": {"rounds": rounds, "frames": FRAMES, "threads": 1}}
    RESULTS.write_text(json.dumps({**results, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


def measure(model: str, size_wh: tuple[int, int], rounds: int) -> dict[str, Any]:
    found = resolve.resolve(model).bundle
    assert found is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = bundle.open_bundle(Path(shutil.copytree(found.path, Path(folder) / model)))
        made, done = embed.embed(copy, size_wh, frames=GATE_FRAMES)
        inside = embed.FrameReader(made.verified("embedded"))
    classifier = load(model, precision=done.precision, threads=1)
    rng = np.random.default_rng(0)
    frames = [embed.drawn_frame(classifier, image, rng, size_wh) for image in fashion_mnist.load("test")[0][:FRAMES]]
    taken = interleaved(
        {
            "preprocessing": lambda frame: _preprocess(classifier, frame),
            "python": lambda frame: embed.in_python(classifier, frame),
            "embedded": inside,
        },
        frames,
        rounds,
    )
    saved = [a - b for a, b in zip(taken["python"], taken["embedded"], strict=True)]
    return {
        "model": model,
        "precision": done.precision,
        "size_wh": size_wh,
        "parity": asdict(done.parity),
        **{f"{name}_us": _spread(times) for name, times in taken.items()},
        "saved_us": _spread(saved),
    }


def _preprocess(classifier: Classifier, frame: Any) -> Any:
    return preprocess.view(frame) if classifier.takes_photos else preprocess.whole(frame)


def interleaved(ways: dict[str, Callable[[Any], Any]], frames: list[Any], rounds: int) -> dict[str, list[float]]:
    """Each way's median time for a frame in microseconds, round by round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            way(frames[0])
            taken = []
            for frame in frames:
                start = time.perf_counter()
                way(frame)
                taken.append(time.perf_counter() - start)
            times[name].append(statistics.median(taken) * 1e6)
    return times


def _spread(times: list[float]) -> dict[str, Any]:
    """The rounds' median and quartiles."""
    low, _, high = statistics.quantiles(times, n=4)
    return {"p50": statistics.median(times), "quartiles": [low, high]}


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table: medians of the rounds, their quartiles in brackets."""

    def cell(spread: dict[str, Any]) -> str:
        low, high = spread["quartiles"]
        return f"{spread['p50']:,.0f} ({low:,.0f} to {high:,.0f})"

    lines = ["| model | frame | Python, us | of it preprocessing | embedded, us | embedding saves, us |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        width, height = row["size_wh"]
        cells = " | ".join(cell(row[f"{name}_us"]) for name in ("python", "preprocessing", "embedded", "saved"))
        lines.append(f"| {row['model']} {row['precision']} | {width}x{height} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
