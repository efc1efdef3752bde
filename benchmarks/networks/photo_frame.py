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

from edgefashion.inference import preprocess
from edgefashion.inference.load import load

CAPS = ("", "AVX512_CORE_VNNI", "AVX2_VNNI", "AVX2")


def frame() -> None:
    """Each cap in a process of its own, one thread; the interpreter's start is not counted."""
    rows: dict[str, Any] = {}
    for cap in CAPS:
        environment = {**os.environ, **({"ONEDNN_MAX_CPU_ISA": cap} if cap else {})}
        done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
        name = cap or "uncapped"
        rows[name] = (
            json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip().splitlines()[-1]}
        )
        print(f"{name:18} {rows[name]}", flush=True)
    keep({"frame_p50_ms": rows})


def one_frame(model: str = "kiosk", rounds: int = 400) -> None:
    import cv2

    from edgefashion.inference.predict import predict

    cv2.setNumThreads(1)
    classifier = load(model)
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (45, 80, 3), np.uint8), (1280, 720), interpolation=cv2.INTER_CUBIC)
    guide = preprocess.guide_box(1280, 720)
    spent: dict[str, list[float]] = {"frame to answer": [], "view": [], "network": []}
    for _ in range(rounds):
        began = time.perf_counter()
        predict(classifier, np.asarray(scene, np.uint8), within=guide)
        spent["frame to answer"].append(time.perf_counter() - began)
        began = time.perf_counter()
        view = preprocess.view(np.asarray(scene, np.uint8), guide)
        seen = time.perf_counter()
        classifier.look(view)
        spent["view"].append(seen - began)
        spent["network"].append(time.perf_counter() - seen)
    print(json.dumps({name: round(1000 * float(np.median(times[20:])), 3) for name, times in spent.items()}))


if __name__ == "__main__":
    one_frame()
