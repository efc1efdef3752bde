"""The whole road in one go on the shipped bundle: convert, quantize, bench, camera."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion import bench, bundle, camera, classify, convert, data, display, garment, quantize, sources
from edgefashion.errors import installed

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_WH: Final = (1280, 720)
FPS: Final = 30
BACKGROUND: Final = 238
"""Grey level of the clip's wall."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo made and measured."""

    conversion: convert.Conversion
    quantization: quantize.Quantization | None
    """None without the int8 extra."""
    report: bench.BenchReport
    frames: int
    frames_right: int
    camera_fps: float
    """Frames answered a second from the clip, decoding and drawing included."""
    pictures: tuple[Path, ...]
    seconds: float


def make_clip(path: Path, images: NDArray[np.uint8], frames_each: int = 1) -> None:
    """Write a 1280x720 video of Fashion-MNIST images drawn dark on a light wall, as a camera
    would see printed ones: each ``frames_each`` frames long, with a sensor's noise.

    ``images`` are uint8 (n, 28, 28, 1); an .mp4 or .avi by ``path``'s suffix.
    """
    rng = np.random.default_rng(0)
    width, height = FRAME_WH
    recorder = display.Recorder(path, FPS)
    try:
        for image in images:
            scene = scene_of(image)
            for _ in range(frames_each):
                noise = rng.normal(0, 2, (height, width, 1))
                recorder.write(np.clip(scene + noise, 0, 255).astype(np.uint8))
    finally:
        recorder.close()


def scene_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One 1280x720 BGR frame with ``image`` (28, 28, 1), negated, in the guide box's middle."""
    import cv2

    width, height = FRAME_WH
    left, top, side, _ = garment.guide_box(width, height)
    inset = side // 12
    drawn = side - 2 * inset
    frame = np.full((height, width), BACKGROUND, np.float32)
    big = cv2.resize(image[..., 0], (drawn, drawn), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    frame[top + inset : top + inset + drawn, left + inset : left + inset + drawn] *= 1 - np.clip(big, 0, 255) / 255
    return np.repeat(frame.astype(np.uint8)[..., None], 3, axis=2)


def demo(out: Path, *, garments: int = 100, on_progress: Callable[[str], None] | None = None) -> DemoResult:
    """Convert the shipped bundle with INT8, bench it, and run the camera on a clip made here.

    Everything is written below ``out``. Without TensorFlow the original is not measured; without
    NNCF the shipped INT8 IR is kept as it is.
    """
    began = time.monotonic()
    say = on_progress or (lambda _: None)
    say("converting the shipped model to OpenVINO IR, and checking that nothing changed")
    conversion = convert.convert(bundle.DEFAULT_MODEL, out / bundle.DEFAULT_MODEL)
    made, quantization = conversion.bundle, None
    if installed("nncf"):
        say("quantizing it to INT8 on training images")
        made, quantization = quantize.quantize(made)
    say("measuring it beside the original")
    beside = ("tensorflow", "keras") if installed("tensorflow") else ()  # the peers would take minutes
    report = bench.bench(made.path, vs=beside, options=bench.BenchOptions.quick())

    say("making a camera clip and watching it")
    clip, recording, still = out / "clip.mp4", out / "camera.mp4", out / "camera.png"
    images, labels = data.load("test")
    make_clip(clip, images[:garments], frames_each=3)
    events: list[camera.Event] = []
    recorder = display.Recorder(recording, FPS)
    summary = camera.run(
        classify.load(made.path), sources.open_source(str(clip)), events=events.append, recorder=recorder
    )
    named = [e for e in events if e.state != "ended"]
    right = sum(e.state == "garment" and e.label == made.labels[labels[e.frame // 3]] for e in named)
    pictures = [still, recording]
    _save_still(recording, still)
    if installed("matplotlib"):
        chart = out / "bench.png"
        bench.plot(report, chart)
        pictures.insert(0, chart)
    return DemoResult(
        conversion=conversion,
        quantization=quantization,
        report=report,
        frames=len(named),
        frames_right=right,
        camera_fps=summary.frames / summary.seconds,
        pictures=tuple(pictures),
        seconds=time.monotonic() - began,
    )


def _save_still(recording: Path, still: Path) -> None:
    """The recording's second garment as a PNG: a pullover, which everyone recognises."""
    import cv2

    capture = cv2.VideoCapture(str(recording))
    try:
        for _ in range(6):
            ok, frame = capture.read()
        if ok:
            data.write_png(still, frame)
    finally:
        capture.release()
