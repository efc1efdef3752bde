"""`edgefashion predict`: parse, call :func:`edgefashion.inference.predict.predict_files`, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.cli.common import check_png
from edgefashion.errors import BadInputError
from edgefashion.system.text import is_url, without_password

if TYPE_CHECKING:
    from edgefashion.inference.predict import Prediction


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
    from edgefashion.inference.predict import predict_files

    model, paths = _model_and_paths(arguments)
    if explain:
        check_png(explain)
        if len(paths) != 1 or not paths[0].is_file():
            raise BadInputError("--explain draws one picture. Give one image file")
    failed = 0
    for path, seen in predict_files(model, paths, top):
        if isinstance(seen, BadInputError):
            failed += 1
            print(f"edgefashion: {seen}", file=sys.stderr)
            continue
        if as_json:
            print(json.dumps(seen.as_json(str(path))), flush=True)
        else:
            print(_in_words(path, seen))
        if explain:
            _draw(explain, path, seen)
            print(explain, file=sys.stderr if as_json else sys.stdout)
    if failed:
        raise typer.Exit(2)


def _in_words(path: Path, seen: Prediction) -> str:
    if seen.answer is None:
        return f"{path}: no garment in view"
    first, *rest = (f"{label} {p:.1%}" for label, p in seen.answer.top)
    sure = "" if seen.answer.accepted else "not sure, perhaps "
    return f"{path}: {sure}{first}" + (f"  ({', '.join(rest)})" if rest else "")


def _draw(explain: Path, path: Path, seen: Prediction) -> None:
    from edgefashion.data.images import read_image, write_png
    from edgefashion.inference.explain import draw

    write_png(explain, draw(read_image(path), seen))


def _model_and_paths(arguments: list[str]) -> tuple[str, list[Path]]:
    """Split MODEL from PATH...: of several arguments the first is the model if it names one."""
    from edgefashion.bundles.resolve import is_model

    first, rest = arguments[0], arguments[1:]
    if rest and is_model(first):
        return first, [Path(p) for p in rest]
    if is_url(first):
        raise BadInputError(f"{without_password(first)} is a model. Give pictures after it")
    return PHOTO_MODEL, [Path(p) for p in arguments]
