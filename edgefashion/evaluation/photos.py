"""How right a network is on photos: a sub-folder a label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.data import photo_folders
from edgefashion.errors import BadInputError
from edgefashion.evaluation.acceptance import is_right
from edgefashion.evaluation.metrics import Reliability, auroc, reliability, risk_coverage, wilson95
from edgefashion.inference.decision import Rule, acceptance, decide, shows_none
from edgefashion.inference.predict import see
from edgefashion.labels import GROUPS, NAMELESS, NO_GARMENT, PHOTO_LABELS, UNKNOWN, folder_labels, stands_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier


@dataclass(frozen=True)
class SeenPhoto:
    """One labelled photo and what a model made of it."""

    photo: photo_folders.Photo
    answer: str
    """The name that ``predict`` shows, nothing rejected; empty where no garment was found to classify."""
    right: bool
    """True if the folder's label lets that name stand: a group's for its member too."""
    confidence: float
    score: float
    """The model's acceptance score: known garments high, anything else low."""
    none: bool
    """True if the answer was that no garment is in view."""
    probabilities: NDArray[np.float32] | None
    accepted: bool = False
    """True if ``predict`` accepts the answer."""
    defensible: bool = False
    """True if the folder's label or another that ``photos.csv`` gives as as right lets the name stand."""


@dataclass(frozen=True)
class LabelFigures:
    """What was measured of one label. Shares are 0 to 1, None where there was nothing to count."""

    n: int
    """Photos of it."""
    accuracy: float | None
    """Share of these named right, nothing rejected."""
    defensible_accuracy: float | None
    """The same with the other labels of ``photos.csv`` counted as right; None where it gives none at all."""
    accepted: float | None
    """Share of these with an answer that is accepted."""
    accepted_right: float | None
    """Share of those that is right."""
    said: int
    """Accepted answers, of all photos, that show its name (a group's its members' too)."""
    said_right: float | None
    """Share of them that is right."""


@dataclass(frozen=True)
class PhotoEvaluation:
    """What a model got right on folders of labelled photos."""

    model: str
    precision: str
    dataset: str
    threshold: float
    """The rule's; ``seen`` tells what the whole rule accepts."""
    seen: tuple[SeenPhoto, ...]
    skipped: tuple[str, ...]
    """One line for each folder or file left out, and why."""
    labels: tuple[str, ...] = PHOTO_LABELS
    """The model's."""

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
        """Share of ``of`` that are answered with a name that is accepted."""
        return _share([s.accepted for s in of])

    @property
    def accepted_right(self) -> float | None:
        """Share that is right of the accepted answers to all photos, those of Unknown and of No garment too. The other
        labels of ``photos.csv`` count as right."""
        return _share([s.defensible for s in self.seen if s.accepted])

    @property
    def defensible_accuracy(self) -> float | None:
        """The accuracy with the other labels of ``photos.csv`` counted as right; None where it gives none."""
        return _share([s.defensible for s in self.known]) if self.has_also else None

    @property
    def has_also(self) -> bool:
        """True if some photo has another label that is as right."""
        return any(s.photo.also for s in self.seen)

    @property
    def reliability(self) -> Reliability | None:
        """Confidence beside rightness, over all photos with an answer; None without any."""
        named = self._named()
        return reliability(*named) if len(named[0]) else None

    def risk_coverage(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How many are answered, and how many of these wrong, from each confidence on: see
        :func:`edgefashion.evaluation.metrics.risk_coverage`."""
        return risk_coverage(*self._named())

    def _named(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Confidence and rightness of the answers that name something."""
        named = [s for s in self.seen if not s.none]
        return np.array([s.confidence for s in named], np.float64), np.array([s.defensible for s in named], np.bool_)

    @property
    def by_label(self) -> dict[str, LabelFigures]:
        """The figures of each label that may be shown; a group's members only where folders are named after them."""
        members = {member for group in GROUPS.values() for member in group}
        with_photos = {s.photo.label for s in self.seen}
        labels = [label for label in folder_labels(self.labels) if label not in NAMELESS]
        return {label: self._figures(label) for label in labels if label not in members or label in with_photos}

    def _figures(self, label: str) -> LabelFigures:
        of, names = self.of(label), _names_of(label)
        said = [s.defensible for s in self.seen if s.accepted and s.answer in names]
        return LabelFigures(
            n=len(of),
            accuracy=_share([s.right for s in of]),
            defensible_accuracy=_share([s.defensible for s in of]) if self.has_also else None,
            accepted=self.accepted(of),
            accepted_right=_share([s.defensible for s in of if s.accepted]),
            said=len(said),
            said_right=_share(said),
        )

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
            "accepted_right": self.accepted_right,
            "defensible_accuracy": self.defensible_accuracy,
            "ece": None if (found := self.reliability) is None else found.ece,
            "by_label": {label: asdict(of) for label, of in self.by_label.items()},
        }


def evaluate_photos(
    classifier: Classifier, *folders: str | Path, on_progress: Callable[[int, int], None] | None = None
) -> PhotoEvaluation:
    """Measure a classifier on folders of labelled photos, each taken for one garment, as ``predict --single`` does.

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
    found = photo_folders.scan(*map(Path, folders), of=labels_of(classifier))
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
        threshold=classifier.rule.threshold,
        seen=tuple(seen),
        skipped=tuple(skipped),
        labels=labels_of(classifier),
    )


def labels_of(classifier: Classifier) -> tuple[str, ...]:
    """The labels that folders may be named after: a network of Fashion-MNIST is measured beside the photo network, on
    the same folders."""
    return classifier.labels if UNKNOWN in classifier.labels else PHOTO_LABELS


def _see(classifier: Classifier, photo: photo_folders.Photo, picture: NDArray[np.uint8]) -> SeenPhoto:
    found = see(classifier, picture)
    if found is None:
        return SeenPhoto(photo, "", right=False, confidence=0.0, score=0.0, none=True, probabilities=None)
    return seen_as(photo, found[1], classifier.labels, classifier.rule)


def seen_as(
    photo: photo_folders.Photo, probabilities: NDArray[np.float32], labels: tuple[str, ...], rule: Rule | None = None
) -> SeenPhoto:
    """What a model that answered a photo with ``probabilities`` (classes,) made of it, by its ``rule``; without one
    every answer is accepted, and kinds of shoe are not told."""
    answer, none = decide(probabilities, labels, rule or Rule(0.0), 1), shows_none(probabilities, labels)
    return SeenPhoto(
        photo,
        answer.label,
        right=is_right(answer.label, (photo.label,)),
        confidence=answer.confidence,
        score=float(acceptance(probabilities, labels)),
        none=none,
        probabilities=probabilities,
        accepted=answer.accepted and not none,
        defensible=is_right(answer.label, (photo.label, *photo.also)),
    )


def _names_of(label: str) -> set[str]:
    """The names under which an answer of a folder's label is shown."""
    return {label, *stands_for(label)}


def _share(hits: list[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None
