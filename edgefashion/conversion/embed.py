"""An IR with the preprocessing inside: a camera's BGR frame in, probabilities out. Its parity gate.

For programs that run OpenVINO without edgefashion, in C++ or GStreamer. The network sees the whole frame: for a photo
network it is resized (:func:`edgefashion.inference.preprocess.view`), for a Fashion-MNIST network it becomes grey,
28x28 and bright on 0 (:func:`edgefashion.inference.preprocess.whole`). No garment is looked for in the frame.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, draft, model_files
from edgefashion.conversion.graph import fixed_size
from edgefashion.data import drawn, fashion_mnist
from edgefashion.errors import BadInputError, GateError
from edgefashion.inference import load, openvino_engine, preprocess
from edgefashion.inference.classifier import Classifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES: Final = 1000
"""Frames the gate compares on, each drawn from a test image."""

MEAN_LIMIT: Final = 0.006
"""Largest mean absolute difference of a probability. The graph rounds in another order than OpenCV, which moves some
pixels by a level. For the shipped networks that makes a mean of 0.0006 to 0.003, and up to 0.2 in a frame they are
unsure of. A frame resized by another rule moves ``edge`` by 0.012."""

CHANGED_LIMIT: Final = 0.05
"""Largest share of frames whose likeliest label changes. The drawn frames are hard on purpose: 0.1 to 2.5 % of them
change, those whose two likeliest labels are within 0.1 of each other. Swapped colours change a quarter of a photo
network's answers, a wrong polarity two thirds of ``edge``'s."""

MIN_EDGE_PX, MAX_EDGE_PX = preprocess.SIDE_PX, 4096
"""A smaller frame has fewer pixels than a network takes. No camera delivers a larger one."""


@dataclass(frozen=True)
class FrameParity:
    """How far an embedded IR's answers are from those of the Python path: the frame preprocessed in Python, and
    answered by the IR that the embedded one was made of."""

    n: int
    max_abs_difference: float
    mean_abs_difference: float
    changed_top1: int

    @property
    def passed(self) -> bool:
        return self.mean_abs_difference <= MEAN_LIMIT and self.changed_top1 <= CHANGED_LIMIT * self.n


@dataclass(frozen=True)
class Embedding:
    """What :func:`embed` made and measured."""

    size_wh: tuple[int, int]
    precision: str
    """The IR it was made of: int8 or fp32."""
    parity: FrameParity
    size_bytes: int


def frame_size(text: str) -> tuple[int, int]:
    """``"640x480"`` to (640, 480). Raises :class:`BadInputError` unless both edges are from 28 to 4096."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip(), re.ASCII)
    return check_frame_size((int(found[1]), int(found[2])) if found else (0, 0), repr(text))


def check_frame_size(size_wh: tuple[int, int], called: str = "") -> tuple[int, int]:
    """``size_wh`` itself. Raises :class:`BadInputError` of what it is ``called``, unless both edges are 28 to 4096."""
    if not all(MIN_EDGE_PX <= edge <= MAX_EDGE_PX for edge in size_wh):
        raise BadInputError(
            f"--embed takes a frame's WIDTHxHEIGHT, each from {MIN_EDGE_PX} to {MAX_EDGE_PX} pixels "
            f"(640x480), not {called or '{}x{}'.format(*size_wh)}"
        )
    return size_wh


def embed(
    made: bundle.Bundle,
    size_wh: tuple[int, int],
    *,
    precision: str | None = None,
    frames: int = FRAMES,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[bundle.Bundle, Embedding]:
    """Add an IR to the bundle that takes BGR frames of ``size_wh``, uint8 (1, height, width, 3).

    Made of the bundle's INT8 IR, else of its FP32 (``precision`` chooses). Its input is called
    ``frame``; its outputs are those of the IR. Gated on ``frames`` drawn frames against the Python
    path. Raises :class:`GateError`, with the bundle left as it was, if the answers differ, and
    :class:`BadInputError` for a size out of range or a precision the bundle lacks.
    """
    frame_size("{}x{}".format(*size_wh))
    part = precision or ("int8" if made.has("int8") else "fp32")
    source = made.verified(part)
    classifier = load.load(source, precision=part)
    with draft.draft(made.path, made) as making:
        network = openvino_engine.read_ir(source)
        embedded = fixed_size.with_frame(network, size_wh)
        kind = "photo" if classifier.takes_photos else "fashion"
        _describe(embedded, size_wh, fixed_size.STEPS[kind])
        path = making.part("embedded")
        model_files.save_ir(embedded, path)
        parity = _compare(classifier, FrameReader(path), size_wh, frames, on_progress)
        if not parity.passed:
            raise GateError(
                f"parity gate failed for --embed: of {parity.n:,} frames {parity.changed_top1} answers changed (limit "
                f"{CHANGED_LIMIT:.0%}), and the probabilities differ by {parity.mean_abs_difference:.4f} on average "
                f"(limit {MEAN_LIMIT:g}). No IR for frames was written; preprocess in your own program instead"
            )
        done = Embedding(size_wh, part, parity, model_files.size_bytes(path))
        making.add_report("embed", asdict(done))
    return bundle.open_bundle(made.path), done


class FrameReader:
    """An embedded IR, run as a program without edgefashion would run it: one request, one thread."""

    def __init__(self, path: Path) -> None:
        import openvino as ov

        compiled = ov.Core().compile_model(
            openvino_engine.read_ir(path),
            "CPU",
            {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"},
        )
        self.shape: tuple[int, ...] = tuple(compiled.input("frame").shape)
        self._request = compiled.create_infer_request()
        self._answer = next(i for i, port in enumerate(compiled.outputs) if len(port.shape) == 2)

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities (classes,) for a BGR uint8 (h, w, 3) frame of the declared size."""
        import openvino as ov

        # OpenVINO reads the frame's own memory: nothing is copied. It holds no reference to it, so we do.
        self._frame = np.ascontiguousarray(frame).reshape(self.shape)
        self._request.set_input_tensor(ov.Tensor(self._frame, shared_memory=True))
        self._request.infer(share_outputs=True)
        return np.array(self._request.get_output_tensor(self._answer).data[0])


def in_python(classifier: Classifier, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What an embedded IR has to answer for a BGR uint8 (h, w, 3) frame: the probabilities (classes,) after
    preprocessing in Python."""
    pixels = preprocess.view(frame) if classifier.takes_photos else preprocess.whole(frame)
    return np.asarray(classifier(pixels)[0])


def drawn_frame(classifier: Classifier, image: Any, rng: Any, size_wh: tuple[int, int]) -> Any:
    """A frame of the kind that the network is made for, drawn from a Fashion-MNIST image."""
    return (drawn.photo_of if classifier.takes_photos else drawn.shot_of)(image, rng, size_wh)


def _compare(
    classifier: Classifier,
    embedded: FrameReader,
    size_wh: tuple[int, int],
    frames: int,
    on_progress: Callable[[int, int], None] | None,
) -> FrameParity:
    rng = np.random.default_rng(0)
    here, there = [], []
    for number, image in enumerate(fashion_mnist.load("test")[0][:frames]):
        frame = drawn_frame(classifier, image, rng, size_wh)
        here.append(in_python(classifier, frame))
        there.append(embedded(frame))
        if on_progress:
            on_progress(number + 1, frames)
    expected, answers = np.stack(here), np.stack(there)
    difference = np.abs(answers - expected)
    return FrameParity(
        n=len(expected),
        max_abs_difference=float(difference.max()),
        mean_abs_difference=float(difference.mean()),
        changed_top1=int((answers.argmax(1) != expected.argmax(1)).sum()),
    )


def _describe(ir: Any, size_wh: tuple[int, int], steps: tuple[str, ...]) -> None:
    """Write into the IR's rt_info what it takes now. Its labels and thresholds stay."""
    width, height = size_wh
    model_info = {
        "embedded_processing": "True",  # Model API then hands over frames of this size as they are
        "orig_width": str(width),
        "orig_height": str(height),
        "reverse_input_channels": "False",
        "resize_type": "standard",
    }
    for key, value in model_info.items():
        ir.set_rt_info(value, ["model_info", key])
    pixels = f"uint8 BGR 0 to 255, NHWC, one whole frame (1, {height}, {width}, 3); preprocessed inside the graph"
    frame = {"width": width, "height": height, "colour": "BGR"}
    for key, fact in (("pixels", pixels), (openvino_engine.FRAME, frame), ("embedded", steps)):
        ir.set_rt_info(json.dumps(fact), [bundle.RT_INFO, key])
