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


def _bytes_of(kind: str, zero: int | None, *, added_first: bool = True) -> Any:
    """Real numbers made bytes, as ONNX's frontend writes it: a zero point is added before or after, or none is."""
    import openvino as ov
    from openvino import opset13 as ops

    taken = ops.parameter([1, GIVEN.size], np.float32)
    given = ops.multiply(taken, np.float32(1))  # arithmetic that the plugin fuses
    point = ops.constant(np.array([zero or 0], np.uint8 if kind == "u8" else np.int8))
    if zero is None:
        made = ops.convert(given, kind)
    elif added_first:
        made = ops.convert(ops.add(given, ops.convert(point, "f32")), kind)
    else:
        made = ops.add(ops.convert(given, kind), point)
    stored = ops.convert(made, "f32")
    return ov.Model([ops.result(ops.multiply(stored, np.float32(2)))], [taken], "bytes")


@pytest.mark.parametrize("added_first", [True, False])
@pytest.mark.parametrize(
    ("kind", "zero", "low", "high"), [("u8", 0, 0, 255), ("u8", 100, 0, 255), ("i8", 3, -128, 127)]
)
def test_quantized_numbers_stop_at_the_ends(kind: str, zero: int, low: int, high: int, added_first: bool) -> None:
    """A number to be quantized becomes the nearest byte, a half the even one, and what is beyond the ends the end."""
    wanted = np.clip(np.rint(GIVEN.astype(np.float32) + np.float32(zero)), low, high)
    np.testing.assert_array_equal(_run(_bytes_of(kind, zero, added_first=added_first)) / 2, wanted)


def test_a_cast_is_left_alone() -> None:
    """A plain cast to bytes, which cuts off and does not round, stays as it is."""
    model = _bytes_of("u8", None)
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    make_exact(model)
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before


def test_whole_sums_are_left_alone() -> None:
    """A sum of whole numbers is no quantized number: a cast to bytes after it stays a cast."""
    import openvino as ov
    from openvino import opset13 as ops

    taken = ops.parameter([1, GIVEN.size], np.int32)
    summed = ops.add(taken, ops.convert(ops.constant(np.array([100], np.uint8)), "i32"))
    model = ov.Model([ops.result(ops.convert(summed, "u8"))], [taken], "whole")
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    make_exact(model)
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before


@pytest.mark.parametrize("halves", ["none", "out", "all"])
@pytest.mark.parametrize("levels", [256, 1024, 65536])
@pytest.mark.parametrize(("low", "high", "out_low", "out_high"), [(0, 255, 0, 255), (-2, 3, -2, 3), (-128, 127, 0, 1)])
def test_steps_of_many_levels(
    levels: int, low: float, high: float, out_low: float, out_high: float, halves: str
) -> None:
    """A number becomes the nearest of so many steps, before a multiplication of 8-bit weights; also where it, or what
    it becomes alone, is written in 16-bit floats, which end below 65,535."""
    import openvino as ov
    from openvino import opset13 as ops

    taken = ops.parameter([1, GIVEN.size], np.float32)
    kinds = [np.float16 if halves == "all" else np.float32] * 2 + [np.float32 if halves == "none" else np.float16] * 2
    limits = (np.array([value], kind) for value, kind in zip((low, high, out_low, out_high), kinds, strict=True))
    given = ops.relu(taken) if low == 0 else taken
    given = ops.convert(given, "f16") if halves == "all" else given
    stepped = ops.convert(ops.fake_quantize(given, *limits, levels), "f32")
    weights = np.eye(GIVEN.size, dtype=np.int8)
    small = ops.multiply(ops.convert(ops.constant(weights), "f32"), np.float32(0.5))
    got = _run(ov.Model([ops.result(ops.matmul(stepped, small, False, False))], [taken], "steps"))
    real = np.clip(GIVEN, low, high).astype(kinds[0]).astype(float)
    shares = np.rint((real - low) / (high - low) * (levels - 1)) / (levels - 1)
    one_step = (out_high - out_low) / (levels - 1)  # a half may fall to either side
    rounding = 1e-3 * max(abs(out_low), abs(out_high)) if halves == "all" else 0
    np.testing.assert_allclose(got * 2, out_low + shares * (out_high - out_low), atol=one_step * 1.01 + rounding)
