"""The graph takes pictures of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgefashion.conversion.graph import any_size
from edgefashion.data import drawn
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from helpers.types import Arrays


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 784)])
def test_networks_of_other_shapes_are_served_too(shape: tuple[int, ...], test_set: Arrays) -> None:
    """A network that takes its 28x28 pixels in another shape, as floats, gets what garment.find makes."""
    import openvino as ov
    import openvino.opset13 as ops

    image = ops.parameter(shape, np.float32)
    network = any_size.with_pictures(ov.Model([ops.result(ops.multiply(image, np.float32(1)))], [image], "same"))
    compiled = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rng, differences = np.random.default_rng(0), []
    for image_28, size_wh in zip(test_set[0], [(130, 97), (300, 200), (700, 600)], strict=False):
        shot = drawn.shot_of(image_28, rng, size_wh)
        found = preprocess.find(shot)
        assert found is not None
        differences.append(np.abs(compiled(shot[None])[0].reshape(28, 28, 1) - found.pixels).mean())
    assert max(differences) < 1.5


def test_colours_keep_their_order() -> None:
    """A photo network inside gets a blue picture's blue in the last channel: BGR has become RGB."""
    import openvino as ov
    import openvino.opset13 as ops

    image = ops.parameter((1, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3), np.uint8)
    network = ov.Model([ops.result(ops.convert(image, np.float32))], [image], "same")
    compiled = ov.Core().compile_model(any_size.with_pictures(network), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    blue = np.zeros((1, 200, 300, 3), np.uint8)
    blue[..., 0] = 250
    assert compiled(blue)[0].reshape(-1, 3).tolist() == [[0, 0, 250]] * preprocess.PHOTO_PX**2
