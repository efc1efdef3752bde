"""The photo network: what the camera, the pictures and the photos are classified with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.labels import PHOTO_LABELS
from edgefashion.training.zoo import efficientnet_lite0

if TYPE_CHECKING:
    import keras


def kiosk(*, to_train: bool = False, classes: int = len(PHOTO_LABELS)) -> keras.Model:
    """EfficientNet-Lite0 with two heads: one names the garment, one says where it is.

    3,378,525 parameters. Source: Google's EfficientNet-Lite0, 2020
    (:mod:`edgefashion.training.zoo.efficientnet_lite0`), its ImageNet classifier replaced by the heads. Takes RGB uint8
    (n, h, w, 3), 160x160 on photos; answers ``probabilities`` (n, 12) over the ten labels, Unknown and No garment, and
    ``mask`` (n, h/8, w/8, 1), the probability that a cell shows the garment. ``to_train``: logits for both, and
    trainable scales in the backbone. ``classes``: of a network that was taught a shop's labels.

    The mask head adds the deep features, enlarged, to the fine ones, after Long, Shelhamer and
    Darrell, "Fully convolutional networks for semantic segmentation", 2015.
    """
    import keras
    from keras import layers

    images = layers.Input((None, None, 3), dtype="uint8", name="images")
    found = efficientnet_lite0.features(images, to_train=to_train)
    pooled = layers.GlobalAveragePooling2D(name="pool")(found[32])
    answer = layers.Dense(classes, name="logits")(layers.Dropout(0.2, name="dropout")(pooled))
    deep = layers.Conv2D(24, 1, name="mask_deep")(found[16])
    # A transposed convolution: Keras's own enlarging wants a fixed size.
    deep = layers.Conv2DTranspose(24, 4, 2, "same", name="mask_up")(deep)
    fine = layers.Conv2D(24, 1, name="mask_fine")(found[8])
    mask = layers.ReLU(6.0, name="mask_relu")(layers.Add(name="mask_add")([deep, fine]))
    mask = layers.Conv2D(1, 3, padding="same", name="mask_logits")(mask)
    if not to_train:
        answer = layers.Softmax(name="probabilities")(answer)
        mask = layers.Activation("sigmoid", name="mask")(mask)
    model = keras.Model(images, {"probabilities": answer, "mask": mask}, name="kiosk")
    model.get_layer("mask_up").set_weights([_bilinear(24), np.zeros(24)])
    return model


def _bilinear(channels: int) -> Any:
    """Weights that make a 4x4 transposed convolution of stride 2 interpolate each channel."""
    taps = np.array([1, 3, 3, 1]) / 4
    return np.outer(taps, taps)[..., None, None] * np.eye(channels)
