"""`edgefashion export`: parse, call one function, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgefashion.bundles.places import DEFAULT_MODEL, PHOTO_MODEL
from edgefashion.errors import printable

export_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Write models for other model servers.")


# Without it Typer would make the one command the whole of `export`.
@export_app.callback()
def export() -> None:
    """Write models for other model servers."""


@export_app.command("ovms")
def ovms(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The repository: a new folder, or one made before, which gains a version."),
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="A bundle's name, or a path to a bundle or IR .xml; repeatable. Default: edge and kiosk.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="int8, fp32 or fp16. Default: the best each model has.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Where KServe finds the models' folders. Default: as before, or pvc://models.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a model repository for OpenVINO Model Server, which then takes JPEGs as they are.

    Example: edgefashion export ovms served/
    """
    from edgefashion.conversion.ovms import repository, texts

    wanted = models or [DEFAULT_MODEL, PHOTO_MODEL]
    done = repository.export(wanted, folder, precision=precision, storage=storage)
    for version in done.versions:
        served = version.served
        print(printable(f"{version.path}: {served.name} {served.precision}, {version.size_bytes / 1e6:.1f} MB"))
    lines = texts.start_lines(folder)
    print(f"Start it in Docker:\n  {lines['docker']}\nor as a binary:\n  {lines['binary']}")
    print(printable(f"What to send: {folder / 'README.md'}; on Kubernetes: {folder / 'inferenceservice.yaml'}"))
    for name in done.kept:
        print(f"{printable(folder / name)} was edited since it was written, and is left as it is", file=sys.stderr)
