"""An evaluation on Fashion-MNIST: its figures are scikit-learn's, and what is printed of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from edgefashion.data import fashion_mnist
from edgefashion.evaluation import fashion
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier
from helpers.evaluations import answers, evaluated


@pytest.mark.parametrize(
    "kind",
    [
        "random",
        "mostly right",
        "a class never answered",
        "a class never shown",
        "neither shown nor answered",
        "one answer",
    ],
)
def test_metrics_are_scikit_learns(kind: str) -> None:
    """Confusion, accuracy, precision, recall, F1 and support are scikit-learn's, 0 where they are undefined."""
    truth, said = answers(kind)
    ours = evaluated(truth, said)
    assert np.array_equal(ours.confusion, confusion_matrix(truth, said, labels=range(10)))
    assert ours.n == 1000
    assert ours.accuracy == pytest.approx(accuracy_score(truth, said))
    theirs = precision_recall_fscore_support(truth, said, labels=range(10), zero_division=0)
    for i, label in enumerate(LABELS):
        expected = dict(zip(("precision", "recall", "f1", "support"), (column[i] for column in theirs), strict=True))
        assert ours.per_class[label] == pytest.approx(expected)


def test_json_fields() -> None:
    """``evaluate --json`` prints exactly the promised fields, of plain JSON types, and they agree with each other."""
    truth, said = answers("mostly right")
    ours = evaluated(truth, said)
    printed = json.loads(json.dumps(ours.as_json()))
    assert list(printed) == [
        "model",
        "precision",
        "dataset",
        "n",
        "accuracy",
        "ci95",
        "per_class",
        "confusion",
        "calibration_error",
    ]
    assert (printed["model"], printed["precision"], printed["dataset"]) == ("mine", "int8", "made up")
    assert list(printed["per_class"]) == list(LABELS)
    assert {tuple(row) for row in printed["per_class"].values()} == {("precision", "recall", "f1", "support")}
    assert printed["n"] == np.sum(printed["confusion"]) == sum(row["support"] for row in printed["per_class"].values())
    assert printed["accuracy"] == np.trace(printed["confusion"]) / printed["n"]
    low, high = printed["ci95"]
    assert low < printed["accuracy"] < high
    # The row is the true class, the column the answer.
    assert printed["confusion"][3][5] == ((truth == 3) & (said == 5)).sum()


class AlwaysBag:
    """Says Bag to everything, but knows the first 100 images."""

    name, precision, labels = "bagger", "fp32", LABELS

    def __init__(self, known: NDArray[np.int64]) -> None:
        self._known = known

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        said = np.full(len(images), LABELS.index("Bag"))
        said[: len(self._known)] = self._known
        return np.asarray(np.eye(10)[said], np.float32)


def test_evaluate_on_fashion_mnist() -> None:
    """A model is measured on the 10,000 test images in their order, and called what it calls itself."""
    known = fashion_mnist.load("test")[1][:100]
    result = fashion.evaluate(cast("Classifier", AlwaysBag(known)))
    bags = int((known == LABELS.index("Bag")).sum())
    assert result.n == 10_000
    assert result.accuracy == (1000 + 100 - bags) / 10_000
    assert result.per_class["Bag"]["recall"] == 1
    assert (result.model, result.precision, result.dataset) == ("bagger", "fp32", "fashion-mnist/test")


def test_evaluate_on_the_training_images() -> None:
    """With ``part`` train a model is measured on the 60,000 images it learned from, and the result says so."""
    known = fashion_mnist.load("train")[1][:100]
    result = fashion.evaluate(cast("Classifier", AlwaysBag(known)), part="train")
    bags = int((known == LABELS.index("Bag")).sum())
    assert result.n == 60_000
    assert result.accuracy == (6000 + 100 - bags) / 60_000
    assert result.dataset == "fashion-mnist/train"
