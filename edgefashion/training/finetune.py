"""Photos to a photo network: fine-tune ``kiosk`` on folders of labelled photos and Fashion-MNIST.

The held-out photos are by other senders than those trained on; what an answer needs to count is chosen and the result
reported on them, beside what the starting network made of the same photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, draft, places, resolve
from edgefashion.bundles.facts import Thresholds
from edgefashion.data import fashion_mnist, photo_folders, splits
from edgefashion.errors import BadInputError
from edgefashion.evaluation import before_after
from edgefashion.evaluation.acceptance import FEWEST, Chosen, choose_rule, measure_rule
from edgefashion.evaluation.before_after import Verdict
from edgefashion.inference import decision, preprocess
from edgefashion.inference.decision import Rule
from edgefashion.inference.tensorflow_engine import load_keras
from edgefashion.labels import PHOTO_LABELS
from edgefashion.system.extras import need
from edgefashion.training import held_out
from edgefashion.training.options import FinetuneOptions
from edgefashion.training.photo_bundle import ARCH, TrainedFinder, probabilities, write_bundle
from edgefashion.training.photo_fit import train
from edgefashion.training.run import StepProgress
from edgefashion.training.train import EpochProgress

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

IMAGENET: Final = "imagenet"

FASHION_VALIDATION: Final = 2000


@dataclass(frozen=True)
class Scores:
    """What a network makes of the held-out photos."""

    accuracy: float | None
    per_label: dict[str, float]
    reject_auroc: float | None
    named: float | None
    """Share of the photos of known garments that are given a name: by its rule the network is sure enough."""
    named_per_label: dict[str, float]
    fashion_accuracy: float
    """On ``FASHION_VALIDATION`` of Fashion-MNIST's training images that are never trained on."""


@dataclass(frozen=True)
class Finetuning:
    """What a run made, and what it changed."""

    bundle: bundle.Bundle
    before: Scores | None
    """The starting network's; None where the run began from ImageNet."""
    after: Scores
    trained: int
    held_out: int
    skipped: tuple[str, ...]
    verdict: Verdict | None = None
    """Whether the held-out photos are named better; None where the run began from ImageNet."""
    rule_words: str = ""
    """How what an answer needs was chosen, as a phrase."""


def finetune(
    folders: Sequence[str | Path],
    out: str | Path,
    options: FinetuneOptions = FinetuneOptions(),
    *,
    scenes: Sequence[str | Path] = (),
    start: str = places.PHOTO_MODEL,
    on_step: StepProgress | None = None,
    on_epoch: EpochProgress | None = None,
    **given: Any,
) -> Finetuning:
    """Go on training the photo network on photos, and write its bundle.

    Args:
        folders: Photo folders, each with a sub-folder of photos for each label.
        out: The bundle to write.
        options: How to train.
        scenes: Scenes folders, pictures with every garment outlined in a COCO file. With them the bundle gets a finder,
            which finds every garment of a picture, trained on scenes and photos; without, that of ``start``.
        start: The photo network's bundle to start from, or ``"imagenet"``.
        on_step: Called after a batch with the epoch (from 0), the batches done, their number and the loss.
        on_epoch: Called after an epoch with its row of ``history.csv``.
        given: Any field of ``options`` by its name: ``epochs``, ``batch_size``, ``validation_split``, ``seed``, ...

    Returns:
        The bundle, and its scores on the photos of senders that were not trained on, before and after.

    Raises:
        BadInputError: Folders of one label or of one sender, an option out of range, or an output that cannot be
            written.
        MissingError: The ``train`` extra, Fashion-MNIST or, from ImageNet, the package with the weights is not
            installed.

    Example:
        >>> from edgefashion import finetune
        >>> done = finetune(["shop/"], "models/shop", epochs=1, batch_size=8)
        >>> done.bundle.path.name, done.before is not None
        ('shop', True)
    """
    out, options = Path(out), replace(options, **given)
    need("tensorflow", "to train")
    need("matplotlib", "to draw the training curves")
    draft.check_new(out)
    parts = held_out.part(folders, scenes, options.validation_split, options.seed)
    held_photos, views = parts.held_views()
    beginning = None if start == IMAGENET else photo_network(start)
    began = None if beginning is None else resolve.resolve(start).bundle
    old = None if beginning is None else probabilities(beginning, views)
    before = None
    if began is not None and beginning is not None and old is not None:
        before = _scores(held_photos, beginning, old, Rule.of(began.facts.thresholds))

    trained = train(
        parts.fit_photos,
        options,
        parts.skipped,
        marked=parts.fit_scenes,
        start=beginning,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    found = _train_finder(parts, options, trained.model, on_step) if scenes else None
    answered = probabilities(trained.model, views)
    known = answered[[photo.known for photo in held_photos]]
    truths = [(photo.label, *photo.also) for photo in held_photos]
    chosen, thresholds = _rule(answered, truths, len(known), began)
    rule = Rule.of(thresholds)
    after = _scores(held_photos, trained.model, answered, rule)
    found_better = None
    if began is not None and old is not None:
        seen = before_after.answered(old, truths, PHOTO_LABELS, Rule.of(began.facts.thresholds))
        compared = before_after.Compared.of(seen, before_after.answered(answered, truths, PHOTO_LABELS, rule))
        found_better = before_after.verdict(compared, None)
    made = write_bundle(
        out,
        trained,
        options,
        accept=thresholds,
        photo_figures={"held_out": {"n": len(known), "accuracy": after.accuracy, "reject_auroc": after.reject_auroc}},
        report={
            "start": start,
            "photos": dict(parts.labels),
            "senders": len({photo.sender for photo in (*parts.fit_photos, *parts.held_photos)}),
            "scenes": len(parts.fit_scenes) + len(parts.held_scenes),
            "before": asdict(before) if before else None,
            "after": asdict(after),
            "verdict": found_better.words if found_better else None,
        },
        held_out=(answered, truths, chosen),
        finder=found,
        finder_of=began,
    )
    skipped = tuple(parts.skipped)
    told = thresholds.chosen_on or ""
    return Finetuning(made, before, after, trained.photos, len(held_photos), skipped, found_better, told)


def _rule(
    answered: NDArray[np.float32],
    truths: Sequence[tuple[str, ...]],
    known: int,
    began: bundle.Bundle | None,
) -> tuple[Chosen, Thresholds]:
    """What an answer needs, chosen on the held-out photos; where these are too few to choose it, what it needed of the
    network that the run began from."""
    if known >= FEWEST or began is None:
        chosen = choose_rule(answered, truths)
        return chosen, chosen.thresholds(f"{len(answered):,} photos of senders not trained on")
    kept = began.facts.thresholds
    why = f"{known:,} held-out photos of garments are too few to choose it on, {FEWEST} are needed"
    told = f"kept from {began.name}, where it was chosen on {kept.chosen_on}: {why}"
    return measure_rule(answered, truths, Rule.of(kept)), kept._replace(chosen_on=told)


def _train_finder(
    parts: held_out.Parts, options: FinetuneOptions, start: keras.Model, on_step: StepProgress | None
) -> TrainedFinder:
    """The finder, trained on the same pictures; its backbone begins from the photo network's."""
    from edgefashion.training import finder_fit, finder_material, finder_scale

    material = finder_material.gather(parts.fit_scenes, parts.fit_photos, parts.skipped)

    def told(step: int, steps: int, losses: dict[str, float]) -> None:
        if on_step:
            on_step(0, step, steps, {"loss": losses["heat_loss"]})

    how = finder_fit.FinderOptions(steps=options.finder_steps, seed=options.seed)
    model, history = finder_fit.train(material, how, start, told)
    finder_scale.balance(model, parts.held_photos, parts.held_scenes)
    return TrainedFinder(model, history)


def photo_network(start: str) -> keras.Model:
    """A photo network's bundle as the plain Keras model to go on from."""
    found = resolve.resolve(start)
    if found.bundle is None or found.bundle.facts.architecture != ARCH:
        raise BadInputError(f"{start} is no bundle of the photo network {ARCH}. Start from one, or from {IMAGENET}")
    if found.bundle.labels != PHOTO_LABELS or found.bundle.facts.taught is not None:
        raise BadInputError(
            f"{start} was taught by train shop, and train {ARCH} begins from a network that was not. Give "
            f"--start {places.shipped(places.PHOTO_MODEL)}"
        )
    return load_keras(found.bundle.verified("keras"))


def _scores(held: list[photo_folders.Photo], model: keras.Model, answered: NDArray[np.float32], rule: Rule) -> Scores:
    """The figures of the network that ``answered`` the photos ``held`` so: float32 (photos, 12)."""
    from edgefashion.evaluation.photos import PhotoEvaluation, seen_as

    by = replace(rule, kind_floor=None)  # a kind of shoe is no other answer here than its group
    seen = tuple(seen_as(photo, p, PHOTO_LABELS, by) for photo, p in zip(held, answered, strict=True))
    measured = PhotoEvaluation(ARCH, "fp32", "held-out senders", 0.0, seen, ())
    images, labels = fashion_mnist.load("train")
    _, validation = splits.split(labels, splits.VALIDATION_SPLIT, 0)
    images, labels = images[validation[:FASHION_VALIDATION]], labels[validation[:FASHION_VALIDATION]]
    fashion = decision.likeliest(probabilities(model, preprocess.as_photos(images)))
    return Scores(
        accuracy=measured.accuracy,
        per_label=measured.per_label,
        reject_auroc=measured.reject_auroc,
        named=measured.accepted(measured.known),
        named_per_label={label: measured.accepted(measured.of(label)) or 0.0 for label in measured.per_label},
        fashion_accuracy=float(np.mean(fashion == labels)),
    )
