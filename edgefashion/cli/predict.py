"""`edgefashion predict`: parse, call :func:`edgefashion.inference.predict.predict_files`, print."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.cli.common import DeviceOption, check_png, picture_path, refuse_camera
from edgefashion.cli.made_elsewhere import made_elsewhere
from edgefashion.errors import BadInputError, printable
from edgefashion.system.addresses import shown
from edgefashion.system.files import check_not_read
from edgefashion.system.text import is_url

if TYPE_CHECKING:
    from edgefashion.inference.decision import Answer
    from edgefashion.inference.predict import Prediction


@made_elsewhere()
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
        typer.Option(help="Of one picture, write a PNG: garments' boxes, a mask, what the model saw, the answer."),
    ] = None,
    single: Annotated[
        bool, typer.Option("--single", help="Take each picture for one garment; look for no others.")
    ] = False,
    device: DeviceOption = None,
) -> None:
    """Name the garments in pictures of any size, mode and depth.

    Example: edgefashion predict shirt.jpg photos/
    """
    from edgefashion.data.picture_walk import LeftOut
    from edgefashion.inference.predict import predict_files

    model, paths = _model_and_paths(arguments)
    if explain:
        check_png(explain)
        if len(paths) != 1 or not paths[0].is_file():
            raise BadInputError("--explain draws one picture. Give one image file")
        check_not_read(explain, paths)
    failed, left_out = set(), LeftOut()
    for path, seen in predict_files(model, paths, top, single=single, device=device, left_out=left_out):
        if isinstance(seen, BadInputError):
            failed.add(seen.exit_code)
            print(f"edgefashion: {seen}", file=sys.stderr)
            continue
        if as_json:
            print(json.dumps(seen.as_json(str(path))), flush=True)
        else:
            print(_in_words(path, seen))
        if explain:
            _draw(explain, path, seen)
            print(printable(explain), file=sys.stderr if as_json else sys.stdout)
    if told := left_out.told():
        print(f"edgefashion: {told}", file=sys.stderr)
    if failed:
        raise typer.Exit(min(failed))


def _in_words(path: Path, seen: Prediction) -> str:
    """The main garment behind the picture's name, each of the others in a line of its own below."""
    name = printable(path)
    if seen.answer is None:
        return f"{name}: no garment in view"
    said = [f"{name}: {_named(seen.answer, seen.answer.top)}"]
    return "\n".join([*said, *(f"  also {_named(other.answer, other.answer.top[:1])}" for other in seen.garments[1:])])


def _named(answer: Answer, top: tuple[tuple[str, float], ...]) -> str:
    """The answer with the probabilities of the labels ``top``, of which it is the first."""
    shares = [f"{label} {p:.1%}" for label, p in top]
    if answer.doubt and not answer.accepted:
        return f"not sure: {answer.label} or {answer.doubt}?  ({', '.join(shares)})"
    sure = "" if answer.accepted else "not sure, perhaps "
    return f"{sure}{shares[0]}" + (f"  ({', '.join(shares[1:])})" if shares[1:] else "")


def _draw(explain: Path, path: Path, seen: Prediction) -> None:
    from edgefashion.data.images import decode_image, write_png
    from edgefashion.inference.explain import draw
    from edgefashion.inference.predict import scaled

    picture = decode_image(path, str(path))
    image = picture.image
    write_png(explain, draw(image, scaled(seen, (picture.width, picture.height), (image.shape[1], image.shape[0]))))


def _model_and_paths(arguments: list[str]) -> tuple[str, list[Path]]:
    """Split MODEL from PATH...: of several arguments the first is the model if it names one."""
    from edgefashion.bundles.resolve import is_model

    first, rest = arguments[0], arguments[1:]
    refuse_camera(first, "predict")
    if is_model(first) and not first.lower().startswith("file://"):
        if rest:
            return first, [picture_path(path) for path in rest]
        if _is_served(first) or not (is_url(first) or Path(first).is_dir()):
            raise BadInputError(f"{shown(first)} is a model. Give pictures after it")
    return PHOTO_MODEL, [picture_path(path) for path in arguments]


def _is_served(url: str) -> bool:
    """True if ``url`` is written as that of a served model."""
    from edgefashion.inference.remote import address

    with contextlib.suppress(BadInputError):
        return bool(address.parse(url))
    return False
