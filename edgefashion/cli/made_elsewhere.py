"""The options of every command that takes a MODEL: how one that was made elsewhere is fed and read."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

_TEXT: Final = str | None
_BY_NAME: Final = inspect.Parameter.KEYWORD_ONLY
_CONTEXT: Final = "context"
"""The parameter by which Typer tells what was given and what is a default."""


def _option(help_: str, metavar: str) -> Any:
    return typer.Option(help=help_, metavar=metavar, show_default=False)


OPTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "scale": (
        Annotated[
            _TEXT,
            _option(
                "A model made elsewhere: what its pixels run to, 0-1, 0-255, -1-1; 1-0 is inverted. Default: measured.",
                "LOW-HIGH",
            ),
        ],
        None,
    ),
    "mean": (
        Annotated[_TEXT, _option("Mean taken off the scaled pixels (0-1 without --scale); one or three.", "M")],
        None,
    ),
    "std": (Annotated[_TEXT, _option("What they are divided by then; one or three.", "S")], None),
    "labels": (
        Annotated[
            _TEXT,
            _option(
                "Its labels in the order of its answers: names with commas, a file of lines, or measured.", "LABELS"
            ),
        ],
        None,
    ),
    "output": (Annotated[_TEXT, _option("Which of its outputs has the answers, by name or number.", "OUTPUT")], None),
    "anyway": (
        Annotated[bool, typer.Option("--anyway", help="Go on though it fits Fashion-MNIST in no way that was tried.")],
        False,
    ),
}
"""Name -> its annotation and its default."""


def made_elsewhere(*, bundles: bool = False, tells: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of :data:`OPTIONS`, and have it tell what is found out of such a model.

    The command itself does not see them: whatever it loads goes by them, see :mod:`edgefashion.inference.told`.
    ``bundles``: it takes a bundle that was made of such a model with them, too. ``tells``: False for a command whose
    result says it.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(*args: Any, **kwargs: Any) -> Any:
            from edgefashion.inference import told

            try:
                values = {name: kwargs.pop(name) for name in OPTIONS if name in kwargs}
                context = kwargs.get(_CONTEXT) if _CONTEXT in own else kwargs.pop(_CONTEXT, None)
                _give(values, lambda: _chosen(kwargs, context, "config" in own), bundles=bundles, tells=tells)
                return command(*args, **kwargs)
            finally:
                told.forget()  # a program may call several commands

        signature = inspect.signature(command, eval_str=True)
        own = signature.parameters
        asked = [] if _CONTEXT in own else [inspect.Parameter(_CONTEXT, _BY_NAME, annotation=typer.Context)]
        more = [
            inspect.Parameter(name, _BY_NAME, default=default, annotation=annotation)
            for name, (annotation, default) in OPTIONS.items()
        ]
        run.__signature__ = signature.replace(parameters=[*own.values(), *asked, *more])  # type: ignore[attr-defined]
        return run

    return decorate


def _give(values: dict[str, Any], chosen: Callable[[], dict[str, Any]], *, bundles: bool, tells: bool) -> None:
    from edgefashion.errors import printable
    from edgefashion.inference import told

    def tell(line: str) -> None:
        print(f"edgefashion: {printable(line)}", file=sys.stderr, flush=True)

    told.listen(tell if tells else None, lambda doubt: tell(f"warning: {doubt}"))
    said = told.Told(**values)
    told.give(said)
    if said.is_empty:
        return
    kwargs = chosen()
    if kwargs.get("engine") == "ray":
        from edgefashion.errors import BadInputError

        raise BadInputError("--engine ray loads models by itself. Convert the model first, and give the bundle")
    models = _models(kwargs)
    if not bundles or not models:
        _check(models)


def _chosen(kwargs: dict[str, Any], context: typer.Context | None, has_file: bool) -> dict[str, Any]:
    """Those of a command's arguments that were given, be it with their default's value; ``has_file``: and below them
    what its settings file says, as for a camera."""
    chosen = dict(kwargs)
    if context is not None:  # a program, which has none, gives what it means
        sources = {name: context.get_parameter_source(name) for name in kwargs}
        chosen = {name: kwargs[name] for name, of in sources.items() if of and not of.name.startswith("DEFAULT")}
    if has_file:
        from edgefashion.camera import settings_file

        with contextlib.redirect_stderr(io.StringIO()):  # it warns again when the command reads it
            chosen = {**settings_file.load(kwargs.get("config")), **chosen}
    return chosen


def _models(kwargs: dict[str, Any]) -> list[str]:
    """The models that a command was given; none where it is to take the shipped one."""
    from edgefashion.bundles.resolve import is_model

    if "arguments" in kwargs:  # of predict, a model and pictures or pictures alone
        first, *rest = kwargs["arguments"]
        return [first] if rest and is_model(first) else []
    return [str(model) for model in (kwargs.get("model"), *(kwargs.get("models") or ())) if model]


def _check(models: list[str]) -> None:
    """Refuse the options where no model from elsewhere is given: a bundle or a server says itself how it is fed."""
    from edgefashion.bundles.resolve import is_model, resolve
    from edgefashion.errors import BadInputError
    from edgefashion.system.addresses import shown
    from edgefashion.system.text import is_url

    names = ", ".join(f"--{name}" for name in OPTIONS)
    if not models:
        raise BadInputError(
            f"{names} are for models made elsewhere, and none is given: ours say themselves how they are fed. "
            "Give the model's file, or leave them out"
        )
    for model in models:
        if is_url(model) or (is_model(model) and resolve(model).bundle is not None):
            raise BadInputError(
                f"{shown(model)} says itself how it is fed: {names} are for models made elsewhere. Leave them out"
            )
