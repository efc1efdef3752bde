"""What the zoo says of a network: how to build it, where it comes from, how its source trained it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    import keras

INPUT_SHAPE: Final = (28, 28, 1)
CLASSES: Final = 10


@dataclass(frozen=True)
class Recipe:
    """The training settings an architecture's source used, our defaults for it."""

    epochs: int
    batch_size: int
    optimizer: str = "adam"
    learning_rate: float = 0.001
    validation_split: float = 0.1
    """Share of the 60,000 training images held out; 0.0 trains on all of them."""
    augment: str = "none"
    """A key of :data:`edgefashion.training.fashion_augment.AUGMENTATIONS`."""
    schedule: str = "constant"
    """``constant``, or ``cosine``: two epochs of warm-up, then half a cosine down to nothing."""
    weight_decay: float = 0.0
    """Decoupled, times the learning rate; of kernels only."""
    label_smoothing: float = 0.0
    calibrate: bool = False
    """Fit a temperature on the validation images and put it into the last layer."""
    weights: str = "none"
    """What a transfer starts from: ``imagenet``, a weights file, or ``none`` to train the whole network."""
    teacher: tuple[str, ...] = ()
    """MODELs whose averaged answers are the targets; none means the labels alone."""
    precision: str = "float32"
    """What training computes in: ``float32``, or ``bfloat16`` where the CPU has it. Bundles are float32."""


@dataclass(frozen=True)
class Architecture:
    """One network: how to build it, where it comes from, and what its source reported."""

    name: str
    summary: str
    source: str
    build: Callable[..., keras.Model]
    """Builds it, float32, ending in a softmax; its keyword arguments are the network's settings."""
    parameters: int
    macs: int
    """Multiply-accumulates of one image, convolutions and dense layers only."""
    reported_accuracy: float | None
    """Test accuracy its source reported, 0 to 1; None for a network of our own."""
    recipe: Recipe
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The values ``tune`` chooses among, by option of ``train`` or setting of the network."""
    most_parameters: int | None = None
    """What a network of this name may have at most, whatever its settings; ``tune`` tries no larger one."""
    most_macs: int | None = None
    backbone: str | None = None
    """The layer whose ImageNet weights a transfer starts from; None for the others."""

    @property
    def settings(self) -> dict[str, Any]:
        """The network's settings and their defaults, from ``build``'s signature."""
        return {name: p.default for name, p in inspect.signature(self.build).parameters.items()}

    def may_have(self, parameters: int, macs: int) -> bool:
        """True for a network of this name that is no larger than it may be."""
        few = self.most_parameters is None or parameters <= self.most_parameters
        return few and (self.most_macs is None or macs <= self.most_macs)

    def network(self, settings: Mapping[str, Any]) -> keras.Model:
        """:attr:`build` with ``settings``; raises :class:`BadInputError` for values that make no network."""
        try:
            return self.build(**settings)
        except (ValueError, TypeError, ArithmeticError) as error:
            given = " ".join(f"--set {name}={value}" for name, value in settings.items())
            reason = str(error).strip().splitlines()[0]
            raise BadInputError(f"{self.name} cannot be built with {given} ({reason}). Give other values") from error

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """``given`` settings, strings turned into the type of each one's default.

        Raises :class:`BadInputError` naming the known settings, or the value that is no number.
        """
        known, result = self.settings, {}
        for name, value in given.items():
            if name not in known:
                listed = ", ".join(f"{k}={v}" for k, v in known.items()) or "none"
                raise BadInputError(f"{self.name} has no setting {name!r}. It has: {listed}")
            kind = type(known[name])
            try:
                result[name] = kind(value)
                if kind is float and not math.isfinite(result[name]):
                    raise ValueError(value)
            except (ValueError, OverflowError):
                raise BadInputError(f"{self.name}'s {name} has to be like {known[name]!r}, not {value!r}") from None
        return result


def multiply_adds(network: keras.Model) -> int:
    """Multiply-accumulates of one image, convolutions and dense layers only, of a network for 28x28 images."""
    total = 0
    for layer in network._flatten_layers(include_self=False):  # those of a backbone too
        kind = type(layer).__name__
        if kind == "Conv2D":
            total += math.prod(layer.output.shape[1:]) * math.prod(layer.kernel.shape[:3])
        elif kind == "Dense":
            total += math.prod(layer.kernel.shape)
    return total


def pixels() -> list[Any]:
    """The pixel contract's entrance: uint8 0 to 255 in, float32 0 to 1 out."""
    from keras import layers

    return [layers.Input(INPUT_SHAPE, dtype="uint8"), layers.Rescaling(1 / 255)]
