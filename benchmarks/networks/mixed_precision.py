"""What training in mixed precision would cost INT8, were the network not rebuilt in float32 before its export.

    python benchmarks/networks/mixed_precision.py [IMAGES]

Trains ``cnn-242k`` under ``mixed_bfloat16`` for an epoch of so many images (default 20,000), converts and quantizes
it as OpenVINO and NNCF do by themselves, casts and all, and as ``edgefashion convert --int8`` does, and prints
accuracy, throughput in batches of 64 and the latency of one image, the four measured in turn.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgefashion.conversion.convert import convert
from edgefashion.conversion.quantize import QuantizeOptions, quantize
from edgefashion.data import fashion_mnist
from edgefashion.inference import classifier, decision, load, tensorflow_engine
from edgefashion.training.zoo.registry import architecture

ROUNDS, SECONDS = 7, 0.4


def main() -> None:
    images = int(sys.argv[1]) if sys.argv[1:] else 20_000
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        classifiers = _made(Path(folder), images)
        test_images, labels = fashion_mnist.load("test")
        right = {name: decision.likeliest(run(test_images)) == labels for name, run in classifiers.items()}
        throughput: dict[str, list[float]] = {name: [] for name in classifiers}
        latency: dict[str, list[float]] = {name: [] for name in classifiers}
        for number in range(ROUNDS):
            # Each round begins with another, so that none is always the first.
            for name in list(classifiers)[number % 4 :] + list(classifiers)[: number % 4]:
                throughput[name].append(_images_per_s(classifiers[name], test_images[:2048]))
                latency[name].append(1e6 / _images_per_s(classifiers[name], test_images[:1]))
    print("| IR | runs in | accuracy | images/s, batches of 64 | one image, us |\n|---|---|---|---|---|")
    for name, run in classifiers.items():
        fps, us = statistics.median(throughput[name]), statistics.median(latency[name])
        print(f"| {name} | {run.runtime_precision} | {np.mean(right[name]):.2%} | {fps:,.0f} | {us:,.0f} |")
    ratio = statistics.median(throughput["INT8, rebuilt"]) / statistics.median(throughput["INT8, casts kept"])
    print(f"\nRebuilt in float32, INT8 does {ratio:.1f} times the images a second.")


def _made(folder: Path, images: int) -> dict[str, classifier.Classifier]:
    """The network's four IRs: with the casts of mixed precision and rebuilt, each in FP32 and INT8."""
    import nncf
    import openvino as ov

    keras_file = folder / "mixed.keras"
    model = _trained(images)
    model.save(keras_file)
    tensorflow_engine.export_saved_model(model, folder / "casts")
    ir = ov.convert_model(folder / "casts")
    ir.reshape([1, fashion_mnist.SIDE_PX, fashion_mnist.SIDE_PX, 1])
    calibration = [image[None] for image in fashion_mnist.load("train")[0][:300]]
    with contextlib.redirect_stdout(io.StringIO()):
        int8 = nncf.quantize(ir, nncf.Dataset(calibration))
    for name, kept in (("casts-fp32", ir), ("casts-int8", int8)):
        ov.save_model(kept, folder / f"{name}.xml", compress_to_fp16=False)
    made, _ = quantize(convert(keras_file, folder / "rebuilt").bundle, QuantizeOptions(max_drop=1.0))
    return {
        "FP32, casts kept": load.load(folder / "casts-fp32.xml", precision="fp32"),
        "INT8, casts kept": load.load(folder / "casts-int8.xml", precision="int8"),
        "FP32, rebuilt": load.load(made.path, precision="fp32"),
        "INT8, rebuilt": load.load(made.path, precision="int8"),
    }


def _trained(images: int) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = architecture("cnn-242k").network({})
    finally:
        keras.config.set_dtype_policy(before)
    model.compile("adam", "sparse_categorical_crossentropy")
    train_images, labels = fashion_mnist.load("train")
    model.fit(train_images[:images], labels[:images], batch_size=64, verbose=0)
    return model


def _images_per_s(run: classifier.Classifier, images: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        run(images)
        done += len(images)
    return done / elapsed


if __name__ == "__main__":
    main()
