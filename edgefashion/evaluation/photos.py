"""How right a network is on photos: a sub-folder a label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.data import photo_folders
from edgefashion.errors import BadInputError
from edgefashion.evaluation.metrics import auroc, wilson95
from edgefashion.inference.decision import acceptance, best, shows_none
from edgefashion.inference.predict import see
from edgefashion.labels import NO_GARMENT, UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier


@dataclass(frozen=True)
class SeenPhoto:
    """One labelled photo and what a model made of it."""

    photo: photo_folders.Photo
    answer: str
    """The likeliest label, nothing rejected; empty where no garment was found to classify."""
    right: bool
    confidence: float
    score: float
    """The model's acceptance score: known garments high, anything else low."""
    none: bool
    """True if the answer was that no garment is in view."""
    probabilities: NDArray[np.float32] | None


@dataclass(frozen=True)
class PhotoEvaluation:
    """What a model got right on folders of labelled photos."""

    model: str
    precision: str
    dataset: str
    threshold: float
    seen: tuple[SeenPhoto, ...]
    skipped: tuple[str, ...]
    """One line for each folder or file left out, and why."""

    @property
    def known(self) -> list[SeenPhoto]:
        """The photos of garments that have a name."""
        return [s for s in self.seen if s.photo.known]

    def of(self, label: str) -> list[SeenPhoto]:
        """The photos of one folder's label."""
        return [s for s in self.seen if s.photo.label == label]

    @property
    def accuracy(self) -> float | None:
        """Share of the known photos named right with nothing rejected; None without any."""
        return _share([s.right for s in self.known])

    @property
    def ci95(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the accuracy."""
        return wilson95(sum(s.right for s in self.known), len(self.known)) if self.known else None

    @property
    def per_label(self) -> dict[str, float]:
        """Accuracy of each label that has photos."""
        labels = dict.fromkeys(s.photo.label for s in self.known)
        return {label: sum(s.right for s in self.of(label)) / len(self.of(label)) for label in sorted(labels)}

    @property
    def reject_auroc(self) -> float | None:
        """Probability that a known photo scores above an Unknown one; None without both."""
        return auroc([s.score for s in self.known], [s.score for s in self.of(UNKNOWN)])

    def accepted(self, of: list[SeenPhoto]) -> float | None:
        """Share of ``of`` that are answered with a name at the model's threshold."""
        return _share([s.score >= self.threshold and not s.none for s in of])

    def as_json(self) -> dict[str, Any]:
        """The fields ``evaluate --photos --json`` prints."""
        none = self.of(NO_GARMENT)
        return {
            "model": self.model,
            "precision": self.precision,
            "dataset": self.dataset,
            "n": len(self.seen),
            "n_known": len(self.known),
            "n_unknown": len(self.of(UNKNOWN)),
            "n_no_garment": len(none),
            "n_skipped": len(self.skipped),
            "accuracy": self.accuracy,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "per_label": self.per_label,
            "reject_auroc": self.reject_auroc,
            "accept_threshold": self.threshold,
            "accepted_known": self.accepted(self.known),
            "accepted_unknown": self.accepted(self.of(UNKNOWN)),
            "no_garment_right": _share([s.none for s in none]),
            "skipped": list(self.skipped),
        }


def evaluate_photos(
    classifier: Classifier, *folders: str | Path, on_progress: Callable[[int, int], None] | None = None
) -> PhotoEvaluation:
    """Measure a classifier on folders of labelled photos, looked at as ``predict`` does.

    Args:
        classifier: What :func:`edgefashion.load` gave.
        folders: Photo folders, each with a sub-folder of photos for each label. Files that cannot be read are left out
            and listed.
        on_progress: Called with the photos done and their number.

    Returns:
        ``accuracy`` and ``per_label`` are shares from 0 to 1 of the photos of known garments, nothing rejected;
        ``reject_auroc`` tells how well known garments are told from Unknown.

    Raises:
        BadInputError: Folders without a labelled photo that can be read.

    Example:
        >>> from edgefashion import evaluate_photos, load
        >>> result = evaluate_photos(load("kiosk"), "shop/")
        >>> sorted(result.per_label)
        ['Coat', 'Dress', 'Footwear', 'T-shirt', 'Trouser']
    """
    found = photo_folders.scan(*map(Path, folders))
    skipped, seen = list(found.skipped), []
    for photo, picture in photo_folders.read(found.photos, skipped):
        seen.append(_see(classifier, photo, picture))
        if on_progress:
            on_progress(len(seen), len(found.photos))
    if not seen:
        raise BadInputError(f"none of the {len(found.photos):,} photos can be read. The first: {skipped[-1]}")
    return PhotoEvaluation(
        model=classifier.name,
        precision=classifier.precision,
        dataset=", ".join(str(folder) for folder in folders),
        threshold=classifier.accept_threshold,
        seen=tuple(seen),
        skipped=tuple(skipped),
    )


def _see(classifier: Classifier, photo: photo_folders.Photo, picture: NDArray[np.uint8]) -> SeenPhoto:
    found = see(classifier, picture)
    if found is None:
        return SeenPhoto(photo, "", right=False, confidence=0.0, score=0.0, none=True, probabilities=None)
    return seen_as(photo, found[1], classifier.labels)


def seen_as(photo: photo_folders.Photo, probabilities: NDArray[np.float32], labels: tuple[str, ...]) -> SeenPhoto:
    """What a model that answered a photo with ``probabilities`` (classes,) made of it."""
    answer = best(probabilities[None], labels)[0]
    return SeenPhoto(
        photo,
        labels[answer],
        right=int(answer) in photo_folders.members(photo.label),
        confidence=float(probabilities[answer]),
        score=float(acceptance(probabilities, labels)),
        none=shows_none(probabilities, labels),
        probabilities=probabilities,
    )


def _share(hits: list[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None
