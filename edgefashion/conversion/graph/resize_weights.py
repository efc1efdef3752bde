"""Resizing pictures whose size is known only when the graph runs: it computes the weights of rows and columns itself.

Scalars and vectors here are outputs of OpenVINO operations, float32 unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Halved:
    """A uint8 (1, h, w, channels) picture, halved as often as :mod:`edgefashion.inference.preprocess` halves it down to
    ``side``. Its rows are halved at once, its columns in :meth:`columns`: that costs less once there are fewer rows."""

    def __init__(self, pictures: Any, side: int, max_edge_px: int) -> None:
        ops = operations()
        shape = ops.shape_of(pictures, "i32")
        self.channels = at(shape, 3)
        size = ops.slice(shape, ints([1]), ints([3]), ints([1]))
        shorter = ops.reduce_min(size, ints([0]), keep_dims=False)
        steps = [2**n for n in range(1, (max_edge_px // side).bit_length())]
        reached = ops.convert(ops.greater_equal(shorter, ints([side * step for step in steps])), np.int32)
        more = ops.reduce_sum(ops.multiply(reached, ints([step // 2 for step in steps])), ints([0]), keep_dims=True)
        self._square = ops.add(more, ints([1]))
        lower = ops.divide(size, self._square)
        self._height, self._width = (ops.slice(lower, ints([n]), ints([n + 1]), ints([1])) for n in (0, 1))
        kept = ops.multiply(lower, self._square)
        solid = opaque(pictures, self.channels)
        levels = ops.convert(ops.slice(solid, ints([0, 0]), kept, ints([1, 1]), ints([0, 1])), np.float32)
        groups = ops.reshape(levels, ops.concat([self._height, self._square, ints([-1])], 0), False)
        # OpenCV rounds after each halving, a half up. That adds an eighth of a level each time on average.
        times = ops.convert(ops.reduce_sum(reached, ints([0]), keep_dims=False), np.float32)
        up = ops.minimum(ops.multiply(times, floats(0.12)), floats(0.48))
        self.rows = ops.add(ops.reduce_mean(groups, ints([1]), keep_dims=False), up)
        """float32 (rows, columns * channels), the columns not halved yet."""
        self.lengths = [ops.convert(at(lower, n), np.float32) for n in (0, 1)]
        """Height and width, both halved."""
        self.square = ops.convert(ops.squeeze(self._square, ints([0])), np.float32)
        """How many of the picture's pixels an edge of one of these is."""

    def columns(self, rows: Any) -> Any:
        """``rows``, made of :attr:`rows`, turned and with their columns halved: (columns, channels, rows). Turned, the
        pixels that are averaged lie side by side in memory, which is ten times as fast."""
        ops = operations()
        turned = ops.transpose(rows, ints([1, 0]))
        channels = ops.unsqueeze(self.channels, ints([0]))
        height = ops.slice(ops.shape_of(rows, "i32"), ints([0]), ints([1]), ints([1]))
        groups = ops.reshape(turned, ops.concat([self._width, self._square, channels, height], 0), False)
        return ops.reduce_mean(groups, ints([1]), keep_dims=False)


def opaque(pictures: Any, channels: Any) -> Any:
    """A uint8 (1, h, w, channels) picture as (h, w, channels), the transparency of four channels laid over white."""
    import openvino as ov

    ops = operations()
    picture = ops.squeeze(pictures, ints([0]))
    clear, solid = (ops.parameter(picture.get_output_partial_shape(0), np.uint8) for _ in range(2))
    levels = ops.convert(clear, np.float32)
    opacity = ops.multiply(ops.gather(levels, ints([-1]), ints(2)), floats(1 / 255))
    over = ops.add(ops.multiply(minus(levels, 255), opacity), floats(255))
    laid = ov.Model([ops.result(ops.convert(even(over), np.uint8))], [clear])
    same = ov.Model([ops.result(solid)], [solid])
    # Only where it is needed: on a large picture it costs more than all the rest.
    choice = ops.if_op(ops.equal(channels, ints(4)).output(0))
    choice.set_then_body(laid)
    choice.set_else_body(same)
    choice.set_input(picture.output(0), clear, solid)
    return choice.set_output(laid.results[0], same.results[0])


def parts(length: Any, to: int) -> tuple[Any, Any]:
    """Where each of ``to`` equal parts of ``length`` begins and ends."""
    ops, edges = operations(), np.arange(to + 1) / to
    return ops.multiply(length, floats(edges[:-1])), ops.multiply(length, floats(edges[1:]))


def stretches(places: Any, start: Any, span: Any, count: Any, square: Any) -> tuple[Any, Any]:
    """Where the parts ``places`` of ``count`` equal ones begin and end that make up ``span`` pixels from ``start``,
    in pixels ``square`` times as large."""
    ops = operations()
    step = ops.divide(span, count)
    first = ops.add(ops.multiply(places, step), start)
    return ops.divide(first, square), ops.divide(ops.add(first, step), square)


def area(ends: tuple[Any, Any], length: Any) -> Any:
    """How much each of ``length`` pixels counts for the mean of each part: (parts, length), each row's sum 1."""
    ops = operations()
    pixels = ops.range(floats(0), length, floats(1), "f32")
    first, last = (ops.unsqueeze(ops.minimum(end, length), ints(1)) for end in ends)
    # Halving cuts off the pixels past the last whole square. A part that lies there is that square.
    first = ops.minimum(first, minus(length, 0.01))
    covered = minus(ops.minimum(ops.add(pixels, floats(1)), last), ops.maximum(pixels, first))
    covered = ops.select(ops.less(covered, floats(1e-3)), floats(0), covered)  # OpenCV's own tolerance
    return ops.divide(covered, ops.reduce_sum(covered, ints([1]), keep_dims=True))


def centres(length: Any, to: int) -> Any:
    """The middles of ``to`` equal parts of ``length``, in pixels that are counted by their own middles."""
    ops = operations()
    middles = minus(ops.multiply(length, floats((np.arange(to) + 0.5) / to)), 0.5)
    return ops.minimum(ops.maximum(middles, floats(0)), minus(length, 1))


def linear(middles: Any, length: Any) -> Any:
    """As :func:`area`, of the two pixels on either side of each of ``middles``."""
    ops = operations()
    pixels = ops.range(floats(0), length, floats(1), "f32")
    away = ops.abs(minus(ops.unsqueeze(middles, ints(1)), pixels))
    return ops.maximum(floats(0), minus(floats(1), away))


def weighted(turned: Any, weights: list[Any]) -> Any:
    """A (w, h) picture, one that lies on its side, resized by the weights of its rows and columns, and upright."""
    ops = operations()
    down, across = weights
    columns = ops.matmul(across, turned, False, False)
    return ops.matmul(down, columns, False, True)


def outer(rows: Any, columns: Any) -> Any:
    """The products of two vectors' numbers, (rows, columns)."""
    ops = operations()
    return ops.multiply(ops.unsqueeze(rows, ints(1)), ops.unsqueeze(columns, ints(0)))


def at(vector: Any, place: int) -> Any:
    """One number of a vector."""
    return operations().gather(vector, ints(place), ints(0))


def even(numbers: Any) -> Any:
    """Rounded, halves to even."""
    return operations().round(numbers, "half_to_even")


def minus(a: Any, b: Any) -> Any:
    """``a - b``; ``b`` may be a number."""
    ops = operations()
    dtype = a.get_output_element_type(0).to_dtype()
    return ops.subtract(a, ops.constant(np.asarray(b, dtype)) if isinstance(b, int | float) else b)


def ints(values: Any) -> Any:
    """Whole numbers that are known now, as int32."""
    return operations().constant(np.asarray(values, np.int32))


def floats(values: Any) -> Any:
    """Numbers that are known now, as float32."""
    return operations().constant(np.asarray(values, np.float32))


def operations() -> Any:
    """The set of operations, which a server's OpenVINO has to know: 2023.2 and newer do."""
    import openvino.opset13 as ops

    return ops
