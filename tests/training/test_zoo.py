"""The networks are what their sources say."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from edgefashion.errors import BadInputError
from edgefashion.training.zoo.architecture import CLASSES, INPUT_SHAPE, multiply_adds
from edgefashion.training.zoo.registry import ZOO, architecture

FASHION = [name for name in ZOO if name != "kiosk"]


@pytest.fixture(scope="module")
def built(name: str) -> Any:
    """The network ``name``, built once for all tests of it: the largest takes ten seconds and a gigabyte."""
    return ZOO[name].build()


@pytest.mark.parametrize("name", ZOO, scope="module")
def test_parameter_count_is_the_sources(name: str, built: Any) -> None:
    """Each network has exactly the parameters its source reports."""
    assert built.count_params() == ZOO[name].parameters


@pytest.mark.parametrize("name", ZOO, scope="module")
def test_macs_are_counted_right(name: str, built: Any) -> None:
    """The multiply-accumulates in the table are those of the built network's layers."""
    assert _macs(built) == ZOO[name].macs


def test_the_photo_network_takes_pictures_of_any_size() -> None:
    """Kiosk takes RGB bytes and answers twelve probabilities and a mask an eighth of the picture's size."""
    answer = ZOO["kiosk"].build()(np.zeros((2, 160, 96, 3), np.uint8))
    assert answer["probabilities"].shape == (2, 12)
    np.testing.assert_allclose(np.asarray(answer["probabilities"]).sum(1), 1, atol=1e-5)
    assert answer["mask"].shape == (2, 20, 12, 1)


@pytest.mark.parametrize("name", [name for name in FASHION if name != "dilated-inception"], scope="module")
def test_takes_bytes_and_scales_inside(name: str, built: Any) -> None:
    """Each network takes uint8 pixels, scales them by 1/255 itself, and answers probabilities."""
    assert built.inputs[0].dtype == "uint8"
    assert built.input_shape == (None, *INPUT_SHAPE)
    images = np.random.default_rng(0).integers(0, 256, (4, *INPUT_SHAPE), np.uint8)
    scale = next(layer for layer in built.layers if type(layer).__name__ == "Rescaling")
    scaled = np.asarray(scale(images))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, images / 255, atol=1e-6)
    answers = np.asarray(built(images))
    assert answers.shape == (4, CLASSES)
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ZOO)
def test_docstring_cites_its_source(name: str) -> None:
    """Each builder's docstring says where the network comes from and how big it is."""
    text = ZOO[name].build.__doc__ or ""
    assert "Source:" in text
    assert f"{ZOO[name].parameters:,} parameters" in text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet", "Did you mean resnet50?"),
        ("cnn-242", "Did you mean cnn-242k"),
        ("xyz", "Known: logistic-regression, feed-forward"),
    ],
)
def test_unknown_name_is_answered_with_near_ones(name: str, hint: str) -> None:
    """A wrong name is answered with the near ones, or where there is none with all."""
    with pytest.raises(BadInputError, match=re.escape(hint)):
        architecture(name)


def test_settings_take_their_defaults_type() -> None:
    """A setting from the command line becomes what its default is, and one that cannot is refused."""
    arch = ZOO["cnn-413k"]
    assert arch.checked({"dropout": "0.2", "pool_size": "4", "activation": "tanh"}) == {
        "dropout": 0.2,
        "pool_size": 4,
        "activation": "tanh",
    }
    with pytest.raises(BadInputError, match=re.escape("pool_size has to be like 2, not 'big'")):
        arch.checked({"pool_size": "big"})
    with pytest.raises(BadInputError, match=r"has no setting 'depth'\. It has: activation=relu"):
        arch.checked({"depth": "3"})


@pytest.mark.parametrize("name", [name for name, arch in ZOO.items() if arch.space])
def test_every_network_of_the_search_can_be_built(name: str) -> None:
    """Each value of a network's own search builds a network that answers ten probabilities."""
    arch = ZOO[name]
    for setting, values in arch.space.items():
        if setting in arch.settings:
            for value in values:
                answers = arch.build(**{setting: value})(np.zeros((1, *INPUT_SHAPE), np.uint8))
                np.testing.assert_allclose(np.asarray(answers).sum(1), 1, atol=1e-5)


def test_edge_keeps_its_limits() -> None:
    """Our own network has at most 300,000 parameters and 12.5 million multiply-adds."""
    edge = ZOO["edge"]
    assert (edge.most_parameters, edge.most_macs) == (300_000, 12_500_000)
    assert edge.may_have(edge.parameters, edge.macs)
    assert not edge.may_have(300_001, edge.macs)
    assert not edge.may_have(edge.parameters, 12_500_001)


def _macs(model: Any) -> int:
    """Multiply-accumulates of one image, from the shapes Keras worked out."""
    if None in model.input_shape[1:]:
        return _photo_macs(model)
    return multiply_adds(model)


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
