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
from edgefashion.cli.made_elsewhere import made_elsewhere
from edgefashion.errors import BadInputError, printable
from edgefashion.system.files import check_not_read

if TYPE_CHECKING:
    from edgefashion.evaluation.fashion import Evaluation
    from edgefashion.evaluation.photos import PhotoEvaluation
    from edgefashion.evaluation.scenes import SceneEvaluation, Share


@made_elsewhere()
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
    scenes: Annotated[
        list[Path] | None,
        typer.Option(
            help="Measure on annotated scenes instead: pictures and a COCO file. May be repeated.", show_default=False
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the confusion matrix as a PNG; with --photos the worst mistakes.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="With --scenes: write a contact sheet of the worst pictures as a PNG.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure accuracy, per-class scores and confusion on the 10,000 test images, or on photos; or on annotated scenes,
    how many garments are found and named right. Several models are averaged.

    Example: edgefashion evaluate --photos photos/ --plot worst.png
    """
    given = "--photos" if photos else "--scenes" if scenes else None
    if photos and scenes:
        raise BadInputError("--photos and --scenes are measured each by itself. Give one of them")
    if given and part != "test":
        what = "photos" if photos else "pictures"
        raise BadInputError(f"--on is for Fashion-MNIST; {given} measures on the {what} of its folders")
    if part not in ("test", "train"):
        raise BadInputError(f"--on must be test or train, not {part}")
    if plot and scenes:
        raise BadInputError("--plot is not for --scenes. Their contact sheet is written by --sheet")
    if sheet and not scenes:
        raise BadInputError("--sheet is for --scenes. Give a folder of annotated scenes")
    if given and models and len(models) > 1:
        raise BadInputError(f"{given} measures one model at a time. Give one")
    if photos:
        _evaluate_on_photos(models[0] if models else PHOTO_MODEL, precision, photos, plot, as_json)
    elif scenes:
        _evaluate_on_scenes(models[0] if models else PHOTO_MODEL, precision, scenes, sheet, as_json)
    else:
        _evaluate_on_fashion(models or [DEFAULT_MODEL], part, precision, plot, as_json)


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
        print(printable(plot))


def _evaluate_on_photos(
    model: str, precision: str | None, folders: list[Path], plot: Path | None, as_json: bool
) -> None:
    from edgefashion.cli.progress import Progress
    from edgefashion.data import photo_folders
    from edgefashion.data.images import write_png
    from edgefashion.evaluation import plots
    from edgefashion.evaluation.photos import evaluate_photos, labels_of
    from edgefashion.inference.load import load

    if plot:
        check_png(plot)
    classifier = load(model, precision=precision)
    if plot and plot.exists():
        check_not_read(plot, (photo.path for photo in photo_folders.scan(*folders, of=labels_of(classifier)).photos))
    with Progress("looking at photos") as progress:
        result = evaluate_photos(classifier, *folders, on_progress=progress.step)
    _warn_of_learned(model, result)
    if plot:
        write_png(plot, plots.worst_photos(result))
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        _print_photo_evaluation(result, plot)


def _warn_of_learned(model: str, result: PhotoEvaluation) -> None:
    """Say on stderr how many of the photos are of places and days that the network has learned from."""
    from edgefashion.bundles.resolve import resolve
    from edgefashion.data.senders import hashed
    from edgefashion.system.text import is_url

    bundle = None if is_url(model) else resolve(model).bundle  # a server does not say what it learned from
    learned = frozenset() if bundle is None else bundle.facts.learned_from
    if count := sum(hashed(seen.photo.sender) in learned for seen in result.seen):
        print(
            f"{count:,} of {len(result.seen):,} photos are of places and days that it has learned from: what is "
            "measured is too good",
            file=sys.stderr,
        )


def _print_photo_evaluation(result: PhotoEvaluation, plot: Path | None) -> None:
    facts = result.as_json()
    also = [">arguable"] if result.has_also else []
    columns = ">photos", ">right", *also, ">accepted", ">of them right"
    table = new_table("label", *columns, "most often taken for")
    for label, row in result.by_label.items():
        wrong = Counter(s.answer or "nothing" for s in result.of(label) if not s.right).most_common(1)
        most = f"{wrong[0][0]} ({wrong[0][1]})" if wrong else "-"
        shares = [row.accuracy, *([row.defensible_accuracy] if also else []), row.accepted, row.accepted_right]
        table.add_row(label, f"{row.n:,}", *map(_percent, shares), most)
    for label in ("Unknown", "No garment"):
        if of := result.of(label):
            right = facts["no_garment_right"] if label == "No garment" else None
            shares = [right, *([None] if also else []), result.accepted(of), None]
            table.add_row(label, f"{len(of):,}", *map(_percent, shares), "-")
    print_table(table)
    for line in result.skipped[:10]:
        print(printable(f"skipped: {line}"), file=sys.stderr)
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
    if result.accepted_right is not None and result.reliability is not None:
        print(
            f"accepted answers, to all photos: {result.accepted_right:.1%} right; "
            f"calibration error {result.reliability.ece:.3f}"
        )
    if result.defensible_accuracy is not None:
        print(f"with the labels that are as right: {result.defensible_accuracy:.2%} of the known photos")
    if result.skipped:
        print(f"{len(result.skipped):,} folders or files skipped")
    if plot:
        print(printable(plot))


def _evaluate_on_scenes(
    model: str, precision: str | None, folders: list[Path], sheet: Path | None, as_json: bool
) -> None:
    from edgefashion.cli.progress import Progress
    from edgefashion.data.images import write_png
    from edgefashion.data.scenes import scan_scenes
    from edgefashion.evaluation.scene_sheet import worst_scenes
    from edgefashion.evaluation.scenes import evaluate_scenes
    from edgefashion.inference.load import load

    if sheet:
        check_png(sheet)
        if sheet.exists():
            check_not_read(sheet, (scene.path for scene in scan_scenes(*folders).scenes))
    with Progress("looking at scenes") as progress:
        result = evaluate_scenes(load(model, precision=precision), *folders, on_progress=progress.step)
    if sheet:
        write_png(sheet, worst_scenes(result))
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        _print_scene_evaluation(result, sheet)


def _print_scene_evaluation(result: SceneEvaluation, sheet: Path | None) -> None:
    columns = {
        "n": "garments",
        "ap50": "AP50",
        "found": "found",
        "named_right": "named right",
        "box_accuracy": "right by true box",
        "accepted_recall": "accepted and right",
        "accepted_precision": "of accepted right",
    }
    confusion = result.confusion
    table = new_table("label", *(f">{column}" for column in columns.values()), "most often taken for")
    for label, facts in result.as_json()["per_label"].items():
        wrong = {name: n for name, n in confusion.get(label, {}).items() if name not in (label, "not found")}
        most = max(wrong, key=lambda name: wrong[name]) if wrong else None
        shares = (_percent(facts[key]) for key in list(columns)[1:])
        table.add_row(label, f"{facts['n']:,}", *shares, f"{most} ({wrong[most]})" if most else "-")
    print_table(table)
    for line in result.skipped[:10]:
        print(printable(f"skipped: {line}"), file=sys.stderr)
    print(f"{result.model} {result.precision}: AP50 {_percent(result.ap50)}, of {len(result.seen):,} scenes")
    for share, words in (
        (result.found, "garments found"),
        (result.named, "of those found named right"),
        (result.alone(), "named right by their true box"),
        (result.recall(), "found, named right and accepted"),
        (result.correct(), "accepted answers right"),
        (result.unknown, "Unknown things given a name"),
    ):
        _print_share(share, words)
    if result.skipped:
        print(f"{len(result.skipped):,} pictures or annotations skipped")
    if sheet:
        print(printable(sheet))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _print_share(share: Share, words: str) -> None:
    if share.ci95 is not None:
        low, high = share.ci95
        print(f"{_percent(share.value)} of {share.n:,} {words} (95 % interval {low:.1%} to {high:.1%})")
