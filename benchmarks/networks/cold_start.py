"""From the start of a process to its first answer: `edgefashion predict`, the bare runtime, and TensorFlow.

    python benchmarks/networks/cold_start.py [EARLIER]

Writes ``benchmarks/networks/results/cold_start.json``. Each way is a fresh process on one picture, the ways taken in
turn; the ratios are taken turn by turn. Beside them: what OpenVINO's model cache (CACHE_DIR) does to the bare way, and
what the slowest imports cost. ``EARLIER`` is a checkout of an earlier version, whose ``predict`` is measured too.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from edgefashion.bundles import resolve
from edgefashion.data import fashion_mnist
from edgefashion.system import machine

RESULTS = Path(__file__).parent / "results" / "cold_start.json"
NETWORKS = ("edge", "kiosk")
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


class Way(NamedTuple):
    """One way to a first answer."""

    command: list[str]
    environment: dict[str, str]


def main() -> None:
    earlier = Path(sys.argv[1]).resolve() if sys.argv[1:] else None
    found: dict[str, Any] = {"machine": machine.describe(), "networks": {}}
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "shirt.png"
        cv2.imwrite(str(picture), 255 - fashion_mnist.load("test")[0][0])
        for name in NETWORKS:
            found["networks"][name] = _measured(_ways(name, picture, earlier), Path(folder))
        found["imports_ms"] = _imports(_ways(NETWORKS[0], picture, None)["predict"].command)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in found.items() if key != "machine"}, indent=1))


def _ways(name: str, picture: Path, earlier: Path | None) -> dict[str, Way]:
    made = resolve.resolve(name).bundle
    assert made is not None
    int8 = str(made.verified("int8").resolve())
    cache = f'core.set_property({{{{"CACHE_DIR": {str(picture.parent)!r}}}}})'
    predict = [sys.executable, "-m", "edgefashion", "predict", str(made.path.resolve()), str(picture), "--json"]
    ways = {
        "predict": Way(predict, {}),
        "bare": Way([sys.executable, "-c", BARE.format(cache=""), int8], {}),
        "bare, CACHE_DIR": Way([sys.executable, "-c", BARE.format(cache=cache.format()), int8], {}),
    }
    if made.has("saved_model"):
        ways["TensorFlow"] = Way([sys.executable, "-c", TENSORFLOW, str(made.verified("saved_model").resolve())], {})
    if earlier:
        beside = [*predict[:4], str(earlier / "models" / made.path.name), *predict[5:]]
        ways["predict, earlier"] = Way(beside, {"PYTHONPATH": str(earlier)})
    return ways


def _measured(ways: dict[str, Way], folder: Path) -> dict[str, Any]:
    # Bytecode is kept, as pip leaves it: the first turn writes it.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    kept["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, way in ways.items():
            environment = {**kept, **way.environment}
            start = time.perf_counter()
            subprocess.run(way.command, check=True, capture_output=True, env=environment, cwd=folder)
            if turn:  # the first warms the disk too
                taken[name].append(time.perf_counter() - start)
    pairs = [("predict", name) for name in ("bare", "TensorFlow", "predict, earlier")]
    pairs += [("predict, earlier", "bare"), ("bare, CACHE_DIR", "bare")]
    return {
        "seconds": {name: statistics.median(each) for name, each in taken.items()},
        "ratios": {f"{a} / {b}": _ratio(taken[a], taken[b]) for a, b in pairs if a in taken and b in taken},
    }


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
