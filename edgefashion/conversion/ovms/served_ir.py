"""The IR that a model server serves: a decoded picture of any size in, ``predict``'s answer out. Its parity gate."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, fields, model_files, resolve
from edgefashion.conversion.graph import any_size
from edgefashion.errors import BadInputError, GateError
from edgefashion.inference import load, openvino_engine, preprocess
from edgefashion.inference.classifier import Classifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLUGIN_CONFIG: Final = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
"""The settings a server has to give OpenVINO. In BF16, which the plugin chooses by itself on CPUs that have it, the
graph miscounts pixels and answers nonsense."""

SIZES_WH: Final = ((28, 28), (90, 61), (320, 240), (300, 417), (1100, 700))
"""Sizes of the gate's drawn pictures: some are enlarged, some shrunk, some halved first; lying and upright."""

LIMIT: Final = 0.005
"""Largest mean absolute difference of a probability on the gate's pictures. The shipped networks answer with less
than 0.001; swapped colours, a wrong polarity, another way of resizing or BF16 make it 0.01 to 0.07."""


@dataclass(frozen=True)
class Served:
    """An IR that was written: what a client and a server must know of it."""

    name: str
    precision: str
    labels: tuple[str, ...]
    accept_threshold: float
    takes_photos: bool
    outputs: dict[str, list[int]]
    """Each output's shape."""
    mean_abs_difference: float
    """Between its probabilities and those of the Python path, on drawn pictures."""
    floors: dict[str, float] = field(default_factory=dict)
    kind_floor: float | None = None
    """These two and ``accept_threshold`` are :class:`edgefashion.inference.decision.Rule`'s. A repository that was
    written before there were floors tells none."""

    @classmethod
    def from_json(cls, told: Any) -> Served:
        """What a repository says of a model in it. Raises ValueError for a field of the wrong kind, KeyError for one
        that is missing, TypeError for one that is not known here."""
        told = fields.table("models", told)
        outputs, floors = fields.table("outputs", told["outputs"]), fields.numbers(told, "floors") or {}
        known = {
            "name": fields.given_text(told, "name"),
            "precision": fields.given_text(told, "precision"),
            "labels": fields.labels(told),
            "outputs": {name: list(fields.given_list(outputs, name, int, "numbers")) for name in outputs},
            "floors": floors,
            "kind_floor": fields.number(told, "kind_floor"),
        }
        shares = [told["accept_threshold"], *floors.values()]
        if not all(map(fields.is_share, shares)) or not isinstance(told["takes_photos"], bool):
            raise ValueError("accept_threshold, floors or takes_photos is of another kind")
        return cls(**{**told, **known})


def write_ir(model: str | Path, precision: str | None, path: Path) -> Served:
    """Write the IR ``path`` (an .xml, its .bin beside it) from a bundle or another IR.

    Its input is ``pictures``, uint8 (1, height, width, channels): see
    :func:`edgefashion.conversion.graph.any_size.with_pictures`. Raises :class:`BadInputError` for a model without a
    usable IR, and :class:`GateError` if the written IR does not answer as Python does.
    """
    if precision == "bf16":
        raise BadInputError("--precision bf16 cannot be served: the preprocessing needs FP32. Take int8, fp32 or fp16")
    resolve.resolve(model)
    classifier = load.load(model, precision=precision)
    assert classifier.source is not None  # resolve() has refused what another machine serves
    network = openvino_engine.read_ir(classifier.source)
    shape = tuple(network.input(0).shape)
    if shape[0] != 1:
        network.reshape([1, *shape[1:]])
    if not classifier.takes_photos and math.prod(shape[1:]) != preprocess.SIDE_PX**2:
        raise BadInputError(
            f"{classifier.source} takes images of {shape[1:]}. Only 28x28 and photo networks are served"
        )
    served = any_size.with_pictures(network)
    _describe(served, classifier)
    model_files.save_ir(served, path)
    return Served(
        name=classifier.name,
        precision=classifier.precision,
        labels=classifier.labels,
        accept_threshold=classifier.rule.threshold,
        takes_photos=classifier.takes_photos,
        outputs={port.any_name: list(port.shape) for port in served.outputs},
        mean_abs_difference=_gate(classifier, Reader(path)),
        floors=dict(classifier.rule.floors),
        kind_floor=classifier.rule.kind_floor,
    )


class Reader:
    """A served IR, run as a server runs it."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import openvino as ov

        core = ov.Core()
        try:
            # Mapped, the weights could not be renamed on Windows while the model lives.
            core.set_property({"ENABLE_MMAP": False})
            model = core.read_model(path)
        except RuntimeError as error:
            raise BadInputError(f"{path} is no IR OpenVINO can read. Export the model again") from error
        config = {**PLUGIN_CONFIG, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        self._compiled = core.compile_model(model, "CPU", config)

    def __call__(self, picture: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """The outputs by name, each without its batch, for a uint8 (h, w), (h, w, 3) or (h, w, 4) picture, its
        colours BGR. A picture that is out of range is resized, as a server does it."""
        import cv2

        low, high = any_size.MIN_EDGE_PX, any_size.MAX_EDGE_PX
        height, width = (min(max(edge, low), high) for edge in picture.shape[:2])
        if (height, width) != picture.shape[:2]:
            picture = np.asarray(cv2.resize(picture, (width, height)), np.uint8)
        answer = self._compiled(np.ascontiguousarray(picture).reshape(1, height, width, -1))
        return {port.any_name: np.array(values[0]) for port, values in answer.items()}


def _describe(ir: Any, classifier: Classifier) -> None:
    """Write into the IR's rt_info what it takes, once as Model API and OVMS's metadata read it, and once exactly."""
    told = ir.get_rt_info(["model_info"]).value if ir.has_rt_info(["model_info"]) else {}
    told = told if isinstance(told, dict) else {}  # of an IR made elsewhere it may be anything
    kept = {key: fact for key, fact in told.items() if key not in ("orig_width", "orig_height")}  # of any size now
    now = {"embedded_processing": "True", "reverse_input_channels": "False", "resize_type": "standard"}
    ir.set_rt_info({**kept, **now}, ["model_info"])
    low, high = any_size.MIN_EDGE_PX, any_size.MAX_EDGE_PX
    facts = {
        "name": classifier.name,
        "labels": classifier.labels,
        "thresholds": classifier.rule.as_json(),
        "pixels": f"uint8 BGR, grey or BGR with transparency, 0 to 255, NHWC, one picture of {low} to {high} pixels a "
        "side; preprocessed inside the graph",
        "embedded": any_size.STEPS["photo" if classifier.takes_photos else "fashion"],
        "compile": PLUGIN_CONFIG,
    }
    for key, fact in facts.items():
        ir.set_rt_info(json.dumps(fact), [bundle.RT_INFO, key])


def _gate(classifier: Classifier, reader: Reader) -> float:
    from edgefashion.inference.predict import see

    differences = []
    for picture in _drawn_pictures():
        seen = see(classifier, picture)
        answer = reader(picture)
        nothing = any_size.BOX in answer and answer[any_size.BOX][0] < 0
        if (seen is None) != nothing:
            differences.append(1.0)
        elif seen is not None:
            differences.append(float(np.abs(answer["probabilities"] - seen[1]).mean()))
    mean = float(np.mean(differences))
    if mean > LIMIT:
        raise GateError(
            f"parity gate failed: with its preprocessing inside, {classifier.source} answers drawn pictures otherwise: "
            f"probabilities differ by {mean:.3f} on average (limit {LIMIT:g}). Nothing was written; serve it with "
            "`edgefashion serve`, which preprocesses in Python"
        )
    return mean


def _drawn_pictures() -> Iterator[NDArray[np.uint8]]:
    """A shirt and trousers with a stripe, plainly drawn in colours, on light and on dark, in several sizes; BGR."""
    import cv2

    # In hundredths of the picture's shorter edge.
    shirt = [
        [30, 15],
        [42, 20],
        [58, 20],
        [70, 15],
        [95, 35],
        [84, 48],
        [72, 40],
        [72, 90],
        [28, 90],
        [28, 40],
        [16, 48],
    ]
    trousers = [[32, 8], [68, 8], [74, 94], [56, 94], [50, 35], [44, 94], [26, 94]]
    for number, (width, height) in enumerate(SIZES_WH):
        for outline in (shirt, trousers):
            light = number % 2 == 0
            picture = np.full((height, width, 3), (236, 240, 244) if light else (22, 20, 26), np.uint8)
            side = min(width, height)
            corner = np.array([(width - side) / 2, (height - side) / 2])
            points = np.rint(np.array(outline) * side / 100 + corner).astype(np.int32)
            cv2.fillPoly(picture, [points], (160, 40, 20) if light else (220, 160, 90))
            left, top, width_px, height_px = cv2.boundingRect(points)
            stripe = picture[top + height_px // 3 : top + height_px // 2, left : left + width_px]
            worn = np.abs(stripe.astype(int) - picture[0, 0]).max(2) > 0
            stripe[worn] = (20, 30, 190) if light else (90, 120, 250)
            yield picture
