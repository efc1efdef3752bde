"""The command line: parse, call one library function, print.

stdout carries the result, stderr everything else. No heavy import at module level.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from edgefashion.bundles.resolve import DEFAULT_MODEL, PHOTO_MODEL
from edgefashion.cli.camera import camera
from edgefashion.cli.export import export_app
from edgefashion.cli.serve import serve
from edgefashion.cli.service import service_app
from edgefashion.cli.tag import tag
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.system.text import is_url, size, without_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

    from edgefashion.bench.report import BenchReport
    from edgefashion.training.finetune import Scores

EXIT_BUG: Final = 70
"""Not in the contract: our own fault. (sysexits.h calls it EX_SOFTWARE.)"""

# Plain help: it reads the same in every terminal, and costs no import of rich.
app = typer.Typer(
    name="edgefashion",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Fetch and look at Fashion-MNIST; check photos."
)
app.add_typer(data_app, name="data")
app.add_typer(service_app, name="service")
app.add_typer(export_app, name="export")

MODEL_HELP: Final = (
    "A bundle's name, or a path to a bundle, SavedModel, .keras, .onnx, .tflite or IR .xml. Default: the shipped model."
)
ASKED_HELP: Final = MODEL_HELP.replace(" Default", " Or the URL of a served one. Default")
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=ASKED_HELP, show_default=False)]
ModelsArgument = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help=MODEL_HELP, show_default=False)]
AskedArgument = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help=ASKED_HELP, show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _version(wanted: bool) -> None:
    if wanted:
        from edgefashion import __version__

        print(__version__)
        raise typer.Exit


class _Debug:
    """Whether main() shows tracebacks; set while the command line is parsed."""

    on = False


def _set_debug(wanted: bool) -> bool:
    _Debug.on = wanted
    return wanted


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", callback=_set_debug, help="Show a traceback with every error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, convert, measure and run garment classifiers on Intel CPUs with OpenVINO."""


# --- data ------------------------------------------------------------------------------------


@data_app.command("fetch")
def data_fetch() -> None:
    """Download Fashion-MNIST (30 MB), verified; what is there already is kept.

    Example: edgefashion data fetch
    """
    from edgefashion.data import fashion_mnist

    with _progress() as bar:
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total or None)
            bar.update(tasks[name], completed=done)

        folder = fashion_mnist.fetch(progress=show)
    print(folder)


@data_app.command("verify")
def data_verify() -> None:
    """Check the SHA-256 of every file of Fashion-MNIST.

    Example: edgefashion data verify
    """
    from edgefashion.data import fashion_mnist

    print(f"{fashion_mnist.verify()}: all {len(fashion_mnist.SHA256)} files are Fashion-MNIST's own")


@data_app.command("show")
def data_show(
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("fashion-mnist.png"),
) -> None:
    """Write a contact sheet of the training images, a row for each class.

    Example: edgefashion data show --out sheet.png
    """
    from edgefashion.data import fashion_mnist
    from edgefashion.data.images import write_png
    from edgefashion.labels import LABELS

    _check_png(out)
    images, labels = fashion_mnist.load("train")
    write_png(out, fashion_mnist.contact_sheet(images, labels, LABELS))
    print(out)


@data_app.command("check")
def data_check(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of photos, a sub-folder a label.")],
    as_json: JsonOption = False,
) -> None:
    """Look through photos before training: unreadable files, duplicates, small or missing labels.

    Example: edgefashion data check photos/
    """
    from edgefashion.data import photo_folders

    found = photo_folders.check(*folders)
    if as_json:
        pairs = [[str(a.path), str(b.path)] for a, b in found.duplicates]
        facts = {"labels": found.counts, "senders": found.senders, "skipped": found.skipped, "duplicates": pairs}
        print(json.dumps(facts))
        return
    table = _table("label", ">photos", "note")
    for label, count in found.counts.items():
        note = "none" if not count else f"few: at least {photo_folders.FEW} are wanted" if label in found.few else ""
        table.add_row(label, f"{count:,}", note)
    _print(table)
    for a, b in found.duplicates:
        differ = "" if a.label == b.label else "  <- one picture, two labels"
        print(f"duplicate: {a.path}  {b.path}{differ}")
    for line in found.skipped:
        print(f"skipped: {line}")
    print(
        f"{sum(found.counts.values()):,} photos by {found.senders:,} senders, "
        f"{len(found.duplicates):,} duplicates, {len(found.skipped):,} skipped"
    )


# --- zoo, train ------------------------------------------------------------------------------


@app.command()
def zoo() -> None:
    """List the networks: source, parameters, MACs, reported and measured accuracy.

    Example: edgefashion zoo
    """
    from edgefashion.bundles.resolve import known
    from edgefashion.training.zoo import ZOO, measured

    recorded = measured()
    bundles: dict[str, list[str]] = {}
    for made in known():
        accuracy = f"{made.info['metrics']['original']['test_accuracy']:.2%}"
        bundles.setdefault(str(made.info.get("architecture")), []).append(f"{made.name} {accuracy}")
    table = _table("name", "what it is", "source", ">parameters", ">MACs", ">reported", ">measured", "bundles here")
    for arch in ZOO.values():
        runs = [run for run in recorded.values() if run["arch"] == arch.name]
        # Of several trainings the one whose source reports the network's figure; of ours the first seed's.
        run = next((run for run in runs if run["reported"] == arch.reported_accuracy), None)
        ours = f"{run['accuracy']:.2%}{'*' if run['note'] else ' '}" if run else "- "
        reported = "-" if arch.reported_accuracy is None else f"{arch.reported_accuracy:.2%}"
        facts = arch.name, arch.summary, arch.source
        here = ", ".join(bundles.get(arch.name, ()))
        table.add_row(*facts, f"{arch.parameters:,}", f"{arch.macs / 1e6:.1f} M", reported, ours, here)
    _print(table)
    print(
        "measured: on the 10,000 test images by benchmarks/networks/seeds.py; * not trained as its source did: see the README"
    )


@app.command()
def train(
    arch: Annotated[str, typer.Argument(help="A network's name; `edgefashion zoo` lists them.")],
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, rmsprop, adagrad, adadelta, adam, adamax, nadam, adamw or muon.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size.")] = None,
    augment: Annotated[
        str | None, typer.Option(help="none, turn-flip-zoom, turn-shear-zoom, crop-flip-erase or crop-flip-mix.")
    ] = None,
    validation_split: Annotated[float | None, typer.Option(help="Share of the training images held out.")] = None,
    seed: Annotated[int | None, typer.Option(help="Two runs with one seed agree. Default: 0.")] = None,
    out: Annotated[Path | None, typer.Option(help="The bundle to write. Default: models/ARCH.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from an interrupted run's last epoch.")] = False,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only, to try things out.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the network; repeatable.", show_default=False),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="For resnet50: imagenet (default), a weights file, or none to train all of it."),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Learn this model's answers; several are averaged. none: labels only.",
            show_default=False,
        ),
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="For kiosk: a folder of photos, a sub-folder a label. May be repeated.", show_default=False),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="For kiosk: the bundle to start from, or imagenet. Default: kiosk.", show_default=False),
    ] = None,
) -> None:
    """Train a network on Fashion-MNIST, or kiosk on photos; what is not given is its source's.

    Example: edgefashion train cnn-242k --epochs 10 --out models/mine
    """
    from edgefashion.bundles import draft
    from edgefashion.training.train import train as run

    target = out or Path("models") / arch
    if arch == PHOTO_MODEL:
        fixed = {
            "--optimizer": optimizer,
            "--learning-rate": learning_rate,
            "--augment": augment,
            "--limit": limit,
            "--set": settings,
            "--weights": weights,
            "--teacher": teacher,
            "--resume": resume,
        }
        for flag, given in fixed.items():
            if given:
                raise BadInputError(f"{flag} is not for kiosk, whose recipe is fixed. Leave it out")
        if not photos:
            raise BadInputError("kiosk learns from photos. Give a folder of them with --photos")
        given_options = {
            "epochs": epochs, "batch_size": batch_size, "validation_split": validation_split, "seed": seed
        }  # fmt: skip
        _finetune(photos, target, start or PHOTO_MODEL, {k: v for k, v in given_options.items() if v is not None})
        return
    if photos or start:
        raise BadInputError(f"--photos and --start are for kiosk; {arch} learns from Fashion-MNIST alone")
    with _progress() as bar:
        task = bar.add_task("starting", total=None)

        def step(epoch: int, batch: int, steps: int, logs: dict[str, float]) -> None:
            text = f"epoch {epoch + 1}  loss {logs.get('loss', 0):.3f}  accuracy {logs.get('accuracy', 0):.3f}"
            bar.update(task, description=text, total=steps, completed=batch)

        def prepare(done: int, total: int) -> None:
            bar.update(task, description="asking the teacher", total=total, completed=done)

        def finished(row: dict[str, float]) -> None:
            metrics = "  ".join(f"{k} {v:.4f}" for k, v in row.items() if k not in ("epoch", "seconds"))
            bar.console.print(
                f"epoch {row['epoch']:.0f}: {metrics}  ({row['seconds']:.0f} s)", highlight=False, soft_wrap=True
            )

        try:
            made = run(
                arch,
                out=target,
                resume=resume,
                on_step=step,
                on_epoch=finished,
                limit=limit,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=optimizer,
                learning_rate=learning_rate,
                validation_split=validation_split,
                seed=seed,
                augment=augment,
                settings=_pairs(settings) if settings else None,
                weights=weights,
                teacher=None if teacher is None else tuple(name for name in teacher if name != "none"),
                on_prepare=prepare,
            )
        except (KeyboardInterrupt, _Terminated):
            if any(draft.checkpoints_dir(target).glob("epoch-*")):
                bar.console.print(
                    f"stopped; go on with: edgefashion train {arch} --out {target} --resume",
                    highlight=False,
                    soft_wrap=True,
                )
            raise
    print(f"{made.path}: {made.info['metrics']['original']['test_accuracy']:.2%} of the test images right")


@app.command()
def tune(
    arch: Annotated[str, typer.Argument(help="A network's name; `edgefashion zoo` lists them.")],
    trials: Annotated[int, typer.Option(help="Finished trials the study shall have, earlier ones counted.")] = 20,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A database several machines can share, like postgresql://user@host/name. Default: a SQLite file.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of every trial. Default: searched, or the network's own.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many images only, to try things out.")] = None,
    seed: Annotated[int, typer.Option(help="For the search and every training.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the study and its plot. Default: tune-ARCH.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search a network's settings on the validation images; run again to go on.

    Example: edgefashion tune cnn-413k --trials 50
    """
    from edgefashion.training.tune import TuneOptions
    from edgefashion.training.tune import tune as run

    options = TuneOptions(arch, trials, storage, epochs, limit, seed)
    names = list(options.space)
    with _progress() as bar:
        task = bar.add_task("searching", total=None)

        def show(number: int, epochs_run: int, chosen: dict[str, Any], accuracy: float | None) -> None:
            settings = "  ".join(f"{name} {chosen[name]}" for name in names)
            result = f"cut short after {epochs_run}" if accuracy is None else f"{accuracy:.2%}"
            bar.console.print(f"trial {number}: {result}  {settings}", highlight=False, soft_wrap=True)
            bar.update(task, description=f"{number + 1} trials begun")

        done = run(options, out or Path(f"tune-{arch}"), show)
    if as_json:
        rows = [{"trial": n, "val_accuracy": value, "parameters": p} for n, value, p in done.trials]
        print(
            json.dumps(
                {
                    "architecture": arch,
                    "best": done.best,
                    "val_accuracy": done.val_accuracy,
                    "train": done.train_line,
                    "plot": str(done.plot),
                    "trials": rows,
                }
            )
        )
        return
    table = _table(">trial", ">validation", *names)
    whole = [(number, value, given) for number, value, given in done.trials if value is not None]
    for number, value, given in sorted(whole, key=lambda trial: -trial[1])[:5]:
        table.add_row(str(number), f"{value:.2%}", *(str(given[name]) for name in names))
    _print(table)
    print(f"{len(done.trials)} trials, {len(done.trials) - len(whole)} of them cut short: {done.plot}")
    print(done.train_line)


def _pairs(given: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` arguments as a dictionary; raises :class:`BadInputError` for one without ``=``."""
    for pair in given:
        if "=" not in pair:
            raise BadInputError(f"--set {pair}: give NAME=VALUE, like --set dropout=0.3")
    return dict(pair.split("=", 1) for pair in given)


def _finetune(folders: list[Path], target: Path, start: str, given: dict[str, Any]) -> None:
    """Train the photo network, with progress and the report of what it changed."""
    from edgefashion.training.finetune import finetune
    from edgefashion.training.options import FinetuneOptions

    with _progress() as bar:
        task = bar.add_task("reading photos and finding the garments in them", total=None)

        def step(epoch: int, batch: int, steps: int, logs: dict[str, float]) -> None:
            bar.update(task, description=f"epoch {epoch + 1}  loss {logs['loss']:.3f}", total=steps, completed=batch)

        def finished(row: dict[str, float]) -> None:
            metrics = "  ".join(f"{k} {v:.4f}" for k, v in row.items() if k not in ("epoch", "seconds"))
            bar.console.print(
                f"epoch {row['epoch']:.0f}: {metrics}  ({row['seconds']:.0f} s)", highlight=False, soft_wrap=True
            )

        done = finetune(folders, target, FinetuneOptions(**given), start=start, on_step=step, on_epoch=finished)
    before, after = done.before, done.after
    table = _table(f"{done.held_out:,} photos of senders not trained on", ">before", ">after")

    def row(name: str, of: Callable[[Scores], float | None], form: str = ".1%") -> None:
        values = (None if scores is None else of(scores) for scores in (before, after))
        table.add_row(name, *("-" if value is None else format(value, form) for value in values))

    row("all labels", lambda scores: scores.accuracy)
    for label in after.per_label:
        row(label, lambda scores, label=label: scores.per_label.get(label))  # type: ignore[misc]
    row("AUROC, known against Unknown", lambda scores: scores.reject_auroc, ".3f")
    row("Fashion-MNIST, validation images", lambda scores: scores.fashion_accuracy, ".2%")
    _print(table)
    if done.skipped:
        print(f"{len(done.skipped):,} skipped; the first: {done.skipped[0]}")
    print(f"{done.bundle.path}: trained on {done.trained:,} photos. Next:")
    print(f"  edgefashion convert {done.bundle.path} --int8 " + " ".join(f"--photos {f}" for f in folders))


# --- convert, evaluate, bench ----------------------------------------------------------------


@app.command()
def convert(
    models: ModelsArgument = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantize to INT8 too.")] = False,
    max_drop: Annotated[float, typer.Option(help="Accuracy INT8 may lose, 0 to 1.")] = 0.005,
    calibration: Annotated[int, typer.Option(help="Training images to calibrate INT8 on.")] = 300,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The bundle to write. Default: a bundle of yours in place, else models/NAME, for several "
            "models models/ensemble.",
            show_default=False,
        ),
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="For INT8 of a photo network: photos to calibrate on. May be repeated.", show_default=False),
    ] = None,
    embed: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Write one more IR that takes whole BGR frames of this size, 28 to 4096 a side: resize, colours, "
            "polarity and scaling are inside it, finding the garment is not.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="For .onnx and .tflite: float pixels are 0-1 or 0-255. Default: measured.", show_default=False
        ),
    ] = None,
) -> None:
    """Convert a model to OpenVINO IR, proved equal to the original; with --int8, quantize it.
    Several models become one IR that averages their probabilities. With --embed, write an IR for frames too.

    Example: edgefashion convert models/mine --int8
    """
    from edgefashion.bundles.resolve import resolve
    from edgefashion.conversion.calibration_sets import check_calibration
    from edgefashion.conversion.convert import convert as run
    from edgefashion.conversion.embed import embed as embed_preprocessing
    from edgefashion.conversion.embed import frame_size
    from edgefashion.conversion.ensemble import convert_ensemble
    from edgefashion.conversion.quantize import QuantizeOptions, quantize
    from edgefashion.system.extras import need

    wanted = QuantizeOptions(max_drop, calibration)
    frame_wh = None if embed is None else frame_size(embed)
    if int8:  # before the minutes, not after
        need("nncf", "to quantize to INT8")
        for model in models or [DEFAULT_MODEL]:
            if (found := resolve(model)).bundle:
                check_calibration(found.bundle, photos or ())
    with _progress() as bar:
        task = bar.add_task("converting and comparing with the original", total=None)
        if models and len(models) > 1:
            if scale:
                raise BadInputError("--scale is for one .onnx or .tflite file. Convert them one by one")
            done = convert_ensemble(models, out or Path("models/ensemble"))
        else:
            done = run(models[0] if models else DEFAULT_MODEL, out, scale)
        result = None
        if int8:
            bar.update(task, description="quantizing to INT8 and comparing accuracy")
            made, result = quantize(done.bundle, wanted, photos or ())
        else:
            made = done.bundle
        embedded = None
        if frame_wh:
            bar.update(task, description="embedding the preprocessing and comparing with Python's")
            made, embedded = embed_preprocessing(made, frame_wh)
    table = _table("form", ">size", ">test accuracy", "gate")
    original = made.info["metrics"]["original"]["test_accuracy"]
    form = next((form for form in ("saved_model", "keras", "onnx", "tflite") if made.has(form)), None)
    if form:
        table.add_row("original", size(made.size_bytes(form)), f"{original:.2%}", "-")
    for p in done.parity:
        accuracy = made.info["metrics"].get(p.precision, {}).get("test_accuracy")
        gate = f"passed: largest difference {p.max_abs_difference:.1e}, {p.changed_top1} of {p.n:,} answers changed"
        table.add_row(
            p.precision,
            size(made.size_bytes(p.precision)),
            "-" if accuracy is None else f"{accuracy:.2%}",
            f"{gate} ({p.reference})",
        )
    if result:
        gate = (
            f"passed: {result.accuracy_before:.2%} to {result.accuracy_after:.2%} on {result.gate_images:,} "
            f"images kept from calibration, a drop of {result.drop * 100:.2f} points (limit {max_drop * 100:g}); "
            f"{result.agreement.in_short()}"
        )
        table.add_row("int8", size(result.size_after_bytes), f"{result.test_accuracy_after:.2%}", gate)
    if embedded:
        seen = embedded.parity
        gate = (
            f"passed: mean difference {seen.mean_abs_difference:.1e}, largest {seen.max_abs_difference:.2f}, "
            f"{seen.changed_top1} of {seen.n:,} answers changed (Python's preprocessing)"
        )
        table.add_row(f"{embedded.precision}, {embed} frames", size(embedded.size_bytes), "-", gate)
    _print(table)
    if done.note:
        print(done.note)
    if result:
        if result.control:
            print(result.control.in_short())
        print("INT8 took " + ", ".join(f"{s:.1f} s ({stage})" for stage, s in result.seconds.items()))
    print(made.path)


@app.command()
def evaluate(
    models: AskedArgument = None,
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
    from edgefashion.evaluation import fashion, plots
    from edgefashion.inference.ensemble import averaged
    from edgefashion.inference.load import load

    if photos and part != "test":
        raise BadInputError("--on is for Fashion-MNIST; --photos measures on the photos of its folders")
    if part not in ("test", "train"):
        raise BadInputError(f"--on must be test or train, not {part}")
    if photos:
        if models and len(models) > 1:
            raise BadInputError("--photos measures one model at a time. Give one")
        _evaluate_photos(models[0] if models else PHOTO_MODEL, precision, photos, plot, as_json)
        return
    if plot:
        from edgefashion.system.extras import need

        need("matplotlib", "to draw the heat map")
        _check_png(plot)
    result = fashion.evaluate(averaged([load(model, precision=precision) for model in models or [DEFAULT_MODEL]]), part)
    if plot:
        plots.plot_confusion(result, plot)
    if as_json:
        print(json.dumps(result.as_json()))
        return
    table = _table("label", ">precision", ">recall", ">F1", ">images", "most often taken for")
    for row, (label, scores) in enumerate(result.per_class.items()):
        wrong = result.confusion[row].copy()
        wrong[row] = 0
        most = f"{result.labels[wrong.argmax()]} ({wrong.max()})" if wrong.any() else "-"
        table.add_row(
            label, *(f"{scores[k]:.3f}" for k in ("precision", "recall", "f1")), f"{scores['support']:,}", most
        )
    _print(table)
    low, high = result.ci95
    print(
        f"{result.model} {result.precision}: {result.accuracy:.2%} of {result.n:,} right "
        f"(95 % interval {low:.2%} to {high:.2%}), calibration error {result.calibration_error:.3f}"
    )
    if plot:
        print(plot)


def _evaluate_photos(model: str, precision: str | None, folders: list[Path], plot: Path | None, as_json: bool) -> None:
    from edgefashion.data.images import write_png
    from edgefashion.evaluation import plots
    from edgefashion.evaluation.photos import evaluate_photos
    from edgefashion.inference.load import load

    if plot:
        _check_png(plot)
    with _progress() as bar:
        task = bar.add_task("looking at photos", total=None)
        result = evaluate_photos(
            load(model, precision=precision),
            *folders,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if plot:
        write_png(plot, plots.worst_photos(result))
    facts = result.as_json()
    if as_json:
        print(json.dumps(facts))
        return
    table = _table("label", ">photos", ">right", ">accepted", "most often taken for")
    for label, accuracy in result.per_label.items():
        of = result.of(label)
        wrong = Counter(s.answer or "nothing" for s in of if not s.right).most_common(1)
        most = f"{wrong[0][0]} ({wrong[0][1]})" if wrong else "-"
        table.add_row(label, f"{len(of):,}", f"{accuracy:.1%}", f"{result.accepted(of) or 0:.1%}", most)
    for label in ("Unknown", "No garment"):
        if of := result.of(label):
            right = f"{facts['no_garment_right']:.1%}" if label == "No garment" else "-"
            table.add_row(label, f"{len(of):,}", right, f"{result.accepted(of) or 0:.1%}", "-")
    _print(table)
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


@app.command()
def bench(
    model: ModelArgument = DEFAULT_MODEL,
    vs: Annotated[
        str | None,
        typer.Option(
            help="What to measure beside the IRs: onnxruntime,litert,tensorflow,keras or none; beside a served model: "
            "models of this machine. Default: what is installed.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads, 0: all cores. Default: a row at 1 and one at all.", show_default=False)
    ] = None,
    isa: Annotated[
        str | None,
        typer.Option(
            help="Cap OpenVINO at these instruction sets, a row for each: avx2,avx2_vnni,avx512,avx512_vnni,amx.",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 5,
    seconds: Annotated[float, typer.Option(help="Seconds of each measurement in a round.")] = 0.5,
    chart: Annotated[Path | None, typer.Option(help="Write a PNG chart.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write everything as one self-contained page.")] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Compare with an earlier --json; exit 1 if something is worse beyond the noise.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure latency, throughput, accuracy, size, cold start and memory, engine beside engine.

    Example: edgefashion bench --html bench.html
    """
    from edgefashion.bench import baseline as comparison
    from edgefashion.bench import run as rooms
    from edgefashion.bench.page import page
    from edgefashion.bench.report import read
    from edgefashion.system.machine import describe

    # All that can be refused is, before minutes of measuring.
    if chart:
        from edgefashion.system.extras import need

        need("matplotlib", "to draw the chart")
        _check_png(chart)
    if html:
        _check_output(html, (".html", ".htm"), "only HTML pages")
    earlier = read(baseline) if baseline else None
    if earlier:
        comparison.same_machine(describe(), earlier)
    with _progress() as bar:
        task = bar.add_task("starting", total=None)
        report = rooms.bench(
            model,
            vs=_names(vs, none="none"),
            threads=threads,
            isa=_names(isa) or (),
            options=rooms.BenchOptions(rounds=rounds, seconds=seconds),
            on_progress=lambda doing, done, total: bar.update(task, description=doing, completed=done, total=total),
        )
    if chart:
        rooms.plot(report, chart)
    if html:
        page.write(report.as_json(), html)
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        _print_bench(report)
        for written in (chart, html):
            if written:
                print(written)
    if earlier:
        changes = comparison.compare(report.as_json(), earlier)
        for change in changes:
            print(f"{change.verdict or 'note':8}{change}", file=sys.stderr if as_json else sys.stdout)
        comparison.gate(changes)


def _names(listed: str | None, none: str = "") -> tuple[str, ...] | None:
    """What an option lists with commas, less the word for nothing; None where it was not given."""
    if listed is None:
        return None
    names = (name.strip() for name in listed.split(","))
    return tuple(dict.fromkeys(name for name in names if name and name != none))


def _print_bench(report: BenchReport) -> None:
    machine = report.machine
    print(
        f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['isa'])}; "
        f"openvino {machine['versions']['openvino']}"
    )
    capped = ("cap",) if any(r.isa for r in report.rows) else ()
    threads = ("engine", *capped, ">threads")
    speed = _table(*threads, "runs in", ">p50 us", ">p90 us", ">p99 us", ">img/s", ">batch", ">img/s async")
    cost = _table(*threads, ">accuracy", "95 % interval", ">size", ">cold start", ">peak memory")
    for r in report.rows:
        low, high = r.accuracy_ci95
        who = (r.name, *((r.isa or "-",) if capped else ()), str(r.threads or "all"))
        speed.add_row(
            *who,
            r.runtime_precision,
            *(f"{r.latency_us[q]:,.0f}" for q in ("p50", "p90", "p99")),
            f"{r.throughput_fps:,.0f}",
            str(r.batch),
            "-" if r.throughput_async_fps is None else f"{r.throughput_async_fps:,.0f}",
        )
        cost.add_row(
            *who,
            f"{r.accuracy:.2%}{' (!)' if r.marked else ''}",
            f"{low:.2%} to {high:.2%}",
            size(r.size_bytes),
            f"{r.cold_start_s:.2f} s",
            f"{r.peak_rss_mb:,.0f} MB",
        )
    _print(speed)
    print("p50, p90, p99: one image; img/s: in batches of a peer's best size; async: OpenVINO's queue")
    _print(cost)
    print("cold start: process start to first answer; accuracy: 10,000 test images")
    for r in report.rows:
        if r.marked:
            print(f"(!) {' '.join(filter(None, (r.name, r.isa)))}: {r.marked}")
    for note in report.notes:
        print(note)


# --- predict, tag, camera -------------------------------------------------------------------------


@app.command()
def predict(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] PATH...",
            help="Pictures or folders of them; a model first, by name, path or URL, if not the shipped one.",
            show_default=False,
        ),
    ],
    top: Annotated[int, typer.Option(min=1, max=10, help="Labels to name for each picture.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines, one object a picture.")] = False,
    explain: Annotated[
        Path | None,
        typer.Option(help="Of one picture, write a PNG: the garment's box, its mask, what the model saw, the answer."),
    ] = None,
) -> None:
    """Name the garment in pictures of any size, mode and depth.

    Example: edgefashion predict shirt.jpg photos/
    """
    from edgefashion.inference.load import load
    from edgefashion.inference.predict import predict_files

    model, paths = _model_and_paths(arguments)
    if explain:
        _check_png(explain)
        if len(paths) != 1 or not paths[0].is_file():
            raise BadInputError("--explain draws one picture. Give one image file")
    classifier = load(model)
    failed = 0
    for path, seen in predict_files(classifier, paths, top):
        if isinstance(seen, BadInputError):
            failed += 1
            print(f"edgefashion: {seen}", file=sys.stderr)
        elif as_json:
            print(json.dumps(seen.as_json(str(path))), flush=True)
        elif seen.answer is None:
            print(f"{path}: no garment in view")
        else:
            first, *rest = (f"{label} {p:.1%}" for label, p in seen.answer.top)
            sure = "" if seen.answer.accepted else "not sure, perhaps "
            print(f"{path}: {sure}{first}" + (f"  ({', '.join(rest)})" if rest else ""))
        if explain and not isinstance(seen, BadInputError):
            from edgefashion.data.images import read_image, write_png
            from edgefashion.inference.explain import draw

            write_png(explain, draw(read_image(path), seen))
            print(explain, file=sys.stderr if as_json else sys.stdout)
    if failed:
        raise typer.Exit(2)


def _model_and_paths(arguments: list[str]) -> tuple[str, list[Path]]:
    """Split MODEL from PATH...: of several arguments the first is the model if it names one."""
    from edgefashion.bundles.resolve import is_model

    first, rest = arguments[0], arguments[1:]
    if rest and is_model(first):
        return first, [Path(p) for p in rest]
    if is_url(first):
        raise BadInputError(f"{without_password(first)} is a model. Give pictures after it")
    return PHOTO_MODEL, [Path(p) for p in arguments]


app.command()(tag)
app.command()(camera)
app.command()(serve)


# --- doctor, demo ----------------------------------------------------------------------------


@app.command()
def doctor() -> None:
    """Check this machine: versions, CPU, model, dataset, extras, cameras, display.

    Example: edgefashion doctor
    """
    from edgefashion.doctor import checks

    broken = False
    for check in checks():
        print(f"{'ok  ' if check.ok else '--  '}{check.name:20} {check.detail}", flush=True)
        broken = broken or (check.needed and not check.ok)
    if broken:
        raise typer.Exit(3)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it makes.")] = Path("demo-output"),
) -> None:
    """Run the whole road on the shipped model: convert, quantize, bench, camera. About a minute.

    Example: edgefashion demo
    """
    from edgefashion.demo import demo as run

    with _progress() as bar:
        task = bar.add_task("starting", total=None)
        result = run(out, on_progress=lambda doing: bar.update(task, description=doing))
    parity = result.conversion.parity[0]
    print("1. Converted: the OpenVINO network answers like the original")
    print(f"   (largest difference of a probability over {parity.n:,} test images: {parity.max_abs_difference:.0e})")
    if result.quantization:
        q = result.quantization
        print(
            f"2. Quantized to INT8: {size(q.size_before_bytes)} became {size(q.size_after_bytes)}; accuracy on the "
            f"test images {q.test_accuracy_before:.2%} before, {q.test_accuracy_after:.2%} after"
        )
    else:
        print("2. Not quantized here (NNCF is not installed); the shipped INT8 network is used")
    print("3. Measured side by side on this CPU:")
    _print_bench(result.report)
    print(
        f"4. Watched a 1280x720 clip: {result.garments_right} of {result.garments} garments named right, "
        f"{result.frames_right:,} of {result.frames:,} frames by themselves; {result.camera_fps:.0f} frames a second "
        "with drawing and recording"
    )
    print("Look at:", *(str(p) for p in result.pictures))
    print(f"Done in {result.seconds:.0f} s. Next: edgefashion camera")


def _check_png(out: Path) -> None:
    """Fail before the work, not after it, if ``out`` cannot be written."""
    _check_output(out, (".png",), "only PNG pictures")


def _check_output(out: Path, suffixes: tuple[str, ...], what: str) -> None:
    if out.suffix.lower() not in suffixes or out.is_dir():
        raise BadInputError(f"{out}: {what} are written. Give a name ending in {suffixes[0]}")
    folder = out.absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise BadInputError(f"{out} cannot be written: its folder does not exist or is read-only. Choose another place")


# --- Printing --------------------------------------------------------------------------------


def _progress() -> Progress:
    """A progress display on stderr, gone when done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    # In a log file a bar is noise: there only what is printed through its console appears.
    quiet = not console.is_terminal
    return Progress(
        *columns, console=console, transient=True, disable=quiet, redirect_stdout=False, redirect_stderr=False
    )


def _table(*columns: str) -> Any:
    """A plain table; a column whose name starts with ``>`` is right-aligned."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", no_wrap=right)
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    # Into a pipe or a file a table must not be cut to 80 columns.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


# --- The way in and out ----------------------------------------------------------------------


class _Terminated(SystemExit):
    """SIGTERM: every ``finally`` runs, then the process ends with 143."""


def _on_sigterm(number: int, _: object) -> NoReturn:
    raise _Terminated(128 + number)


def main() -> None:
    """Run the command line; errors become one or two lines and an exit code."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        app(prog_name="edgefashion")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            # The reader of our output has gone (`| head`). Click's own 1 would mean: a gate failed.
            raise SystemExit(128 + 13) from None
        raise
    except EdgeFashionError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}. Check the path, its permissions and the free space", 2)
    except ImportError as error:
        hint = "On Debian a missing .so is often cured by: apt-get install libgl1 libglib2.0-0"
        _fail(f"a package cannot be loaded: {error}. {hint}", 3)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        _fail(f"this should not have happened ({reason}). Please report it with the output of --debug", EXIT_BUG)


def _fail(message: str, code: int) -> NoReturn:
    if _Debug.on:
        import traceback

        traceback.print_exc()
    print(f"edgefashion: {message}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
