"""The reference of every command: the text of its `--help`, as wide on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

WIDTH: Final = 80


def reference() -> str:
    """A heading and the help of every command, the top one first."""
    import typer

    from edgefashion.cli.main import app

    return "\n\n".join(f"### {path}\n\n```\n{text}\n```" for path, text in _helps(typer.main.get_command(app)))


def _helps(command: Any, parent: Any = None) -> Iterator[tuple[str, str]]:
    """Each command's path and help: click's, and Typer's where it brings its own click."""
    context = command.context_class(
        command,
        info_name=command.name,
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    text = command.get_help(context)
    yield context.command_path, "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
    for name in getattr(command, "commands", {}):
        yield from _helps(command.get_command(context, name), context)
