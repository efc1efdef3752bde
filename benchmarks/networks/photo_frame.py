"""What one 1280x720 frame costs from camera to answer, under instruction-set caps; ``photos.py frame`` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from photo_results import keep

from edgefashion.inference.load import load
from edgefashion.system import machine

CAPS = {"": "", "AVX512_CORE_VNNI": "avx512_vnni", "AVX2_VNNI": "avx_vnni", "AVX2": "avx2"}
"""Each cap, and what the CPU must have for it to be one: above that it would be another cap's row again."""


def frame() -> None:
    """Each cap in a process of its own, one thread; the interpreter's start is not counted."""
    rows: dict[str, Any] = {}
    has = machine.isa()
    for cap, needed in CAPS.items():
        if needed and needed not in has:
            continue
        environment = {**os.environ, **({"ONEDNN_MAX_CPU_ISA": cap} if cap else {})}
        done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
        name = cap or "uncapped"
        rows[name] = (
            json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip().splitlines()[-1]}
        )
        print(f"{name:18} {rows[name]}", flush=True)
    keep({"frame_p50_ms": rows})


def one_frame(model: str = "kiosk", rounds: int = 300) -> None:
    """Print the medians: the finder alone, and with one and with four garments named, of fixed boxes, after it."""
    import cv2

    from edgefashion.inference import scene
    from edgefashion.inference.finder import Region

    cv2.setNumThreads(1)
    classifier = load(model)
    assert classifier.finder is not None
    rng = np.random.default_rng(0)
    drawn = cv2.resize(rng.integers(0, 256, (45, 80, 3), np.uint8), (1280, 720), interpolation=cv2.INTER_CUBIC)
    frame, whole = np.asarray(drawn, np.uint8), (0, 0, 1280, 720)
    boxes = ((0.4, 0.15, 0.2, 0.35), (0.42, 0.5, 0.16, 0.4), (0.42, 0.9, 0.16, 0.08), (0.58, 0.5, 0.06, 0.2))
    four = [Region(kind, box, 0.9, 0.9) for kind, box in zip(("upper", "lower", "footwear", "bag"), boxes, strict=True)]
    lone = [Region("upper", (0.25, 0.1, 0.5, 0.8), 0.9, 0.1)]
    spent: dict[str, list[float]] = {"finding": [], "one garment": [], "a person with four": []}
    for _ in range(rounds):
        for name, regions in (("finding", []), ("one garment", lone), ("a person with four", four)):
            began = time.perf_counter()
            classifier.finder.find(frame)
            scene.look(classifier, frame, regions, whole)
            spent[name].append(time.perf_counter() - began)
    print(json.dumps({name: round(1000 * float(np.median(times[20:])), 3) for name, times in spent.items()}))


if __name__ == "__main__":
    one_frame()
