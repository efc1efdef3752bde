"""Accuracy with its confidence interval, confusion matrix, per-class report, heat map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.data import fashion_mnist
from edgefashion.evaluation.metrics import confusion_matrix, expected_calibration_error, wilson95
from edgefashion.inference.decision import likeliest
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier


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
    """Measure a classifier on Fashion-MNIST.

    Args:
        classifier: What :func:`edgefashion.load` gave.
        part: ``"test"``, the 10,000 test images, or ``"train"``, the 60,000 that it mostly learned from, as overfitting
            is looked for.

    Returns:
        ``accuracy`` is a share from 0 to 1, ``ci95`` its 95 % interval, ``confusion`` int64 (classes, classes).

    Raises:
        BadInputError: A file of Fashion-MNIST that was altered.
        MissingError: Fashion-MNIST is not installed.

    Example:
        >>> from edgefashion import evaluate, load
        >>> result = evaluate(load("edge"))
        >>> result.n, round(result.accuracy, 2)
        (10000, 0.95)
    """
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
