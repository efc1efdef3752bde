"""The networks are what their sources say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edgefashion.errors import BadInputError
from edgefashion.zoo import CLASSES, INPUT_SHAPE, ZOO, architecture

FASHION = [name for name in ZOO if name != "kiosk"]


@pytest.mark.parametrize("name", ZOO)
def test_parameter_count_is_the_sources(name: str) -> None:
    """Each network has exactly the parameters its source reports."""
    assert ZOO[name].build().count_params() == ZOO[name].parameters


@pytest.mark.parametrize("name", ZOO)
def test_macs_are_counted_right(name: str) -> None:
    """The multiply-accumulates in the table are those of the built network's layers."""
    assert _macs(ZOO[name].build()) == ZOO[name].macs


def test_the_photo_network_takes_pictures_of_any_size() -> None:
    """Kiosk takes RGB bytes and answers twelve probabilities and a mask an eighth of the picture's size."""
    answer = ZOO["kiosk"].build()(np.zeros((2, 160, 96, 3), np.uint8))
    assert answer["probabilities"].shape == (2, 12)
    np.testing.assert_allclose(np.asarray(answer["probabilities"]).sum(1), 1, atol=1e-5)
    assert answer["mask"].shape == (2, 20, 12, 1)


@pytest.mark.parametrize("name", FASHION)
def test_takes_bytes_and_scales_inside(name: str) -> None:
    """Each network takes uint8 pixels, scales them by 1/255 itself, and answers probabilities."""
    model = ZOO[name].build()
    assert model.inputs[0].dtype == "uint8"
    assert model.input_shape == (None, *INPUT_SHAPE)
    images = np.random.default_rng(0).integers(0, 256, (4, *INPUT_SHAPE), np.uint8)
    scaled = np.asarray(model.layers[0](images))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, images / 255, atol=1e-6)
    answers = np.asarray(model(images))
    assert answers.shape == (4, CLASSES)
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ZOO)
def test_docstring_cites_its_source(name: str) -> None:
    """Each builder's docstring says where the network comes from and how big it is."""
    text = ZOO[name].build.__doc__ or ""
    assert "Source:" in text
    assert f"{ZOO[name].parameters:,} parameters" in text


def test_unknown_name_lists_the_known() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(BadInputError, match="cnn-242k, cnn-590k"):
        architecture("resnet")


def _macs(model: Any) -> int:
    """Multiply-accumulates of one image, from the shapes Keras worked out."""
    if None in model.input_shape[1:]:
        return _photo_macs(model)
    total = 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            total += math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:3])
        elif kind == "Dense":
            total += math.prod(layer.kernel.shape)
    return total


def _photo_macs(model: Any) -> int:
    """Those of a network without a size of its own, on a photo of 160x160."""
    total, shapes = 0, {}
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "InputLayer":
            shapes[layer.output.name] = (1, 160, 160, 3)
            continue
        given = layer.input if isinstance(layer.input, list) else [layer.input]
        taken = [shapes[tensor.name] for tensor in given]
        out = layer.compute_output_shape(taken if len(taken) > 1 else taken[0])
        shapes[layer.output.name] = out
        if kind in ("Conv2D", "DepthwiseConv2D"):
            fan = math.prod(layer.kernel.shape[:3] if kind == "Conv2D" else layer.kernel.shape[:2])
            total += math.prod(out[1:]) * fan
        elif kind == "Conv2DTranspose":
            total += math.prod(taken[0][1:3]) * math.prod(layer.kernel.shape)
        elif kind == "Dense":
            total += math.prod(layer.kernel.shape)
    return total
