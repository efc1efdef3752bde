"""Accuracy with its confidence interval, confusion matrix, per-class report, heat map."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.data import fashion_mnist, photo_folders
from edgefashion.errors import BadInputError, need
from edgefashion.evaluation.metrics import expected_calibration_error
from edgefashion.inference.decision import acceptance, best, likeliest, shows_none
from edgefashion.inference.predict import see
from edgefashion.labels import LABELS, NO_GARMENT, UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.openvino_engine import Classifier

_Z95 = 1.959964  # the normal distribution's 97.5 % point


@dataclass(frozen=True)
class Evaluation:
    """What a model got right on a labelled set."""

    model: str
    precision: str
    dataset: str
    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    """(classes, classes): row the true class, column the answer."""
    calibration_error: float
    """Expected calibration error over 15 bins, 0 to 1."""

    @property
    def n(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.confusion) / self.n)

    @property
    def ci95(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson95(int(np.trace(self.confusion)), self.n)

    @property
    def per_class(self) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 and support of each label; 0.0 where undefined."""
        right = np.diag(self.confusion).astype(float)
        support, answered = self.confusion.sum(1), self.confusion.sum(0)
        precision = np.divide(right, answered, out=np.zeros_like(right), where=answered > 0)
        recall = np.divide(right, support, out=np.zeros_like(right), where=support > 0)
        both = precision + recall
        f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(right), where=both > 0)
        return {
            label: {"precision": precision[i], "recall": recall[i], "f1": f1[i], "support": int(support[i])}
            for i, label in enumerate(self.labels)
        }

    def as_json(self) -> dict[str, Any]:
        """The fields ``evaluate --json`` prints."""
        return {
            "model": self.model,
            "precision": self.precision,
            "dataset": self.dataset,
            "n": self.n,
            "accuracy": self.accuracy,
            "ci95": list(self.ci95),
            "per_class": self.per_class,
            "confusion": self.confusion.tolist(),
            "calibration_error": self.calibration_error,
        }


def evaluate(classifier: Classifier, part: str = "test") -> Evaluation:
    """Measure ``classifier`` on Fashion-MNIST's 10,000 test images, or with ``part`` ``"train"`` on the
    60,000 it mostly learned from, as overfitting is looked for."""
    images, labels = fashion_mnist.load(part)
    probabilities = classifier(images)
    answers = likeliest(probabilities)
    return Evaluation(
        model=classifier.name,
        precision=classifier.precision,
        dataset=f"fashion-mnist/{part}",
        labels=LABELS,
        confusion=confusion_matrix(labels, answers, len(LABELS)),
        calibration_error=expected_calibration_error(probabilities[:, : len(LABELS)], labels),
    )


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
    classifier: Classifier, *folders: Path, on_progress: Callable[[int, int], None] | None = None
) -> PhotoEvaluation:
    """Measure ``classifier`` on folders of labelled photos, found and framed as ``predict`` does.

    ``on_progress`` is told the photos done and their number. Unreadable files are left out and
    listed. Raises :class:`BadInputError` where no photo is left.
    """
    found = photo_folders.scan(*folders)
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


def auroc(high: list[float], low: list[float]) -> float | None:
    """Area under the ROC curve: the probability that one of ``high`` exceeds one of ``low``, ties
    half (Mann and Whitney, 1947). None where either is empty."""
    if not high or not low:
        return None
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return float(below.sum() / 2 / (len(high) * len(low)))


def worst_photos(evaluation: PhotoEvaluation, count: int = 48) -> NDArray[np.uint8]:
    """A contact sheet, BGR, of the known photos answered wrong, the surest mistakes first, each
    with its folder's label and the answer."""
    import cv2

    wrong = sorted((s for s in evaluation.known if not s.right), key=lambda s: -s.confidence)[:count]
    edge, words, columns = 180, 40, 8
    rows = max(1, -(-len(wrong) // columns))
    sheet = np.full((rows * (edge + words), columns * edge, 3), 32, np.uint8)
    for place, s in enumerate(wrong):
        picture = fashion_mnist.read_image(s.photo.path)
        shrink = edge / max(picture.shape[:2])
        size_wh = max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink))
        y, x = place // columns * (edge + words), place % columns * edge
        sheet[y : y + size_wh[1], x : x + size_wh[0]] = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)
        for line, (text, colour) in enumerate(
            (
                (f"is {s.photo.label}", (255, 255, 255)),
                (f"said {s.answer or 'nothing'} {s.confidence:.0%}", (90, 190, 255)),
            )
        ):
            at = x + 4, y + edge + 15 + 17 * line
            cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return sheet


def confusion_matrix(truth: NDArray[np.int64], answers: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts, (classes, classes): row the true class, column the answer."""
    return np.bincount(truth * classes + answers, minlength=classes**2).reshape(classes, classes)


def wilson95(right: int, n: int) -> tuple[float, float]:
    """Wilson's score interval (1927) for ``right`` of ``n``, which unlike the normal
    approximation stays inside 0 to 1 and holds for accuracies near 1."""
    share, z2 = right / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)  # the ends are reached, but for rounding


def plot_confusion(evaluation: Evaluation, path: Path) -> None:
    """Write the confusion matrix as a heat map PNG, rows in percent of the true class."""
    need("matplotlib", "to draw the heat map")
    from matplotlib.figure import Figure

    counts, labels = evaluation.confusion, evaluation.labels
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(8.5, 7.5), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shown, ax=axes, shrink=0.8, label="share of the true class")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="answered", ylabel="true")
    low, high = evaluation.ci95
    axes.set_title(
        f"{evaluation.model} {evaluation.precision}: {evaluation.accuracy:.2%} of {evaluation.n:,} "
        f"(95 % interval {low:.2%} to {high:.2%})"
    )
    for row, column in np.argwhere(counts > 0):
        dark = share[row, column] > 0.5
        axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8, color="w" if dark else "k")
    with fashion_mnist.written_aside(path) as aside:
        figure.savefig(aside, dpi=110)
