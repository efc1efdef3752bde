"""SavedModel to OpenVINO IR, facts into the IR, and the gate that proves the two agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.bundles import draft, resolve
from edgefashion.bundles.current import folder_of
from edgefashion.bundles.facts import Facts, MadeElsewhere, Measured, Thresholds
from edgefashion.conversion.ir import is_photo_network, refuse_half, to_ir
from edgefashion.conversion.originals import expected_answers, foreign_original, saved_model_of, tensorflow_reference
from edgefashion.conversion.parity_gate import AGAIN, Original
from edgefashion.conversion.write_bundle import Conversion, default_out, write_gated
from edgefashion.data import fashion_mnist, splits
from edgefashion.errors import BadInputError
from edgefashion.evaluation.reference import reference_images, save_reference
from edgefashion.inference import classifier, decision, foreign_files, load, onnx_litert_engine
from edgefashion.inference import told as noted
from edgefashion.inference.told import Told
from edgefashion.labels import LABELS
from edgefashion.system.files import copy_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray


def convert(
    model: str | Path, out: str | Path | None = None, scale: str | None = None, told: Told | None = None
) -> Conversion:
    """Convert a MODEL to an FP32 and an FP16 IR, and prove that both answer like the original.

    The IRs have static batch 1 (reshape them for more). The gate compares with the original run by TensorFlow, or
    without TensorFlow with the answers that the bundle stored at training. An ``.onnx`` or ``.tflite`` file is run by
    ONNX Runtime or LiteRT. How a model made elsewhere is fed and read is measured on training images, and put into the
    IRs.

    Args:
        model: A bundle's name, or a path to a bundle, SavedModel, ``.keras``, ``.onnx`` or ``.tflite`` file, or an IR
            made elsewhere.
        out: The bundle to write. None: a bundle of yours in place, else ``models/NAME``.
        scale: What the pixels of a model made elsewhere run to, ``"0-1"``, ``"0-255"``, ``"-1-1"``. None: measured.
        told: All that is known of such a model, ``scale`` included. None: what the command line was told.

    Returns:
        The bundle, and for each IR what its gate measured.

    Raises:
        BadInputError: A model that is not a garment classifier, or an output that cannot be written.
        GateError: The answers differ, or a model made elsewhere fits Fashion-MNIST in no way. Nothing is written.
        MissingError: Fashion-MNIST, or what has to run the original, is not installed.

    Example:
        >>> from edgefashion import convert
        >>> done = convert("edge", "models/mine")
        >>> [(proof.precision, proof.changed_top1) for proof in done.parity]
        [('fp32', 0), ('fp16', 0)]
    """
    found = resolve.resolve(model)
    elsewhere = foreign_files.is_foreign(found) or (found.bundle is not None and found.bundle.facts.foreign is not None)
    if found.kind == "ir" and not elsewhere:
        raise BadInputError(
            f"{found.path} is already an IR of ours. Give the SavedModel, the .keras file or the bundle"
        )
    said = (noted.given() if told is None else told) if scale is None else Told(scale=scale)
    if not said.is_empty and not elsewhere:
        raise BadInputError(f"{found.path} was made here and says itself how it is fed. Leave --scale and the like out")
    out = Path(out) if out else default_out(found)
    in_place = found.bundle is not None and found.bundle.path.absolute() == out.absolute()
    (draft.check_target if in_place else draft.check_new)(out)
    if elsewhere and (done := _convert_foreign(found, out, said)):
        return done
    with saved_model_of(found) as saved_model:
        ir = to_ir(saved_model, found.path)
        images = reference_images(fashion_mnist.load("test")[0], photo=is_photo_network(ir))
        expected, reference = expected_answers(found, saved_model, images)

        def facts(making: draft.Draft) -> Facts:
            if found.bundle:
                return making.facts
            copy_folder(saved_model, making.part("saved_model"))
            if found.kind == "keras":
                shutil.copyfile(found.path, making.part("keras"))
            original = load.load(saved_model, engine="tensorflow")
            return _facts(found, out, original, original.input_shape, making)

        return write_gated(ir, out, found.bundle, facts, images, Original(expected, reference))


def _convert_foreign(found: resolve.Model, out: Path, said: Told) -> Conversion | None:
    """:func:`convert` for a model made elsewhere, whose own runtime gives the answers to compare with. None for a photo
    network of ours outside its bundle, which has no such contract."""
    images = reference_images(fashion_mnist.load("test")[0], photo=False)
    with foreign_original(found) as copy:
        kept = foreign_files.kept_contract(found.bundle) if found.bundle and said.is_empty else None
        by = replace(kept, chosen="as its bundle says") if kept else None
        try:
            vet = refuse_half if copy.is_dir() else None
            theirs = foreign_files.read(copy, said, named=found.path, by=by, vet=vet)
        except foreign_files.PhotoNetworkError:
            return None
        expected = theirs.run(images)

        def facts(making: draft.Draft) -> Facts:
            chosen, softmax = theirs.contract.chosen, theirs.softmax
            fed = MadeElsewhere(theirs.scale, chosen, softmax, theirs.precision, theirs.contract.as_json())
            shape = (fashion_mnist.SIDE_PX, fashion_mnist.SIDE_PX, 1)
            if found.bundle:
                older = making.facts.foreign
                if said.is_empty or older is None or older.contract == fed.contract:
                    return making.facts._replace(pixels=classifier.PIXELS, foreign=fed)
                # Fed or read otherwise than before, it is another network: what was measured of that one goes.
                making.drop("int8")
                return _facts(found, out, theirs.run, shape, making)._replace(foreign=fed)
            if theirs.kind == "saved_model":
                copy_folder(copy, making.part("saved_model"))
            elif theirs.kind != "ir":
                shutil.copyfile(copy, making.part(theirs.kind))
            if found.kind == "keras":
                shutil.copyfile(found.path, making.part("keras"))
            return _facts(found, out, theirs.run, shape, making)._replace(foreign=fed)

        runtimes = {"saved_model": tensorflow_reference(found), "ir": "OpenVINO, as the file is"}
        runtime = runtimes.get(theirs.kind) or onnx_litert_engine.TITLES[theirs.own.engine]

        def again() -> NDArray[np.float32]:
            # In another order: what is random begins anew with each run, and would answer the same ones alike.
            return theirs.run(images[:AGAIN][::-1])[::-1]

        original = Original(expected, runtime, theirs.rounded, again, elsewhere=True)
        precisions = ("int8",) if theirs.quantized else ("fp32", "fp16")
        done = write_gated(theirs.ir, out, found.bundle, facts, images, original, precisions)
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
        name=folder_of(out).name,
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
