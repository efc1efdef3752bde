"""Does the camera loop stay as it was on the first day? Memory, threads, files and latency over 200,000 frames.

    python benchmarks/camera/soak.py [--frames 200000] [--model kiosk] [--cut-every 20000]

Runs the loop headless on a network camera, as fast as it can answer, and cuts the stream every now and then. The
camera is a process of its own (:mod:`bad_camera`), 640x480. Writes ``benchmarks/camera/results/soak.json``. Half an
hour on two cores.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bad_camera import BadCamera

from edgefashion.camera import loop
from edgefashion.camera.events.open import open_sink
from edgefashion.camera.networks import Networks
from edgefashion.camera.sources import source
from edgefashion.system import files, machine

RESULTS = Path(__file__).parent / "results"
SETTLED = 1000
"""Frames after which everything has been allocated once."""
SAMPLES = 100


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--frames", type=int, default=200_000)
    arguments.add_argument("--model", default="kiosk")
    arguments.add_argument("--cut-every", type=int, default=20_000)
    given = arguments.parse_args()
    stop = threading.Event()
    latencies_ms = np.zeros(given.frames, np.float32)
    latencies_ms += 1  # touched now: it is not to count as growth
    samples: list[dict[str, Any]] = []
    me = psutil.Process()
    count = 0

    def sample() -> dict[str, Any]:
        gc.collect()
        children = [child for child in me.children() if "edgefashion.camera.sources.capture_worker" in child.cmdline()]
        return {
            "frame": count,
            "rss_mb": me.memory_info().rss / 1e6,
            "capture_rss_mb": sum(child.memory_info().rss for child in children) / 1e6,
            "threads": me.num_threads(),
            "fds": me.num_fds(),
            "children": len(children),
        }

    def on_answer(frame: source.Frame, _: object) -> None:
        nonlocal count
        if count >= given.frames:
            return
        latencies_ms[count] = (time.monotonic() - frame.time_s) * 1000
        count += 1
        if count == SETTLED or count % (given.frames // SAMPLES) == 0:
            samples.append(sample())
            print(samples[-1], flush=True)
        if count % given.cut_every == 0 and count < given.frames:
            cut.set()
        if count == given.frames:
            stop.set()

    cut = threading.Event()
    with BadCamera("--size", "640x480", "--fps", "500") as network_camera, tempfile.TemporaryDirectory() as folder:

        def cut_when_told() -> None:
            while not stop.is_set():
                if cut.wait(0.2):
                    cut.clear()
                    network_camera.kill()
                    time.sleep(2)
                    network_camera.restart()

        threading.Thread(target=cut_when_told, daemon=True).start()
        began_s = time.monotonic()
        summary = loop.run(
            Networks([given.model]),
            source.open_source(network_camera.url),
            stop=stop,
            events=[open_sink(str(Path(folder) / "events.jsonl"))],
            on_answer=on_answer,
            options=loop.LoopOptions(highest_fps=1e6, answers_fps=1e6),
        )
        seconds = time.monotonic() - began_s
    tenth = given.frames // 10
    settled = next(one for one in samples if one["frame"] >= SETTLED)
    last = samples[-1]
    p99 = [float(np.quantile(latencies_ms[part], 0.99)) for part in (slice(0, tenth), slice(-tenth, None))]
    report = {
        "machine": machine.describe(),
        "model": given.model,
        "frames": given.frames,
        "seconds": round(seconds),
        "reconnects": summary.reconnects,
        "faults": summary.faults,
        "rss_growth_mb": round(last["rss_mb"] - settled["rss_mb"], 2),
        "capture_rss_growth_mb": round(last["capture_rss_mb"] - settled["capture_rss_mb"], 2),
        "thread_growth": last["threads"] - settled["threads"],
        "fd_growth": last["fds"] - settled["fds"],
        "latency_ms_p99": {"first_tenth": round(p99[0], 2), "last_tenth": round(p99[1], 2)},
        "latency_ratio_p99": round(p99[1] / p99[0], 3),
    }
    with files.written_aside(RESULTS / "soak.json") as aside:
        lines = ",\n".join(f"  {json.dumps(one)}" for one in samples)
        head = json.dumps(report, indent=1).removesuffix("\n}")
        aside.write_text(f'{head},\n "samples": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    print({name: value for name, value in report.items() if name != "machine"})


if __name__ == "__main__":
    main()
