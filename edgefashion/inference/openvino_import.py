"""OpenVINO imported without its model converter.

The converter takes longer to import than the runtime itself, and whoever runs an IR does not need it. OpenVINO does
without it where it cannot be imported. Whoever asks for ``openvino.convert_model`` later gets it.
"""

from __future__ import annotations

import sys
from typing import Any, Final

_CONVERTER: Final = "openvino.tools.ovc"


def openvino() -> Any:
    """The package ``openvino``; the converter is there too if somebody else has imported it before."""
    if "openvino" in sys.modules or _CONVERTER in sys.modules:
        import openvino as ov

        return ov
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]  # what Python takes for a module that is not there
    try:
        import openvino as ov
    finally:
        del sys.modules[_CONVERTER]
    ov.__getattr__ = _attribute
    return ov


def _attribute(name: str) -> Any:
    """What is asked for of the package ``openvino`` and is not there."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    from openvino.tools.ovc import convert_model

    sys.modules["openvino"].convert_model = convert_model  # type: ignore[attr-defined]
    return convert_model
