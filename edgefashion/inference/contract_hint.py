"""How a model made elsewhere is likely fed, by what its file shows: where there are no images to measure it on."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from edgefashion.inference import contract
from edgefashion.inference.contract import Feed, Quantized

_PASSED: Final = frozenset(
    {"Convert", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "FakeQuantize", "ConvertLike", "Concat", "Broadcast"}
)
"""Operations that leave a pixel what it is."""
_LOOKED_AT: Final = 12
_INSIDE: Final = "its first layers scale the pixels"
_USUAL: Final = "usual for a file that does not scale them itself"
_BYTES: Final = 1 / 64
"""A first factor below this makes small numbers of bytes."""


def hint_of(ir: Any, dtype: np.dtype[Any], stored: Quantized) -> tuple[Feed, str]:
    """How a converted file is likely fed, and where that comes from, as a phrase."""
    own = contract.own_range(dtype, stored)
    if own:
        return own, "the file's own quantization" if stored[0] else "the file takes whole numbers"
    model_api = _model_api(ir)
    if model_api:
        return model_api, "the file's own mean and scale"
    if _scales(ir):
        return contract.ranged(0, 255), _INSIDE
    return contract.ranged(0, 1), _USUAL


def hint_of_keras(model: Any) -> tuple[Feed, str]:
    """The same for a Keras model; None stands for a SavedModel, which shows nothing."""
    layers = list(getattr(model, "layers", ()))
    for layer in layers:  # grows as it goes
        layers += list(getattr(layer, "layers", ()))
        if type(layer).__name__ in ("Rescaling", "Normalization"):
            return contract.ranged(0, 255), _INSIDE
    inputs = getattr(model, "inputs", None) or ()
    if inputs and str(inputs[0].dtype).startswith(("uint", "int")):
        return contract.ranged(0, 255), "the file takes whole numbers"
    return contract.ranged(0, 1), _USUAL


def _scales(ir: Any) -> bool:
    """True where the first arithmetic done with a pixel makes a small number of a byte."""
    node = ir.input(0).get_node()
    for _ in range(_LOOKED_AT):
        readers = [port.get_node() for port in node.output(0).get_target_inputs()]
        if not readers:
            return False
        node = readers[0]
        kind = node.get_type_name()
        if kind in _PASSED:
            continue
        others = [value.get_node() for value in node.input_values() if value.get_node().get_type_name() == "Constant"]
        if not others or kind not in ("Multiply", "Divide", "Subtract", "Add"):
            return False
        value = float(np.abs(others[0].get_data(dtype=np.float32)).max())
        if kind in ("Subtract", "Add"):
            return value > 2
        return (value if kind == "Multiply" else 1 / (value or 1)) < _BYTES
    return False


def _model_api(ir: Any) -> Feed | None:
    """What an IR says for Intel's Model API."""
    values = []
    for key, otherwise in (("mean_values", 0.0), ("scale_values", 1.0)):
        text = ir.get_rt_info(["model_info", key]).astype(str) if ir.has_rt_info(["model_info", key]) else ""
        try:
            numbers = tuple(float(part) for part in text.replace(",", " ").split())
        except ValueError:
            return None
        values.append(numbers if len(numbers) in (1, 3) else (otherwise,))
    mean, scale = values
    if mean == (0.0,) and scale == (1.0,):
        return None
    return contract.normalised(0, 255, mean, scale) if min(scale) > 0 else None
