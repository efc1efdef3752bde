"""The metrics, against scikit-learn's and published values, and what is printed and drawn of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from helpers.types import Run
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support, roc_auc_score

from edgefashion.data import fashion_mnist
from edgefashion.data.images import read_image
from edgefashion.evaluation import fashion, metrics, photos, plots
from edgefashion.inference.load import load
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier


def answers(kind: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """1,000 true classes and as many answers."""
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 10, 1000), rng.integers(0, 10, 1000)
    if kind == "mostly right":
        said = np.where(rng.random(1000) < 0.9, truth, said)
    elif kind == "a class never answered":
        said[said == 4] = 6
    elif kind == "a class never shown":
        truth[truth == 4] = 6
    elif kind == "neither shown nor answered":
        said[said == 4], truth[truth == 4] = 6, 6
    elif kind == "one answer":
        said[:] = 9
    return truth, said


def evaluated(truth: NDArray[np.int64], said: NDArray[np.int64]) -> fashion.Evaluation:
    return fashion.Evaluation("mine", "int8", "made up", LABELS, metrics.confusion_matrix(truth, said, 10), 0.0)


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


@pytest.mark.parametrize(
    ("right", "n", "expected"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        # The mirror image of 0 of 20.
        (20, 20, (0.8389, 1.0000)),
    ],
)
def test_wilson95(right: int, n: int, expected: tuple[float, float]) -> None:
    """Wilson's interval is the published one to its four decimals."""
    assert metrics.wilson95(right, n) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("right", ["none", "all"])
def test_wilson95_stays_a_share(right: str) -> None:
    """With nothing or everything right the interval still lies within 0 and 1, whatever rounding does."""
    for n in range(1, 500):
        low, high = metrics.wilson95(0 if right == "none" else n, n)
        assert 0 <= low < high <= 1


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


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_is_scikit_learns(ties: bool) -> None:
    """The area under the ROC curve is scikit-learn's, with ties and without."""
    rng = np.random.default_rng(0)
    high, low = rng.normal(1, 1, 300), rng.normal(0, 1, 50)
    if ties:
        high, low = high.round(), low.round()
    truth = np.r_[np.ones(300), np.zeros(50)]
    ours = metrics.auroc(list(high), list(low))
    assert ours == pytest.approx(roc_auc_score(truth, np.r_[high, low]))
    assert metrics.auroc([], list(low)) is None


PHOTO_FIELDS = {"n_known", "accuracy", "per_label", "reject_auroc", "accepted_known", "accepted_unknown"}


@pytest.mark.parametrize("model", ["kiosk", "edge"])
def test_evaluate_photos(run: Run, tmp_path: Path, photo_folder: Path, model: str) -> None:
    """Photos are counted, scored and accepted or not as the listed figures say, by either kind of model."""
    mine = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    (mine / "Coat" / "broken-1.jpg").write_bytes(b"not a picture")
    (mine / "Jacket").mkdir()
    shutil.copy(next((mine / "Coat").glob("sender*")), mine / "Jacket")
    done = run("evaluate", *(() if model == "kiosk" else (model,)), "--photos", "photos", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert set(printed) >= PHOTO_FIELDS
    assert printed["model"] == model
    assert (printed["n_known"], printed["n_unknown"], printed["n_no_garment"]) == (120, 24, 24)
    assert set(printed["per_label"]) == {"T-shirt", "Trouser", "Dress", "Coat", "Footwear"}
    assert printed["accuracy"] == pytest.approx(np.mean(list(printed["per_label"].values())))
    assert printed["n_skipped"] == len(printed["skipped"]) == 2
    assert all(0 <= printed[key] <= 1 for key in ("accuracy", "reject_auroc", "accepted_known", "accepted_unknown"))


def test_photo_figures_follow_from_the_photos(photo_folder: Path) -> None:
    """The summary's shares are those of the photos it lists, counted anew."""
    result = photos.evaluate_photos(load("kiosk"), photo_folder)
    right = [s.answer in {"T-shirt": {"T-shirt/top"}, "Footwear": {"Sandal", "Sneaker", "Ankle boot"}}.get(
        s.photo.label, {s.photo.label}) for s in result.known]  # fmt: skip
    assert result.accuracy == np.mean(right)
    assert result.accepted(result.known) == np.mean([s.score >= result.threshold and not s.none for s in result.known])
    assert result.as_json()["no_garment_right"] == np.mean([s.none for s in result.of("No garment")])
    unknown = [s.score for s in result.of("Unknown")]
    pairs = [(a.score > b) + (a.score == b) / 2 for a in result.known for b in unknown]
    assert result.reject_auroc == pytest.approx(np.mean(pairs))


def test_the_worst_are_shown(run: Run, tmp_path: Path, photo_folder: Path) -> None:
    """``--plot`` writes a contact sheet of the mistakes, and the table names each label."""
    done = run("evaluate", "edge", "--photos", photo_folder, "--plot", "worst.png")
    assert done.returncode == 0, done.stderr
    assert all(label in done.stdout for label in ("T-shirt", "Footwear", "Unknown", "No garment"))
    assert read_image(tmp_path / "worst.png").shape[1] == 8 * 180


@pytest.mark.parametrize("kind", ["mostly right", "a class never shown"])
def test_plot_confusion(kind: str, tmp_path: Path) -> None:
    """The heat map is a readable PNG with a dark diagonal where the model is right."""
    path = tmp_path / "confusion.png"
    plots.plot_confusion(evaluated(*answers(kind)), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    image = read_image(path)
    assert min(image.shape[:2]) > 500
    other = tmp_path / "other.png"
    plots.plot_confusion(evaluated(*answers("one answer")), other)
    assert not np.array_equal(image, read_image(other))
