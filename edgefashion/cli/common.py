"""What several commands share: their arguments, the checks of a file to write, and tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

MODEL_HELP: Final = (
    "A bundle's name, or a path to a bundle, SavedModel, .keras, .onnx, .tflite or IR .xml. Default: the shipped model."
)
SERVED_HELP: Final = MODEL_HELP.replace(" Default", " Or the URL of a served one. Default")

ServedModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=SERVED_HELP, show_default=False)]
ModelsArgument = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help=MODEL_HELP, show_default=False)]
ServedModelsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[MODEL]...", help=SERVED_HELP, show_default=False)
]
DEVICE_HELP: Final = (
    "What OpenVINO runs on: CPU, GPU, NPU, AUTO, one of several as GPU.1, or in order of preference as GPU,CPU."
)
DeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help=f"{DEVICE_HELP} Default: CPU.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def check_png(out: Path) -> None:
    """Fail before the work, not after it, if ``out`` cannot be written."""
    from edgefashion.system.files import check_output

    check_output(out, (".png",), "only PNG pictures")


def picture_path(spec: str) -> Path:
    """``spec`` as the path of a picture, or of a folder of them, on this machine.

    Raises :class:`BadInputError` for a camera, a stream or another address, with the command that reads it.
    """
    from edgefashion.camera.sources import schemes
    from edgefashion.errors import BadInputError
    from edgefashion.system.addresses import shown
    from edgefashion.system.text import quoted

    refuse_camera(spec, "predict")
    scheme = schemes.scheme_of(spec)
    if scheme not in ("", "file"):
        address = quoted(shown(spec))
        camera = f", a camera by: edgefashion camera --source {address}" if scheme in schemes.PORTS else ""
        raise BadInputError(
            f"{shown(spec)} is an address, and predict reads pictures of this machine. Save the picture here first. "
            f"One at an address is read by: edgefashion tag {address} --out tags.csv{camera}"
        )
    return Path(schemes.resolved(spec) if scheme else spec)


def refuse_camera(spec: str, command: str) -> None:
    """Raise :class:`BadInputError` for a camera or a stream, where ``command`` takes pictures."""
    from edgefashion.camera.sources import schemes
    from edgefashion.errors import BadInputError
    from edgefashion.system.addresses import shown
    from edgefashion.system.text import quoted

    is_stream = schemes.scheme_of(spec) in schemes.STREAMS
    if is_stream or (schemes.is_device(spec) and not Path(spec).is_file() and not Path(spec).is_dir()):
        what = "a stream" if is_stream else "a camera"
        raise BadInputError(
            f"{shown(spec)} is {what}, and {command} reads pictures. Run: edgefashion camera --source "
            f"{quoted(shown(spec))}"
        )


def new_table(*columns: str) -> Any:
    """A plain table; a column whose name starts with ``>`` is right-aligned."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        # On a narrow screen a word is broken, never cut: the rest of a revision's name is needed to go back to it.
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table


def print_table(table: Any) -> None:
    """Print what :func:`new_table` made."""
    from rich.console import Console

    # Into a pipe or a file a table must not be cut to 80 columns; and on fewer, columns would be left out.
    width = max(80, Console().width) if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)


def names_of(listed: str | None, none: str = "") -> tuple[str, ...] | None:
    """What an option lists with commas, less the word for nothing; None where it was not given."""
    if listed is None:
        return None
    names = (name.strip() for name in listed.split(","))
    return tuple(dict.fromkeys(name for name in names if name and name != none))
