"""The layers that see the images lose less by 8 bits than by rounding each weight to the nearest."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles.guard import check
from edgefashion.conversion import first_layers, post_training
from edgefashion.data import fashion_mnist
from edgefashion.inference import load
from edgefashion.inference.told import Told
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

ov = pytest.importorskip("openvino")
ops = ov.opset13
CALIBRATION, HELD_OUT = 120, 60


def drawn(*shape: int) -> NDArray[np.float32]:
    """Weights as a trained kernel's: of both signs, so that of a plain surface little is left."""
    weights = np.random.default_rng(0).normal(0, 0.002, shape).astype(np.float32)
    over = tuple(range(1, len(shape)))
    plain: NDArray[np.float32] = weights.mean(over, keepdims=True)
    return weights - plain


def convolution(
    pixels: Any, size: int, stride: int, pad: tuple[int, int], dilation: int = 1, *, bias: bool = True
) -> Any:
    """16 filters on (1, 1, 28, 28) images."""
    begin, end = [pad[0]] * 2, [pad[1]] * 2
    made = ops.convolution(pixels, drawn(16, 1, size, size), [stride] * 2, begin, end, [dilation] * 2)
    return ops.add(made, drawn(16, 1, 1, 1).reshape(1, 16, 1, 1) + np.float32(0.1)) if bias else made


def dense(pixels: Any, *, transposed: bool) -> Any:
    """16 outputs of all 784 pixels."""
    weights = drawn(16, 784) / 16
    # CPUs without VNNI add two products in 16 bits, and NNCF gives such a layer all eight: of two neighbours that would
    # add up, one is 0.
    weights[:, 1::2][weights[:, 1::2] * weights[:, ::2] > 0] = 0
    weights[weights != 0] -= weights.sum() / np.count_nonzero(weights)
    flat = ops.reshape(pixels, np.array([1, 784]), special_zero=False)
    made = ops.matmul(flat, weights if transposed else weights.T.copy(), False, transposed)
    return ops.add(made, np.full((1, 16), 0.1, np.float32))


NETWORKS: dict[str, Callable[[Any], list[Any]]] = {
    "strided and padded": lambda pixels: [convolution(pixels, 7, 2, (2, 3))],
    "no padding": lambda pixels: [convolution(pixels, 5, 1, (0, 0))],
    "dilated": lambda pixels: [convolution(pixels, 3, 1, (3, 3), 3)],
    "no bias": lambda pixels: [convolution(pixels, 5, 2, (1, 2), bias=False)],
    "dense": lambda pixels: [dense(pixels, transposed=False)],
    "dense, stored the other way": lambda pixels: [dense(pixels, transposed=True)],
    "two see the images": lambda pixels: [convolution(pixels, 5, 2, (1, 2)), dense(pixels, transposed=False)],
}


def network(make: Callable[[Any], list[Any]]) -> Any:
    """The layers and what cuts them off at 0, of uint8 images (1, 28, 28, 1)."""
    images = ops.parameter([1, 28, 28, 1], np.uint8, name="images")
    pixels = ops.transpose(ops.convert(images, "f32"), np.array([0, 3, 1, 2]))
    return ov.Model([ops.relu(layer) for layer in make(pixels)], [images], "first")


def answers(model: Any, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Of each output, what it answers to the images."""
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    told = [compiled([image[None]]) for image in images]
    return [np.stack([one[at] for one in told]) for at in range(len(compiled.outputs))]


def in_8_bits(model: Any) -> list[NDArray[np.int8]]:
    """The constants that are weights."""
    constants = [op for op in model.get_ordered_ops() if op.get_type_name() == "Constant"]
    return [op.get_data().copy() for op in constants if op.get_element_type().get_type_name() == "i8"]


def quantized(model: Any, images: NDArray[np.uint8], bias_correction: str = "fast", **more: Any) -> Any:
    nncf = pytest.importorskip("nncf", reason='NNCF is not installed (pip install "edgefashion[int8]")')
    settings = post_training.fashion_settings(bias_correction, len(images)) | more
    with post_training.quietly():
        return nncf.quantize(model, nncf.Dataset([image[None] for image in images]), **settings)


def rounded(made: Any, model: Any, images: NDArray[np.uint8]) -> None:
    first_layers.round_to_images(made, model, first_layers.statistics(model, [image[None] for image in images]))


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_less_is_lost(make: Callable[[Any], list[Any]]) -> None:
    """Of any first layer the answers to images that did not calibrate are nearer to FP32's, by half at least in the
    mean square, and a convolution's weights keep the seven bits in which no CPU overflows."""
    images = fashion_mnist.load("train")[0][: CALIBRATION + HELD_OUT]
    shown, held = images[:CALIBRATION], images[CALIBRATION:]
    model = network(make)
    exact = answers(model, held)
    made = quantized(model, shown)
    before, weights = answers(made, held), in_8_bits(made)
    rounded(made, model, shown)
    after, now = answers(made, held), in_8_bits(made)
    assert len(weights) == len(now) == len(exact)
    for was, new, right in zip(before, after, exact, strict=True):
        assert np.square(new - right).mean() < 0.5 * np.square(was - right).mean()
    for old, new_weights in zip(weights, now, strict=True):
        assert not np.array_equal(old, new_weights)
        if new_weights.ndim == 4:
            assert -64 <= new_weights.min() < new_weights.max() <= 63


def test_what_is_behind_or_not_in_8_bits_stays() -> None:
    """A layer behind the first, and a first one that is left in floating point, are not touched."""
    import nncf

    images = fashion_mnist.load("train")[0][:CALIBRATION]

    def two(pixels: Any) -> list[Any]:
        first = ops.relu(convolution(pixels, 5, 2, (1, 2)))
        return [ops.convolution(first, drawn(8, 16, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])]

    model = network(two)
    made = quantized(model, images)
    was = in_8_bits(made)
    rounded(made, model, images)
    assert [np.array_equal(old, new) for old, new in zip(was, in_8_bits(made), strict=True)] == [False, True]

    name = next(op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "Convolution")
    made = quantized(model, images, ignored_scope=nncf.IgnoredScope(names=[name]))
    before = answers(made, images[:5])
    rounded(made, model, images)
    assert np.array_equal(answers(made, images[:5])[0], before[0])


def rows_of(pixels: Any) -> Any:
    return ops.reshape(pixels, np.array([1, 28, 28]), special_zero=False)


def twice(pixels: Any) -> list[Any]:
    """Two layers with the weights of one."""
    weights = ops.constant(drawn(16, 1, 5, 5))
    mirrored = ops.reverse_sequence(rows_of(pixels), np.array([28]), 0, 1)
    turned = ops.reshape(mirrored, np.array([1, 1, 28, 28]), special_zero=False)
    where = [1, 1], [0, 0], [0, 0], [1, 1]
    return [ops.convolution(one, weights, *where) for one in (pixels, turned)]


def narrow(pixels: Any) -> list[Any]:
    """A convolution over one dimension, the rows as channels."""
    return [ops.convolution(rows_of(pixels), drawn(16, 28, 3), [1], [1], [1], [1])]


def positions(pixels: Any) -> list[Any]:
    """What is added is a value a position, and no bias."""
    return [ops.add(ops.matmul(rows_of(pixels), drawn(28, 16), False, False), drawn(1, 28, 16))]


def one_for_all(pixels: Any) -> list[Any]:
    return [ops.add(convolution(pixels, 5, 2, (1, 2), bias=False), np.full((1, 1, 1, 1), 0.1, np.float32))]


def wide(pixels: Any) -> list[Any]:
    """Behind a layer for each channel, and with 12,544 inputs."""
    kernel = drawn(16, 9).reshape(16, 1, 1, 3, 3)
    many = ops.broadcast(pixels, np.array([1, 16, 28, 28]))
    each = ops.group_convolution(many, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    flat = ops.reshape(each, np.array([1, 16 * 784]), special_zero=False)
    return [ops.matmul(flat, drawn(16 * 784, 8) / 64, False, False)]


ODD: dict[str, Callable[[Any], list[Any]]] = {
    "one dimension": narrow,
    "weights of three dimensions": lambda pixels: [ops.matmul(rows_of(pixels), drawn(1, 28, 16), False, False)],
    "a vector": lambda pixels: [ops.matmul(rows_of(pixels), drawn(1, 28)[0], False, False)],
    "given the other way": lambda pixels: [ops.matmul(rows_of(pixels), drawn(28, 16), True, False)],
    "a value a position": positions,
    "one value for all": one_for_all,
    "shared weights": twice,
    "behind another, and wide": wide,
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_odd_layers_lose_no_more(make: Callable[[Any], list[Any]]) -> None:
    """A layer of another form answers no farther from FP32 than it did."""
    images = fashion_mnist.load("train")[0][: CALIBRATION + HELD_OUT]
    shown, held = images[:CALIBRATION], images[CALIBRATION:]
    model = network(make)
    exact, made = answers(model, held), quantized(model, shown, "none")
    before = answers(made, held)
    rounded(made, model, shown)
    for was, new, right in zip(before, answers(made, held), exact, strict=True):
        assert np.square(new - right).mean() <= 1.01 * np.square(was - right).mean() + 1e-12


def test_what_no_bias_correction_takes_is_quantized_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network whose one added value NNCF takes for a bias a channel, and fails, is quantized with no correction."""
    images = ops.parameter([1, 28, 28, 1], np.uint8, name="images")
    pixels = ops.transpose(ops.convert(images, "f32"), np.array([0, 3, 1, 2]))
    flat = ops.reshape(ops.relu(one_for_all(pixels)[0]), np.array([1, -1]), special_zero=False)
    (count,) = flat.get_output_shape(0)[1:]
    path = tmp_path / "fp32.xml"
    ov.save_model(ov.Model([ops.softmax(ops.matmul(flat, drawn(count, 10), False, False), 1)], [images], "odd"), path)
    check.vouch(path)
    as_it_is = Told(scale="0-255", labels=",".join(LABELS), anyway=True)  # it has learned nothing
    monkeypatch.setattr(load, "load", functools.partial(load.load, told=as_it_is))
    shown = list(fashion_mnist.load("train")[0][:CALIBRATION])
    assert post_training.quantize_plain(path, shown, photo=False).bias_correction == "none"
