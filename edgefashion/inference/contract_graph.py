"""A contract as nodes of an OpenVINO graph: bytes in, probabilities out, the model made elsewhere between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefashion.inference import contract
from edgefashion.inference.contract import PLAIN, SIDE_PX, Contract, Quantized


def with_contract(
    original: Any, by: Contract, output: int, stored: Quantized = PLAIN, answered: Quantized = PLAIN
) -> Any:
    """An ``openvino.Model``: uint8 (n, 28, 28, 1) in, float32 probabilities (n, 10) in Fashion-MNIST's order out.

    ``original``: the model as it was read, of static batch 1. ``output``: which of its outputs has the answers.
    ``stored`` and ``answered``: the quantization of its input and of that output.
    """
    import openvino as ov
    from openvino import opset13 as ops

    network = original.clone()
    entrance = network.input(0)
    images = ops.parameter([1, SIDE_PX, SIDE_PX, 1], ov.Type.u8, name="images")
    images.output(0).set_names({"images"})
    for reader in list(entrance.get_target_inputs()):
        reader.replace_source_output(_fed(images, entrance, by, stored).output(0))
    answer = _read(network.output(output).get_node().input_value(0), by, answered)
    answer.get_node().output(0).set_names({"probabilities"})
    return ov.Model([ops.result(answer)], [images], "foreign")


def _fed(images: Any, entrance: Any, by: Contract, stored: Quantized) -> Any:
    """The images as the network's own numbers, in its own shape."""
    import openvino as ov
    from openvino import opset13 as ops

    dtype = entrance.element_type
    as_they_are = dtype == ov.Type.u8 and np.array_equal(by.table(np.dtype(np.uint8), stored)[:, 0], np.arange(256))
    given = images
    if not as_they_are:
        given = ops.convert(given, ov.Type.f32)
        factor, offset = (np.array(value, np.float32) for value in (by.factor, by.offset))
        given = ops.multiply(given, factor) if (factor != 1).any() else given
        given = ops.add(given, offset) if offset.any() else given
        if dtype.is_integral():
            given = ops.divide(given, np.float32(stored[0])) if stored[0] else given
            kept = np.iinfo(dtype.to_dtype())
            given = ops.clamp(ops.add(ops.round(given), np.float32(stored[1])), float(kept.min), float(kept.max))
    if by.channels == 3:
        if len(by.factor) == 1:
            given = ops.concat([given] * 3, 3)
        if by.shape[0] == 3:
            given = ops.transpose(given, np.array([0, 3, 1, 2], np.int64))
    if not as_they_are and dtype != ov.Type.f32:
        given = ops.convert(given, dtype)
    # With one channel the pixels have the same order in every shape.
    return ops.reshape(given, np.array([-1, *by.shape], np.int64), special_zero=False)


def _read(answer: Any, by: Contract, answered: Quantized) -> Any:
    """The network's answers as probabilities in Fashion-MNIST's order."""
    import openvino as ov
    from openvino import opset13 as ops

    if answer.get_element_type() != ov.Type.f32:
        answer = ops.convert(answer, ov.Type.f32).output(0)
    if answered[0]:
        answer = ops.multiply(ops.subtract(answer, np.float32(answered[1])), np.float32(answered[0])).output(0)
    if len(answer.get_partial_shape()) != 2:
        answer = ops.reshape(answer, np.array([-1, 10], np.int64), special_zero=False).output(0)
    if by.answer == contract.LOGITS:
        answer = ops.softmax(answer, 1).output(0)
    elif by.answer == contract.LOGARITHMS:
        answer = ops.exp(answer).output(0)
    elif by.answer in (contract.SIGMOIDS, contract.ROUNDED):
        total = ops.reduce_sum(answer, np.array([1], np.int64), keep_dims=True)
        least = np.float32(1 if by.answer == contract.SIGMOIDS else 1e-6)
        answer = ops.divide(answer, ops.maximum(total, least)).output(0)
    if by.order:
        answer = ops.gather(answer, np.array(by.order, np.int64), np.int64(1)).output(0)
    return answer
