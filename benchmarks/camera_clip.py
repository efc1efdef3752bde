"""How many frames of a 1280x720 clip of Fashion-MNIST test images does the camera name right?

    python benchmarks/camera_clip.py [--images 2000]

Each test image is drawn dark on a light wall with sensor noise, compressed to an .mp4, read back,
found, normalised and classified: the whole loop, without its window.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from edgefashion import camera, data, demo, load, sources
from edgefashion.evaluate import wilson95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    count = parser.parse_args().images
    images, labels = data.load("test")
    images, labels = images[:count], labels[:count]
    classifier = load()
    direct = int((classifier(images).argmax(1) == labels).sum())
    events: list[camera.Event] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        demo.make_clip(clip, images)
        summary = camera.run(classifier, sources.open_source(str(clip)), events=events.append)
    seen = [event for event in events if event.state != "ended"]
    right = sum(e.state == "garment" and e.label == classifier.labels[labels[e.frame]] for e in seen)
    unsure = sum(e.state != "garment" for e in seen)
    low, high = wilson95(right, len(seen))
    latency = np.percentile([event.latency_ms for event in seen if event.latency_ms is not None], (50, 99))
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
