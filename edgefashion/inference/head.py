"""The last layer of a photo network: read from an IR, and put into it anew with other names.

A network that is taught other names keeps all else as it is, so its IRs are its start's with other numbers in their
last layer. Nothing has to be converted or calibrated again, and no TensorFlow is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.bundles.places import PHOTO_MODEL, shipped
from edgefashion.errors import BadInputError
from edgefashion.inference.openvino_engine import read_ir

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Head:
    """Features to logits."""

    weights: NDArray[np.float32]
    """(size, classes)"""
    bias: NDArray[np.float32]
    """(classes,)"""

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, classes) of features (n, size)."""
        return np.asarray(features @ self.weights + self.bias, np.float32)

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probabilities (n, classes) of features (n, size)."""
        return softmax(self.logits(features))

    def in_half(self) -> Head:
        """With weights that 16 bits hold, as an FP16 IR stores them."""
        return Head(*(np.asarray(of.astype(np.float16), np.float32) for of in (self.weights, self.bias)))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (n, classes)."""
    likely = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(likely / likely.sum(1, keepdims=True), np.float32)


def read_head(path: Path) -> Head:
    """The last layer of the FP16 or FP32 IR ``path``. Raises :class:`BadInputError` for a network without one."""
    add, matmul = _last(read_ir(path), path)
    weights, bias = _numbers(matmul.input_value(1)), _numbers(add.input_value(1))
    if weights is None or bias is None:
        raise BadInputError(f"the weights of {path} are rounded to 8 bits. Give the bundle's FP16 IR")
    weights = weights.T if matmul.get_attributes()["transpose_b"] else weights
    return Head(np.ascontiguousarray(weights, np.float32), np.asarray(bias.reshape(-1), np.float32))


def with_head(path: Path, head: Head) -> Any:
    """The IR ``path`` as an ``openvino.Model`` with another last layer: of an INT8 IR in 8 bits, as all others of its
    layers are, of others in 32."""
    import openvino as ov
    from openvino import opset13 as ops

    ir = read_ir(path)
    add, matmul = _last(ir, path)
    softmax_node = next(iter(add.output(0).get_target_inputs())).get_node()
    if _numbers(matmul.input_value(1)) is None:
        # A scale for each name: the largest of its weights is 127.
        scale = np.maximum(np.abs(head.weights).max(0), 1e-9)[:, None] / 127
        rounded = np.clip(np.rint(head.weights.T / scale), -127, 127).astype(np.int8)
        whole = ops.convert(ops.constant(rounded), ov.Type.f32)
        weights = ops.multiply(whole, ops.constant(scale.astype(np.float32)))
        bias = ops.constant(head.bias[None])
    else:
        weights, bias = ops.constant(np.ascontiguousarray(head.weights.T)), ops.constant(head.bias[None])
    logits = ops.matmul(matmul.input_value(0), weights, transpose_a=False, transpose_b=True)
    logits.set_friendly_name(matmul.get_friendly_name())
    softmax_node.input(0).replace_source_output(ops.add(logits, bias).output(0))
    ir.validate_nodes_and_infer_types()
    return ir


def _last(ir: Any, path: Path) -> tuple[Any, Any]:
    """The addition and the multiplication that make the logits."""
    answer = next((port for port in ir.outputs if len(port.get_partial_shape()) == 2), None)
    node = None if answer is None else answer.get_node().input_value(0).get_node()
    chain = []
    for kind in ("Softmax", "Add", "MatMul"):
        if node is None or node.get_type_name() != kind:
            raise BadInputError(f"{path} does not end in one layer and a softmax. Give --start {shipped(PHOTO_MODEL)}")
        chain.append(node)
        node = node.input_value(0).get_node()
    return chain[1], chain[2]


def _numbers(source: Any) -> NDArray[np.float32] | None:
    """A constant of 16 or 32 bits, float32; None for one of 8."""
    node = source.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or node.get_element_type().get_type_name() not in ("f16", "f32"):
        return None
    return np.asarray(node.get_data(), np.float32)
