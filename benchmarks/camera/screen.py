"""What the screen costs: CPU time a frame to draw a moment, to hide it, to keep it and to hand it to the window.

    python benchmarks/camera/screen.py [--frames 300]

Each step takes the same drawn frames in turn and is measured alone, by the CPU time of all of its threads; the window
also by that of its own process, at 30 frames a second. Without a display its rows are left out: run it in
``xvfb-run -s "-screen 0 1920x1080x24"`` there. Writes ``benchmarks/camera/results/screen.json`` and prints a Markdown
table.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil

from edgefashion.camera import demo_clip, privacy
from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.outputs import clips, overlay
from edgefashion.camera.outputs.window import Window
from edgefashion.data import fashion_mnist
from edgefashion.errors import EdgeFashionError
from edgefashion.inference import preprocess
from edgefashion.system import machine

SIZES_WH = ((640, 480), (1280, 720), (1920, 1080))
FPS = 30
IMAGES = 10
"""Different frames: some megabytes, so that none waits in a cache for its turn."""
RESULTS = Path(__file__).parent / "results" / "screen.json"


def main() -> None:
    import cv2

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=300)
    frames = parser.parse_args().frames
    cv2.setNumThreads(1)
    rows = [row for size_wh in SIZES_WH for row in measure(moments(size_wh, frames))]
    results = {"machine": machine.describe(), "settings": {"frames": frames, "fps": FPS, "threads": 1}, "rows": rows}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


def moments(size_wh: tuple[int, int], frames: int) -> list[Moment]:
    """Answers to a noisy scene, whose figures change as they do in life."""
    import cv2

    rng = np.random.default_rng(0)
    guide = preprocess.guide_box(*size_wh)
    x, y, side, _ = guide
    made = []
    for image in fashion_mnist.load("test")[0][:IMAGES]:
        scene = cv2.resize(demo_clip.scene_of(image), size_wh, interpolation=cv2.INTER_AREA)
        noisy = np.clip(scene + rng.normal(0, 2, scene.shape), 0, 255).astype(np.uint8)
        made.append((noisy, image))
    box = (x + side // 6, y + side // 6, side * 2 // 3, side * 2 // 3)
    answer = {"state": "garment", "label": "Ankle boot", "guide": guide, "box": box, "model": "edge"}
    return [
        Moment(
            number / FPS,
            Health("live", fps=29 + number % 3, latency_ms=2 + number % 7 / 10),
            confidence=0.9 + number % 10 / 100,
            image=made[number % IMAGES][0],
            pixels=made[number % IMAGES][1],
            precision="INT8",
            **answer,  # type: ignore[arg-type]
        )
        for number in range(frames)
    ]


def measure(given: list[Moment]) -> list[dict[str, Any]]:
    assert given[0].image is not None
    height, width = given[0].image.shape[:2]

    def changed(**changes: Any) -> list[Moment]:
        return [replace(moment, **changes) for moment in given]

    lost = Health("reconnecting")
    steps: dict[str, Callable[[], float]] = {
        "draw": lambda: cpu_ms(overlay.draw, given),
        "draw, mirrored": lambda: cpu_ms(overlay.draw, changed(mirror=True)),
        "draw, with the keys": lambda: cpu_ms(overlay.draw, changed(help=True)),
        "draw the lost camera": lambda: cpu_ms(overlay.draw, changed(image=given[0].image, health=lost)),
        "hide all but the garment": lambda: cpu_ms(hide, given),
        "record a clip": lambda: clip_ms(given),
    }
    rows = [{"size": f"{width}x{height}", "step": step, "cpu_ms": round(take(), 3)} for step, take in steps.items()]
    try:
        here, there = window_ms(given)
    except EdgeFashionError:
        return rows
    for step, taken_ms in (("hand to the window", here), ("the window's own process", there)):
        rows.append({"size": f"{width}x{height}", "step": step, "cpu_ms": round(taken_ms, 3)})
    return rows


def hide(moment: Moment) -> object:
    assert moment.image is not None
    return privacy.hide(moment.image, [moment.box] if moment.box else [])


@contextlib.contextmanager
def drawn_before(given: list[Moment]) -> Iterator[None]:
    """Meanwhile the outputs find every moment drawn already: what they do is measured without the drawing."""
    pictures = itertools.cycle([overlay.draw(moment) for moment in given[:IMAGES]])
    with mock.patch.object(overlay, "drawn", side_effect=pictures):
        yield


def cpu_ms(step: Callable[[Moment], object], given: list[Moment]) -> float:
    for moment in given[:IMAGES]:
        step(moment)
    began_s = time.process_time()
    for moment in given[IMAGES:]:
        step(moment)
    return (time.process_time() - began_s) * 1000 / len(given[IMAGES:])


def clip_ms(given: list[Moment]) -> float:
    with tempfile.TemporaryDirectory() as folder, drawn_before(given):
        output = clips.Clips(Path(folder))
        began_s = time.process_time()
        output.start()
        in_time(output.take, given)
        output.close()
        return (time.process_time() - began_s) * 1000 / len(given)


def window_ms(given: list[Moment]) -> tuple[float, float]:
    output = Window()
    try:
        with drawn_before(given):
            in_time(output.take, given[:FPS])
            process = psutil.Process(output.pid)
            began_s, window_s = time.process_time(), sum(process.cpu_times()[:2])
            in_time(output.take, given)
            taken_s, window_s = time.process_time() - began_s, sum(process.cpu_times()[:2]) - window_s
    finally:
        output.close()
    return taken_s * 1000 / len(given), window_s * 1000 / len(given)


def in_time(take: Callable[[Moment], None], given: list[Moment]) -> None:
    """Hand in frames as a camera does."""
    began_s = time.monotonic()
    for number, moment in enumerate(given):
        time.sleep(max(0.0, began_s + number / FPS - time.monotonic()))
        take(moment)


def table(rows: list[dict[str, Any]]) -> str:
    """CPU time a frame, and the share of one core at 30 frames a second."""
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    taken = {(row["step"], row["size"]): row["cpu_ms"] for row in rows}
    lines = [f"| CPU ms a frame (of one core at {FPS} fps) | {' | '.join(sizes)} |", "|---" * (len(sizes) + 1) + "|"]
    for step in dict.fromkeys(row["step"] for row in rows):
        cells = [f"{taken[step, size]:.2f} ({taken[step, size] * FPS / 10:.1f} %)" for size in sizes]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
