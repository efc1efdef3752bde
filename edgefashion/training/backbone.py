"""A backbone trained elsewhere: its weights loaded and frozen, and the layers that follow it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefashion.errors import BadInputError, MissingError

if TYPE_CHECKING:
    import keras


def load_backbone(backbone: keras.Model, weights: str) -> None:
    """Load ``imagenet`` (Keras downloads them) or a weights file into a backbone and freeze it.

    Raises :class:`MissingError` if the download fails, :class:`BadInputError` for a file of another network.
    """
    from keras import applications

    if weights == "imagenet":
        try:
            given = applications.ResNet50(include_top=False, weights="imagenet", input_shape=(32, 32, 3), pooling="avg")
        except Exception as error:  # urllib's and Keras's own, bare Exceptions among them
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise MissingError(
                f"Keras could not download ResNet50's ImageNet weights ({reason}). Give a file of them with "
                "--weights FILE, or train without: --weights none"
            ) from error
        backbone.set_weights(given.get_weights())
    else:
        path = Path(weights)
        if not path.is_file():
            raise BadInputError(f"--weights {weights}: there is no such file. Give imagenet, none or a .weights.h5")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Keras only warns of layers that a file leaves untrained
                backbone.load_weights(path)
        except Exception as error:  # h5py's and Keras's, of many kinds
            raise BadInputError(f"{weights} holds no weights of {backbone.name}'s layers. Give another file") from error
    backbone.trainable = False


def head_of(network: Any, backbone: str | None) -> keras.Model:
    """The layers after the backbone, as a network of their own that shares their weights."""
    import keras

    after = layers_after(network, backbone)
    return keras.Sequential([keras.layers.Input(after[0].input.shape[1:]), *after])


def layers_after(network: Any, backbone: str | None) -> list[Any]:
    """The layers after the backbone."""
    names = [layer.name for layer in network.layers]
    return list(network.layers[names.index(backbone) + 1 :])
