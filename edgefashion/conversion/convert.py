"""SavedModel to OpenVINO IR, facts into the IR, and the gate that proves the two agree."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.bundles import draft, resolve
from edgefashion.bundles.guard import check
from edgefashion.conversion.ir import refuse_half, takes_photos, to_ir
from edgefashion.conversion.originals import expected_answers, foreign_file, saved_model_of
from edgefashion.conversion.output import Conversion, default_out, write_gated
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError
from edgefashion.evaluation.reference import reference_images, save_reference
from edgefashion.inference import (
    classifier,
    decision,
    foreign_files,
    load,
    onnx_litert_engine,
)
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray


def convert(model: str | Path, out: Path | None = None, scale: str | None = None) -> Conversion:
    """Convert MODEL to FP32 and FP16 IR in the bundle ``out`` and gate both on parity.

    The IRs have static batch 1 (reshape them for more). The gate compares with the original run
    by TensorFlow, or without TensorFlow with the answers the bundle stored at training; an ``.onnx`` or
    ``.tflite`` file is run by ONNX Runtime or LiteRT, and ``scale`` (``"0-1"`` or ``"0-255"``) may say what its
    float pixels run to.
    Raises :class:`GateError` with nothing written if the answers differ, :class:`BadInputError`
    for a model that is not a garment classifier, :class:`MissingError` for what is not installed.
    """
    found = resolve.resolve(model)
    if found.kind == "ir":
        raise BadInputError(f"{found.path} is already an IR. Give the SavedModel, the .keras file or the bundle")
    theirs = foreign_file(found)
    if scale is not None and theirs is None:
        raise BadInputError(f"--scale is for .onnx and .tflite files; {found.path} scales its pixels itself")
    out = out or default_out(found)
    draft.check_target(out)
    if theirs is not None:
        return _convert_foreign(found, theirs, out, scale)
    with saved_model_of(found) as saved_model:
        ir = to_ir(saved_model, found.path)
        images = reference_images(fashion_mnist.load("test")[0], photo=takes_photos(ir))
        expected, reference = expected_answers(found, saved_model, images)

        def facts(making: draft.Draft) -> dict[str, Any]:
            if found.bundle:
                return {}
            shutil.copytree(saved_model, making.part("saved_model"))
            if found.kind == "keras":
                shutil.copyfile(found.path, making.part("keras"))
            original = load.load(saved_model, engine="tensorflow")
            return _facts(found, out, original, list(original.input_shape), making)

        return write_gated(ir, out, found.bundle, facts, images, expected, reference)


def _convert_foreign(found: resolve.Model, file: Path, out: Path, scale: str | None) -> Conversion:
    """:func:`convert` for an .onnx or .tflite file, whose own runtime gives the answers to compare with."""
    check.check(file)
    images = reference_images(fashion_mnist.load("test")[0], photo=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # A copy, as of a SavedModel: its weights may be mapped.
        copy = Path(shutil.copyfile(file, Path(folder) / file.name))
        kept = found.bundle.info.get("foreign", {}) if found.bundle else {}
        theirs = foreign_files.read(copy, scale or kept.get("scale"), named=file)
        refuse_half(theirs.ir, file)
        expected = theirs.run(images)

        def facts(making: draft.Draft) -> dict[str, Any]:
            told = {name: getattr(theirs, name) for name in ("scale", "chosen", "softmax", "precision")}
            said = {"foreign": told}
            if found.bundle:
                return {**said, "pixels": classifier.PIXELS}
            shutil.copyfile(file, making.part(theirs.kind))
            return {**_facts(found, out, theirs.run, [fashion_mnist.SIDE_PX, fashion_mnist.SIDE_PX, 1], making), **said}

        runtime = onnx_litert_engine.TITLES[theirs.own.engine]
        done = write_gated(theirs.ir, out, found.bundle, facts, images, expected, runtime, quantized=theirs.quantized)
        return replace(done, note=theirs.in_short())


def _facts(
    found: resolve.Model,
    out: Path,
    original: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    input_shape: list[int],
    making: draft.Draft,
) -> dict[str, Any]:
    """A bundle's facts for a network trained elsewhere."""
    train_images, train_labels = fashion_mnist.load("train")
    _, held_out = fashion_mnist.split(train_labels, fashion_mnist.VALIDATION_SPLIT)
    test_images, test_labels = fashion_mnist.load("test")
    test = original(test_images)
    accuracy = float(np.mean(test.argmax(1) == test_labels))
    save_reference(making.part("reference"), test)
    return {
        "name": out.name,
        "architecture": "unknown",
        "source": found.path.name,
        "parameters": None,
        "labels": list(LABELS),
        "input_shape": input_shape,
        "pixels": classifier.PIXELS,
        "thresholds": {
            "accept": decision.accept_threshold(original(train_images[held_out])),
            "chosen_on": "training images",
        },
        "metrics": {"original": {"test_accuracy": accuracy}},
        "versions": {},
        "data_sha256": dict(fashion_mnist.SHA256),
        "seed": None,
        "split_seed": fashion_mnist.SPLIT_SEED,
        "validation_split": None,  # nobody here knows what it was trained on
    }
