"""Make the README's picture of the camera, looking at a drawn T-shirt.

python benchmarks/camera/readme_pictures.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefashion.camera import demo_clip, loop
from edgefashion.camera.moment import Moment
from edgefashion.camera.networks import Lineup
from edgefashion.camera.outputs.recording import Recorder
from edgefashion.camera.outputs.reopening import KeptOpen
from edgefashion.camera.sources import source
from edgefashion.data import images

RESULTS = Path(__file__).parent / "results"

# A T-shirt, in hundredths of the frame's height, the collar in the middle of the top.
SHIRT = [
    (-9, -30),
    (-20, -24),
    (-32, -8),
    (-22, -1),
    (-17, -7),
    (-17, 32),
    (17, 32),
    (17, -7),
    (22, -1),
    (32, -8),
    (20, -24),
    (9, -30),
]


def main() -> None:
    """Let the camera look at the scene for a second and keep what it draws."""

    class Still:
        """Keeps the latest drawn frame as a PNG."""

        name = "still"
        picture: NDArray[np.uint8]

        def take(self, moment: Moment) -> None:
            if moment.health.well and moment.state == "garment":
                self.picture = moment.drawn()

        def keys(self) -> str:
            return ""

        def close(self) -> None:
            small = np.asarray(cv2.resize(self.picture, (960, 540), interpolation=cv2.INTER_AREA), np.uint8)
            images.write_png(RESULTS / "camera.png", small)

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        recorder = Recorder(clip, demo_clip.FPS)
        for _ in range(demo_clip.FPS):
            recorder.write(scene())
        recorder.close()
        loop.run(Lineup(["edge"]), source.open_source(str(clip)), outputs=[KeptOpen(Still(), None)])


def scene() -> NDArray[np.uint8]:
    """A 1280x720 frame: a dark T-shirt with soft folds on a light, unevenly lit wall."""
    height, width = 720, 1280
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = 232 - 8 * (x / width - 0.5) ** 2
    outline = np.array([(width / 2 + 7.2 * px, height / 2 + 7.2 * py) for px, py in SHIRT], np.int32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [outline], 255)
    cv2.ellipse(mask, (width // 2, round(height / 2 - 7.2 * 30)), (65, 34), 0, 0, 180, 0, -1)  # the collar
    soft = cv2.GaussianBlur(mask, (5, 5), 0).astype(np.float32) / 255
    cloth = 96 + 14 * np.sin(x / 23 + y / 61) + 10 * (y / height)
    colours = np.array([1.15, 0.75, 0.55], np.float32)  # BGR: a blue shirt
    frame = wall[..., None] * (1 - soft[..., None]) + cloth[..., None] * colours * soft[..., None]
    noise = np.random.default_rng(0).normal(0, 2, frame.shape)
    return np.asarray(np.clip(frame + noise, 0, 255), np.uint8)


if __name__ == "__main__":
    main()
