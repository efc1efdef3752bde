"""A clip of garments shown one after another, made of Fashion-MNIST's images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.camera.outputs.recording import Recorder
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray


FRAME_WH: Final = (1280, 720)

FPS: Final = 30

BACKGROUND: Final = 238
"""Grey level of the clip's wall."""

_NOISES: Final = 8


def make_clip(path: Path, images: NDArray[np.uint8], frames_each: int = 1) -> None:
    """Write a 1280x720 video of Fashion-MNIST images drawn dark on a light wall, as a camera
    would see printed ones: each ``frames_each`` frames long, with a sensor's noise.

    ``images`` are uint8 (n, 28, 28, 1); an .mp4 or .avi by ``path``'s suffix.
    """
    rng = np.random.default_rng(0)
    width, height = FRAME_WH
    noises = [rng.normal(0, 2, (height, width, 1)).astype(np.int16) for _ in range(_NOISES)]
    recorder = Recorder(path, FPS)
    try:
        for image in images:
            scene = scene_of(image).astype(np.int16)
            for number in range(frames_each):
                recorder.write(np.clip(scene + noises[number % _NOISES], 0, 255).astype(np.uint8))
    finally:
        recorder.close()


def scene_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One 1280x720 BGR frame with ``image`` (28, 28, 1), negated, in the guide box's middle."""
    import cv2

    width, height = FRAME_WH
    left, top, side, _ = preprocess.guide_box(width, height)
    inset = side // 12
    drawn = side - 2 * inset
    frame = np.full((height, width), BACKGROUND, np.float32)
    big = cv2.resize(image[..., 0], (drawn, drawn), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    frame[top + inset : top + inset + drawn, left + inset : left + inset + drawn] *= 1 - np.clip(big, 0, 255) / 255
    return np.repeat(frame.astype(np.uint8)[..., None], 3, axis=2)
