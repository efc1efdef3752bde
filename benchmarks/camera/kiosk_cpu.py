"""How much of a core does a kiosk use? The running command on a 1280x720 camera of 30 frames a second.

    python benchmarks/camera/kiosk_cpu.py [--seconds 60] [--model kiosk]

Counts the processor time of the command and, apart, of the process that decodes and of the one that has the window
(under Xvfb, where that is installed). The camera is a process of its own (:mod:`bad_camera`) and does not count. Leave
the machine alone meanwhile. Writes ``benchmarks/camera/results/kiosk_cpu.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from bad_camera import BadCamera

from edgefashion.system import files, machine

RESULTS = Path(__file__).parent / "results"
PAGE = "127.0.0.1:8765"
SETTLED_S = 5.0
OLDER_CPU = "AVX2"
"""What OpenVINO is told to use no more than, in the row that names it."""


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--model", default="kiosk")
    given = arguments.parse_args()
    rows = []
    with BadCamera() as camera, screen() as display:
        kinds: list[tuple[str, list[str], bool]] = [
            ("headless", ["--headless"], False),
            ("headless, page that nobody watches", ["--headless", "--web", PAGE], False),
            ("headless, page with one viewer", ["--headless", "--web", PAGE], True),
            (f"headless, no more than {OLDER_CPU}", ["--headless"], False),
        ]
        if display:
            kinds.append(("window", [], False))
            kinds.append(("window, --fps 30", ["--fps", "30"], False))
        for name, options, viewer in kinds:
            environment = {**os.environ, "DISPLAY": display}
            if OLDER_CPU in name:
                environment["ONEDNN_MAX_CPU_ISA"] = OLDER_CPU
            rows.append({"run": name, **measure(given, camera.url, options, environment, viewer)})
            print(rows[-1], flush=True)
    with files.written_aside(RESULTS / "kiosk_cpu.json") as aside:
        report = {"machine": machine.describe(), "model": given.model, "seconds": given.seconds, "rows": rows}
        aside.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


@contextlib.contextmanager
def screen() -> Iterator[str]:
    """A display without a monitor, or the empty text."""
    if not shutil.which("Xvfb"):
        print("Xvfb is not installed: the window is left out")
        yield ""
        return
    server = subprocess.Popen(["Xvfb", ":96", "-screen", "0", "1280x720x24", "-noreset"], stderr=subprocess.DEVNULL)
    time.sleep(1)
    try:
        yield ":96"
    finally:
        server.kill()
        server.wait()


def measure(
    given: argparse.Namespace, url: str, options: list[str], environment: dict[str, str], viewer: bool
) -> dict[str, Any]:
    """Percent of a core by part, and the frames answered a second."""
    command = [sys.executable, "-m", "edgefashion", "camera", given.model, "--source", url, *options]
    kiosk = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(SETTLED_S)
    if viewer:
        threading.Thread(target=watch, daemon=True).start()
        time.sleep(1)
    before = times(kiosk.pid)
    time.sleep(given.seconds)
    after = times(kiosk.pid)
    kiosk.send_signal(signal.SIGTERM)
    _, errors = kiosk.communicate(timeout=30)
    shares = {part: round(100 * (after[part] - before[part]) / given.seconds, 1) for part in before}
    fps = float(errors.rsplit("(", 1)[1].split(" fps")[0])
    return {**shares, "together": round(sum(shares.values()), 1), "fps": fps}


def times(pid: int) -> dict[str, float]:
    """Processor seconds so far of the command and of its children, by what they do."""
    parts = {"loop": psutil.Process(pid)}
    for child in parts["loop"].children(recursive=True):
        if "edgefashion.camera.sources.capture_worker" in child.cmdline():
            parts["decode"] = child
        elif "edgefashion.camera.outputs.window_worker" in child.cmdline():
            parts["window"] = child
    return {part: sum(process.cpu_times()[:2]) for part, process in parts.items()}


def watch() -> None:
    """Look at the page's picture until it ends."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{PAGE}/picture.mjpg") as stream:
        while stream.read(65_536):
            pass


if __name__ == "__main__":
    main()
