"""How many frames of a 1280x720 clip of Fashion-MNIST test images does the camera name right?

    python benchmarks/camera/camera_clip.py [--images 2000]

Each test image is drawn dark on a light wall with sensor noise, compressed to an .mp4, read back,
found, normalised and classified: the whole loop, without its window. Each is in view for one frame, so
what single frames say is counted, not what stands.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from edgefashion.camera import demo_clip, loop
from edgefashion.camera.networks import Networks
from edgefashion.camera.sources import source
from edgefashion.data import fashion_mnist
from edgefashion.evaluation.metrics import wilson95
from edgefashion.inference.predict import Prediction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    count = parser.parse_args().images
    images, labels = fashion_mnist.load("test")
    images, labels = images[:count], labels[:count]
    networks = Networks(["edge"])
    classifier = networks.classifier
    direct = int((classifier(images).argmax(1) == labels).sum())
    seen: list[tuple[int, str | None]] = []
    latencies_ms: list[float] = []

    def on_answer(frame: source.Frame, found: Prediction) -> None:
        latencies_ms.append((time.monotonic() - frame.time_s) * 1000)
        seen.append((frame.number, found.answer.label if found.answer and found.answer.accepted else None))

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        demo_clip.make_clip(clip, images)
        summary = loop.run(networks, source.open_source(str(clip)), on_answer=on_answer)
    right = sum(label == classifier.labels[labels[number]] for number, label in seen)
    unsure = sum(label is None for _, label in seen)
    low, high = wilson95(right, len(seen))
    latency = np.percentile(latencies_ms, (50, 99))
    print(f"images fed directly: {direct / len(images):.2%} of {len(images):,} right")
    print(
        f"frames of the clip:  {right / len(seen):.2%} of {len(seen):,} right (95 % interval {low:.2%} to {high:.2%})"
    )
    print(f"not sure, or no garment found: {unsure / len(seen):.2%} (counted as not right)")
    print(
        f"frame to answer: p50 {latency[0]:.2f} ms, p99 {latency[1]:.2f} ms; {summary.frames / summary.seconds:.0f} fps"
    )


if __name__ == "__main__":
    main()
