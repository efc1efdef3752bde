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
from edgefashion.inference import contract
from edgefashion.inference.classifier import BATCH, image_shape
from edgefashion.inference.contract import Contract
from edgefashion.labels import LABELS
from edgefashion.system.extras import need
from edgefashion.system.text import is_of_texts, last_line, reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


_SERVED: Final = "serving_default"
"""The signature that Keras and TensorFlow write."""

HALF: Final = frozenset({"mixed_bfloat16", "mixed_float16", "bfloat16", "float16"})
"""Keras's dtype policies that compute in 16 bits."""


class _Original:
    """A network as TensorFlow runs it. What is ours takes bytes and answers probabilities; what was made elsewhere is
    fed and read by its ``contract``, which is set once it is known."""

    runtime_precision = "f32"

    def __init__(self, path: Path, stated: tuple[int | None, ...] | None, dtype: str) -> None:
        """``stated``: the shape of one image, None in it for an open size; None for an open rank."""
        self._path, self._stated = path, stated
        try:
            self.dtype = np.dtype(dtype)
        except TypeError:  # bfloat16
            self.dtype = np.dtype(np.float32)
        if dtype in ("string", "variant", "resource") or self.dtype.kind not in "fiu":
            raise BadInputError(f"{path} takes {dtype}, not an image's numbers. Export it with a float or uint8 input")
        self.settings: dict[str, Any] = {"threads": 0}
        self._contract: Contract | None = None
        self._table: NDArray[Any] | None = None

    @property
    def contract(self) -> Contract | None:
        """How it is fed and read; None for a network of ours."""
        return self._contract

    @contract.setter
    def contract(self, by: Contract | None) -> None:
        self._contract = by
        self._table = by.table(self.dtype) if by else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of one of the toolkit's images."""
        if self._contract or self._stated is None:
            return (contract.SIDE_PX, contract.SIDE_PX, 1)
        return image_shape(self._stated)  # type: ignore[arg-type]  # an open size is a photo network's

    @property
    def is_photo_network(self) -> bool:
        """True for a photo network of ours: colour pictures of any size in, a mask beside its probabilities."""
        return self._stated is not None and len(self._stated) == 3 and self._stated[-1] == 3 and None in self._stated

    def ask(self, pixels: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Its answers, by their outputs' names, to numbers (n, ...) of its own shape; texts are left out."""
        try:
            parts = [self._answers(pixels[at : at + BATCH]) for at in range(0, len(pixels), BATCH)]
        except Exception as error:  # TensorFlow and Keras raise many kinds
            raise BadInputError(
                f"{self._path} cannot be run on images of {list(pixels.shape[1:])} ({reason_of(error, 160)}). "
                "Export it anew"
            ) from error
        numbers = [name for name, answer in parts[0].items() if not is_of_texts(np.asarray(answer))]
        if not numbers:
            raise BadInputError(f"{self._path} answers texts and no numbers. Export it with its probabilities")
        return {name: np.concatenate([np.asarray(part[name], np.float32) for part in parts]) for name in numbers}

    def image_shape_as_it_takes(self) -> tuple[int, ...]:
        """The shape of one 28x28 image for :meth:`ask`. Raises :class:`BadInputError` for a network of other images."""
        shapes = contract.shapes_for(self._stated)
        for shape in shapes[: None if len(shapes) > 1 else 0]:
            with contextlib.suppress(BadInputError):
                if any(np.size(a) == len(LABELS) for a in self.ask(np.zeros((1, *shape), self.dtype)).values()):
                    return shape
        if not shapes:
            raise BadInputError(
                f"{self._path} takes {_dims(self._stated)}, not 28x28 grey images. "
                "Only Fashion-MNIST networks can be used"
            )
        return shapes[0]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._contract is None or self._table is None:
            return _in_batches(self._ours, images)
        answers = self.ask(self._contract.pixels(images, self._table))
        name = self._contract.output if self._contract.output in answers or len(answers) != 1 else next(iter(answers))
        if name not in answers:
            raise BadInputError(f"{self._path} has no output {name}, but {', '.join(answers)}. Convert it again")
        return self._contract.probabilities(answers[name])

    def _shaped(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        stated = self._stated or (None,)
        return images if None in stated else images.reshape(-1, *stated)

    def _ours(self, images: NDArray[np.uint8]) -> Any:
        return answer_of(self._answers(self._shaped(images)))

    @property
    def keras_model(self) -> Any:
        """The Keras model; None for a SavedModel."""
        return None

    def _answers(self, pixels: NDArray[Any]) -> dict[str, Any]:
        raise NotImplementedError


class SavedModel(_Original):
    """A SavedModel's serving signature."""

    def __init__(self, path: Path, named: Path | None = None) -> None:
        """``named`` is what errors call it, where ``path`` is a copy of it."""
        named = named or path
        tf = tensorflow("to run a SavedModel")
        try:
            with no_stderr():
                self._loaded = tf.saved_model.load(str(path))
            self._signature = _served(dict(self._loaded.signatures))
            inputs = self._signature.structured_input_signature[1]
        except Exception as error:  # of many kinds
            raise BadInputError(
                f"{named} is no SavedModel with a serving signature ({reason_of(error, 100)}). Export it again"
            ) from error
        if len(inputs) != 1:
            each = ", ".join(f"{name} {spec.shape}" for name, spec in inputs.items())
            raise BadInputError(f"{named} has {len(inputs)} inputs ({each}); one image is expected. Export it with one")
        self._name, spec = next(iter(inputs.items()))
        self._tf, self._spec_dtype = tf, spec.dtype
        stated = None if spec.shape.rank is None else tuple(spec.shape)[1:]
        super().__init__(named, stated, spec.dtype.name)

    def _answers(self, pixels: NDArray[Any]) -> dict[str, Any]:
        return dict(self._signature(**{self._name: self._tf.constant(pixels, self._spec_dtype)}))


def _served(signatures: dict[str, Any]) -> Any:
    """The signature that is meant: ``serving_default``, or the only one there is."""
    if len(signatures) > 1 and _SERVED not in signatures:
        raise BadInputError(f"it has {', '.join(sorted(signatures))} and no {_SERVED}")
    return next(iter(signatures.values())) if len(signatures) == 1 else signatures[_SERVED]


class KerasCall(_Original):
    """``model(images)``: what Keras advises for small inputs."""

    def __init__(self, path: Path) -> None:
        self._model = load_keras(path)
        image = input_of(self._model, path)
        super().__init__(path, tuple(image.shape)[1:], str(image.dtype))

    @property
    def keras_model(self) -> Any:
        return self._model

    def _answers(self, pixels: NDArray[Any]) -> dict[str, Any]:
        return named_outputs(self._model, self._model(packed(self._model, pixels), training=False))


class KerasPredict(KerasCall):
    """``model.predict(images)``: what most people write."""

    def _answers(self, pixels: NDArray[Any]) -> dict[str, Any]:
        answer = self._model.predict(packed(self._model, pixels), batch_size=BATCH, verbose=0)
        return named_outputs(self._model, answer)

    def _ours(self, images: NDArray[np.uint8]) -> Any:
        return answer_of(self._answers(self._shaped(images)))

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(self._ours(images), np.float32) if self.contract is None else super().__call__(images)


def input_of(model: Any, named: Path) -> Any:
    """The one input of a Keras model. Raises :class:`BadInputError` for several, or for one never built."""
    try:
        inputs = list(model.inputs or ())
    except (AttributeError, ValueError):
        inputs = []
    if not inputs:
        raise BadInputError(f"{named} does not say what it takes: it was never called. Call it once, and save it again")
    if len(inputs) > 1:
        each = ", ".join(f"{port.name} {_dims(tuple(port.shape)[1:])}" for port in inputs)
        raise BadInputError(f"{named} has {len(inputs)} inputs ({each}); one image is expected. Save it with one")
    return inputs[0]


def packed(model: Any, pixels: Any) -> Any:
    """``pixels`` as a Keras model of one input takes them, which may be in a dictionary or a list."""
    try:
        given = model.input
    except (AttributeError, ValueError):
        return pixels
    if isinstance(given, dict):
        return dict.fromkeys(given, pixels)
    return [pixels] if isinstance(given, list | tuple) else pixels


def named_outputs(model: Any, outputs: Any) -> dict[str, Any]:
    """A Keras model's outputs by name: its own, or ``probabilities`` where there is one without."""
    if isinstance(outputs, dict):
        return outputs
    if not isinstance(outputs, list | tuple):
        return {"probabilities": outputs}
    names = list(getattr(model, "output_names", ()))
    if len(set(names)) != len(outputs):
        names = [f"output_{number}" for number in range(len(outputs))]
    return dict(zip(names, outputs, strict=True))


def _dims(stated: tuple[int | None, ...] | None) -> str:
    return "anything" if stated is None else "x".join("?" if size is None else str(size) for size in stated)


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

    ``model.export`` would store every weight twice and give the input no name. Raises OSError where it cannot be
    written.
    """
    tf = tensorflow("to export a SavedModel")
    image = input_of(model, path)
    images = tf.TensorSpec((None, *tuple(image.shape)[1:]), image.dtype, name="images")

    class Serving(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tracked = [variable.value for variable in model.variables]

        @tf.function(input_signature=[images])  # type: ignore[untyped-decorator]
        def serve(self, images: Any) -> dict[str, Any]:
            return named_outputs(model, model(packed(model, images), training=False))

    serving = Serving()
    failed = tf.errors
    try:
        tf.saved_model.save(serving, str(path), signatures={"serving_default": serving.serve})
    # What TensorFlow makes of a system's errors. One that is wrong about the network is of another kind.
    except (
        failed.ResourceExhaustedError,
        failed.OutOfRangeError,
        failed.PermissionDeniedError,
        failed.UnavailableError,
        failed.UnknownError,
    ) as error:
        reason = last_line(error.message.rpartition("; ")[2]) or type(error).__name__
        raise OSError(None, f"TensorFlow could not write it ({reason})", str(path)) from error


def load_keras(path: Path) -> Any:
    """A .keras file as a Keras model, uncompiled. Raises :class:`BadInputError` if it is none, or
    holds code that Keras's safe mode refuses to run."""
    tensorflow("to run a .keras model")
    import keras

    if not zipfile.is_zipfile(path):  # Keras says of such a file that it is not found
        raise BadInputError(f"{path} is no whole .keras file. Save it again, or copy it anew")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds
        raise BadInputError(
            f"{path} is no .keras model that loads safely ({reason_of(error, 160)}). Where it has layers of your own, "
            "write it with model.export(FOLDER) and give the folder; else save it again"
        ) from error


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
