"""The graph makes of a frame what Python's preprocessing makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.conversion.graph import fixed_size
from edgefashion.data import drawn
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from helpers.types import Arrays


SIZES_WH = [(640, 480), (480, 640), (1280, 720), (28, 28), (56, 56), (101, 333), (159, 400), (321, 319), (130, 28)]


def _identity(shape: tuple[int, ...], dtype: Any = np.uint8) -> Any:
    """A network that answers with its input, as float32."""
    import openvino as ov
    import openvino.opset13 as ops

    image = ops.parameter(shape, dtype)
    return ov.Model([ops.result(ops.convert(image, np.float32))], [image], "identity")


def _inside(network: Any, frame: Any) -> Any:
    """What ``network`` gets of a frame that is preprocessed before it."""
    import openvino as ov

    height, width = frame.shape[:2]
    one_thread = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(fixed_size.with_frame(network, (width, height)), "CPU", one_thread)
    return compiled(frame[None])[0]


@pytest.mark.parametrize("size_wh", SIZES_WH, ids=str)
def test_the_graph_sees_what_python_sees(size_wh: tuple[int, int], test_set: Arrays) -> None:
    """Of a frame of any size, odd, narrow or upright, the networks inside get the pixels ``garment.view`` and
    ``garment.whole`` make, but for rounding: a level and less in colour, some more where it is sharpened."""
    rng, image = np.random.default_rng(1), test_set[0][1]
    photo = drawn.photo_of(image, rng, size_wh)
    seen = _inside(_identity((1, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3)), photo)[0]
    assert np.abs(seen - preprocess.view(photo)).max() <= 2
    shot = drawn.shot_of(image, rng, size_wh)
    difference = np.abs(_inside(_identity((1, 28, 28, 1)), shot)[0] - preprocess.whole(shot))
    assert difference.max() <= 5
    assert difference.mean() < 0.7


@pytest.mark.parametrize(("size", "to"), [(40, 28), (480, 160), (28, 28), (333, 7), (29, 28), (64, 1)])
def test_area_weights_are_opencvs(size: int, to: int) -> None:
    """A matrix of area weights shrinks as OpenCV's INTER_AREA does."""
    import cv2

    picture = np.random.default_rng(0).random((size, 5), np.float32)
    shrunk = cv2.resize(picture, (5, to), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(fixed_size.area_weights(size, to) @ picture, shrunk, atol=1e-5)


@pytest.mark.parametrize(("size", "to"), [(28, 160), (159, 160), (400, 160), (1, 160)])
def test_linear_weights_are_opencvs(size: int, to: int) -> None:
    """A matrix of linear weights resizes as OpenCV's INTER_LINEAR does, up and down."""
    import cv2

    picture = np.random.default_rng(0).random((size, 5), np.float32)
    resized = cv2.resize(picture, (5, to), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(fixed_size.linear_weights(size, to) @ picture, resized, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 784)])
def test_networks_of_other_shapes_take_frames_too(shape: tuple[int, ...], test_set: Arrays) -> None:
    """A network that takes its 28x28 pixels in another shape, as floats, gets the same pixels."""
    shot = drawn.shot_of(test_set[0][0], np.random.default_rng(0), (97, 64))
    seen = _inside(_identity(shape, np.float32), shot)
    assert seen.shape == shape
    assert np.abs(seen.reshape(28, 28, 1) - preprocess.whole(shot)).max() <= 5


def test_colours_keep_their_order() -> None:
    """A photo network inside gets a blue frame's blue in the last channel: BGR has become RGB."""
    blue = np.zeros((200, 300, 3), np.uint8)
    blue[..., 0] = 250
    seen = _inside(_identity((1, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3)), blue)
    assert seen.reshape(-1, 3).tolist() == [[0, 0, 250]] * preprocess.PHOTO_PX**2


@pytest.mark.parametrize(("channel", "level"), [(0, 226), (1, 105), (2, 179)], ids=["blue", "green", "red"])
def test_grey_weighs_the_colours(channel: int, level: int) -> None:
    """Blue, green and red cloth on white become the grey that the eye sees: blue the darkest, green the lightest."""
    frame = np.full((120, 120, 3), 255, np.uint8)
    frame[30:90, 30:90] = 0
    frame[30:90, 30:90, channel] = 255
    seen = _inside(_identity((1, 28, 28, 1)), frame)[0]
    assert abs(float(seen[14, 14, 0]) - level) <= 2
    assert np.abs(seen - preprocess.whole(frame)).max() <= 5
