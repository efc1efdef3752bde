"""The preprocessing of a picture of any size, as OpenVINO operations: what ``predict`` does to a picture.

For servers that decode a JPEG and hand its pixels over. :mod:`edgefashion.conversion.graph.fixed_size` does the same
for frames of one size; here the graph reads the size from its input. Only the weights of rows and columns depend on
the size. The resized picture always has the same size, so the network behind it stays static.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from edgefashion.bundles.facts import takes_photos
from edgefashion.conversion.graph.resize_weights import (
    Halved,
    area,
    at,
    centres,
    even,
    floats,
    ints,
    linear,
    minus,
    operations,
    outer,
    parts,
    stretches,
    weighted,
)
from edgefashion.inference import preprocess

INPUT: Final = "pictures"
BOX: Final = "box"

MIN_EDGE_PX, MAX_EDGE_PX = preprocess.SIDE_PX, 4096
"""A server that knows the range resizes pictures outside it, and hands over those inside it as they are."""

MAX_CHANNELS: Final = 4
"""Grey (1), BGR (3), and BGR with transparency (4): what OpenCV makes of files, unchanged."""

WINDOW_PX: Final = 11
"""A pixel that is no background counts as garment if enough of them lie in a window of this edge around it: as many
as are no speck. Python weighs connected patches instead, which a graph cannot tell apart."""

GREY_OF_BGR: Final = (0.114, 0.587, 0.299)

STEPS: Final = {
    "photo": ("transparency over white", "average over areas to the network's size", "BGR or grey to RGB"),
    "fashion": (
        "transparency over white",
        "BGR to grey",
        "find the garment on its plain background",
        "average over areas, longest edge to 28",
        "sharpen",
        "negate where the rim's median is 128 or more, and scale the background to 0",
        "pad the short edge with 0",
    ),
}
"""The steps in the graph, in their order, as rt_info states them."""


def with_pictures(network: Any) -> Any:
    """``network`` (an ``openvino.Model`` of static batch 1; it is used up) with its preprocessing before it.

    An ``openvino.Model`` whose input ``pictures`` is one decoded picture, uint8 (1, height, width, channels):
    grey, BGR, or BGR with transparency, 28 to 4096 pixels a side. Its outputs are the network's. A Fashion-MNIST
    network gets one more, ``box``: the garment's x, y, width, height in the picture, int32 (1, 4), each -1 where
    nothing stands out on the background.

    It counts pixels in float32: compiled for BF16, as OpenVINO does unasked on CPUs that have it, it answers
    nonsense. Compile it with INFERENCE_PRECISION_HINT f32.
    """
    import openvino as ov

    ops = operations()
    edge, channels = ov.Dimension(MIN_EDGE_PX, MAX_EDGE_PX), ov.Dimension(1, MAX_CHANNELS)
    pictures = ops.parameter(ov.PartialShape([ov.Dimension(1), edge, edge, channels]), np.uint8, INPUT)
    pictures.set_layout(ov.Layout("NHWC"))
    pictures.output(0).get_tensor().set_names({INPUT})
    theirs = network.input(0).get_node()
    shape = tuple(theirs.shape)
    if takes_photos(shape):
        pixels = _view(pictures)
    else:
        pixels, box = _found(pictures)
        box.output(0).get_tensor().set_names({BOX})
        network.add_results([ops.result(box, name=BOX)])
    images = ops.convert(ops.reshape(pixels, ints(shape), False), theirs.get_element_type())
    for taker in theirs.output(0).get_target_inputs():
        taker.replace_source_output(images.output(0))
    network.add_parameters([pictures])
    network.remove_parameter(theirs)
    network.validate_nodes_and_infer_types()
    return network


def _view(pictures: Any) -> Any:
    """:func:`edgefashion.inference.preprocess.view` of a picture: float32 (160, 160, 3), RGB."""
    ops, side = operations(), preprocess.PHOTO_PX
    picture = Halved(pictures, side, MAX_EDGE_PX)
    shrinks = ops.greater_equal(ops.minimum(*picture.lengths), floats(side))
    down, across = (
        ops.select(shrinks, area(parts(length, side), length), linear(centres(length, side), length))
        for length in picture.lengths
    )
    columns = picture.columns(ops.matmul(down, picture.rows, False, False))
    # A grey picture's one channel is all three.
    colours = ops.gather(columns, ops.minimum(ints([2, 1, 0]), minus(picture.channels, 1)), ints(1))
    flat = ops.matmul(across, ops.reshape(colours, ints([-1, 3 * side]), False), False, False)
    return even(ops.transpose(ops.reshape(flat, ints([side, 3, side]), False), ints([2, 0, 1])))


def _grey(picture: Halved) -> Any:
    """The whole picture in grey, turned: (columns, rows)."""
    ops = operations()
    one = ops.equal(picture.channels, ints(1))
    counts = ops.select(one, floats([1, 0, 0, 0]), floats([*GREY_OF_BGR, 0]))
    counts = ops.slice(counts, ints([0]), ops.unsqueeze(picture.channels, ints([0])), ints([1]))
    colours = ops.multiply(picture.columns(picture.rows), ops.unsqueeze(counts, ints(1)))
    return even(ops.reduce_sum(colours, ints([1]), keep_dims=False))


def _found(pictures: Any) -> tuple[Any, Any]:
    """:func:`edgefashion.inference.preprocess.find` of a picture: float32 (28, 28) and the garment's box, int32
    (1, 4)."""
    ops, search = operations(), preprocess.SEARCH_PX
    picture = Halved(pictures, search, MAX_EDGE_PX)
    grey = _grey(picture)
    full = ops.convert(ops.shape_of(pictures, "i32"), np.float32)
    size = [at(full, 1), at(full, 2)]
    # The search is on a square canvas, which the picture, shrunk, fills in part.
    shrink = ops.minimum(floats(1), ops.divide(floats(search), ops.maximum(*size)))
    filled = [ops.maximum(floats(1), even(ops.multiply(edge, shrink))) for edge in size]
    place = np.arange(search, dtype=np.float32)
    weights = [
        area(stretches(ops.minimum(floats(place), minus(count, 1)), floats(0), edge, count, picture.square), length)
        for edge, count, length in zip(size, filled, picture.lengths, strict=True)
    ]
    small = even(weighted(grey, weights))
    lines = [ops.convert(ops.less(floats(place), count), np.float32) for count in filled]
    background = _rim_median(small, lines, filled)
    other = _no_background(small, background, lines, filled)
    share = ops.divide(ops.reduce_sum(other, ints([0, 1]), keep_dims=False), ops.multiply(*filled))
    found = ops.greater_equal(share, floats(preprocess.MIN_AREA))
    starts, spans = [], []
    for axis, edge in zip((1, 0), size, strict=True):
        taken = ops.reduce_max(other, ints([axis]), keep_dims=False)
        first, last = (
            ops.reduce_max(ops.multiply(taken, floats(weight)), ints([0]), keep_dims=False)
            for weight in (search - place, place + 1)
        )
        # Back to the picture's own pixels, outwards; the whole picture where nothing was found.
        start = ops.select(found, ops.floor(ops.divide(minus(floats(search), first), shrink)), floats(0))
        end = ops.select(found, ops.minimum(edge, ops.ceiling(ops.divide(last, shrink))), edge)
        starts.append(start)
        spans.append(minus(end, start))
    box = ops.concat([ops.reshape(n, ints([1]), False) for n in (*starts[::-1], *spans[::-1])], 0)
    told = ops.reshape(ops.convert(ops.select(found, box, floats(-1)), np.int32), ints([1, 4]), False)
    return _normalised(picture, grey, background, starts, spans), told


def _normalised(picture: Halved, grey: Any, background: Any, starts: list[Any], spans: list[Any]) -> Any:
    """The garment in ``grey`` as float32 (28, 28), bright on 0. ``starts`` and ``spans`` are its box in the picture's
    pixels: top and left, height and width."""
    ops, side = operations(), preprocess.SIDE_PX
    factor = ops.divide(floats(side), ops.maximum(*spans))
    shrinks = ops.less(factor, floats(1))
    # One row and column more on every side, for the sharpening: they repeat the garment's last ones.
    place = floats(np.arange(-1, side + 1))
    weights, lines = [], []
    for start, span, length in zip(starts, spans, picture.lengths, strict=True):
        count = ops.maximum(floats(1), even(ops.multiply(span, factor)))
        own = minus(place, ops.floor(ops.divide(minus(floats(side), count), floats(2))))
        kept = ops.minimum(ops.maximum(own, floats(0)), minus(count, 1))
        middle = ops.multiply(ops.add(kept, floats(0.5)), ops.divide(span, count))
        middle = minus(ops.minimum(ops.maximum(middle, floats(0.5)), minus(span, 0.5)), 0.5)
        grown = linear(ops.divide(ops.add(middle, start), picture.square), length)
        shrunk = area(stretches(kept, start, span, count, picture.square), length)
        weights.append(ops.select(shrinks, shrunk, grown))
        inside = ops.logical_and(ops.greater_equal(own, floats(0)), ops.less(own, count))
        lines.append(ops.slice(ops.convert(inside, np.float32), ints([1]), ints([side + 1]), ints([1])))
    plane = even(ops.reshape(weighted(grey, weights), ints([1, 1, side + 2, side + 2]), False))
    same = np.zeros((3, 3), np.float32)
    same[1, 1] = 1
    sharp, plain = (
        ops.convolution(plane, floats(kernel[None, None]), [1, 1], [0, 0], [0, 0], [1, 1])
        for kernel in (preprocess.sharpening_kernel(), same)
    )
    level = ops.reshape(ops.select(shrinks, ops.clamp(even(sharp), 0.0, 255.0), plain), ints([side, side]), False)
    # The background to 0, whichever side of grey it is on, and its opposite to 255.
    dark = ops.greater_equal(background, floats(128))
    span = ops.select(dark, background, minus(floats(255), background))
    difference = ops.select(dark, minus(background, level), minus(level, background))
    scaled = even(ops.multiply(ops.divide(difference, span), floats(255)))
    return ops.multiply(ops.clamp(scaled, 0.0, 255.0), outer(*lines))


def _rim_median(small: Any, lines: Any, filled: Any) -> Any:
    """The median of the outermost pixels of the part of a canvas that is filled. Levels are whole, 0 to 255."""
    ops = operations()
    column = ints([preprocess.SEARCH_PX, 1])
    pixels, counts = [], []
    for axis in (0, 1):
        last = ops.convert(minus(filled[axis], 1), np.int32)
        for place in (ints(0), last):
            pixels.append(ops.reshape(ops.gather(small, place, ints(axis)), column, False))
            counts.append(ops.reshape(lines[1 - axis], column, False))
    reached = ops.convert(ops.less_equal(ops.concat(pixels, 0), floats(np.arange(256)[None])), np.float32)
    below = ops.reduce_sum(ops.multiply(reached, ops.concat(counts, 0)), ints([0]), keep_dims=False)
    # Their number is even: the median is the mean of the two in the middle.
    half = ops.add(*filled)
    middle = [
        ops.reduce_sum(ops.convert(ops.less_equal(below, number), np.float32), ints([0]), keep_dims=False)
        for number in (minus(half, 1), half)
    ]
    return ops.multiply(ops.add(*middle), floats(0.5))


def _no_background(small: Any, background: Any, lines: Any, filled: Any) -> Any:
    """Which pixels of a canvas are neither background nor specks, as float32 0 or 1."""
    ops, place = operations(), np.arange(preprocess.SEARCH_PX)
    other = ops.greater(ops.abs(minus(small, background)), floats(preprocess.TRIM_TOLERANCE))
    other = ops.multiply(ops.convert(other, np.float32), outer(*lines))
    near = floats(np.abs(place[:, None] - place) <= WINDOW_PX // 2)
    around = ops.matmul(ops.matmul(near, other, False, False), near, False, False)
    least = ops.multiply(ops.multiply(*filled), floats(preprocess.SPECK_AREA))
    return ops.multiply(other, ops.convert(ops.greater_equal(around, least), np.float32))
