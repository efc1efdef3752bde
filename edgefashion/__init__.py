"""Edge deployment of garment classifiers on Intel CPUs with OpenVINO.

The package is the command line's twin: every command is a function first, and all of them are imported from here.

    from edgefashion import load
    probabilities = load("edge")(images)   # uint8 (n, 28, 28, 1) in, float32 (n, 10) out

``import edgefashion`` by itself imports nothing heavy: what a function needs is imported when it is first asked for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from edgefashion.version import __version__

# OpenVINO and NNCF report each import and conversion to Google Analytics unless the user has opted out. Where the
# package that does it cannot be imported they use a stub: so they do in our processes, and nothing is written into
# the user's home. Here, because nothing of ours is imported earlier; who has imported it before us keeps it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

if TYPE_CHECKING:
    from edgefashion.bench.benchmark import benchmark
    from edgefashion.camera.app import run_camera
    from edgefashion.conversion.build import build
    from edgefashion.conversion.convert import convert
    from edgefashion.conversion.ovms.repository import export as export_ovms
    from edgefashion.conversion.quantize import quantize
    from edgefashion.data.images import read_image
    from edgefashion.errors import BadInputError, EdgeFashionError, GateError, MissingError
    from edgefashion.evaluation.fashion import evaluate
    from edgefashion.evaluation.photos import evaluate_photos
    from edgefashion.evaluation.scenes import evaluate_scenes
    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.load import load
    from edgefashion.inference.predict import predict
    from edgefashion.labels import LABELS
    from edgefashion.packs.export import export as export_pack
    from edgefashion.packs.install import install as install_pack
    from edgefashion.serving.serve import serve
    from edgefashion.tagging.tag import tag
    from edgefashion.training.finetune import finetune
    from edgefashion.training.teach import teach
    from edgefashion.training.train import train

__all__ = [
    "LABELS",
    "BadInputError",
    "Classifier",
    "EdgeFashionError",
    "GateError",
    "MissingError",
    "__version__",
    "benchmark",
    "build",
    "convert",
    "evaluate",
    "evaluate_photos",
    "evaluate_scenes",
    "export_ovms",
    "export_pack",
    "finetune",
    "install_pack",
    "load",
    "predict",
    "quantize",
    "read_image",
    "run_camera",
    "serve",
    "tag",
    "teach",
    "train",
]

# Name -> the module that has it, and its name there.
_HOMES = {
    "LABELS": ("edgefashion.labels", "LABELS"),
    "BadInputError": ("edgefashion.errors", "BadInputError"),
    "Classifier": ("edgefashion.inference.classifier", "Classifier"),
    "EdgeFashionError": ("edgefashion.errors", "EdgeFashionError"),
    "GateError": ("edgefashion.errors", "GateError"),
    "MissingError": ("edgefashion.errors", "MissingError"),
    "benchmark": ("edgefashion.bench.benchmark", "benchmark"),
    "build": ("edgefashion.conversion.build", "build"),
    "convert": ("edgefashion.conversion.convert", "convert"),
    "evaluate": ("edgefashion.evaluation.fashion", "evaluate"),
    "evaluate_photos": ("edgefashion.evaluation.photos", "evaluate_photos"),
    "evaluate_scenes": ("edgefashion.evaluation.scenes", "evaluate_scenes"),
    "export_ovms": ("edgefashion.conversion.ovms.repository", "export"),
    "export_pack": ("edgefashion.packs.export", "export"),
    "finetune": ("edgefashion.training.finetune", "finetune"),
    "install_pack": ("edgefashion.packs.install", "install"),
    "load": ("edgefashion.inference.load", "load"),
    "predict": ("edgefashion.inference.predict", "predict"),
    "quantize": ("edgefashion.conversion.quantize", "quantize"),
    "read_image": ("edgefashion.data.images", "read_image"),
    "run_camera": ("edgefashion.camera.app", "run_camera"),
    "serve": ("edgefashion.serving.serve", "serve"),
    "tag": ("edgefashion.tagging.tag", "tag"),
    "teach": ("edgefashion.training.teach", "teach"),
    "train": ("edgefashion.training.train", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, there = _HOMES[name]
    found = globals()[name] = getattr(import_module(module), there)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
