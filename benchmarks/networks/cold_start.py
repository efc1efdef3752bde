"""From the start of a process to its first answer: `edgefashion predict`, the bare runtime, and TensorFlow.

    python benchmarks/networks/cold_start.py

Writes ``benchmarks/networks/results/cold_start.json``. Each way is a fresh process on one picture, the ways taken in
turn; the ratios are taken turn by turn. Beside them: what OpenVINO's model cache (CACHE_DIR) does to the bare way, and
what the slowest imports cost.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2

from edgefashion.bundles import resolve
from edgefashion.data import fashion_mnist
from edgefashion.system import machine

RESULTS = Path(__file__).parent / "results" / "cold_start.json"
TURNS = 15

# Without telemetry, as edgefashion imports it.
BARE = """
import sys
sys.modules["openvino_telemetry"] = None
import numpy as np, openvino as ov
core = ov.Core()
{cache}
compiled = core.compile_model(sys.argv[1], "CPU", {{"INFERENCE_NUM_THREADS": 1}})
compiled(np.zeros(tuple(compiled.input(0).shape), np.uint8))
"""
TENSORFLOW = """
import sys, numpy as np, tensorflow as tf
signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
(name, spec), = signature.structured_input_signature[1].items()
signature(**{name: tf.zeros((1, *spec.shape[1:]), spec.dtype)})
"""


def main() -> None:
    made = resolve.resolve("edge").bundle
    assert made is not None
    int8 = str(made.verified("int8"))
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "shirt.png"
        cv2.imwrite(str(picture), 255 - fashion_mnist.load("test")[0][0])
        cache = f'core.set_property({{{{"CACHE_DIR": {folder!r}}}}})'
        ways = {
            "predict": [sys.executable, "-m", "edgefashion", "predict", "edge", str(picture), "--json"],
            "bare": [sys.executable, "-c", BARE.format(cache=""), int8],
            "bare, CACHE_DIR": [sys.executable, "-c", BARE.format(cache=cache.format()), int8],
            "TensorFlow": [sys.executable, "-c", TENSORFLOW, str(made.verified("saved_model"))],
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(TURNS + 1):
            for name, command in ways.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                if turn:  # the first warms the disk
                    taken[name].append(time.perf_counter() - start)
        imports = _imports(ways["predict"])
    found: dict[str, Any] = {
        "machine": machine.describe(),
        "seconds": {name: statistics.median(each) for name, each in taken.items()},
        "ratios": {f"predict / {name}": _ratio(taken["predict"], taken[name]) for name in ("bare", "TensorFlow")}
        | {"bare, CACHE_DIR / bare": _ratio(taken["bare, CACHE_DIR"], taken["bare"])},
        "imports_ms": imports,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in found.items() if key != "machine"}, indent=1))


def _ratio(a: list[float], b: list[float]) -> dict[str, Any]:
    each = [x / y for x, y in zip(a, b, strict=True)]
    return {"median": statistics.median(each), "quartiles": statistics.quantiles(each, n=4)[::2]}


def _imports(command: list[str]) -> dict[str, float]:
    """The ten top-level packages whose import takes longest, all that they import included."""
    said = subprocess.run([command[0], "-X", "importtime", *command[1:]], check=True, capture_output=True, text=True)
    rows = re.findall(r"import time:\s+(\d+) \|\s+(\d+) \| +([\w.]+)", said.stderr)
    cumulative = {name: int(total) / 1e3 for _, total, name in rows if "." not in name}
    return dict(sorted(cumulative.items(), key=lambda row: -row[1])[:10])


if __name__ == "__main__":
    main()
