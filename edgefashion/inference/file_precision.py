"""What a model file made elsewhere computes in, as its graph in OpenVINO and its bytes show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

_SMALL: Final = 32
"""Numbers in a constant that is no weights."""
_ONNX_ROUNDING: Final = (b"MatMulInteger", b"ConvInteger", b"QLinearMatMul", b"QLinearConv", b"DequantizeLinear")
"""ONNX's operators on 8-bit numbers, as their names stand in a file."""


def of(ir: Any, path: Path) -> tuple[str, str]:
    """What the file computes in, fp32, fp16 or int8, and what is rounded in it, as a phrase."""
    every = list(ir.get_ops())
    if any(op.get_type_name() == "FakeQuantize" for op in every):
        return "int8", "it computes in 8 bits"
    heavy = [op for op in every if op.get_type_name() in ("Convolution", "GroupConvolution", "MatMul")]
    if any(op.get_output_element_type(0).get_type_name() in ("f16", "bf16") for op in heavy):
        return "fp16", "it computes in 16 bits"
    weights = {
        op.get_element_type().get_type_name()
        for op in every
        if op.get_type_name() == "Constant" and np.prod(tuple(op.shape)) > _SMALL
    }
    if weights & {"i8", "u8", "i4", "u4"}:
        return "fp32", "its weights have 8 bits"
    # OpenVINO unfolds ONNX's whole-number operators as it reads them: nothing of them is left to be seen.
    if path.suffix == ".onnx" and any(name in path.read_bytes() for name in _ONNX_ROUNDING):
        return "fp32", "its weights have 8 bits"
    return "fp32", "its weights have 16 bits" if weights & {"f16", "bf16"} else ""
