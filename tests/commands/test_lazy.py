"""A command is imported when it is asked for, and no other one with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from edgefashion.cli import lazy
from edgefashion.cli.main import FAMILIES, app
from edgefashion.errors import BadInputError


@pytest.mark.parametrize(
    ("words", "alone"),
    [(["predict", "picture.png"], "predict"), (["zoo"], "train"), (["data", "--help"], "data"), (["--version"], None)],
)
def test_no_command_imports_another(words: list[str], alone: str | None, tmp_path: Path) -> None:
    """Of the files of commands only the one whose command is run is imported."""
    code = f"""
import sys
from edgefashion.cli import main
families = {{name.split(":")[0] for name in main.FAMILIES.values()}}
sys.argv = {["edgefashion", *words]!r}
try:
    main.main()
except SystemExit:
    pass
print("imported:", *sorted(families & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    expected = f"imported: edgefashion.cli.{alone}" if alone else "imported:"
    assert done.stdout.splitlines()[-1] == expected, done.stderr


def test_every_command_is_found() -> None:
    """Each name leads to a command of that name, and the commands are listed in the order that was given."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert isinstance(commands, lazy.Commands)
    assert [commands[name].name for name in commands] == list(commands)
    assert len(commands) == len(list(commands)) > 10
    assert "predict" in commands
    assert "nothing" not in commands
    assert commands.get("nothing") is None


def test_a_family_keeps_its_commands() -> None:
    """A family of commands is a group with all of them, and a lone function is a command and no group."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert list(commands["data"].commands) == ["fetch", "verify", "show", "check"]
    assert not hasattr(commands["predict"], "commands")


SAID = "is empty: is a variable of the shell not set? Give a value, or leave it out"


@pytest.mark.parametrize("words", [*([name] for name in FAMILIES), ["models", "show"], ["export", "ovms"], []])
def test_an_empty_argument_is_refused(words: list[str]) -> None:
    """Whatever the command, an argument of no letter is refused before any work, and not taken for the folder one
    stands in; an option's is named, and a value that may be a password is not shown."""
    for given, said in (
        ([""], f"an argument {SAID}"),
        (["picture.png", ""], f"an argument {SAID}"),
        (["--", ""], f"an argument behind -- {SAID}"),
        (["--photos", ""], f"an argument behind --photos {SAID}"),
        (["--token=s3cret", ""], f"an argument {SAID}"),
        (["--out="], f"--out {SAID}"),
        (["--host=", "more"], f"--host {SAID}"),
    ):
        with pytest.raises(BadInputError) as caught:
            app([*words, *given], prog_name="edgefashion")
        assert str(caught.value) == said


def test_what_only_looks_empty_is_not_refused() -> None:
    """A blank, a value that ends in "=", and a lone "-" or "=" are values like others."""
    lazy.refuse_empty([" ", "-", "=", "a=", "--token=YWI=", "--filter=a=", "--no-bench", "0"])
