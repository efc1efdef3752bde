"""Whole numbers in a graph from elsewhere come out as its file means them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.inference.whole_numbers import make_exact

GIVEN = np.array([[-300, -129, -128.5, -3.5, -2.5, -0.4, 0, 0.5, 1.5, 2.4999, 127.5, 254.6, 255.5, 256, 300, 1e6]])


def _run(model: Any) -> NDArray[Any]:
    import openvino as ov

    make_exact(model)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled(GIVEN.astype(np.float32))[0])


@pytest.mark.parametrize(("kind", "low", "high"), [("u8", 0, 255), ("i8", -128, 127)])
@pytest.mark.parametrize("added", [0.0, 0.25])
def test_real_numbers_become_bytes(kind: str, low: int, high: int, added: float) -> None:
    """A real number becomes the nearest byte, a half the even one, and what is beyond the ends becomes the end."""
    import openvino as ov
    from openvino import opset13 as ops

    taken = ops.parameter([1, GIVEN.size], np.float32)
    summed = ops.add(ops.multiply(taken, np.float32(1)), np.float32(added))  # arithmetic that the plugin fuses
    stored = ops.convert(ops.convert(summed, kind), "f32")
    got = _run(ov.Model([ops.result(ops.multiply(stored, np.float32(2)))], [taken], "bytes"))
    np.testing.assert_array_equal(got / 2, np.clip(np.rint(GIVEN.astype(np.float32) + np.float32(added)), low, high))


@pytest.mark.parametrize("levels", [256, 1024, 65536])
@pytest.mark.parametrize(("low", "high", "out_low", "out_high"), [(0, 255, 0, 255), (-2, 3, -2, 3), (-128, 127, 0, 1)])
def test_steps_of_many_levels(levels: int, low: float, high: float, out_low: float, out_high: float) -> None:
    """A number becomes the nearest of so many steps, before a multiplication of 8-bit weights."""
    import openvino as ov
    from openvino import opset13 as ops

    taken = ops.parameter([1, GIVEN.size], np.float32)
    limits = (np.array([value], np.float32) for value in (low, high, out_low, out_high))
    stepped = ops.fake_quantize(ops.relu(taken) if low == 0 else taken, *limits, levels)
    weights = np.eye(GIVEN.size, dtype=np.int8)
    small = ops.multiply(ops.convert(ops.constant(weights), "f32"), np.float32(0.5))
    got = _run(ov.Model([ops.result(ops.matmul(stepped, small, False, False))], [taken], "steps"))
    shares = np.rint((np.clip(GIVEN, low, high) - low) / (high - low) * (levels - 1)) / (levels - 1)
    one_step = (out_high - out_low) / (levels - 1)  # a half may fall to either side
    np.testing.assert_allclose(got * 2, out_low + shares * (out_high - out_low), atol=one_step * 1.01)
