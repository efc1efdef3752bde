"""Commands that are imported when they are asked for: no command waits for the import of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from edgefashion.errors import BadInputError, printable
from edgefashion.system.addresses import in_arguments

PLAIN: Final[dict[str, Any]] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
}
"""How every command is made. Plain help: it reads the same in every terminal, and costs no import of rich."""


class Commands(MutableMapping[str, Any]):
    """Commands by name, in the order in which ``--help`` lists them."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        """``homes``: for each command where it is, as ``module:name``. What is there is a function or a ``Typer``."""
        self._homes = homes
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            module, at = self._homes[name].split(":")
            self._made[name] = _command(name, getattr(import_module(module), at))
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("a command is not taken away")

    def __contains__(self, name: object) -> bool:
        return name in self._homes or name in self._made

    def __iter__(self) -> Iterator[str]:
        return iter({**self._homes, **self._made})

    def __len__(self) -> int:
        return len({**self._homes, **self._made})


def group(homes: Mapping[str, str]) -> type[TyperGroup]:
    """The class of a group with these commands: see :class:`Commands`."""

    class LazyGroup(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = Commands(homes)

        def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
            refuse_empty(args)
            return super().parse_args(ctx, args)

        def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
            try:
                return super().invoke(ctx)
            except Exception as error:
                # What was given in a wrong place is quoted: an address without --source before it, for one. The
                # class of these errors has no public name.
                if isinstance(said := getattr(error, "message", None), str) and hasattr(error, "format_message"):
                    error.message = printable(in_arguments(said))  # type: ignore[attr-defined]
                raise

    return LazyGroup


def refuse_empty(arguments: Sequence[str]) -> None:
    """Raise :class:`BadInputError` for an argument or an option's value of no letter.

    A shell gives one for a variable that is not set: as a path it is the folder that one stands in, as the address to
    serve at every network. No option needs one.
    """
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, given, value = argument.partition("=")
        if argument == "":
            behind = f" behind {before}" if before.startswith("--") and "=" not in before else ""
            empty = f"an argument{behind}"
        elif name.startswith("--") and given and not value:
            empty = name
        else:
            continue
        raise BadInputError(f"{empty} is empty: is a variable of the shell not set? Give a value, or leave it out")


def _command(name: str, found: Any) -> Any:
    """What Typer makes of a command's function, or of the ``Typer`` of a family of commands."""
    holder = typer.Typer(**PLAIN)
    holder.callback()(lambda: None)  # without it Typer would take the one command for the whole
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return typer.main.get_command(holder).commands[name]  # type: ignore[attr-defined]
