"""The finder: where in a frame garments are, of which coarse kind, and where people and their heads are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.inference.finder import FINDER_PX, KINDS
from edgefashion.training.zoo import efficientnet_lite0

if TYPE_CHECKING:
    import keras

CHANNELS = 64
"""Of the fused feature map."""

RARE = 0.02
"""What a cell's heat starts from: so few cells are a garment's centre (Lin and others, "Focal loss", 2017)."""


def finder(*, to_train: bool = False) -> keras.Model:
    """EfficientNet-Lite0's features at strides 8, 16 and 32, fused, with a dense head.

    3.1 million parameters. Takes RGB uint8 (n, 192, 192, 3), the frame squeezed to a square; answers ``regions``
    (n, 24, 24, 8 + 1 + 8 * 4): for each cell the heat of each of :data:`edgefashion.inference.finder.KINDS`, which
    peaks at the centre of a thing; the probability that the garment there is worn; and for each kind the distances from
    the cell's centre to the box's left, top, right and bottom edge, in cells. ``to_train``: logits and logarithms.

    After Zhou, Wang and Kraehenbuehl, "Objects as points", 2019, and Lin and others, "Feature pyramid networks", 2017.
    """
    import keras
    from keras import layers

    images = layers.Input((FINDER_PX, FINDER_PX, 3), dtype="uint8", name="images")
    found = efficientnet_lite0.features(images, to_train=to_train, head=False)
    fused = None
    for stride in (32, 16, 8):
        own = layers.Conv2D(CHANNELS, 1, name=f"fuse{stride}", kernel_initializer=_small())(found[stride])
        if fused is None:
            fused = own
            continue
        enlarge = layers.Conv2DTranspose(CHANNELS, 2, 2, name=f"enlarge{stride}")
        fused = layers.ReLU(6.0, name=f"fuse{stride}_relu")(layers.Add(name=f"fuse{stride}_add")([own, enlarge(fused)]))
    for number in range(3):
        deeper = layers.DepthwiseConv2D(5, padding="same", name=f"look{number}_depthwise")(fused)
        deeper = layers.Conv2D(CHANNELS, 1, name=f"look{number}")(deeper)
        fused = layers.ReLU(6.0, name=f"look{number}_relu")(layers.Add(name=f"look{number}_add")([fused, deeper]))
    wide = layers.ReLU(6.0, name="wide_relu")(layers.Conv2D(2 * CHANNELS, 1, name="wide")(fused))
    heat = layers.Conv2D(len(KINDS), 1, name="heat_logits", bias_initializer=_constant(np.log(RARE / (1 - RARE))))(wide)
    worn = layers.Conv2D(1, 1, name="worn_logits")(wide)
    edges = layers.Conv2D(4 * len(KINDS), 1, name="edge_logits", bias_initializer=_constant(1.0))(wide)
    if not to_train:
        heat = layers.Activation("sigmoid", name="heat")(heat)
        worn = layers.Activation("sigmoid", name="worn")(worn)
        edges = layers.Activation("exponential", name="edges")(edges)
    regions = layers.Concatenate(name="regions")([heat, worn, edges])
    model = keras.Model(images, regions, name="finder")
    for stride in (16, 8):
        model.get_layer(f"enlarge{stride}").set_weights([_repeat(CHANNELS), np.zeros(CHANNELS)])
    return model


def _small() -> Any:
    """Small weights to start from: the backbone's features, whose normalization is folded away, are large, and a sum
    above 6 teaches nothing."""
    from keras import initializers

    return initializers.VarianceScaling(0.03, "fan_avg")


def _constant(value: float) -> Any:
    from keras import initializers

    return initializers.Constant(float(value))


def _repeat(channels: int) -> Any:
    """Weights that make a 2x2 transposed convolution of stride 2 repeat each cell."""
    return np.ones((2, 2, 1, 1)) * np.eye(channels)
