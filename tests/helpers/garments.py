"""Garments before the camera: drawn scenes, a video and a folder of them, network cameras that see them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from helpers.camera import NetworkCamera

from edgefashion.camera import demo_clip
from edgefashion.data.images import write_png

if TYPE_CHECKING:
    from helpers.camera import Picture
    from helpers.types import Arrays

GARMENTS, FRAMES_EACH = 30, 20


def garment_video(path: Path, test_set: Arrays) -> Path:
    """A 1280x720 video of the first test images, each in view for 20 frames."""
    demo_clip.make_clip(path, test_set[0][:GARMENTS], FRAMES_EACH)
    return path


def garment_folder(folder: Path, test_set: Arrays) -> Path:
    """A folder of five pictures, the third of which cannot be read."""
    folder.mkdir()
    for number in (0, 1, 3, 4):
        write_png(folder / f"{number}.png", demo_clip.scene_of(test_set[0][number]))
    (folder / "2.png").write_bytes(b"no picture")
    return folder


def scene(test_set: Arrays, number: int = 0) -> Picture:
    """A 640x360 frame that shows a test image; the first is an ankle boot."""
    small = cv2.resize(demo_clip.scene_of(test_set[0][number]), (640, 360), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def noisy(shown: Picture, levels: float) -> Iterator[Picture]:
    """Frames without end of a still scene, with noise of so many grey levels."""
    rng = np.random.default_rng(0)
    while True:
        yield np.clip(shown + rng.normal(0, levels, shown.shape), 0, 255).astype(np.uint8)


def ten_frames(test_set: Arrays, number: int = 0) -> list[Picture]:
    """Ten frames of a test image, as a camera sees it."""
    return list(itertools.islice(noisy(scene(test_set, number), 2), 10))


def boot_camera(test_set: Arrays) -> NetworkCamera:
    """A network camera, not started yet, that sees an ankle boot."""
    pictures = ten_frames(test_set)
    return NetworkCamera(lambda number: pictures[number % len(pictures)], interval_s=0.03)


def changing_camera(test_set: Arrays) -> NetworkCamera:
    """A network camera, not started yet, that sees a boot and a pullover in turns, for a second each."""
    pictures = [ten_frames(test_set, place) for place in (0, 1)]
    return NetworkCamera(lambda number: pictures[number // 30 % 2][number % 10], interval_s=0.03)
