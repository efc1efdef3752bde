"""The network a conversion starts from, and the answers its IR is compared with."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.bundles import model_files, onnx_file, resolve
from edgefashion.errors import BadInputError, MissingError
from edgefashion.evaluation.reference import load_reference
from edgefashion.inference import foreign_files, tensorflow_engine
from edgefashion.system.extras import install_line, installed, need
from edgefashion.system.files import copy_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray


def foreign_file(found: resolve.Model) -> Path | None:
    """The .onnx or .tflite file that MODEL is, or that its bundle was made from."""
    if found.kind in foreign_files.KINDS:
        return found.path
    kind = next((kind for kind in foreign_files.KINDS if found.bundle is not None and found.bundle.has(kind)), None)
    return found.bundle.verified(kind) if found.bundle is not None and kind else None


@contextlib.contextmanager
def foreign_original(found: resolve.Model) -> Iterator[Path]:
    """A temporary copy of a model made elsewhere, in the form that is converted: its .onnx file with all its weights,
    its .tflite file, its IR, or a SavedModel, from a .keras file exported."""
    file = found.path if found.kind == "ir" else foreign_file(found)
    if file is None:
        with saved_model_of(found) as saved_model:
            yield saved_model
        return
    # A copy, as of a SavedModel: its weights may be mapped.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, onnx_file.whole(file) as whole:
        for part in model_files.files_of(whole):
            shutil.copyfile(part, Path(folder) / part.name)
        yield Path(folder) / whole.name


@contextlib.contextmanager
def saved_model_of(found: resolve.Model) -> Iterator[Path]:
    """A temporary SavedModel of what MODEL named, copied or, from a .keras file, exported.

    A copy, because OpenVINO maps the weights it converts, and Windows lets nobody rename the
    bundle around a mapped file.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "saved_model"
        keras = found.path if found.kind == "keras" else keras_in_half_precision(found)
        if found.bundle is not None and found.bundle.facts.members:
            members = " ".join(found.bundle.facts.members)
            raise BadInputError(f"{found.path} is an ensemble already. Convert its members anew: {members}")
        if found.bundle is not None and not found.bundle.has("saved_model"):
            keras = found.bundle.verified("keras")  # a shipped photo network has this form alone, to save room
        if keras is not None:
            need("tensorflow", "to convert a .keras file (a SavedModel converts without it)")
            model = tensorflow_engine.load_keras(keras)
            tensorflow_engine.export_saved_model(
                tensorflow_engine.in_float32(model) if tensorflow_engine.half_precision(keras) else model, copy
            )
        else:
            copy_folder(found.bundle.verified("saved_model") if found.bundle else found.path, copy)
        yield copy


def keras_in_half_precision(found: resolve.Model) -> Path | None:
    """The .keras file that MODEL is or its bundle holds, if it computes in 16 bits and can be rebuilt here."""
    keras = found.path if found.kind == "keras" else None
    if found.bundle is not None and found.bundle.has("keras") and installed("tensorflow"):
        keras = found.bundle.verified("keras")
    return keras if keras and tensorflow_engine.half_precision(keras) else None


def tensorflow_reference(found: resolve.Model) -> str:
    """Who gives the answers of what TensorFlow runs, and whether it was rebuilt for that."""
    keras = keras_in_half_precision(found)
    return "tensorflow" + (f", {tensorflow_engine.half_precision(keras)} rebuilt in float32" if keras else "")


def expected_answers(
    found: resolve.Model, saved_model: Path, images: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], str]:
    """The original's probabilities for the gate's images, and who gave them."""
    if installed("tensorflow"):
        expected, reference = tensorflow_engine.SavedModel(saved_model)(images), tensorflow_reference(found)
    elif found.bundle is not None and found.bundle.has("reference"):
        expected, reference = load_reference(found.bundle.verified("reference")), "stored at training"
        if len(expected) != len(images):
            raise BadInputError(f"{found.path} stored {len(expected)} answers, not {len(images)}. Train it again")
    else:
        raise MissingError(
            "the parity gate has to run the original, and TensorFlow is not installed. "
            f"Run: {install_line('tensorflow')}"
        )
    if expected.min() < 0 or np.abs(expected.sum(1) - 1).max() > 1e-3:
        raise BadInputError(f"{found.path} does not answer with probabilities. End the network with a softmax")
    return expected, reference
