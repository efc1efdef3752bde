"""`edgefashion.toml`: found, read, checked, and written as an example.

Flat TOML, one key a setting of `edgefashion camera`; only `labels` is a table. Relative paths in it are taken from the
current folder, as on the command line; a service's is its state folder.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from edgefashion.camera import settings
from edgefashion.errors import BadInputError
from edgefashion.system.addresses import has_secret
from edgefashion.system.text import quoted

_TOML: Final = "Texts stand in quotes, true and false are lower case, a \\ is doubled"
_LARGEST_BYTES: Final = 1_000_000

SERVICE_FILE: Final = Path("/etc", settings.FILE_NAME)
"""Where ``docs/screen.md`` has a service's configuration written."""


def find(path: Path | None = None) -> Path | None:
    """The configuration file: ``path``, else the first there is in the current, the user's and the system's folder,
    and last :data:`SERVICE_FILE`: who types a command on a kiosk is held to what its service is held to."""
    if path is not None:
        return path
    from platformdirs import site_config_path, user_config_path

    name = "edgefashion"
    folders = Path(), user_config_path(name, appauthor=False), site_config_path(name, appauthor=False)
    places = [folder / settings.FILE_NAME for folder in folders]
    if os.name != "nt":  # there any account may make such a folder, and give others its settings
        places.append(SERVICE_FILE)
    return next(filter(_is_there, places), None)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder closed to this account
        return False


def load(path: Path | None = None) -> dict[str, Any]:
    """The settings that the file at ``path``, or the one :func:`find` finds, gives; without a file none.

    Warns on stderr of a token or password that others on the machine can read. Raises :class:`BadInputError`, one
    line with file and line, for what cannot be read or is no setting.
    """
    path = find(path)
    if path is None:
        return {}
    text = _read(path)
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = "it is nested too deep" if deep else re.split(r" \(at |: |; ", str(error))[0]
        raise BadInputError(f"{path}{_place(str(error))}: no TOML: {reason}. {_TOML}") from error
    values = {}
    for key, value in found.items():
        where = f"{path}{_line(text, key)}"
        if key not in settings.FIELDS:
            raise BadInputError(f"{where}: {_unknown(key, value)}")
        values[key] = settings.check(key, value, f"{where}: {key}", found.get("model"))
    for pair in settings.EXCLUSIVE:
        if all(values.get(key) for key in pair):
            raise settings.exclude(f"{path}{_line(text, pair[1])}: {pair[1]}", pair[0])
    if (any(values.get(key) for key in settings.SECRETS) or has_secret(values)) and (warning := _exposed(path)):
        print(f"edgefashion: {warning}", file=sys.stderr)
    return values


def _read(path: Path) -> str:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise BadInputError(f"{path} is no file. Give --config a TOML file")
        if facts.st_size > _LARGEST_BYTES:
            raise BadInputError(f"{path} has {facts.st_size:,} bytes: no configuration is so long. Give another file")
        raw = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}. Give --config another file") from error
    try:
        return raw.decode("utf-8-sig")  # Windows' Notepad begins a file with a mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInputError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8") from error


def _place(message: str) -> str:
    """Where tomllib says a mistake is, as the other messages say it."""
    if at := re.search(r"\(at line (\d+), column (\d+)\)$", message):
        return f", line {at[1]}, column {at[2]}"
    return ", at its end" if "end of document" in message else ""


def _line(text: str, key: str) -> str:
    """`, line 3` for the line that sets ``key`` or begins the table of that name; tomllib tells of no lines."""
    name = rf"(?:{re.escape(key)}|\"{re.escape(key)}\"|'{re.escape(key)}')"
    found = re.search(rf"^[ \t]*(?:{name}[ \t]*[=.]|\[+[ \t]*{name}[ \t]*[\].])", text, re.MULTILINE)
    return f", line {text.count(chr(10), 0, found.start()) + 1}" if found else ""


def _unknown(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"the table {settings.show(key)} is no setting. Write the settings without a table; only [labels] is one"
    near = difflib.get_close_matches(key.lower().replace("-", "_"), settings.FIELDS, 1, 0.6)
    hint = f"Did you mean {near[0]}?" if near else "`edgefashion service config` prints all there are"
    return f"no setting named {settings.show(key)}. {hint}"


def _exposed(path: Path) -> str | None:
    """What to say where every account can read it; on Windows the mode says nothing of that."""
    if os.name == "nt" or not path.stat().st_mode & stat.S_IROTH:
        return None
    return f"{path} holds a password or token and others can read it. Run: chmod 600 {quoted(path)}"


def example() -> str:
    """A whole `edgefashion.toml`, commented: as it stands it gives the defaults."""
    lines = [
        "# edgefashion.toml: what `edgefashion camera` does where no flag says otherwise.",
        "# It is looked for in the current folder, then in the user's and the system's configuration folder, then in",
        "# /etc, or given with --config. Take the # away before a line to set it.",
    ]
    for name, each in settings.FIELDS.items():
        default = getattr(settings.DEFAULTS, name)
        lines += ["", f"# {each.metadata['help']}"]
        if "high" in each.metadata:
            low, high = each.metadata["low"], each.metadata["high"]
            lines += [f"# From {low:g} to {high:g}." if isinstance(high, float) else f"# From {low:,} to {high:,}."]
        if default in (None, (), {}):
            lines += [f"# {name} = {_toml(each.metadata['example'])}"]
        else:
            lines += [f"{name} = {_toml(default)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml(key)} = {_toml(of)}' for key, of in value.items())}}}"
    return json.dumps(value)  # of texts, numbers, booleans and lists of them the very TOML
