"""The whole road in one go on the shipped bundles: convert, quantize, bench, camera, every garment of a picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.bench import run
from edgefashion.bench.chart import plot
from edgefashion.bench.report import BenchReport
from edgefashion.bundles import places
from edgefashion.camera import loop
from edgefashion.camera.demo_clip import FPS, make_clip
from edgefashion.camera.networks import Networks
from edgefashion.camera.outputs.recording import Recording
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.sources.source import Frame, open_source
from edgefashion.conversion import convert, quantize, write_bundle
from edgefashion.data import drawn, fashion_mnist
from edgefashion.data.images import write_png
from edgefashion.inference import explain
from edgefashion.inference.load import load
from edgefashion.inference.predict import Prediction, predict
from edgefashion.labels import LABELS
from edgefashion.system.extras import installed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.moment import Moment


_FRAMES_EACH: Final = 20
"""Of a garment in the demo's clip: two thirds of a second, half of one being enough for an answer to stand."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo made and measured."""

    conversion: write_bundle.Conversion
    quantization: quantize.Quantization | None
    """None without the int8 extra."""
    report: BenchReport
    garments: int
    garments_right: int
    """Garments of the clip whose standing answer was right when they left."""
    frames: int
    frames_right: int
    """Frames of it that say the right thing by themselves."""
    camera_fps: float
    """Frames answered a second from the clip, decoding and drawing included."""
    seen: tuple[tuple[str, Prediction], ...]
    """What `kiosk` says of a drawn person in several garments, and of a lone garment."""
    pictures: tuple[Path, ...]
    seconds: float


def demo(out: Path, *, garments: int = 30, on_progress: Callable[[str], None] | None = None) -> DemoResult:
    """Convert the shipped bundle with INT8, bench it, and run the camera on a clip made here.

    Everything is written below ``out``. Without TensorFlow the original is not measured; without
    NNCF the shipped INT8 IR is kept as it is.
    """
    began = time.monotonic()
    say = on_progress or (lambda _: None)
    say("converting the shipped model to OpenVINO IR, and checking that nothing changed")
    conversion = convert.convert(places.DEFAULT_MODEL, out / places.DEFAULT_MODEL)
    made, quantization = conversion.bundle, None
    if installed("nncf"):
        say("quantizing it to INT8 on training images")
        made, quantization = quantize.quantize(made)
    say("measuring it beside the original")
    beside = ("tensorflow", "keras") if installed("tensorflow") else ()  # the peers would take minutes
    report = run.bench(made.path, vs=beside, options=run.BenchOptions.quick())

    say("making a camera clip and watching it")
    clip, recording, still = out / "clip.mp4", out / "camera.mp4", out / "camera.png"
    images, labels = fashion_mnist.load("test")
    make_clip(clip, images[:garments], frames_each=_FRAMES_EACH)
    truth = [made.labels[label] for label in labels[:garments]]
    seen, summary = _watch(made.path, clip, recording)
    frames_right = sum(said == truth[number // _FRAMES_EACH] for number, (said, _) in seen.items())
    lasts = [(n + 1) * _FRAMES_EACH - 1 for n in range(garments)]
    garments_right = sum(seen[last][1] == truth[n] for n, last in enumerate(lasts) if last in seen)
    _save_still(recording, still)
    pictures = [still, recording]
    say("naming every garment of a drawn person, and a lone one")
    seen_by_kiosk, drawings = _name_drawn(out, images, labels)
    pictures += drawings
    if installed("matplotlib"):
        chart = out / "bench.png"
        plot(report, chart)
        pictures.insert(0, chart)
    return DemoResult(
        conversion=conversion,
        quantization=quantization,
        report=report,
        garments=garments,
        garments_right=garments_right,
        frames=len(seen),
        frames_right=frames_right,
        camera_fps=summary.frames / summary.seconds,
        seen=seen_by_kiosk,
        pictures=tuple(pictures),
        seconds=time.monotonic() - began,
    )


def _watch(model: Path, clip: Path, recording: Path) -> tuple[dict[int, tuple[str | None, str | None]], loop.Summary]:
    """Run the camera on ``clip``: by frame number the label that it says by itself, and the one that stands then."""
    alone: dict[int, str | None] = {}
    standing: dict[int, str | None] = {}

    class Told:
        """The loop's outputs see what stands."""

        name = "demo"
        shows = False
        keeping = None

        def take(self, moment: Moment) -> None:
            if alone:
                standing[max(alone)] = moment.label if moment.state == "garment" else None

        def keys(self) -> str:
            return ""

        def close(self) -> None:
            pass

    def on_answer(frame: Frame, seen: Prediction) -> None:
        alone[frame.number] = seen.answer.label if seen.answer and seen.answer.accepted else None

    source = open_source(str(clip))
    outputs = [ReopeningOutput(Recording(recording, FPS, live=False), None), ReopeningOutput(Told(), None)]
    summary = loop.run(Networks([str(model)]), source, outputs=outputs, on_answer=on_answer)
    return {number: (said, standing.get(number)) for number, said in alone.items()}, summary


def _name_drawn(
    out: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> tuple[tuple[tuple[str, Prediction], ...], list[Path]]:
    """What the photo network says of two pictures drawn of test images, and the files that show it."""
    import numpy as np

    def first(name: str) -> NDArray[np.uint8]:
        return np.asarray(images[np.flatnonzero(labels == LABELS.index(name))[0]].reshape(28, 28, 1), np.uint8)

    rng = np.random.default_rng(1)
    person, _ = drawn.person_of(first("T-shirt/top"), first("Trouser"), first("Bag"), rng)
    drawings = {"a drawn person": person, "a lone garment": drawn.photo_of(first("Shirt"), rng)}
    classifier = load(places.PHOTO_MODEL)
    seen, files = [], []
    for name, picture in drawings.items():
        seen.append((name, predict(classifier, picture)))
        files.append(out / f"{name.split()[-1]}.png")
        write_png(files[-1], explain.draw(picture, seen[-1][1]))
    return tuple(seen), files


def _save_still(recording: Path, still: Path) -> None:
    """The recording's second garment as a PNG: a pullover, which everyone recognises."""
    import cv2

    capture = cv2.VideoCapture(str(recording.absolute()))  # FFmpeg takes what is before a colon for a protocol
    try:
        for _ in range(2 * _FRAMES_EACH - 1):
            ok, frame = capture.read()
        if ok:
            write_png(still, frame)
    finally:
        capture.release()
