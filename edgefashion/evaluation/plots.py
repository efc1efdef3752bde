"""Pictures of an evaluation: the confusion matrix, the worst mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.data import images
from edgefashion.evaluation.fashion import Evaluation
from edgefashion.evaluation.photos import PhotoEvaluation
from edgefashion.system import files
from edgefashion.system.extras import need

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
