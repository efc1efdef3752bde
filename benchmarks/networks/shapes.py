"""Shapes of ``edge`` with random weights: OpenVINO INT8 beside LiteRT INT8, one image, one thread.

    python benchmarks/networks/shapes.py

INT8's time is decided by the shapes and not by the weights, so a shape can be judged before it is trained. Writes
``benchmarks/networks/results/shapes.json``. Needs the extras ``train`` and ``bench``, Fashion-MNIST for what INT8 is
calibrated on, and a machine left alone for three minutes. Both are called from Python: OpenVINO as a ``Classifier``,
LiteRT's interpreter by its own three calls.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefashion.bench import peer_files
from edgefashion.conversion.int8_latency import in_int8
from edgefashion.data import fashion_mnist
from edgefashion.system import machine
from edgefashion.training.zoo.architecture import multiply_adds
from edgefashion.training.zoo.edge import edge

RESULTS = Path(__file__).parent / "results" / "shapes.json"
CALIBRATION = 64
ROUNDS, CALLS = 41, 40
BEFORE = {"stem": 32, "stem_size": 5, "early": 32, "early_layers": 2, "middle": 64, "middle_layers": 3, "late": 96}
SHAPES: tuple[dict[str, int], ...] = (
    BEFORE,
    {**BEFORE, "stem": 48, "stem_size": 9},
    {**BEFORE, "stem": 48, "stem_size": 11, "late": 128},
    {**BEFORE, "stem": 48, "stem_size": 11, "early_layers": 1, "middle_layers": 4, "late": 128},
    {**BEFORE, "stem": 32, "stem_size": 11, "middle_layers": 4, "late": 128},
    {**BEFORE, "stem": 32, "stem_size": 13, "middle_layers": 4, "late": 112},
    {**BEFORE, "stem": 64, "stem_size": 9, "early_layers": 1},
    {**BEFORE, "stem": 96, "stem_size": 7, "early_layers": 1, "late": 128},
    {**BEFORE, "stem": 128, "stem_size": 7, "early_layers": 0},
    {**BEFORE, "stem": 128, "stem_size": 7, "early_layers": 0, "middle_layers": 4, "late": 128},
)


def main() -> None:
    """Measure every shape and write what was found."""
    images = fashion_mnist.load("train")[0][:CALIBRATION].reshape(-1, 28, 28, 1)
    rows = []
    for settings in SHAPES:
        rows.append(measure(settings, images))
        print(json.dumps(rows[-1]), flush=True)
    RESULTS.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


def measure(settings: dict[str, int], images: NDArray[np.uint8]) -> dict[str, Any]:
    """One shape: its size, both times in microseconds, and their ratio round by round."""
    network = edge(**settings)
    ours = in_int8(network)
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "network.keras")
        theirs = litert(Path(folder), images)
        took_us: dict[str, list[float]] = {"openvino": [], "litert": []}
        calls: tuple[tuple[str, Callable[[], Any]], ...] = (("openvino", lambda: ours(images[:1])), ("litert", theirs))
        for _ in range(ROUNDS):
            for name, call in calls:
                start_s = time.perf_counter()
                for _ in range(CALLS):
                    call()
                took_us[name].append((time.perf_counter() - start_s) / CALLS * 1e6)
    ratios = np.array(took_us["openvino"]) / np.array(took_us["litert"])
    return {
        "settings": settings,
        "parameters": network.count_params(),
        "macs": multiply_adds(network),
        **{f"{name}_us": round(float(np.median(times)), 1) for name, times in took_us.items()},
        "ratio": round(float(np.median(ratios)), 3),
        "quartiles": [round(float(q), 3) for q in np.quantile(ratios, (0.25, 0.75))],
    }


def litert(folder: Path, images: NDArray[np.uint8]) -> Callable[[], Any]:
    """A call of LiteRT for one image, at one thread, in INT8."""
    from ai_edge_litert.interpreter import Interpreter

    np.save(folder / "images.npy", images)
    spec = peer_files.Spec(
        model=str(folder / "network.keras"),
        peer="litert",
        precisions=("int8",),
        batches=(1,),
        folder=str(folder),
        calibration=str(folder / "images.npy"),
        fashion=False,
    )
    for _, reason in peer_files.write(spec):
        if reason:
            raise RuntimeError(f"LiteRT's converter: {reason}")
    interpreter = Interpreter(str(folder / peer_files.file_name("int8", 1, "litert")), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    image = images[:1].reshape(given["shape"]).astype(given["dtype"])

    def call() -> Any:
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    return call


if __name__ == "__main__":
    main()
