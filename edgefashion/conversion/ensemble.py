"""Several networks as one IR that averages their probabilities."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgefashion.bundles import bundle, draft, model_files, resolve
from edgefashion.bundles.current import folder_of
from edgefashion.bundles.facts import Facts, Measured, Thresholds
from edgefashion.bundles.guard import check
from edgefashion.conversion.ir import to_ir
from edgefashion.conversion.originals import expected_answers, foreign_file, saved_model_of
from edgefashion.conversion.parity_gate import Original
from edgefashion.conversion.write_bundle import Conversion, write_gated
from edgefashion.data import fashion_mnist
from edgefashion.data.splits import SPLIT_SEED, VALIDATION_SPLIT
from edgefashion.data.splits import split as split_images
from edgefashion.errors import BadInputError
from edgefashion.evaluation.reference import reference_images, save_reference
from edgefashion.inference import decision, foreign_files, load
from edgefashion.inference.classifier import PIXELS
from edgefashion.inference.ensemble import check_alike
from edgefashion.inference.rt_info import image_side
from edgefashion.labels import LABELS

MEAN: Final = "mean_of_members"
"""How the names of a merged IR's averaging operations start. They are not quantized: 8 bits are too few for them."""


def convert_ensemble(models: Sequence[str | Path], out: Path) -> Conversion:
    """Convert several Fashion-MNIST networks to one IR that averages their probabilities.

    Gated like :func:`convert`, against the mean of the originals' answers. The bundle holds the IRs alone:
    its members' bundles keep the originals. Raises what :func:`convert` raises, and
    :class:`BadInputError` for members that do not go together.
    """
    members = [resolve.resolve(model) for model in models]
    for found in members:
        if found.kind == "ir":
            raise BadInputError(f"{found.path} is an IR already. Give the bundle it belongs to")
        if foreign_file(found):
            raise BadInputError(f"{found.path} has no SavedModel: only networks of Keras are averaged in one IR")
    draft.check_new(out)
    if out.exists() and not (resolve.is_model(out) and bundle.open_bundle(out).facts.members):
        raise BadInputError(f"{out} is there already and is no ensemble. Name another with --out")
    images = reference_images(fashion_mnist.load("test")[0], photo=False)
    irs, answers, references = [], [], []
    with contextlib.ExitStack() as stack:
        for found in members:
            saved_model = stack.enter_context(saved_model_of(found))
            made_here = found.bundle is not None and found.bundle.facts.foreign is None
            by = foreign_files.kept_contract(found.bundle) if found.bundle else None
            theirs = None if made_here else foreign_files.read(saved_model, named=found.path, by=by)
            ir = theirs.ir if theirs else to_ir(saved_model, found.path)
            labels = found.bundle.labels if found.bundle else LABELS
            # Besides photo networks only those of ten labels and 28x28 are converted.
            check_alike(
                "an ensemble",
                LABELS,
                (fashion_mnist.SIDE_PX, fashion_mnist.SIDE_PX),
                found.name,
                labels,
                image_side(ir),
            )
            if theirs is not None:
                expected, reference = theirs.run(images), "tensorflow"
            else:
                expected, reference = expected_answers(found, saved_model, images)
            irs.append(ir)
            answers.append(expected)
            references.append(reference)
        merged = merge(irs)

        def facts(making: draft.Draft) -> Facts:
            return _ensemble_facts(members, out, merged, making)

        mean = np.asarray(np.stack(answers).mean(0), np.float32)
        return write_gated(merged, out, None, facts, images, Original(mean, ", ".join(dict.fromkeys(references))))


def _ensemble_facts(members: Sequence[resolve.Model], out: Path, merged: Any, making: draft.Draft) -> Facts:
    """A bundle's facts for several networks in one. They are measured with the merged IR: there is no other
    original."""
    path = making.part("fp32")
    merged.set_rt_info(json.dumps(LABELS), [bundle.RT_INFO, "labels"])
    model_files.save_ir(merged, path)
    check.vouch(path)
    classifier = load.load(path, precision="fp32", purpose="throughput")
    train_images, train_labels = fashion_mnist.load("train")
    known = [found.bundle.facts if found.bundle else None for found in members]
    splits = {(of.validation_split, of.validation_seed) if of else (None, SPLIT_SEED) for of in known}
    # Images that one member held out another may have been trained on. Only a split common to all is validation.
    split, split_seed = splits.pop() if len(splits) == 1 else (None, SPLIT_SEED)
    _, held_out = split_images(train_labels, split or VALIDATION_SPLIT, split_seed)
    test_images, test_labels = fashion_mnist.load("test")
    test = classifier(test_images)
    save_reference(making.part("reference"), test)
    sizes = [of.parameters for of in known if of and of.parameters is not None]
    return Facts(
        name=folder_of(out).name,
        architecture="ensemble",
        members=tuple(found.name for found in members),
        source="the mean of " + ", ".join(found.name for found in members),
        parameters=sum(sizes) if len(sizes) == len(members) else None,
        labels=LABELS,
        input_shape=classifier.input_shape,
        pixels=PIXELS,
        thresholds=Thresholds(
            accept=decision.accept_threshold(classifier(train_images[held_out])),
            chosen_on="validation images" if split else "training images",
        ),
        metrics={"original": Measured(float(np.mean(test.argmax(1) == test_labels)))},
        data_sha256=fashion_mnist.SHA256,
        split_seed=split_seed,
        validation_split=split,
    )


def merge(irs: Sequence[Any]) -> Any:
    """One IR that takes an image once, asks every member, and answers their mean probabilities.

    ``irs``: OpenVINO models of one input and one output each, of equal shapes but for a flat input, which
    is reshaped. Returns an :class:`openvino.Model` with the input ``images``.
    """
    import openvino as ov
    from openvino import opset13 as ops

    first = irs[0].input(0)
    images = ops.parameter(first.partial_shape, first.element_type, name="images")
    images.output(0).set_names({"images"})
    answers = []
    for ir in irs:
        member = ir.clone()
        entrance = member.input(0)
        given = images.output(0)
        if entrance.element_type != first.element_type:
            given = ops.convert(given, entrance.element_type).output(0)
        if entrance.partial_shape != first.partial_shape:
            given = ops.reshape(given, np.array(entrance.shape, np.int64), special_zero=False).output(0)
        for reader in list(entrance.get_target_inputs()):
            reader.replace_source_output(given)
        answers.append(member.output(0).get_node().input_value(0))
    total = answers[0]
    for number, answer in enumerate(answers[1:]):
        total = ops.add(total, answer, name=f"{MEAN}/add_{number}").output(0)
    mean = ops.multiply(total, np.float32(1 / len(answers)), name=f"{MEAN}/mean")
    mean.output(0).set_names({"probabilities"})
    return ov.Model([ops.result(mean)], [images], "ensemble")
