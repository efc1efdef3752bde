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


class Samples:
    """What the process uses and how long an answer takes, taken while the loop runs."""

    def __init__(self, frames: int, cut_every: int) -> None:
        self.frames, self.cut_every = frames, cut_every
        self.done, self.cut = threading.Event(), threading.Event()
        self.taken: list[dict[str, Any]] = []
        # Touched now: it is not to count as growth.
        self.latencies_ms = np.ones(frames, np.float32)
        self._me, self._count = psutil.Process(), 0

    def on_answer(self, frame: source.Frame, _: object) -> None:
        """Note an answer; at its times take a sample, ask for a cut, or end it all."""
        if self._count >= self.frames:
            return
        self.latencies_ms[self._count] = (time.monotonic() - frame.time_s) * 1000
        self._count += 1
        if self._count == SETTLED or self._count % (self.frames // SAMPLES) == 0:
            self.taken.append(self._sample())
            print(self.taken[-1], flush=True)
        if self._count == self.frames:
            self.done.set()
        elif self._count % self.cut_every == 0:
            self.cut.set()

    def _sample(self) -> dict[str, Any]:
        gc.collect()
        workers = [
            child for child in self._me.children() if "edgefashion.camera.sources.capture_worker" in child.cmdline()
        ]
        return {
            "frame": self._count,
            "rss_mb": self._me.memory_info().rss / 1e6,
            "capture_rss_mb": sum(child.memory_info().rss for child in workers) / 1e6,
            "threads": self._me.num_threads(),
            "fds": self._me.num_fds(),
            "children": len(workers),
        }

    def cut_when_told(self, network_camera: BadCamera) -> None:
        """Take the camera away for two seconds, whenever it is time to."""
        while not self.done.is_set():
            if self.cut.wait(0.2):
                self.cut.clear()
                network_camera.kill()
                time.sleep(2)
                network_camera.restart()

    def growth(self) -> dict[str, Any]:
        """From the sample after which everything has been allocated once to the last one."""
        first = next(one for one in self.taken if one["frame"] >= SETTLED)
        last, tenth = self.taken[-1], self.frames // 10
        early, late = (
            float(np.quantile(self.latencies_ms[part], 0.99)) for part in (slice(0, tenth), slice(-tenth, None))
        )
        return {
            "rss_growth_mb": round(last["rss_mb"] - first["rss_mb"], 2),
            "capture_rss_growth_mb": round(last["capture_rss_mb"] - first["capture_rss_mb"], 2),
            "thread_growth": last["threads"] - first["threads"],
            "fd_growth": last["fds"] - first["fds"],
            "latency_ms_p99": {"first_tenth": round(early, 2), "last_tenth": round(late, 2)},
            "latency_ratio_p99": round(late / early, 3),
        }


def main() -> None:
    """Run the loop, then write what grew."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--frames", type=int, default=200_000)
    arguments.add_argument("--model", default="kiosk")
    arguments.add_argument("--cut-every", type=int, default=20_000)
    given = arguments.parse_args()
    samples = Samples(given.frames, given.cut_every)
    with BadCamera("--size", "640x480", "--fps", "500") as network_camera, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=samples.cut_when_told, args=(network_camera,), daemon=True).start()
        began_s = time.monotonic()
        summary = loop.run(
            Networks([given.model]),
            source.open_source(network_camera.url),
            stop=samples.done,
            events=[open_sink(str(Path(folder) / "events.jsonl"))],
            on_answer=samples.on_answer,
            options=loop.LoopOptions(highest_fps=1e6, answers_fps=1e6),
        )
        seconds = time.monotonic() - began_s
    report = {
        "machine": machine.describe(),
        "model": given.model,
        "frames": given.frames,
        "seconds": round(seconds),
        "reconnects": summary.reconnects,
        "faults": summary.faults,
        **samples.growth(),
    }
    with files.written_aside(RESULTS / "soak.json") as aside:
        lines = ",\n".join(f"  {json.dumps(one)}" for one in samples.taken)
        head = json.dumps(report, indent=1).removesuffix("\n}")
        aside.write_text(f'{head},\n "samples": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    print({name: value for name, value in report.items() if name != "machine"})


if __name__ == "__main__":
    main()
