"""The preprocessing of a camera's frame, whose size is known, as OpenVINO operations: ``view`` and ``whole`` of
:mod:`edgefashion.inference.preprocess`.

OpenVINO's PrePostProcessor takes the frame's type, layout and colours. Its own ways of resizing do not fit: linear,
cubic and nearest look at two pixels when they shrink, which puts what a photo network sees off by 2 to 3 grey levels a
pixel, and Pillow's take 10 ms and more. Averaging over areas, as OpenCV's INTER_AREA does, is two weighted sums of rows
here, equal to OpenCV's but for the last rounding.

:mod:`edgefashion.conversion.graph.any_size`, told the size, cannot take this module's place. Its answers are as near to
Python's, but its resizing multiplies whole matrices where a few rows are picked and added here. Side by side on a
2-core AMD EPYC, 60 interleaved rounds, one thread, the embedded ``kiosk`` took 1.25 times as long with it for a frame
of 640x480 (quartiles 1.11 to 1.40), and 1.46 times for one of 1280x720 (1.36 to 1.57).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles.facts import takes_photos
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TAPS: Final = 4
"""Up to so many rows are picked and added for a row of the result. For more, multiplying a matrix is faster."""

STEPS: Final = {
    "photo": ("average over areas to the network's size", "BGR to RGB"),
    "fashion": (
        "average over areas, longest edge to 28",
        "BGR to grey",
        "sharpen",
        "negate where the rim's median is 128 or more, and scale the background to 0",
        "pad the short edge with 0",
    ),
}
"""The steps in the graph, in their order, as rt_info states them."""


def with_frame(network: Any, size_wh: tuple[int, int]) -> Any:
    """``network`` (an ``openvino.Model`` of static batch 1; it is used up) with its preprocessing before
    it: an ``openvino.Model`` whose input ``frame`` is a BGR frame, uint8 (1, height, width, 3)."""
    from openvino import Layout, Type
    from openvino.preprocess import ColorFormat, PrePostProcessor

    width, height = size_wh
    photo = takes_photos(tuple(network.input(0).shape))
    if not photo:
        _take_images(network)
    network.input(0).get_tensor().set_names({"frame"})
    steps = PrePostProcessor(network)
    frame = steps.input()
    frame.tensor().set_element_type(Type.u8).set_shape([1, height, width, 3])
    frame.tensor().set_layout(Layout("NHWC")).set_color_format(ColorFormat.BGR)
    done = frame.preprocess().convert_element_type(Type.f32)
    frame.model().set_layout(Layout("NHWC"))
    if photo:
        done.custom(lambda x: _view(x, size_wh)).convert_color(ColorFormat.RGB)
    else:
        small_wh = tuple(edge >> preprocess.halvings(width, height, preprocess.WHOLE_PX) for edge in size_wh)
        done.custom(lambda x: _halved(x, size_wh, preprocess.WHOLE_PX)).convert_color(ColorFormat.GRAY)
        done.custom(lambda x: _normalise(x, small_wh))
    return steps.build()


def _take_images(network: Any) -> None:
    """Have a Fashion-MNIST network of another shape, (1, 28, 28) or (1, 784), take (1, 28, 28, 1)."""
    import openvino.opset13 as ops

    theirs = network.input(0).get_node()
    images = ops.parameter([1, preprocess.SIDE_PX, preprocess.SIDE_PX, 1], theirs.get_element_type())
    reshaped = ops.reshape(images, _constant(tuple(theirs.shape)), special_zero=False)
    for taker in theirs.output(0).get_target_inputs():
        taker.replace_source_output(reshaped.output(0))
    network.add_parameters([images])
    network.remove_parameter(theirs)
    network.validate_nodes_and_infer_types()


def _view(frame: Any, size_wh: tuple[int, int]) -> Any:
    """:func:`edgefashion.inference.preprocess.view` of a float32 (1, h, w, 3) frame, its colours still BGR."""
    side = preprocess.PHOTO_PX
    shrinking = min(size_wh) >= side
    halved = _halved(frame, size_wh, side)
    _, height, width, _ = tuple(halved.shape)
    weights = area_weights if shrinking else linear_weights
    return _rounded(_resized(halved, weights(height, side), weights(width, side)))


def _normalise(grey: Any, small_wh: tuple[int, ...]) -> Any:
    """:func:`edgefashion.inference.preprocess.whole` of a float32 (1, h, w, 1) picture, halved and grey:
    (1, 28, 28, 1)."""
    import openvino.opset13 as ops

    side = preprocess.SIDE_PX
    width, height = small_wh
    grey = _rounded(grey)
    background = _rim_median(grey, width, height)
    factor = side / max(small_wh)
    columns, rows = (max(1, round(edge * factor)) for edge in small_wh)
    shrunk = _rounded(_resized(grey, area_weights(height, rows), area_weights(width, columns)))
    if factor < 1:
        shrunk = _sharpened(shrunk, rows, columns)
    # The background to 0, whichever side of grey it is on, and its opposite to 255.
    dark_garment = ops.greater_equal(background, _constant(np.float32(128)))
    span = ops.select(dark_garment, background, ops.subtract(_constant(np.float32(255)), background))
    difference = ops.subtract(shrunk, background)
    difference = ops.select(dark_garment, ops.negative(difference), difference)
    scaled = ops.multiply(ops.divide(difference, span), _constant(np.float32(255)))
    pixels = ops.clamp(_rounded(scaled), 0.0, 255.0)
    top, left = (side - rows) // 2, (side - columns) // 2
    after = [0, side - rows - top, side - columns - left, 0]
    before, nothing = _constant([0, top, left, 0]), _constant(np.float32(0))
    return ops.pad(pixels, before, _constant(after), "constant", arg_pad_value=nothing).output(0)


def _rim_median(grey: Any, width: int, height: int) -> Any:
    """The median of the outermost pixels of a (1, height, width, 1) picture, as a float32 (1,)."""
    import openvino.opset13 as ops

    place = np.arange(width * height, dtype=np.int32).reshape(height, width)
    rim = np.concatenate([place[0], place[-1], place[:, 0], place[:, -1]])
    pixels = ops.gather(ops.reshape(grey, _constant([-1]), special_zero=False), _constant(rim), _constant(0))
    # Their number is even: the median is the mean of the two in the middle.
    half = len(rim) // 2
    largest = ops.topk(pixels, _constant(half + 1), 0, "max", "value").output(0)
    middle = ops.gather(largest, _constant([half - 1, half]), _constant(0))
    return ops.reduce_mean(middle, _constant([0]), keep_dims=True)


def _sharpened(shrunk: Any, rows: int, columns: int) -> Any:
    import openvino.opset13 as ops

    plane = ops.reshape(shrunk, _constant([1, 1, rows, columns]), special_zero=False)
    wide = ops.pad(plane, _constant([0, 0, 1, 1]), _constant([0, 0, 1, 1]), "edge")
    kernel = _constant(preprocess.sharpening_kernel()[None, None])
    sharp = ops.convolution(wide, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    levels = ops.clamp(_rounded(sharp), 0.0, 255.0)
    return ops.reshape(levels, _constant([1, rows, columns, 1]), special_zero=False)


def area_weights(size: int, to: int) -> NDArray[np.float32]:
    """The weights of ``size`` pixels in the mean of each of ``to`` equal parts, which are no more than the pixels, as
    OpenCV's INTER_AREA has them: (to, size), each row's sum 1."""
    edges = np.arange(to + 1) * (size / to)
    pixels = np.arange(size)
    covered = np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None])
    covered[covered < 1e-3] = 0  # OpenCV's own tolerance
    return np.asarray(covered / covered.sum(1, keepdims=True), np.float32)


def linear_weights(size: int, to: int) -> NDArray[np.float32]:
    """The same for OpenCV's INTER_LINEAR, up or down: of the two pixels on either side of a part's centre."""
    centres = np.clip((np.arange(to) + 0.5) * (size / to) - 0.5, 0, size - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size))), np.float32)


def _halved(frame: Any, size_wh: tuple[int, int], side: int) -> Any:
    """A float32 (1, h, w, c) picture halved as often as :mod:`edgefashion.inference.preprocess` halves it: the mean of
    squares."""
    import openvino.opset13 as ops

    times = preprocess.halvings(*size_wh, side)
    square = 2**times
    width, height = (edge >> times for edge in size_wh)
    channels = tuple(frame.shape)[3]
    if not times:
        return frame
    rows = ops.reshape(frame, _constant([size_wh[1], size_wh[0] * channels]), special_zero=False)
    if (width * square, height * square) != size_wh:
        kept = _constant([height * square, width * square * channels])
        rows = ops.slice(rows, _constant([0, 0]), kept, _constant([1, 1]))
    lower = _mean_of_rows(rows, (height, square, width * square * channels))
    # OpenCV rounds after each halving, a half up. That adds an eighth of a level each time on average, and nothing
    # where all is one colour.
    lower = ops.add(lower, _constant(np.float32(min(0.12 * times, 0.48))))
    sideways = _transposed(lower, height, width * square, channels)
    return _back(_mean_of_rows(sideways, (width, square, height * channels)), height, width, channels)


def _resized(picture: Any, down: NDArray[np.float32], across: NDArray[np.float32]) -> Any:
    """A float32 (1, h, w, c) picture to (1, len(down), len(across), c) by the weights of its rows and columns."""
    import openvino.opset13 as ops

    _, height, width, channels = tuple(picture.shape)
    rows = ops.reshape(picture, _constant([height, width * channels]), special_zero=False)
    sideways = _transposed(_weighted(rows, down), len(down), width, channels)
    return _back(_weighted(sideways, across), len(down), len(across), channels)


def _mean_of_rows(rows: Any, groups: tuple[int, int, int]) -> Any:
    """The mean of each group of a matrix's rows: (count, rows in one, length) to (count, length)."""
    import openvino.opset13 as ops

    return ops.reduce_mean(ops.reshape(rows, _constant(groups), special_zero=False), _constant([1]), keep_dims=False)


def _weighted(rows: Any, weights: NDArray[np.float32]) -> Any:
    """Weighted sums of a matrix's rows."""
    import openvino.opset13 as ops

    if weights.shape == (len(weights),) * 2:
        return rows  # as large as wanted
    taps = int((weights > 0).sum(1).max())
    if taps > MAX_TAPS:
        return ops.matmul(_constant(weights), rows, transpose_a=False, transpose_b=False)
    heaviest = np.argsort(-weights, axis=1, kind="stable")[:, :taps]
    total = None
    for tap in heaviest.T:
        weight = np.take_along_axis(weights, tap[:, None], axis=1)
        part = ops.multiply(ops.gather(rows, _constant(tap.astype(np.int32)), _constant(0)), _constant(weight))
        total = part if total is None else ops.add(total, part)
    return total


def _transposed(rows: Any, height: int, width: int, channels: int) -> Any:
    """Rows of pixels (height, width * channels) to columns of pixels (width, height * channels)."""
    import openvino.opset13 as ops

    pixels = ops.reshape(rows, _constant([height, width, channels]), special_zero=False)
    turned = ops.transpose(pixels, _constant([1, 0, 2]))
    return ops.reshape(turned, _constant([width, height * channels]), special_zero=False)


def _back(columns: Any, height: int, width: int, channels: int) -> Any:
    """Columns of pixels (width, height * channels) to a picture (1, height, width, channels)."""
    import openvino.opset13 as ops

    rows = _transposed(columns, width, height, channels)
    return ops.reshape(rows, _constant([1, height, width, channels]), special_zero=False).output(0)


def _rounded(levels: Any) -> Any:
    import openvino.opset13 as ops

    return ops.round(levels, "half_to_even").output(0)


def _constant(value: Any) -> Any:
    import openvino.opset13 as ops

    array = np.asarray(value)
    return ops.constant(array.astype(np.int32) if array.dtype == np.int64 else array)
