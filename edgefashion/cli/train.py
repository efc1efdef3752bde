"""`edgefashion zoo`, `train` and `tune`: parse, call one function of :mod:`edgefashion.training`, print."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgefashion.bundles.places import PHOTO_MODEL, as_argument
from edgefashion.cli.common import JsonOption, new_table, print_table
from edgefashion.errors import BadInputError, printable
from edgefashion.system.text import quoted

if TYPE_CHECKING:
    from edgefashion.cli.progress import Progress
    from edgefashion.training.finetune import Finetuning, Scores
    from edgefashion.training.tune import Trial, Tuned


def zoo() -> None:
    """List the networks: source, parameters, MACs, reported and measured accuracy.

    Example: edgefashion zoo
    """
    from edgefashion.bundles.resolve import known
    from edgefashion.training.zoo.registry import ZOO, measured

    recorded = measured()
    bundles: dict[str, list[str]] = {}
    for made in known():
        accuracy = made.test_accuracy("original")
        told = made.name if accuracy is None else f"{made.name} {accuracy:.2%}"
        bundles.setdefault(str(made.facts.architecture), []).append(told)
    table = new_table("name", "what it is", "source", ">parameters", ">MACs", ">reported", ">measured", "bundles here")
    for arch in ZOO.values():
        runs = [run for run in recorded.values() if run["arch"] == arch.name]
        # Of several trainings the one whose source reports the network's figure; of ours the first seed's.
        run = next((run for run in runs if run["reported"] == arch.reported_accuracy), None)
        ours = f"{run['accuracy']:.2%}{'*' if run['note'] else ' '}" if run else "- "
        reported = "-" if arch.reported_accuracy is None else f"{arch.reported_accuracy:.2%}"
        facts = arch.name, arch.summary, arch.source
        here = ", ".join(bundles.get(arch.name, ()))
        table.add_row(*facts, f"{arch.parameters:,}", f"{arch.macs / 1e6:.1f} M", reported, ours, here)
    print_table(table)
    print(
        "measured: on the 10,000 test images by benchmarks/networks/seeds.py; * not trained as its source did: "
        "see benchmarks/README.md"
    )


SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the network; repeatable.", show_default=False),
]
TeacherOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL",
        help="Learn this model's answers; several are averaged. none: labels only.",
        show_default=False,
    ),
]


def train(
    arch: Annotated[
        str, typer.Argument(help="shop: your own labels; kiosk: photos; or a network that `edgefashion zoo` lists.")
    ],
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
    settings: SetOption = None,
    weights: Annotated[
        str | None,
        typer.Option(help="For resnet50: imagenet (default), a weights file, or none to train all of it."),
    ] = None,
    teacher: TeacherOption = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(
            help="For kiosk and shop: a folder of photos, a sub-folder a label. May be repeated.", show_default=False
        ),
    ] = None,
    scenes: Annotated[
        list[Path] | None,
        typer.Option(
            help="For kiosk: a folder of pictures with their garments outlined, as a COCO file. May be repeated.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="For kiosk and shop: the bundle to start from; for kiosk also imagenet. Default: kiosk.",
            show_default=False,
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="For shop: fine-tune the whole network, where that makes it better.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For shop: print the report as JSON.")] = False,
) -> None:
    """Train a network on Fashion-MNIST or kiosk on photos, or teach it a shop's own labels.

    A setting that you do not give is the one that the network's source used.

    Example: edgefashion train cnn-242k --epochs 10 --out models/mine

    Example: edgefashion train shop --photos photos/
    """
    flags = {
        "optimizer": optimizer, "learning_rate": learning_rate, "augment": augment, "limit": limit, "set": settings,
        "weights": weights, "teacher": teacher, "resume": resume, "epochs": epochs, "batch_size": batch_size,
        "validation_split": validation_split, "seed": seed, "photos": photos, "scenes": scenes, "start": start,
        "json": as_json, "deep": deep,
    }  # fmt: skip
    given = {name: value for name, value in flags.items() if not (value is None or value is False or value == [])}
    trainer = TRAINERS.get(arch, FASHION)
    for name in given:
        if name in trainer.refuses:
            raise BadInputError(trainer.refusal.format(flag=f"--{name.replace('_', '-')}", arch=arch))
    trainer.run(arch, out or Path("models") / arch, given)


def _train_on_fashion(arch: str, out: Path, given: dict[str, Any]) -> None:
    from edgefashion.cli.progress import Progress
    from edgefashion.training.train import train as run

    if "set" in given:
        given["settings"] = _pairs(given.pop("set"))
    if "teacher" in given:
        given["teacher"] = tuple(name for name in given["teacher"] if name != "none")
    _refuse_shipped(out)
    kept = "resume" in given
    with Progress("reading the images and building the network") as progress:
        shown = _Epochs(progress)
        try:
            made = run(
                arch,
                out=out,
                on_prepare=shown.prepare,
                on_start=shown.start,
                on_step=shown.step,
                on_epoch=shown.finished,
                **given,
            )
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
            if kept or shown.epochs:
                progress.say(f"stopped; go on with: edgefashion train {arch} --out {quoted(out)} --resume")
            raise
    print(f"{printable(made.path)}: {made.test_accuracy('original'):.2%} of the test images right")


def _train_on_photos(arch: str, out: Path, given: dict[str, Any]) -> None:
    from edgefashion.cli.progress import Progress
    from edgefashion.training.finetune import finetune
    from edgefashion.training.options import FinetuneOptions

    folders, marked = given.pop("photos", []), given.pop("scenes", [])
    if not folders and not marked:
        raise BadInputError(f"{arch} learns from photos. Give a folder of them with --photos, or scenes with --scenes")
    _refuse_shipped(out)
    start = given.pop("start", PHOTO_MODEL)
    with Progress("reading photos and finding the garments in them") as progress:
        options = FinetuneOptions(**given)
        shown = _Epochs(progress, options.epochs)
        done = finetune(folders, out, options, scenes=marked, start=start, on_step=shown.step, on_epoch=shown.finished)
    _print_finetuning(done, folders, marked)


def _refuse_shipped(out: Path) -> None:
    """Raise :class:`BadInputError` where ``out`` is a bundle that came with the program."""
    from edgefashion.bundles import bundle, resolve

    if resolve.is_shipped(out / bundle.INFO):
        raise BadInputError(f"{out} came with edgefashion and is not changed. Write elsewhere, like --out models/mine")


SHOP: Final = "shop"
"""The name by which a shop's own labels are taught."""


def _teach_a_shop(_: str, out: Path, given: dict[str, Any]) -> None:
    from edgefashion.cli import taught

    taught.teach(out, given)


@dataclass(frozen=True)
class Trainer:
    """What trains a network: a function, and the flags of ``train`` that are not for it."""

    run: Callable[[str, Path, dict[str, Any]], None]
    refuses: frozenset[str]
    refusal: str


FASHION: Final = Trainer(
    _train_on_fashion,
    frozenset({"photos", "scenes", "start", "json", "deep"}),
    f"--photos, --scenes, --start, --deep and --json are for {PHOTO_MODEL} and {SHOP}; {{arch}} learns from "
    "Fashion-MNIST alone",
)
TRAINERS: Final = {
    PHOTO_MODEL: Trainer(
        _train_on_photos,
        frozenset({"optimizer", "learning_rate", "augment", "limit", "set", "weights", "teacher", "resume", "json"})
        | {"deep"},
        "{flag} is not for {arch}, whose recipe is fixed. Leave it out",
    ),
    SHOP: Trainer(
        _teach_a_shop,
        frozenset({"optimizer", "learning_rate", "augment", "limit", "set", "weights", "teacher", "scenes"})
        | {"batch_size", "validation_split"},
        "{flag} is not for {arch}, whose recipe is fixed. Leave it out",
    ),
}
"""By the network's name; all others are trained by :data:`FASHION`."""


class _Epochs:
    """A training's progress: its steps on the bar, a line for each epoch."""

    def __init__(self, progress: Progress, epochs: int = 0) -> None:
        self._progress, self._all = progress, epochs
        self.epochs = 0
        """Finished in this run."""

    def start(self, _: int, epochs: int) -> None:
        self._all = epochs

    def prepare(self, done: int, total: int) -> None:
        self._progress.step(done, total, "asking the teacher")

    def step(self, epoch: int, batch: int, steps: int, logs: dict[str, float]) -> None:
        figures = "".join(f"  {name} {logs[name]:.3f}" for name in ("loss", "accuracy") if name in logs)
        # Counted over all epochs: how long the whole training takes is what one waits for.
        self._progress.step(epoch * steps + batch, self._all * steps, f"epoch {epoch + 1} of {self._all}{figures}")

    def finished(self, row: dict[str, float]) -> None:
        self.epochs += 1
        metrics = "  ".join(f"{k} {v:.4f}" for k, v in row.items() if k not in ("epoch", "seconds"))
        self._progress.say(f"epoch {row['epoch']:.0f}: {metrics}  ({row['seconds']:.0f} s)")


def _pairs(given: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` arguments as a dictionary; raises :class:`BadInputError` for one without ``=``."""
    for pair in given:
        if "=" not in pair:
            raise BadInputError(f"--set {pair}: give NAME=VALUE, like --set dropout=0.3")
    return dict(pair.split("=", 1) for pair in given)


def _print_finetuning(done: Finetuning, folders: list[Path], marked: list[Path]) -> None:
    """What the training changed, and what to do next."""
    before, after = done.before, done.after
    table = new_table(f"{done.held_out:,} photos of senders not trained on", ">before", ">after")

    def row(name: str, of: Callable[[Scores], float | None], form: str = ".1%") -> None:
        values = (None if scores is None else of(scores) for scores in (before, after))
        table.add_row(name, *("-" if value is None else format(value, form) for value in values))

    row("all labels", lambda scores: scores.accuracy)
    for label in after.per_label:
        row(label, lambda scores, label=label: scores.per_label.get(label))  # type: ignore[misc]
    row("named at all", lambda scores: scores.named)
    for label in after.named_per_label:
        row(f"{label}, named", lambda scores, label=label: scores.named_per_label.get(label))  # type: ignore[misc]
    row("AUROC, known against Unknown", lambda scores: scores.reject_auroc, ".3f")
    row("Fashion-MNIST, validation images", lambda scores: scores.fashion_accuracy, ".2%")
    print_table(table)
    if done.skipped:
        print(f"{len(done.skipped):,} skipped; the first: {printable(done.skipped[0])}")
    print(f"what an answer needs: {printable(done.rule_words)}")
    if done.verdict is not None:
        print(done.verdict.words)
    print(f"{printable(done.bundle.path)}: trained on {done.trained:,} photos. Next:")
    given = [
        *(f"--photos {quoted(folder)}" for folder in folders),
        *(f"--scenes {quoted(folder)}" for folder in marked),
    ]
    int8 = "--int8 " if folders else ""  # the photo network's INT8 is calibrated on photos
    print(f"  edgefashion convert {as_argument(done.bundle.path)} {int8}{' '.join(given)}")


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
    latency: Annotated[
        bool,
        typer.Option(
            "--latency",
            help="Search for a quick network too: its INT8 is timed through OpenVINO beside the default's. "
            "The result is every network that no other beats in both.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the study and its plot. Default: tune-ARCH.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search a network's settings on the validation images; run again to go on.

    Example: edgefashion tune cnn-413k --trials 50
    """
    from edgefashion.cli.progress import Progress
    from edgefashion.training.tune import TuneOptions
    from edgefashion.training.tune import tune as run

    options = TuneOptions(arch, trials, storage, epochs, limit, seed)
    names = list(options.space) + ["latency"] * latency
    latency_of = None
    if latency:
        from edgefashion.conversion.int8_latency import Int8Latency
        from edgefashion.inference.tensorflow_engine import tensorflow
        from edgefashion.training.zoo.registry import architecture

        tensorflow("to train")
        latency_of = Int8Latency(architecture(arch).network({}))
    with Progress("searching") as progress:
        told = itertools.count(1)

        def show(number: int, epochs_run: int, chosen: dict[str, Any], accuracy: float | None) -> None:
            settings = "  ".join(f"{name} {chosen[name]}" for name in names)
            result = f"cut short after {epochs_run}" if accuracy is None else f"{accuracy:.2%}"
            progress.say(f"trial {number}: {result}  {settings}")
            progress.step(next(told), trials, "trials of this run")

        done = run(options, out or Path(f"tune-{arch}"), show, latency_of)
    _print_tuned(done, arch, names, as_json)


def _print_tuned(done: Tuned, arch: str, names: list[str], as_json: bool) -> None:
    searched_latency = "latency" in names
    if as_json:
        facts = {
            "architecture": arch,
            "best": done.best,
            "val_accuracy": done.val_accuracy,
            "train": done.train_line,
            "plot": str(done.plot),
            "all_tried": done.all_tried,
            "trials": [_trial_facts(trial, latency=searched_latency) for trial in done.trials],
            **({"front": [trial.number for trial in done.front]} if searched_latency else {}),
        }
        print(json.dumps(facts))
        return
    table = new_table(">trial", ">validation", *names)
    whole = [trial for trial in done.trials if trial.val_accuracy is not None]
    best = sorted(whole, key=lambda trial: -(trial.val_accuracy or 0.0))[:5]
    for trial in done.front if searched_latency else best:
        told = {**trial.parameters, "latency": f"{trial.latency:.2f}" if trial.latency else ""}
        table.add_row(str(trial.number), f"{trial.val_accuracy:.2%}", *(str(told[name]) for name in names))
    print_table(table)
    print(f"{len(done.trials)} trials, {len(done.trials) - len(whole)} of them cut short: {done.plot}")
    if done.all_tried:
        print("all there is to choose among was tried")
    print(done.train_line)


def _trial_facts(trial: Trial, *, latency: bool) -> dict[str, Any]:
    facts = {"trial": trial.number, "val_accuracy": trial.val_accuracy, "parameters": trial.parameters}
    return {**facts, "latency": trial.latency} if latency else facts
