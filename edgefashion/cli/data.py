"""`edgefashion data`: parse, call one function of :mod:`edgefashion.data`, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefashion.cli.common import JsonOption, check_png, new_table, print_table

if TYPE_CHECKING:
    from edgefashion.data.photo_folders import Check

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
    print(folder)


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
    print(out)


@data_app.command("check")
def check(
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
    else:
        _print_check(found)


def _print_check(found: Check) -> None:
    from edgefashion.data.photo_folders import FEW

    table = new_table("label", ">photos", "note")
    for label, count in found.counts.items():
        note = "none" if not count else f"few: at least {FEW} are wanted" if label in found.few else ""
        table.add_row(label, f"{count:,}", note)
    print_table(table)
    for a, b in found.duplicates:
        differ = "" if a.label == b.label else "  <- one picture, two labels"
        print(f"duplicate: {a.path}  {b.path}{differ}")
    for line in found.skipped:
        print(f"skipped: {line}")
    print(
        f"{sum(found.counts.values()):,} photos by {found.senders:,} senders, "
        f"{len(found.duplicates):,} duplicates, {len(found.skipped):,} skipped"
    )
