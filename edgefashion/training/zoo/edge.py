"""Our own network for Fashion-MNIST, and the larger one that teaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.training.zoo.architecture import CLASSES, pixels

if TYPE_CHECKING:
    import keras


def edge() -> keras.Model:
    """A plain stack of seven convolutions, batch-normed, with neither pools nor shortcuts.

    183,594 parameters. Source: ours. At batch 1 every operation costs microseconds whatever its size, so
    strides stand for pools, and the runtime folds batch norm and ReLU into each convolution. Kernels start
    near the identity (Zagoruyko and Komodakis, "DiracNets", 2017), which does in training what shortcuts would.
    """
    return _stack("edge", [(32, 5, 2), (32, 3, 1), (32, 3, 1), (64, 3, 2), (64, 3, 1), (64, 3, 1), (96, 3, 2)])


def edge_teacher() -> keras.Model:
    """The stack of :func:`edge`, twice as wide and three layers deeper, its first layer at full size.

    985,514 parameters. Source: ours. ``edge`` learns the answers of two of them.
    """
    early, middle = [(64, 3, 1)] * 3, [(128, 3, 1)] * 3
    return _stack("edge-teacher", [(32, 3, 1), (64, 3, 2), *early, (128, 3, 2), *middle, (256, 3, 2)])


def _stack(name: str, convolutions: list[tuple[int, int, int]]) -> keras.Model:
    """Convolutions of (filters, kernel size, stride), each batch-normed and cut off at 0, and a dense layer."""
    from keras import Sequential, layers

    stack: list[Any] = pixels()
    for filters, size, stride in convolutions:
        stack += [
            layers.Conv2D(filters, size, stride, "same", use_bias=False, kernel_initializer="he_normal"),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-4),
            layers.ReLU(),
        ]
    answer = [layers.Flatten(), layers.Dense(CLASSES, dtype="float32"), layers.Softmax(dtype="float32")]
    network = Sequential([*stack, *answer], name=name)
    for layer in network.layers:
        if isinstance(layer, layers.Conv2D) and layer.kernel.shape[2] > 1:
            layer.kernel.assign(0.7 * np.asarray(layer.kernel) + _identity(layer.kernel.shape))
    return network


def _identity(shape: tuple[int, ...]) -> Any:
    """The kernel (height, width, in, out) that hands each channel on as it is."""
    kernel = np.zeros(shape, np.float32)
    channels = np.arange(min(shape[2:]))
    kernel[shape[0] // 2, shape[1] // 2, channels, channels] = 1
    return kernel
