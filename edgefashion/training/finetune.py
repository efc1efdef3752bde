"""Photos to a photo network: fine-tune ``kiosk`` on folders of labelled photos and Fashion-MNIST.

The held-out photos are by other senders than those trained on; the accept threshold is chosen
and the result reported on them, beside what the starting network made of the same photos.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, draft, places, resolve
from edgefashion.data import fashion_mnist, photo_folders, splits
from edgefashion.errors import BadInputError
from edgefashion.inference import decision, preprocess
from edgefashion.inference.tensorflow_engine import load_keras
from edgefashion.labels import PHOTO_LABELS
from edgefashion.system.extras import need
from edgefashion.training.options import FinetuneOptions
from edgefashion.training.photo_bundle import ARCH, probabilities, write_bundle
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


def finetune(
    folders: Sequence[str | Path],
    out: str | Path,
    options: FinetuneOptions = FinetuneOptions(),
    *,
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
    draft.check_target(out)
    found = photo_folders.scan(*map(Path, folders))
    _check(found)
    fit_at, held_at = splits.split_by_sender(found.photos, options.validation_split, options.seed)
    skipped = list(found.skipped)
    held_photos, seen = [], []
    for photo, picture in photo_folders.read([found.photos[i] for i in held_at], skipped):
        held_photos.append(photo)
        seen.append(preprocess.view(picture))
    if not any(photo.known for photo in held_photos):
        raise BadInputError("none of the held-out photos shows a known garment and can be read. Add photos by others")
    views = np.stack(seen)
    beginning = None if start == IMAGENET else photo_network(start)
    before = _scores(held_photos, beginning, probabilities(beginning, views)) if beginning is not None else None

    trained = train(
        [found.photos[i] for i in fit_at], options, skipped, start=beginning, on_step=on_step, on_epoch=on_epoch
    )
    answered = probabilities(trained.model, views)
    after = _scores(held_photos, trained.model, answered)
    known = answered[[photo.known for photo in held_photos]]
    made = write_bundle(
        out,
        trained,
        options,
        accept=(decision.accept_threshold(known, PHOTO_LABELS), f"{len(known):,} photos of senders not trained on"),
        photo_figures={"held_out": {"n": len(known), "accuracy": after.accuracy, "reject_auroc": after.reject_auroc}},
        report={
            "start": start,
            "photos": dict(Counter(photo.label for photo in found.photos)),
            "senders": len({photo.sender for photo in found.photos}),
            "before": asdict(before) if before else None,
            "after": asdict(after),
        },
    )
    return Finetuning(made, before, after, trained.photos, len(held_photos), tuple(skipped))


def photo_network(start: str) -> keras.Model:
    """A photo network's bundle as the plain Keras model to go on from."""
    found = resolve.resolve(start)
    if found.bundle is None or found.bundle.facts.architecture != ARCH:
        raise BadInputError(f"{start} is no bundle of the photo network {ARCH}. Start from one, or from {IMAGENET}")
    return load_keras(found.bundle.verified("keras"))


def _check(found: photo_folders.PhotoSet) -> None:
    counts = Counter(photo.label for photo in found.photos)
    if len({photo.label for photo in found.photos if photo.known}) < 2:
        only = ", ".join(f"{label} ({n})" for label, n in counts.items())
        raise BadInputError(
            f"the photos have one garment's label only: {only}. A network learns differences: add another label"
        )


def _scores(held: list[photo_folders.Photo], model: keras.Model, answered: NDArray[np.float32]) -> Scores:
    """The figures of the network that ``answered`` the photos ``held`` so: float32 (photos, 12)."""
    from edgefashion.evaluation.photos import PhotoEvaluation, seen_as

    seen = tuple(seen_as(photo, p, PHOTO_LABELS) for photo, p in zip(held, answered, strict=True))
    measured = PhotoEvaluation(ARCH, "fp32", "held-out senders", 0.0, seen, ())
    images, labels = fashion_mnist.load("train")
    _, validation = splits.split(labels, splits.VALIDATION_SPLIT, 0)
    images, labels = images[validation[:FASHION_VALIDATION]], labels[validation[:FASHION_VALIDATION]]
    fashion = decision.likeliest(probabilities(model, preprocess.as_photos(images)))
    return Scores(
        accuracy=measured.accuracy,
        per_label=measured.per_label,
        reject_auroc=measured.reject_auroc,
        fashion_accuracy=float(np.mean(fashion == labels)),
    )
