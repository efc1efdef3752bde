"""SavedModel to OpenVINO IR, facts into the IR, and the gate that proves the two agree."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle
from edgefashion.bundles.guard import check
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError, GateError, MissingError, install_line, installed, need
from edgefashion.evaluation import agreement
from edgefashion.inference import (
    decision,
    ensemble,
    foreign_files,
    onnx_litert_engine,
    openvino_engine,
    preprocess,
    tensorflow_engine,
)
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARITY_LIMIT: Final = {"fp32": 1e-4, "fp16": 3e-2, "quantized": 3e-2}
"""Largest absolute difference of a probability. FP16 stores each weight to 3 digits, which 60 layers
make up to 1e-2 of; its limit catches a broken conversion, not rounding, and its changed top-1 answers are
only reported. The same goes for an original of 8 bits, whose every rounding two runtimes need not share."""


@dataclass(frozen=True)
class Parity:
    """How far an IR's answers are from the original's."""

    precision: str
    reference: str
    """Who gave the original's answers: the original itself, or those stored at training."""
    n: int
    max_abs_difference: float
    changed_top1: int
    agreement: agreement.Agreement
    quantized: bool = False
    """True for an original that computes in 8 bits itself."""

    @property
    def limit(self) -> float:
        """The largest difference allowed."""
        return PARITY_LIMIT["quantized" if self.quantized else self.precision]

    @property
    def passed(self) -> bool:
        exact = self.precision == "fp32" and not self.quantized
        return self.max_abs_difference < self.limit and not (exact and self.changed_top1)


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` made and measured."""

    bundle: bundle.Bundle
    parity: tuple[Parity, ...]
    note: str = ""
    """What had to be found out about an .onnx or .tflite file."""


def default_out(found: bundle.Model) -> Path:
    """Where a conversion goes unless told otherwise: a user's own bundle in place, anything else
    (a shipped bundle, a SavedModel, a .keras file) to ``./models/NAME``.

    Raises :class:`BadInputError` if that would replace a bundle of another network.
    """
    shipped = bundle.model_dirs()[-1]
    if found.bundle is not None and shipped.absolute() not in found.bundle.path.absolute().parents:
        return found.bundle.path
    out = Path("models") / found.name
    if found.bundle is None and out.exists():
        raise BadInputError(f"{out} is there already, of another network. Name it with --out to replace it")
    return out


def convert(model: str | Path, out: Path | None = None, scale: str | None = None) -> Conversion:
    """Convert MODEL to FP32 and FP16 IR in the bundle ``out`` and gate both on parity.

    The IRs have static batch 1 (reshape them for more). The gate compares with the original run
    by TensorFlow, or without TensorFlow with the answers the bundle stored at training; an ``.onnx`` or
    ``.tflite`` file is run by ONNX Runtime or LiteRT, and ``scale`` (``"0-1"`` or ``"0-255"``) may say what its
    float pixels run to.
    Raises :class:`GateError` with nothing written if the answers differ, :class:`BadInputError`
    for a model that is not a garment classifier, :class:`MissingError` for what is not installed.
    """
    found = bundle.resolve(model)
    if found.kind == "ir":
        raise BadInputError(f"{found.path} is already an IR. Give the SavedModel, the .keras file or the bundle")
    theirs = _foreign_file(found)
    if scale is not None and theirs is None:
        raise BadInputError(f"--scale is for .onnx and .tflite files; {found.path} scales its pixels itself")
    out = out or default_out(found)
    bundle.check_target(out)
    if theirs is not None:
        return _convert_foreign(found, theirs, out, scale)
    with _saved_model(found) as saved_model:
        ir = _to_ir(saved_model, found.path)
        images = reference_images(fashion_mnist.load("test")[0], photo=_takes_photos(ir))
        expected, reference = _expected(found, saved_model, images)

        def facts(making: bundle.Draft) -> dict[str, Any]:
            if found.bundle:
                return {}
            shutil.copytree(saved_model, making.part("saved_model"))
            if found.kind == "keras":
                shutil.copyfile(found.path, making.part("keras"))
            original = openvino_engine.load(saved_model, engine="tensorflow")
            return _facts(found, out, original, list(original.input_shape), making)

        return _write(ir, out, found.bundle, facts, images, expected, reference)


def _convert_foreign(found: bundle.Model, file: Path, out: Path, scale: str | None) -> Conversion:
    """:func:`convert` for an .onnx or .tflite file, whose own runtime gives the answers to compare with."""
    check.check(file)
    images = reference_images(fashion_mnist.load("test")[0], photo=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # A copy, as of a SavedModel: its weights may be mapped.
        copy = Path(shutil.copyfile(file, Path(folder) / file.name))
        kept = found.bundle.info.get("foreign", {}) if found.bundle else {}
        theirs = foreign_files.read(copy, scale or kept.get("scale"), named=file)
        _refuse_half(theirs.ir, file)
        expected = theirs.run(images)

        def facts(making: bundle.Draft) -> dict[str, Any]:
            told = {name: getattr(theirs, name) for name in ("scale", "chosen", "softmax", "precision")}
            said = {"foreign": told}
            if found.bundle:
                return {**said, "pixels": openvino_engine.PIXELS}
            shutil.copyfile(file, making.part(theirs.kind))
            return {**_facts(found, out, theirs.run, [fashion_mnist.SIDE_PX, fashion_mnist.SIDE_PX, 1], making), **said}

        runtime = onnx_litert_engine.TITLES[theirs.own.engine]
        done = _write(theirs.ir, out, found.bundle, facts, images, expected, runtime, quantized=theirs.quantized)
        return replace(done, note=theirs.in_short())


def _foreign_file(found: bundle.Model) -> Path | None:
    """The .onnx or .tflite file that MODEL is, or that its bundle was made from."""
    if found.kind in foreign_files.KINDS:
        return found.path
    kind = next((kind for kind in foreign_files.KINDS if found.bundle is not None and found.bundle.has(kind)), None)
    return found.bundle.verified(kind) if found.bundle is not None and kind else None


def convert_ensemble(models: Sequence[str | Path], out: Path) -> Conversion:
    """Convert several Fashion-MNIST networks to one IR that averages their probabilities.

    Gated like :func:`convert`, against the mean of the originals' answers. The bundle holds the IRs alone:
    its members' bundles keep the originals. Raises what :func:`convert` raises, and
    :class:`BadInputError` for members that do not go together.
    """
    members = [bundle.resolve(model) for model in models]
    for found in members:
        if found.kind == "ir":
            raise BadInputError(f"{found.path} is an IR already. Give the bundle it belongs to")
        if _foreign_file(found):
            raise BadInputError(f"{found.path} has no SavedModel: only networks of Keras are averaged in one IR")
    bundle.check_target(out)
    if out.exists() and not (bundle.is_model(out) and bundle.open_bundle(out).info.get("members")):
        raise BadInputError(f"{out} is there already and is no ensemble. Name another with --out")
    images = reference_images(fashion_mnist.load("test")[0], photo=False)
    irs, answers, references = [], [], []
    with contextlib.ExitStack() as stack:
        for found in members:
            saved_model = stack.enter_context(_saved_model(found))
            ir = _to_ir(saved_model, found.path)
            labels = found.bundle.labels if found.bundle else LABELS
            # Ten labels and 28x28 are all that is converted besides photo networks.
            ensemble.check_alike(
                "an ensemble", LABELS, (fashion_mnist.SIDE_PX, fashion_mnist.SIDE_PX), found.name, labels, _side(ir)
            )
            expected, reference = _expected(found, saved_model, images)
            irs.append(ir)
            answers.append(expected)
            references.append(reference)
        merged = ensemble.merge(irs)

        def facts(making: bundle.Draft) -> dict[str, Any]:
            return _ensemble_facts(members, out, merged, making)

        mean = np.asarray(np.stack(answers).mean(0), np.float32)
        return _write(merged, out, None, facts, images, mean, ", ".join(dict.fromkeys(references)))


def _write(
    ir: Any,
    out: Path,
    base: bundle.Bundle | None,
    facts: Callable[[bundle.Draft], dict[str, Any]],
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    reference: str,
    *,
    quantized: bool = False,
) -> Conversion:
    """Write FP32 and FP16 IR into the bundle ``out``, made from ``base`` or with new ``facts``, if both
    answer ``images`` as ``expected``."""
    with bundle.draft(out, base) as making:
        making.info.update(facts(making))
        making.info["name"] = out.name
        making.drop_embedded()
        _describe(ir, making.info)
        parity = tuple(
            _write_and_compare(ir, precision, making, images, expected, reference, quantized=quantized)
            for precision in ("fp32", "fp16")
        )
        making.add_report("convert", {"parity": [asdict(p) for p in parity]})
        making.info.setdefault("versions", {})["openvino"] = version("openvino")
        _measure(making, *fashion_mnist.load("test"))
        bundle.write_card(making)
    return Conversion(bundle.open_bundle(out), parity)


def reference_images(test_images: NDArray[np.uint8], *, photo: bool) -> NDArray[np.uint8]:
    """The images the parity gate compares on: the first 1,000 of the test set, or for a photo
    network, to which each is twenty times the work, the first 200 at its own size."""
    if photo:
        return preprocess.as_photos(test_images[: fashion_mnist.REFERENCE_IMAGES // 5], preprocess.PHOTO_PX)
    return test_images[: fashion_mnist.REFERENCE_IMAGES]


@contextlib.contextmanager
def _saved_model(found: bundle.Model) -> Iterator[Path]:
    """A temporary SavedModel of what MODEL named, copied or, from a .keras file, exported.

    A copy, because OpenVINO maps the weights it converts, and Windows lets nobody rename the
    bundle around a mapped file.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "saved_model"
        keras = found.path if found.kind == "keras" else _half_precision(found)
        if found.bundle is not None and found.bundle.info.get("members"):
            members = " ".join(found.bundle.info["members"])
            raise BadInputError(f"{found.path} is an ensemble already. Convert its members anew: {members}")
        if found.bundle is not None and not found.bundle.has("saved_model"):
            keras = found.bundle.verified("keras")  # all a shipped photo network has room for
        if keras is not None:
            need("tensorflow", "to convert a .keras file (a SavedModel converts without it)")
            model = tensorflow_engine.load_keras(keras)
            tensorflow_engine.export_saved_model(
                tensorflow_engine.in_float32(model) if tensorflow_engine.half_precision(keras) else model, copy
            )
        else:
            shutil.copytree(found.bundle.verified("saved_model") if found.bundle else found.path, copy)
        yield copy


def _half_precision(found: bundle.Model) -> Path | None:
    """The .keras file that MODEL is or its bundle holds, if it computes in 16 bits and can be rebuilt here."""
    keras = found.path if found.kind == "keras" else None
    if found.bundle is not None and found.bundle.has("keras") and installed("tensorflow"):
        keras = found.bundle.verified("keras")
    return keras if keras and tensorflow_engine.half_precision(keras) else None


def _to_ir(saved_model: Path, named: Path) -> Any:
    import openvino as ov

    try:
        ir = ov.convert_model(saved_model)
    except Exception as error:  # the frontends raise bare Exceptions of many kinds
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise BadInputError(
            f"{named} cannot be converted ({reason}). Export the network as a SavedModel again"
        ) from error
    _refuse_half(ir, named)
    if _takes_photos(ir):
        if len(ir.inputs) != 1 or [port.any_name for port in ir.outputs] != ["mask", "probabilities"]:
            raise BadInputError(f"{named} takes colour pictures, but is not one of our photo networks. Use `kiosk`")
        ir.reshape([1, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3])
        return ir
    if len(ir.inputs) != 1 or len(ir.outputs) != 1:
        raise BadInputError(
            f"{named} has {len(ir.inputs)} inputs and {len(ir.outputs)} outputs; one of each is expected"
        )
    image, answer = ir.input(0).get_partial_shape(), ir.output(0).get_partial_shape()
    if image.rank.is_dynamic or any(d.is_dynamic for d in list(image)[1:]):
        raise BadInputError(f"{named} takes {image}: its image size is not fixed. Export it with a fixed one")
    if int(np.prod([d.get_length() for d in list(image)[1:]])) != fashion_mnist.SIDE_PX**2:
        raise BadInputError(
            f"{named} takes {image}, not 28x28 grey images. Only Fashion-MNIST networks can be converted"
        )
    if (
        answer.rank.is_dynamic
        or answer.rank.get_length() != 2
        or answer[1].is_dynamic
        or answer[1].get_length() != len(LABELS)
    ):
        raise BadInputError(f"{named} answers {answer}, not one probability for each of the {len(LABELS)} garments")
    # Static: the fast way to call it, and INT8 with a dynamic dimension has crashed on AMX.
    ir.reshape([1, *(d.get_length() for d in list(image)[1:])])
    return ir


def _refuse_half(ir: Any, named: Path) -> None:
    """Raise :class:`BadInputError` for a network that computes in 16 bits.

    Not converted as it is: the gate would compare 16 bits' rounding with itself, and INT8 would not pay.
    """
    if half := sorted({_element(op) for op in ir.get_ops() if op.get_type_name() != "Constant"} & {"bf16", "f16"}):
        raise BadInputError(
            f"{named} computes in {half[0]}, as training in mixed precision leaves it: its INT8 would be slower than "
            "FP32. Give its .keras file, which is rebuilt in float32, or export it from a float32 network"
        )


def _element(op: Any) -> str:
    """The element type of what an operation gives, like ``f32``; empty where it gives nothing."""
    return str(op.get_output_element_type(0).get_type_name()) if op.get_output_size() else ""


def _takes_photos(ir: Any) -> bool:
    """True for a network that takes colour pictures of any size and has a mask to answer with."""
    image = ir.input(0).get_partial_shape()
    return (
        len(ir.outputs) == 2
        and not image.rank.is_dynamic
        and image.rank.get_length() == 4
        and not image[3].is_dynamic
        and image[3].get_length() == 3
    )


def _expected(found: bundle.Model, saved_model: Path, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], str]:
    """The original's probabilities for the gate's images, and who gave them."""
    if installed("tensorflow"):
        expected, reference = openvino_engine.load(saved_model, engine="tensorflow")(images), "tensorflow"
        if (keras := _half_precision(found)) is not None:
            reference += f", {tensorflow_engine.half_precision(keras)} rebuilt in float32"
    elif found.bundle is not None and found.bundle.has("reference"):
        expected, reference = fashion_mnist.load_reference(found.bundle.verified("reference")), "stored at training"
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


def _write_and_compare(
    ir: Any,
    precision: str,
    making: bundle.Draft,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    reference: str,
    *,
    quantized: bool,
) -> Parity:
    import openvino as ov

    path = making.part(precision)
    ov.save_model(ir, path, compress_to_fp16=precision == "fp16")
    check.vouch(path)
    classifier = openvino_engine.load(path, precision=precision)
    # Both ways it will be called: image by image, and in batches.
    one_by_one = np.concatenate([classifier(images[i : i + 1]) for i in range(len(images))])
    answers = np.stack([one_by_one, classifier(images)])
    parity = Parity(
        precision=precision,
        reference=reference,
        n=len(images),
        max_abs_difference=float(np.abs(answers - expected).max()),
        changed_top1=int((answers.argmax(2) != expected.argmax(1)).any(0).sum()),
        agreement=agreement.compare(expected, answers[1], fashion_mnist.load("test")[1][: len(images)], reference),
        quantized=quantized,
    )
    if not parity.passed:
        raise GateError(
            f"parity gate failed for {precision}: over {parity.n} test images the IR differs from the original by up "
            f"to {parity.max_abs_difference:.2e} (limit {parity.limit:.0e}) and changes "
            f"{parity.changed_top1} answers. No IR was written; check the network for random or unsupported layers"
        )
    return parity


def _describe(ir: Any, info: dict[str, Any]) -> None:
    """Write what a user of the bare IR must know into its rt_info, twice: as Intel's Model API
    reads it (``model_info``), and exactly (``edgefashion``: labels with their spaces)."""
    photo = _takes_photos(ir)
    model_info = {
        "model_type": "Classification",
        "labels": " ".join(label.replace(" ", "_") for label in info["labels"]),
        "resize_type": "standard" if photo else "fit_to_window_letterbox",
        "pad_value": "0",
        "mean_values": "0",
        "scale_values": "1",  # the 1/255 is inside the graph
        "reverse_input_channels": str(photo),  # Model API reads pictures as BGR; the network takes RGB
        "output_raw_scores": "False",
    }
    if not photo:
        # Model API prepares colour pictures alone: a grey one of the network's size is passed on as it is.
        side = _side(ir)
        model_info |= {"embedded_processing": "True", "orig_height": str(side[0]), "orig_width": str(side[1])}
    for key, value in model_info.items():
        ir.set_rt_info(value, ["model_info", key])
    for key in ("name", "labels", "pixels", "thresholds"):
        ir.set_rt_info(json.dumps(info[key]), [openvino_engine.RT_INFO, key])


def _facts(
    found: bundle.Model,
    out: Path,
    original: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    input_shape: list[int],
    making: bundle.Draft,
) -> dict[str, Any]:
    """A bundle's facts for a network trained elsewhere."""
    train_images, train_labels = fashion_mnist.load("train")
    _, held_out = fashion_mnist.split(train_labels, fashion_mnist.VALIDATION_SPLIT)
    test_images, test_labels = fashion_mnist.load("test")
    test = original(test_images)
    accuracy = float(np.mean(test.argmax(1) == test_labels))
    fashion_mnist.save_reference(making.part("reference"), test)
    return {
        "name": out.name,
        "architecture": "unknown",
        "source": found.path.name,
        "parameters": None,
        "labels": list(LABELS),
        "input_shape": input_shape,
        "pixels": openvino_engine.PIXELS,
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


def _ensemble_facts(members: Sequence[bundle.Model], out: Path, merged: Any, making: bundle.Draft) -> dict[str, Any]:
    """A bundle's facts for several networks in one, measured with the merged IR itself: there is no
    other original."""
    import openvino as ov

    path = making.part("fp32")
    ov.save_model(merged, path, compress_to_fp16=False)
    check.vouch(path)
    classifier = openvino_engine.load(path, precision="fp32", purpose="throughput")
    train_images, train_labels = fashion_mnist.load("train")
    facts = [found.bundle.info if found.bundle else {} for found in members]
    splits = {(info.get("validation_split"), info.get("split_seed", info.get("seed"))) for info in facts}
    # What one member held out another may have learned: only a split common to all is validation.
    split, split_seed = splits.pop() if len(splits) == 1 else (None, None)
    split_seed = fashion_mnist.SPLIT_SEED if split_seed is None else split_seed
    _, held_out = fashion_mnist.split(train_labels, split or fashion_mnist.VALIDATION_SPLIT, split_seed)
    test_images, test_labels = fashion_mnist.load("test")
    test = classifier(test_images)
    fashion_mnist.save_reference(making.part("reference"), test)
    sizes = [info.get("parameters") for info in facts]
    return {
        "name": out.name,
        "architecture": "ensemble",
        "members": [found.name for found in members],
        "source": "the mean of " + ", ".join(found.name for found in members),
        "parameters": None if None in sizes else sum(sizes),
        "labels": list(LABELS),
        "input_shape": list(classifier.input_shape),
        "pixels": openvino_engine.PIXELS,
        "thresholds": {
            "accept": decision.accept_threshold(classifier(train_images[held_out])),
            "chosen_on": "validation images" if split else "training images",
        },
        "metrics": {"original": {"test_accuracy": float(np.mean(test.argmax(1) == test_labels))}},
        "versions": {},
        "data_sha256": dict(fashion_mnist.SHA256),
        "seed": None,
        "split_seed": split_seed,
        "validation_split": split,
    }


def _side(ir: Any) -> tuple[int, ...]:
    """(height, width) of a converted network's image, a flat one's worked out."""
    return tensorflow_engine.image_shape(tuple(ir.input(0).shape)[1:])[:2]


def _measure(making: bundle.Draft, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Put each IR's accuracy on the 10,000 test images into the bundle's facts."""
    for precision in ("fp32", "fp16"):
        classifier = openvino_engine.load(making.part(precision), precision=precision)
        answers = decision.likeliest(classifier(images))
        making.info["metrics"][precision] = {"test_accuracy": float(np.mean(answers == labels))}
