"""The network as it was trained: load, run and export SavedModel and .keras with TensorFlow.

The only code that imports TensorFlow outside of training, and only inside its functions.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import BATCH, image_shape
from edgefashion.system.extras import need

if TYPE_CHECKING:
    from numpy.typing import NDArray


HALF: Final = frozenset({"mixed_bfloat16", "mixed_float16", "bfloat16", "float16"})
"""Keras's dtype policies that compute in 16 bits."""


class SavedModel:
    """A SavedModel's serving signature."""

    runtime_precision = "f32"

    def __init__(self, path: Path) -> None:
        tf = tensorflow("to run a SavedModel")
        try:
            self._loaded = tf.saved_model.load(str(path))
            self._signature = self._loaded.signatures["serving_default"]
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise BadInputError(f"{path} is no SavedModel with a serving signature. Export it again") from error
        (self._name, spec), *more = self._signature.structured_input_signature[1].items()
        if more:
            raise BadInputError(f"{path} has {len(more) + 1} inputs; one image tensor is expected")
        self._dtype = spec.dtype
        self._shape = (-1, *tuple(spec.shape)[1:])
        self.input_shape = image_shape(self._shape[1:])
        self.settings: dict[str, Any] = {"threads": 0}
        self._tf = tf

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        def run(part: NDArray[np.uint8]) -> Any:
            shaped = part if None in self._shape else part.reshape(self._shape)
            return answer_of(self._signature(**{self._name: self._tf.constant(shaped, self._dtype)}))

        return _in_batches(run, images)


class _Keras:
    runtime_precision = "f32"

    def __init__(self, path: Path) -> None:
        self._model = load_keras(path)
        self._shape = (-1, *tuple(self._model.input_shape)[1:])
        self.input_shape = image_shape(self._shape[1:])
        self.settings: dict[str, Any] = {"threads": 0}

    def _shaped(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return images if None in self._shape else images.reshape(self._shape)


class KerasCall(_Keras):
    """``model(images)``: what Keras advises for small inputs."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _in_batches(lambda part: answer_of(self._model(self._shaped(part), training=False)), images)


class KerasPredict(_Keras):
    """``model.predict(images)``: what most people write."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        answer = self._model.predict(self._shaped(images), batch_size=BATCH, verbose=0)
        return np.asarray(answer_of(answer), np.float32)


def answer_of(outputs: Any) -> Any:
    """The probabilities among a network's outputs. A photo network has a mask beside them."""
    if isinstance(outputs, dict):
        return outputs["probabilities"] if "probabilities" in outputs else next(iter(outputs.values()))
    return outputs


def _in_batches(run: Callable[[NDArray[np.uint8]], Any], images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run ``images`` through ``run``, ``BATCH`` at a time. Ten thousand at once would take a gigabyte."""
    if len(images) <= BATCH:
        return np.asarray(run(images), np.float32)
    parts = [np.asarray(run(images[at : at + BATCH]), np.float32) for at in range(0, len(images), BATCH)]
    return np.concatenate(parts)


def export_saved_model(model: Any, path: Path) -> None:
    """Write a Keras model as a SavedModel with a serving signature: images in, probabilities out.

    ``model.export`` would store every weight twice and give the input no name.
    """
    tf = tensorflow("to export a SavedModel")
    images = tf.TensorSpec((None, *model.input_shape[1:]), model.inputs[0].dtype, name="images")

    class Serving(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tracked = [variable.value for variable in model.variables]

        @tf.function(input_signature=[images])  # type: ignore[untyped-decorator]
        def serve(self, images: Any) -> dict[str, Any]:
            answer = model(images, training=False)
            return answer if isinstance(answer, dict) else {"probabilities": answer}

    serving = Serving()
    tf.saved_model.save(serving, str(path), signatures={"serving_default": serving.serve})


def load_keras(path: Path) -> Any:
    """A .keras file as a Keras model, uncompiled. Raises :class:`BadInputError` if it is none, or
    holds code that Keras's safe mode refuses to run."""
    tensorflow("to run a .keras model")
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInputError(f"{path} is no .keras model that loads safely. Save it again") from error


def half_precision(path: Path) -> str | None:
    """The first 16-bit dtype policy of a .keras file's layers, like ``mixed_bfloat16``; None without one.

    Read from the file's own description of the network: nothing is loaded. What is no .keras file has none.
    """
    try:
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read("config.json"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    found: list[str] = []
    _in_float32(config, found)
    return found[0] if found else None


def in_float32(model: Any) -> Any:
    """A Keras model of 16-bit dtype policies rebuilt in float32, its weights copied.

    Mixed precision leaves casts around every layer in the graph. OpenVINO keeps them, and INT8 between them is slower
    than FP32. The weights of a mixed policy are float32 already.
    """
    import keras

    config = _in_float32(keras.saving.serialize_keras_object(model), [])
    rebuilt = keras.saving.deserialize_keras_object(config, safe_mode=True)
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _in_float32(config: Any, found: list[str]) -> Any:
    """A copy of a Keras config with each 16-bit dtype policy replaced by float32; those ``found`` are noted."""
    if isinstance(config, list | tuple):
        return [_in_float32(item, found) for item in config]
    if not isinstance(config, dict):
        return config
    named = "name" if "name" in config and len(config) == 1 else "dtype"  # a policy's own config, or a layer's
    if isinstance(config.get(named), str) and config[named] in HALF:
        found.append(config[named])
        config = {**config, named: "float32"}
    return {key: _in_float32(value, found) for key, value in config.items()}


def tensorflow(purpose: str) -> Any:
    """Import TensorFlow, quietly; raises :class:`MissingError` with the install line without it."""
    need("tensorflow", purpose)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # without it, notes on graph versions in the middle of training
    with no_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()
    return tf


@contextlib.contextmanager
def no_stderr() -> Iterator[None]:
    """Silence file descriptor 2. TensorFlow's C++ side begins with half a screen about CUDA, which no option turns off.
    Its errors come as exceptions and are not lost."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
