"""SavedModel to OpenVINO IR, facts into the IR, and the gate that proves the two agree."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.bundles import draft, resolve
from edgefashion.bundles.facts import Facts, MadeElsewhere, Measured, Thresholds
from edgefashion.bundles.guard import check
from edgefashion.conversion.ir import is_photo_network, refuse_half, to_ir
from edgefashion.conversion.originals import expected_answers, foreign_file, saved_model_of
from edgefashion.conversion.write_bundle import Conversion, default_out, write_gated
from edgefashion.data import fashion_mnist, splits
from edgefashion.errors import BadInputError
from edgefashion.evaluation.reference import reference_images, save_reference
from edgefashion.inference import classifier, decision, foreign_files, load, onnx_litert_engine
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray


def convert(model: str | Path, out: str | Path | None = None, scale: str | None = None) -> Conversion:
    """Convert a MODEL to an FP32 and an FP16 IR, and prove that both answer like the original.

    The IRs have static batch 1 (reshape them for more). The gate compares with the original run by TensorFlow, or
    without TensorFlow with the answers that the bundle stored at training. An ``.onnx`` or ``.tflite`` file is run by
    ONNX Runtime or LiteRT.

    Args:
        model: A bundle's name, or a path to a bundle, SavedModel, ``.keras``, ``.onnx`` or ``.tflite`` file.
        out: The bundle to write. None: a bundle of yours in place, else ``models/NAME``.
        scale: What an ``.onnx`` or ``.tflite`` file's float pixels run to, ``"0-1"`` or ``"0-255"``. None: measured.

    Returns:
        The bundle, and for each IR what its gate measured.

    Raises:
        BadInputError: A model that is not a garment classifier, or an output that cannot be written.
        GateError: The answers differ. Nothing is written.
        MissingError: Fashion-MNIST, or what has to run the original, is not installed.

    Example:
        >>> from edgefashion import convert
        >>> done = convert("edge", "models/mine")
        >>> [(proof.precision, proof.changed_top1) for proof in done.parity]
        [('fp32', 0), ('fp16', 0)]
    """
    found = resolve.resolve(model)
    if found.kind == "ir":
        raise BadInputError(f"{found.path} is already an IR. Give the SavedModel, the .keras file or the bundle")
    theirs = foreign_file(found)
    if scale is not None and theirs is None:
        raise BadInputError(f"--scale is for .onnx and .tflite files; {found.path} scales its pixels itself")
    out = Path(out) if out else default_out(found)
    draft.check_target(out)
    if theirs is not None:
        return _convert_foreign(found, theirs, out, scale)
    with saved_model_of(found) as saved_model:
        ir = to_ir(saved_model, found.path)
        images = reference_images(fashion_mnist.load("test")[0], photo=is_photo_network(ir))
        expected, reference = expected_answers(found, saved_model, images)

        def facts(making: draft.Draft) -> Facts:
            if found.bundle:
                return making.facts
            shutil.copytree(saved_model, making.part("saved_model"))
            if found.kind == "keras":
                shutil.copyfile(found.path, making.part("keras"))
            original = load.load(saved_model, engine="tensorflow")
            return _facts(found, out, original, original.input_shape, making)

        return write_gated(ir, out, found.bundle, facts, images, expected, reference)


def _convert_foreign(found: resolve.Model, file: Path, out: Path, scale: str | None) -> Conversion:
    """:func:`convert` for an .onnx or .tflite file, whose own runtime gives the answers to compare with."""
    check.check(file)
    images = reference_images(fashion_mnist.load("test")[0], photo=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # A copy, as of a SavedModel: its weights may be mapped.
        copy = Path(shutil.copyfile(file, Path(folder) / file.name))
        kept = found.bundle.facts.foreign if found.bundle else None
        theirs = foreign_files.read(copy, scale or (kept.scale if kept else None), named=file)
        refuse_half(theirs.ir, file)
        expected = theirs.run(images)

        def facts(making: draft.Draft) -> Facts:
            fed = MadeElsewhere(theirs.scale, theirs.chosen, theirs.softmax, theirs.precision)
            if found.bundle:
                return making.facts._replace(pixels=classifier.PIXELS, foreign=fed)
            shutil.copyfile(file, making.part(theirs.kind))
            shape = (fashion_mnist.SIDE_PX, fashion_mnist.SIDE_PX, 1)
            return _facts(found, out, theirs.run, shape, making)._replace(foreign=fed)

        runtime = onnx_litert_engine.TITLES[theirs.own.engine]
        done = write_gated(theirs.ir, out, found.bundle, facts, images, expected, runtime, quantized=theirs.quantized)
        return replace(done, note=theirs.in_short())


def _facts(
    found: resolve.Model,
    out: Path,
    original: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    input_shape: tuple[int, ...],
    making: draft.Draft,
) -> Facts:
    """A bundle's facts for a network trained elsewhere."""
    train_images, train_labels = fashion_mnist.load("train")
    _, held_out = splits.split(train_labels, splits.VALIDATION_SPLIT)
    test_images, test_labels = fashion_mnist.load("test")
    test = original(test_images)
    accuracy = float(np.mean(test.argmax(1) == test_labels))
    save_reference(making.part("reference"), test)
    # What it was trained on nobody here knows: neither a seed nor a validation split.
    return Facts(
        name=out.name,
        architecture="unknown",
        source=found.path.name,
        labels=LABELS,
        input_shape=input_shape,
        pixels=classifier.PIXELS,
        thresholds=Thresholds(decision.accept_threshold(original(train_images[held_out])), "training images"),
        metrics={"original": Measured(accuracy)},
        data_sha256=fashion_mnist.SHA256,
        split_seed=splits.SPLIT_SEED,
    )
