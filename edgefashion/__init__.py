"""Edge deployment of garment classifiers on Intel CPUs with OpenVINO.

The package is the command line's twin: every command is a function first.

    from edgefashion import load
    probabilities = load("edge")(images)   # uint8 (n, 28, 28, 1) in, float32 (n, 10) out
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# OpenVINO and NNCF report each import and conversion to Google Analytics unless the user has opted out. Where the
# package that does it cannot be imported they use a stub: so they do in our processes, and nothing is written into
# the user's home. Here, because nothing of ours is imported earlier; who has imported it before us keeps it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

if TYPE_CHECKING:
    from edgefashion.errors import EdgeFashionError
    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.load import load
    from edgefashion.labels import LABELS

__all__ = ["LABELS", "Classifier", "EdgeFashionError", "__version__", "load"]

_HOMES = {
    "Classifier": "edgefashion.inference.classifier",
    "load": "edgefashion.inference.load",
    "EdgeFashionError": "edgefashion.errors",
    "LABELS": "edgefashion.labels",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `edgefashion --help` does not pay for numpy.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
