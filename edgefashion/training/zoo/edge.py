"""Our own network for Fashion-MNIST, and the larger one that teaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.training.zoo.architecture import CLASSES, pixels

if TYPE_CHECKING:
    import keras


def edge(
    stem: int = 96,
    stem_size: int = 7,
    stem_stride: int = 2,
    early: int = 32,
    early_layers: int = 1,
    middle: int = 64,
    middle_layers: int = 3,
    middle_stride: int = 2,
    late: int = 128,
    late_layers: int = 1,
) -> keras.Model:
    """A plain stack of convolutions, batch-normed, with neither pools nor shortcuts; six of them by default.

    220,522 parameters. Source: ours. At batch 1 every operation costs microseconds whatever its size, so strides stand
    for pools, the first convolution is wide instead of followed by many, and the runtime folds batch norm and ReLU into
    each. Kernels start near the identity (Zagoruyko and Komodakis, "DiracNets", 2017), which does in training what
    shortcuts would.

    A first convolution of ``stem`` filters (``stem_size`` x ``stem_size``), then 3x3 ones at three sizes of the image:
    ``early_layers`` of ``early`` filters, ``middle_layers`` of ``middle``, ``late_layers`` of ``late``. The stem, the
    first middle one and the first late one shrink the image, the last of them by half.
    """
    settings = (
        stem,
        stem_size,
        stem_stride,
        early,
        early_layers,
        middle,
        middle_layers,
        middle_stride,
        late,
        late_layers,
    )
    return _stack("edge", convolutions(*settings))


def convolutions(
    stem: int,
    stem_size: int,
    stem_stride: int,
    early: int,
    early_layers: int,
    middle: int,
    middle_layers: int,
    middle_stride: int,
    late: int,
    late_layers: int,
) -> list[tuple[int, int, int]]:
    """The convolutions of :func:`edge` as (filters, kernel size, stride); raises ValueError for none."""
    if min(stem, early, middle, late, stem_size, stem_stride, middle_stride, middle_layers, late_layers) < 1:
        raise ValueError("filters, sizes, strides and layers must be at least 1, but early_layers may be 0")
    return [
        (stem, stem_size, stem_stride),
        *[(early, 3, 1)] * early_layers,
        (middle, 3, middle_stride),
        *[(middle, 3, 1)] * (middle_layers - 1),
        (late, 3, 2),
        *[(late, 3, 1)] * (late_layers - 1),
    ]


EDGE_SPACE: Final = {
    "stem": (16, 32, 48, 64, 96, 128),
    "stem_size": (3, 5, 7, 9),
    "stem_stride": (2, 4),
    "early": (32, 48, 64),
    "early_layers": (0, 1, 2, 3),
    "middle": (48, 64, 80, 96, 128),
    "middle_layers": (1, 2, 3, 4),
    "middle_stride": (1, 2),
    "late": (64, 80, 96, 112, 128),
    "late_layers": (1, 2),
}
"""The shapes that ``tune edge`` chooses among. Channels are multiples of 16, which the runtime computes at once."""


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
