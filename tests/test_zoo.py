"""The networks are what their sources say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edgefashion.errors import BadInputError
from edgefashion.zoo import CLASSES, INPUT_SHAPE, ZOO, architecture


@pytest.mark.parametrize("name", ZOO)
def test_parameter_count_is_the_sources(name: str) -> None:
    """Each network has exactly the parameters its source reports."""
    assert ZOO[name].build().count_params() == ZOO[name].parameters


@pytest.mark.parametrize("name", ZOO)
def test_macs_are_counted_right(name: str) -> None:
    """The multiply-accumulates in the table are those of the built network's layers."""
    assert _macs(ZOO[name].build()) == ZOO[name].macs


@pytest.mark.parametrize("name", ZOO)
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
    total = 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            total += math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:3])
        elif kind == "Dense":
            total += math.prod(layer.kernel.shape)
    return total
