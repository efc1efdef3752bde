"""Accuracy with its confidence interval, confusion matrix, per-class report, heat map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion import data
from edgefashion.errors import need

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.classify import Classifier

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
        }


def evaluate(classifier: Classifier) -> Evaluation:
    """Measure ``classifier`` on Fashion-MNIST's 10,000 test images."""
    images, labels = data.load("test")
    answers = classifier(images).argmax(1)
    return Evaluation(
        model=classifier.name,
        precision=classifier.precision,
        dataset="fashion-mnist/test",
        labels=classifier.labels,
        confusion=confusion_matrix(labels, answers, len(classifier.labels)),
    )


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
    with data.written_aside(path) as aside:
        figure.savefig(aside, dpi=110)
