"""`edgefashion evaluate`: parse, call one function of :mod:`edgefashion.evaluation`, print."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefashion.bundles.places import DEFAULT_MODEL, PHOTO_MODEL
from edgefashion.cli.common import JsonOption, ServedModelsArgument, check_png, new_table, print_table
from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from edgefashion.evaluation.fashion import Evaluation
    from edgefashion.evaluation.photos import PhotoEvaluation


def evaluate(
    models: ServedModelsArgument = None,
    part: Annotated[str, typer.Option("--on", help="test, or train: the images it learned from.")] = "test",
    precision: Annotated[
        str | None, typer.Option(help="fp32, fp16, bf16 or int8. Default: the best the model has.", show_default=False)
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="Measure on photos instead: a sub-folder a label. May be repeated.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the confusion matrix as a PNG; with --photos the worst mistakes.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure accuracy, per-class scores and confusion on the 10,000 test images, or on photos.
    Several models are averaged.

    Example: edgefashion evaluate --photos photos/ --plot worst.png
    """
    if photos and part != "test":
        raise BadInputError("--on is for Fashion-MNIST; --photos measures on the photos of its folders")
    if part not in ("test", "train"):
        raise BadInputError(f"--on must be test or train, not {part}")
    if not photos:
        _evaluate_on_fashion(models or [DEFAULT_MODEL], part, precision, plot, as_json)
        return
    if models and len(models) > 1:
        raise BadInputError("--photos measures one model at a time. Give one")
    _evaluate_on_photos(models[0] if models else PHOTO_MODEL, precision, photos, plot, as_json)


def _evaluate_on_fashion(models: list[str], part: str, precision: str | None, plot: Path | None, as_json: bool) -> None:
    from edgefashion.evaluation import fashion, plots
    from edgefashion.inference.ensemble import averaged
    from edgefashion.inference.load import load

    if plot:
        from edgefashion.system.extras import need

        need("matplotlib", "to draw the heat map")
        check_png(plot)
    result = fashion.evaluate(averaged([load(model, precision=precision) for model in models]), part)
    if plot:
        plots.plot_confusion(result, plot)
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        _print_evaluation(result, plot)


def _print_evaluation(result: Evaluation, plot: Path | None) -> None:
    table = new_table("label", ">precision", ">recall", ">F1", ">images", "most often taken for")
    for row, (label, scores) in enumerate(result.per_class.items()):
        wrong = result.confusion[row].copy()
        wrong[row] = 0
        most = f"{result.labels[wrong.argmax()]} ({wrong.max()})" if wrong.any() else "-"
        table.add_row(
            label, *(f"{scores[k]:.3f}" for k in ("precision", "recall", "f1")), f"{scores['support']:,}", most
        )
    print_table(table)
    low, high = result.ci95
    print(
        f"{result.model} {result.precision}: {result.accuracy:.2%} of {result.n:,} right "
        f"(95 % interval {low:.2%} to {high:.2%}), calibration error {result.calibration_error:.3f}"
    )
    if plot:
        print(plot)


def _evaluate_on_photos(
    model: str, precision: str | None, folders: list[Path], plot: Path | None, as_json: bool
) -> None:
    from edgefashion.cli.progress import Progress
    from edgefashion.data.images import write_png
    from edgefashion.evaluation import plots
    from edgefashion.evaluation.photos import evaluate_photos
    from edgefashion.inference.load import load

    if plot:
        check_png(plot)
    with Progress("looking at photos") as progress:
        result = evaluate_photos(load(model, precision=precision), *folders, on_progress=progress.step)
    if plot:
        write_png(plot, plots.worst_photos(result))
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        _print_photo_evaluation(result, plot)


def _print_photo_evaluation(result: PhotoEvaluation, plot: Path | None) -> None:
    facts = result.as_json()
    table = new_table("label", ">photos", ">right", ">accepted", "most often taken for")
    for label, accuracy in result.per_label.items():
        of = result.of(label)
        wrong = Counter(s.answer or "nothing" for s in of if not s.right).most_common(1)
        most = f"{wrong[0][0]} ({wrong[0][1]})" if wrong else "-"
        table.add_row(label, f"{len(of):,}", f"{accuracy:.1%}", f"{result.accepted(of) or 0:.1%}", most)
    for label in ("Unknown", "No garment"):
        if of := result.of(label):
            right = f"{facts['no_garment_right']:.1%}" if label == "No garment" else "-"
            table.add_row(label, f"{len(of):,}", right, f"{result.accepted(of) or 0:.1%}", "-")
    print_table(table)
    for line in result.skipped[:10]:
        print(f"skipped: {line}", file=sys.stderr)
    if result.ci95 is not None:
        low, high = result.ci95
        print(
            f"{result.model} {result.precision}: {result.accuracy:.2%} of {len(result.known):,} known photos right "
            f"(95 % interval {low:.2%} to {high:.2%}), {result.accepted(result.known):.1%} of them accepted"
        )
    if result.reject_auroc is not None:
        print(
            f"Unknown: AUROC {result.reject_auroc:.4f}, {facts['accepted_unknown']:.1%} of "
            f"{facts['n_unknown']:,} accepted"
        )
    if result.skipped:
        print(f"{len(result.skipped):,} folders or files skipped")
    if plot:
        print(plot)
