"""Can a person stand in front of the answer? How soon a new garment's name stands, and how often it changes then.

    python benchmarks/camera/steady.py                              # edge on Fashion-MNIST scenes
    python benchmarks/camera/steady.py --photos DIR --model kiosk   # and on photos, a folder a label

Each garment comes into view at once, in place of the one before, and stays for three seconds of 30 frames: still, with
a sensor's noise and light that flickers by a few per cent. Times are counted in frames. Writes
``benchmarks/camera/results/steady.json``, a row a model.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefashion import load
from edgefashion.camera import demo_clip
from edgefashion.camera.stability import Said, Smoother, Steady, said_of
from edgefashion.data import fashion_mnist, photo_folders
from edgefashion.data.images import read_image
from edgefashion.inference import preprocess
from edgefashion.inference.predict import predict
from edgefashion.labels import GROUPS, LABELS
from edgefashion.system import files

RESULTS = Path(__file__).parent / "results"
FPS = 30
SECONDS = 3
EVERY = 2
"""The loop answers every second frame of 30 a second."""
NOISE_LEVELS = 6
FLICKER = 0.03

Scene = tuple[NDArray[np.uint8], frozenset[str]]
"""A frame, and the names that are right for it."""


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--photos", type=Path)
    arguments.add_argument("--model", default="edge")
    arguments.add_argument("--garments", type=int, default=300)
    given = arguments.parse_args()
    scenes = of_photos(given.photos, given.garments) if given.photos else of_test_images(given.garments)
    report = {"model": given.model, "on": "photos" if given.photos else "Fashion-MNIST", **watch(given.model, scenes)}
    file = RESULTS / "steady.json"
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    rows = [row for row in rows if (row["model"], row["on"]) != (report["model"], report["on"])] + [report]
    with files.written_aside(file) as aside:
        aside.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def of_test_images(count: int) -> Iterator[Scene]:
    images, labels = fashion_mnist.load("test")
    names = load("edge").labels
    for image, label in zip(images[:count], labels[:count], strict=True):
        yield demo_clip.scene_of(image), frozenset(_shown_as(names[label]))


def of_photos(folder: Path, count: int) -> Iterator[Scene]:
    """Photos of garments, spread over the labels, in the guide box of a wall."""
    found = [photo for photo in photo_folders.scan(folder).photos if photo.known]
    order = np.random.default_rng(0).permutation(len(found))[:count]
    width, height = demo_clip.FRAME_WH
    x, y, side, _ = preprocess.guide_box(width, height)
    for place in order:
        picture = read_image(found[place].path)
        factor = side / max(picture.shape[:2])
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)[:side, :side]
        frame = np.full((height, width, 3), demo_clip.BACKGROUND, np.uint8)
        top, left = y + (side - small.shape[0]) // 2, x + (side - small.shape[1]) // 2
        frame[top : top + small.shape[0], left : left + small.shape[1]] = small
        yield frame, frozenset(_shown_as(*(LABELS[at] for at in photo_folders.members(found[place].label))))


def _shown_as(*labels: str) -> set[str]:
    """The names that an answer of these labels may have: a photo network names a shoe's group where it is not sure of
    its kind."""
    return {*labels, *(group for group, members in GROUPS.items() if not set(members).isdisjoint(labels))}


def watch(model: str, scenes: Iterator[Scene]) -> dict[str, Any]:
    """Watch every scene with one loop's memory, and count."""
    classifier = load(model)
    rng = np.random.default_rng(1)
    noises = [rng.normal(0, NOISE_LEVELS, (*demo_clip.FRAME_WH[::-1], 3)).astype(np.int16) for _ in range(16)]
    smoother, steady = Smoother(), Steady()
    numbers = itertools.count()
    right_after: list[int] = []
    changes: list[int] = []
    closest = FPS * SECONDS
    right_at_the_end = garments = 0
    for scene, right in scenes:
        garments += 1
        whole = scene.astype(np.int16)
        stood: list[Said | None] = []
        for number in range(FPS * SECONDS):
            light = 1 + FLICKER * np.sin(number * 2.1)
            if number % EVERY:
                stood.append(stood[-1] if stood else None)
                continue
            frame = np.clip((whole + noises[number % len(noises)]) * light, 0, 255).astype(np.uint8)
            within = preprocess.guide_box(*demo_clip.FRAME_WH)
            seen = predict(classifier, frame, within=within, smooth=smoother)
            if seen.garment is None:
                smoother.reset()
            stood.append(steady(EVERY * next(numbers) / FPS, said_of(seen.answer), preprocess.part(frame, within)))
        turns = [n for n in range(1, len(stood)) if stood[n] != stood[n - 1]]
        changes.append(max(0, len(turns) - 1))
        closest = min([closest, *(b - a for a, b in itertools.pairwise(turns))])
        rights = [n for n, said in enumerate(stood) if said and said[0] == "garment" and said[1] in right]
        if stood[-1] and stood[-1][1] in right:
            right_at_the_end += 1
            right_after.append(rights[0])
    late = np.array(right_after) / FPS
    p50, p95 = (round(float(np.quantile(late, q)), 3) for q in (0.5, 0.95))
    return {
        "garments": garments,
        "right_at_the_end": right_at_the_end,
        "right_after_s": {"p50": p50, "p95": p95},
        "right_within_half_a_second": round(float((late <= 0.5).mean()), 4),
        "changes_a_garment_after_the_first": round(float(np.mean(changes)), 3),
        "least_between_changes_s": round(closest / FPS, 3),
    }


if __name__ == "__main__":
    main()
