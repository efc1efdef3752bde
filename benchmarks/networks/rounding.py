"""What it gives INT8 that the first layers' weights are rounded to the images, and not each to the nearest.

    python benchmarks/networks/rounding.py [MODEL ...]     # bundles of Fashion-MNIST networks; default: edge

Quantizes each with NNCF's three bias corrections, as ``convert --int8`` does, and compares the answers to the 6,000
held-out training images with FP32's, before and after. Writes ``benchmarks/networks/results/rounding.json``. The test
images are not looked at.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nncf
import numpy as np

from edgefashion.bundles import resolve
from edgefashion.conversion import first_layers, post_training
from edgefashion.data import fashion_mnist, splits
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import read_ir

RESULTS = Path(__file__).parent / "results" / "rounding.json"
CALIBRATION = 300


def main() -> None:
    """Measure each network, write and print what was found."""
    found = {model: measure(model) for model in sys.argv[1:] or ["edge"]}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


def measure(model: str) -> list[dict[str, Any]]:
    """A row for each bias correction, with and without."""
    made = resolve.resolve(model).bundle
    assert made is not None
    images, labels = fashion_mnist.load("train")
    fit, held = splits.split(labels, splits.VALIDATION_SPLIT)
    network = read_ir(made.verified("fp32"))
    dtype = network.input(0).element_type.to_dtype()
    chosen = fit[splits.calibration_indices(labels[fit], CALIBRATION, 0)]
    inputs = [images[at].reshape(network.input(0).shape).astype(dtype) for at in chosen]
    exact = load(model, precision="fp32", purpose="throughput")(images[held])
    seen = first_layers.statistics(network, inputs)
    rows = []
    for correction in ("none", "fast", "slow"):
        with post_training.quietly():
            settings = post_training.fashion_settings(correction, CALIBRATION)
            int8 = nncf.quantize(network, nncf.Dataset(inputs), **settings)
        for rounded in (False, True):
            if rounded:
                first_layers.round_to_images(int8, network, seen)
            answers = post_training.loaded(int8)(images[held])
            rows.append(
                {
                    "bias_correction": correction,
                    "rounded_to_images": rounded,
                    "mean_abs_difference": float(np.abs(answers - exact).mean()),
                    "answered_alike": float(np.mean(answers.argmax(1) == exact.argmax(1))),
                    "accuracy": float(np.mean(answers.argmax(1) == labels[held])),
                    "accuracy_fp32": float(np.mean(exact.argmax(1) == labels[held])),
                }
            )
    return rows


if __name__ == "__main__":
    main()
