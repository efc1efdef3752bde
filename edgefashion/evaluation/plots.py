"""Pictures of an evaluation: the confusion matrix, the worst mistakes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.data import images
from edgefashion.evaluation.acceptance import Chosen, is_right
from edgefashion.evaluation.fashion import Evaluation
from edgefashion.evaluation.metrics import Reliability, reliability, risk_coverage
from edgefashion.evaluation.photos import PhotoEvaluation
from edgefashion.inference.decision import decide_all, shows_none
from edgefashion.labels import PHOTO_LABELS
from edgefashion.system import files
from edgefashion.system.extras import need

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.bundles.draft import Draft


def worst_photos(evaluation: PhotoEvaluation, count: int = 48) -> NDArray[np.uint8]:
    """A contact sheet, BGR, of the known photos answered wrong, the surest mistakes first, each
    with its folder's label and the answer."""
    import cv2

    wrong = sorted((s for s in evaluation.known if not s.right), key=lambda s: -s.confidence)[:count]
    edge, words, columns = 180, 40, 8
    rows = max(1, -(-len(wrong) // columns))
    sheet = np.full((rows * (edge + words), columns * edge, 3), 32, np.uint8)
    for place, s in enumerate(wrong):
        picture = images.read_image(s.photo.path)
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
    with files.written_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def draw_held_out(
    making: Draft,
    answered: NDArray[np.float32],
    truths: Sequence[Collection[str]],
    chosen: Chosen,
    labels: tuple[str, ...] = PHOTO_LABELS,
) -> None:
    """Put into a bundle's draft what :func:`edgefashion.evaluation.acceptance.choose_rule` ``chosen`` on the answers
    (n, classes) says of them: its figures as ``acceptance`` in the report, and both diagrams."""
    answers = decide_all(answered, labels, chosen.rule, 1)
    named = [not shows_none(row, labels) for row in answered]
    told = [(a.confidence, is_right(a.label, t)) for a, t, n in zip(answers, truths, named, strict=True) if n]
    making.add_report("acceptance", chosen.as_json())
    if not told:
        return
    confidence, right = np.array([c for c, _ in told]), np.array([r for _, r in told], np.bool_)
    name = "photos of senders not trained on"
    plot_reliability(reliability(confidence, right), making.part("reliability"), name)
    at = None if chosen.right is None else (chosen.accepted * len(answers) / len(told), 1 - chosen.right)
    plot_risk_coverage(risk_coverage(confidence, right), making.part("risk_coverage"), name, at)


def plot_reliability(found: Reliability, path: Path, title: str) -> None:
    """Write how right the answers of each confidence are as a PNG: a bar a bin, their number below."""
    need("matplotlib", "to draw the diagram")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middle, width = (found.edges[1:] + found.edges[:-1]) / 2, np.diff(found.edges)
    upper.bar(middle, np.nan_to_num(found.right), width * 0.94, label="right")
    upper.plot([0, 1], [0, 1], "k--", linewidth=1, label="as right as sure")
    upper.plot(found.confidence, found.right, "o", color="tab:orange", markersize=4, label="mean confidence of a bin")
    upper.set(ylabel="share that is right", ylim=(0, 1), title=f"{title}: calibration error {found.ece:.3f}")
    upper.legend(loc="upper left")
    lower.bar(middle, found.counts, width * 0.94, color="tab:grey")
    lower.set(xlabel="confidence", ylabel="answers", xlim=(0, 1))
    with files.written_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def plot_risk_coverage(
    curve: tuple[NDArray[np.float64], NDArray[np.float64]],
    path: Path,
    title: str,
    at: tuple[float, float] | None = None,
) -> None:
    """Write how many answers are wrong, the more are given, as a PNG. ``curve`` is what
    :func:`edgefashion.evaluation.metrics.risk_coverage` gives; ``at``, coverage and risk of the rule that ships."""
    need("matplotlib", "to draw the curve")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*curve, label="by confidence alone")
    if at is not None:
        axes.plot(*at, "o", color="tab:orange", label=f"accepted: {at[0]:.1%}, of these {at[1]:.1%} wrong")
    axes.set(xlabel="share of photos answered", ylabel="share of the answers that is wrong", xlim=(0, 1), title=title)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    with files.written_aside(path) as aside:
        figure.savefig(aside, dpi=110)
