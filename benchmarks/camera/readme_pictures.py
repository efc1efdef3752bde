"""Make the README's picture of the camera: the shipped network `kiosk` looks at a drawn T-shirt on a table.

python benchmarks/camera/readme_pictures.py

The scene is drawn here, so it is nobody's photo. The frame, the name and the confidence on it are the network's answer.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefashion.camera import demo_clip, loop
from edgefashion.camera.moment import Moment
from edgefashion.camera.networks import Networks
from edgefashion.camera.outputs import overlay
from edgefashion.camera.outputs.recording import Recorder
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.sources import source
from edgefashion.data import images

RESULTS = Path(__file__).parent / "results"
WIDTH, HEIGHT = 1280, 720

Plane = NDArray[np.float32]
"""One value for each pixel of the scene, (720, 1280)."""

# The T-shirt is drawn in units of UNIT_PX pixels from MIDDLE_PX; x runs to the right, y down.
UNIT_PX = 7.0
MIDDLE_PX = (640, 318)
NECK = (0.0, -30.4)
SHOULDER, ARM_PIT = (22.6, -27.0), (21.6, -9.6)
SLEEVE_ABOVE, SLEEVE_BELOW = (40.0, -9.6), (29.8, -0.6)
HEM, HEM_MIDDLE = (21.6, 32.0), (0.0, 33.5)
# Its right half: corners, and between two of them a point that the curve goes through.
OUTLINE = [
    (NECK, (4.6, -31.0)),
    ((8.8, -32.4), (15.6, -29.8)),
    (SHOULDER, (31.8, -19.2)),
    (SLEEVE_ABOVE, (35.2, -4.6)),
    (SLEEVE_BELOW, (25.4, -5.6)),
    (ARM_PIT, (20.9, 11.0)),
    (HEM, (10.8, 33.1)),
    (HEM_MIDDLE, HEM_MIDDLE),
]
COLLAR_MIDDLE, COLLAR_RADII, COLLAR_BAND = (0.0, -32.8), (9.6, 8.2), 1.9

# Creases: where (x, y), at which angle (degrees), how wide, how long, how deep.
CREASES = [
    (-13, -10, 62, 1.5, 15, 2.6),
    (13.5, -9, -60, 1.4, 16, 2.4),
    (-9, -4, 70, 1.2, 12, 1.7),
    (9.5, 2, -72, 1.5, 15, 1.9),
    (-6, 20, 84, 1.8, 14, 2.2),
    (7, 22, -80, 1.6, 12, 2.0),
    (-27, -11, -48, 1.2, 7, 1.7),
    (27.5, -10, 50, 1.2, 7, 1.7),
    (1.5, 8, 10, 1.8, 12, 1.2),
    (-2, 27, -6, 1.6, 13, 1.0),
    (-22, -16, 38, 1.3, 8, 1.5),
    (22, -16, -40, 1.3, 8, 1.5),
]

# Colours are blue, green, red.
WOOD = np.array([0.66, 0.83, 1.0], np.float32)
CLOTH = np.array([205, 205, 200], np.float32)
LAMP = np.array([-0.52, -0.62, 0.74], np.float32)
"""Where the light comes from: the left, above, and before the picture."""


def main() -> None:
    """Let the camera look at the scene for a second and keep what it draws."""

    class Still:
        """Keeps the latest drawn frame as a PNG."""

        name = "still"
        shows = True
        keeping = None
        picture: NDArray[np.uint8]

        def take(self, moment: Moment) -> None:
            if moment.health.well and moment.state == "garment":
                self.picture = overlay.drawn(moment)

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
        loop.run(Networks(["kiosk"]), source.open_source(str(clip)), outputs=[ReopeningOutput(Still(), None)])


def scene() -> NDArray[np.uint8]:
    """A BGR frame (720, 1280, 3): a white T-shirt that lies on a wooden table, in light from the upper left."""
    rng = np.random.default_rng(7)
    table = _table(rng)
    shape = _shape()
    shirt = _shirt(shape, rng)
    shadow = np.maximum(0.55 * _blurred(_moved(shape, 11, 9), 11), 0.35 * _blurred(_moved(shape, 3, 3), 3))
    cover = _blurred(shape, 0.8)[..., None]
    frame = table * (1 - shadow)[..., None] * (1 - cover) + shirt * cover
    x, y = _grid()
    light = 1.08 - 0.30 * ((x / WIDTH - 0.38) ** 2 + (y / HEIGHT - 0.35) ** 2)
    frame = _blurred(frame * light[..., None], 0.7)
    noise = rng.normal(0, 2.2, (HEIGHT, WIDTH, 1)) + rng.normal(0, 1, frame.shape)  # a sensor's
    return np.asarray(np.clip(frame + noise, 0, 255), np.uint8)


def _grid() -> tuple[Plane, Plane]:
    """Each pixel's x and y."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return x, y


def _blurred(picture: Plane, sigma_px: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.float32)


def _moved(picture: Plane, right_px: int, down_px: int) -> Plane:
    return np.roll(picture, (down_px, right_px), (0, 1))


def _line(distance: Plane, width: float) -> Plane:
    """1 on a soft line, 0 away from it."""
    return np.asarray(np.exp(-((distance / width) ** 2)), np.float32)


def _smooth_noise(rng: np.random.Generator, rows: int, across: float, down: float, octaves: int) -> Plane:
    """Noise of -1 to 1, (rows, 1280), with so many hills across and down; each octave adds half as large ones."""
    total = np.zeros((rows, WIDTH), np.float32)
    for octave in range(octaves):
        shape = max(2, round(down * 2**octave)) + 3, max(2, round(across * 2**octave)) + 3
        coarse = rng.normal(0, 1, shape).astype(np.float32)
        total += np.asarray(cv2.resize(coarse, (WIDTH, rows), interpolation=cv2.INTER_CUBIC), np.float32) / 2**octave
    return np.asarray(total / np.abs(total).max(), np.float32)


def _table(rng: np.random.Generator) -> Plane:
    """Five boards with their grain and the gaps between them, (720, 1280, 3)."""
    boards = 5
    _, y = _grid()
    grey, gaps = np.zeros_like(y), np.zeros_like(y)
    edges = [round(number * HEIGHT / boards) for number in range(boards + 1)]
    for top, bottom in itertools.pairwise(edges):
        rows = bottom - top
        bent = _smooth_noise(rng, rows, 3, 2, 3)
        down = (y[top:bottom] - top) / rows
        rings = np.sin((down * rng.uniform(7, 11) + 1.6 * bent + rng.uniform(0, 9)) * 6.3)
        fibres = _smooth_noise(rng, rows, 9, rows / 2.2, 2)
        grey[top:bottom] = 168 + rng.uniform(-9, 9) + 5 * rings + 9 * fibres + 7 * _smooth_noise(rng, rows, 4, 2, 2)
    for edge in edges[1:-1]:
        gaps += _line(y - edge, 1.3)
        grey += 10 * _line(y - edge - 3, 1.6)  # the rounded edge that the light meets
    return np.asarray((grey * (1 - 0.62 * np.clip(gaps, 0, 1)))[..., None] * WOOD, np.float32)


def _shape() -> Plane:
    """1 where the T-shirt is, 0 elsewhere."""
    t = np.linspace(0, 1, 24, endpoint=False)[:, None]
    curves = []
    for (corner, through), (following, _) in itertools.pairwise(OUTLINE):
        first, middle, last = (np.array(point) for point in (corner, through, following))
        control = 2 * middle - (first + last) / 2  # of the quadratic Bezier curve through the middle point
        curves.append((1 - t) ** 2 * first + 2 * t * (1 - t) * control + t**2 * last)
    right = np.vstack([*curves, np.array([HEM_MIDDLE])])
    outline = np.vstack([right, right[::-1] * [-1, 1]])
    x, y = outline.T
    uneven = np.column_stack([np.sin(y / 3.1 + 1), np.sin(x / 2.7)]) / 4  # nobody lays it down along a ruler
    points = (outline + uneven) * UNIT_PX + np.array(MIDDLE_PX)
    shape = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(shape, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(shape.astype(np.float32) / 255, np.float32)


def _shirt(shape: Plane, rng: np.random.Generator) -> Plane:
    """The T-shirt's cloth in its light, (720, 1280, 3); of no meaning outside ``shape``."""
    x, y = _grid()
    u, v = ((pixels - middle) / UNIT_PX for pixels, middle in zip((x, y), MIDDLE_PX, strict=True))
    light = _light(_relief(shape, u, v, rng))
    threads = 1 + 0.022 * np.sin(2.1 * x) * np.sin(2.1 * y + 0.4 * np.sin(x / 3)) + rng.normal(0, 0.02, shape.shape)
    cloth = (light * threads * (1 - _seams(u, v) * (shape > 0.5)))[..., None] * CLOTH
    return _with_collar(np.asarray(cloth, np.float32), u, v)


def _relief(shape: Plane, u: Plane, v: Plane, rng: np.random.Generator) -> Plane:
    """How high the cloth lies, in pixels: a round border, soft waves, and creases."""
    inside = np.asarray(cv2.distanceTransform((shape > 0.5).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    bent = 1.3 * _smooth_noise(rng, HEIGHT, 4, 3, 2)
    relief = 5 * (1 - np.exp(-inside / 7)) + 7.5 * _smooth_noise(rng, HEIGHT, 5, 3, 2)
    for at_u, at_v, angle, wide, long, deep in CREASES:
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        along = (u - at_u) * cos + (v - at_v) * sin
        across = (v - at_v) * cos - (u - at_u) * sin + bent
        relief += 1.6 * deep * np.exp(-((across / wide) ** 2) - (along / long) ** 4)
    return _blurred(np.asarray(relief, np.float32), 1.6)


def _light(relief: Plane) -> Plane:
    """How bright each place is: 1 where the cloth lies flat, more where it leans towards the lamp (Lambert's law)."""
    down, right = np.gradient(relief)
    towards = -right * LAMP[0] - down * LAMP[1] + LAMP[2]
    bright = towards / np.sqrt(right**2 + down**2 + 1) / LAMP[2]
    return np.asarray(1 + 0.85 * (np.clip(bright, 0.25, 1.6) - 1), np.float32)


def _seams(u: Plane, v: Plane) -> Plane:
    """By how much the cloth is darker where it is sewn."""
    dark = np.zeros_like(u)
    (shoulder_u, shoulder_v), (pit_u, pit_v) = SHOULDER, ARM_PIT
    part = np.clip((v - shoulder_v) / (pit_v - shoulder_v), 0, 1)
    seam = shoulder_u + (pit_u - shoulder_u) * part - 1.6 * np.sin(np.pi * part)
    opening = np.subtract(SLEEVE_BELOW, SLEEVE_ABOVE) / np.hypot(*np.subtract(SLEEVE_BELOW, SLEEVE_ABOVE))
    for side in (-1, 1):
        beside = side * u
        on_seam = (v > shoulder_v) & (v < pit_v)
        dark += on_seam * (0.30 * _line(beside - seam, 0.22) - 0.10 * _line(beside - seam - 0.5, 0.35))
        inward = np.abs((beside - SLEEVE_ABOVE[0]) * opening[1] - (v - SLEEVE_ABOVE[1]) * opening[0])
        for stitch in (2.1, 2.6):
            dark += 0.16 * _line(inward - stitch, 0.13) * (beside > 25)
    for stitch in (2.0, 2.5):
        hem = HEM_MIDDLE[1] - (HEM_MIDDLE[1] - HEM[1]) * (u / HEM[0]) ** 2 - stitch
        dark += 0.16 * _line(v - hem, 0.13) * (np.abs(u) < HEM[0] + 0.4)
    return np.asarray(np.clip(dark, -0.2, 0.6), np.float32)


def _with_collar(cloth: Plane, u: Plane, v: Plane) -> Plane:
    """``cloth`` with the neck: the inside of the T-shirt's back, in shadow, and a ribbed band around it."""
    (middle_u, middle_v), (radius_u, radius_v) = COLLAR_MIDDLE, COLLAR_RADII
    ring = np.hypot((u - middle_u) / radius_u, (v - middle_v) / radius_v)
    wide = COLLAR_BAND / radius_v
    below = v > middle_v + 0.3
    across = np.clip((ring - 1) / wide, 0, 1)
    ribs = 1 + 0.10 * np.sin(150 * np.arctan2(v - middle_v, u - middle_u))
    band = ribs * (0.86 + 0.30 * np.sin(np.pi * across))
    factor = np.where(below & (ring >= 1) & (ring < 1 + wide), band, 1)
    factor = np.where(ring < 1, 0.50 + 0.12 * np.clip((v - middle_v) / radius_v, 0, 1), factor)
    factor *= 1 - 0.35 * _line((ring - 1 - wide) * radius_v, 0.2) * below
    factor *= 1 - 0.45 * _line((ring - 1) * radius_v, 0.35) * (v > middle_v)
    return np.asarray(cloth * factor[..., None], np.float32)


if __name__ == "__main__":
    main()
