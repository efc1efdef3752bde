"""`edgefashion data`: parse, call one function of :mod:`edgefashion.data`, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgefashion.cli.common import JsonOption, check_png, new_table, print_table
from edgefashion.errors import BadInputError, printable

if TYPE_CHECKING:
    from edgefashion.data.photo_check import Check
    from edgefashion.data.scene_check import SceneCheck

data_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Fetch and look at Fashion-MNIST; check photos."
)


@data_app.command("fetch")
def fetch() -> None:
    """Download Fashion-MNIST (30 MB), verified; what is there already is kept.

    Example: edgefashion data fetch
    """
    from edgefashion.cli.progress import Progress
    from edgefashion.data import download

    with Progress("looking for Fashion-MNIST") as progress:
        folder = download.fetch(
            progress=lambda name, done, total: progress.step(done, total or None, f"downloading {name}")
        )
    print(printable(folder))


@data_app.command("verify")
def verify() -> None:
    """Check the SHA-256 of every file of Fashion-MNIST.

    Example: edgefashion data verify
    """
    from edgefashion.data import fashion_mnist

    print(f"{fashion_mnist.verify()}: all {len(fashion_mnist.SHA256)} files are Fashion-MNIST's own")


@data_app.command("show")
def show(
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("fashion-mnist.png"),
) -> None:
    """Write a contact sheet of the training images, a row for each class.

    Example: edgefashion data show --out sheet.png
    """
    from edgefashion.data import fashion_mnist
    from edgefashion.data.images import write_png
    from edgefashion.labels import LABELS

    check_png(out)
    images, labels = fashion_mnist.load("train")
    write_png(out, fashion_mnist.contact_sheet(images, labels, LABELS))
    print(printable(out))


@data_app.command("check")
def check(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Folders of photos, a sub-folder a label, or of annotated scenes (COCO)."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Look through photos or scenes before training: unreadable files, duplicates, small or missing labels.

    Exit code 1: no training would take the photos as they are.

    Example: edgefashion data check photos/
    """
    from edgefashion.data.scene_check import holds_scenes

    of_scenes = {folder: holds_scenes(folder) for folder in folders}
    if all(of_scenes.values()):
        _check_scenes(folders, as_json)
    elif any(of_scenes.values()):
        first = next(folder for folder in folders if of_scenes[folder])
        raise BadInputError(f"{first} is a folder of scenes, others are of photos. Check each kind by itself")
    else:
        from edgefashion.data import photo_check

        found = photo_check.check(*folders)
        print(json.dumps(_facts(found))) if as_json else _print_photos(found)
        if found.refused_by_shop and found.refused_by_kiosk:
            raise typer.Exit(1)


def _facts(found: Check) -> dict[str, Any]:
    """What was found of photos, for ``--json``."""
    pairs = [[str(a.path), str(b.path)] for a, b in found.duplicates]
    facts = {
        "labels": found.counts,
        "senders": found.senders,
        "skipped": [*found.not_kiosks, *found.skipped],
        "duplicates": pairs,
    }
    told = {"sender_names": found.sender_names, "senders_by": found.senders_by, "notes": found.notes}
    return {**facts, **told, "refused_by_shop": found.refused_by_shop, "refused_by_kiosk": found.refused_by_kiosk}


def _print_photos(found: Check) -> None:
    from edgefashion.data import senders
    from edgefashion.data.photo_folders import LABELS

    # Labels of the shop's own: what train kiosk makes of them is no fault.
    of_shop = any(found.counts[name] for name in set(found.counts) - set(LABELS)) and not found.refused_by_shop
    _print_counts(found, "photos", all_labels=not of_shop)
    for a, b in found.duplicates:
        differ = "" if a.label == b.label else "  <- one picture, two labels"
        print(printable(f"duplicate: {a.path}  {b.path}{differ}"))
    for line in () if of_shop else found.not_kiosks:
        print(printable(f"skipped by train kiosk: {line}"))
    for line in found.skipped:
        print(printable(f"skipped: {line}"))
    skipped = len(found.skipped) + (0 if of_shop else len(found.not_kiosks))
    print(
        f"{sum(found.counts.values()):,} photos by {found.senders:,} senders, "
        f"{len(found.duplicates):,} duplicates, {skipped:,} skipped"
    )
    by = ", ".join(f"{count:,} by {senders.WORDS[how]}" for how, count in sorted(found.senders_by.items()))
    most = sorted(found.sender_names.items(), key=lambda each: -each[1])[:_SHOWN]
    names = ", ".join(f"{name} ({count:,})" for name, count in most)
    more = f", and {found.senders - _SHOWN:,} more" if found.senders > _SHOWN else ""
    print(printable(f"senders (a sender is a place on a day: its photos are held out together): {by}"))
    print(printable(f"  {names}{more}"))
    for line in found.notes:
        print(printable(f"note: {line}"))
    if of_shop:
        print("train shop can learn from this. (train kiosk cannot: it knows its own labels only)")
        return
    for command, faults in (("shop", found.refused_by_shop), ("kiosk", found.refused_by_kiosk)):
        for line in faults:
            print(printable(f"train {command} refuses this: {line}"))
    for command, faults in (("shop", found.refused_by_shop), ("kiosk", found.refused_by_kiosk)):
        if not faults and (found.refused_by_shop or found.refused_by_kiosk):
            print(f"train {command} can learn from this")


_SHOWN: Final = 8
"""Senders that are named."""


def _check_scenes(folders: list[Path], as_json: bool) -> None:
    from edgefashion.cli.progress import Progress
    from edgefashion.data.scene_check import check_scenes

    with Progress("looking at scenes") as progress:
        found = check_scenes(*folders, on_progress=progress.step)
    if as_json:
        pairs = [[str(a.path), str(b.path)] for a, b in found.duplicates]
        sizes = {"scenes": found.scenes, "empty": found.empty, "groups": found.groups}
        print(json.dumps({"labels": found.counts, **sizes, "skipped": found.skipped, "duplicates": pairs}))
        return
    _print_counts(found, "things")
    for a, b in found.duplicates:
        differ = "" if a.group == b.group else "  <- one picture, two groups"
        print(printable(f"duplicate: {a.path}  {b.path}{differ}"))
    for line in found.skipped:
        print(printable(f"skipped: {line}"))
    print(
        f"{found.scenes:,} scenes ({found.empty:,} of them empty) in {found.groups:,} groups, "
        f"{sum(found.counts.values()):,} things, {len(found.duplicates):,} duplicates, {len(found.skipped):,} skipped"
    )


def _print_counts(found: Check | SceneCheck, things: str, *, all_labels: bool = True) -> None:
    from edgefashion.data.photo_folders import FEW

    table = new_table("label", f">{things}", "note")
    for label, count in found.counts.items():
        if not (count or all_labels):
            continue
        note = "none" if not count else f"few: at least {FEW} are wanted" if label in found.few else ""
        table.add_row(label, f"{count:,}", note)
    print_table(table)
