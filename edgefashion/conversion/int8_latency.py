"""How long a network takes in INT8 through OpenVINO, beside another: known before it is trained.

INT8's time is decided by the shapes and not by the weights, so an untrained network is quantized on random images.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.bundles import model_files
from edgefashion.bundles.guard import check
from edgefashion.conversion import post_training
from edgefashion.conversion.ir import to_ir
from edgefashion.inference import load, openvino_engine
from edgefashion.inference.tensorflow_engine import export_saved_model
from edgefashion.inference.told import Told
from edgefashion.labels import LABELS
from edgefashion.system.extras import need

if TYPE_CHECKING:
    import keras

    from edgefashion.inference.classifier import Classifier

IMAGES: Final = 8
"""Random images that the ranges of INT8 are taken from."""
TURNS: Final = 41
CALLS: Final = 25
"""Calls of a turn: some milliseconds, so that a turn of each falls into one phase of the machine's speed."""

_AS_IT_IS: Final = Told(scale="0-255", labels=",".join(LABELS), anyway=True)
"""An untrained network names nothing right: it is not measured how it is fed."""


class Int8Latency:
    """Measures networks for 28x28 images against one that was given first."""

    def __init__(self, reference: keras.Model) -> None:
        """Raises :class:`MissingError` without NNCF."""
        need("nncf", "to measure INT8")
        self._reference = in_int8(reference)

    def __call__(self, network: keras.Model) -> float:
        """The time that ``network`` takes for one image at one thread, as a share of the reference's.

        The median over :data:`TURNS` turns of each turn's ratio: what slows the machine slows both.
        """
        return ratio(in_int8(network), self._reference)


def ratio(one: Classifier, other: Classifier) -> float:
    """The time ``one`` takes for an image as a share of what ``other`` takes, measured in turns."""
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    took_s: dict[str, list[float]] = {"one": [], "other": []}
    for _ in range(TURNS):
        for name, asked in (("one", one), ("other", other)):
            start_s = time.perf_counter()
            for _ in range(CALLS):
                asked(image)
            took_s[name].append(time.perf_counter() - start_s)
    return float(np.median(np.array(took_s["one"]) / np.array(took_s["other"])))


def in_int8(network: keras.Model) -> Classifier:
    """An untrained or trained network, quantized and loaded at one thread."""
    import nncf

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        saved, fp32 = Path(folder) / "saved_model", Path(folder) / "fp32.xml"
        export_saved_model(network, saved)
        model_files.save_ir(to_ir(saved, saved), fp32)
        check.vouch(fp32)
        model = openvino_engine.read_ir(fp32)
        shape, dtype = tuple(model.input(0).shape), model.input(0).element_type.to_dtype()
        images = [rng.integers(0, 256, shape).astype(dtype) for _ in range(IMAGES)]
        with post_training.quietly():
            quantized = nncf.quantize(model, nncf.Dataset(images), subset_size=IMAGES)
        int8 = Path(folder) / "int8.xml"
        model_files.save_ir(quantized, int8)
        check.vouch(int8)
        return load.load(int8, precision="int8", told=_AS_IT_IS)
