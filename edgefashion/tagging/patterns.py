"""Patterns of local files, such as ``photos/**/*.jpg``, in which a name that exists is a name and no pattern.

People's folders are called ``shop [2024]`` and ``really?``. Python's own glob takes such a name for a pattern, and
finds nothing.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

from edgefashion.data.picture_walk import is_folder

_SEPARATORS = re.compile(r"[\\/]+" if os.name == "nt" else "/+")


def expanded(pattern: str, *, folders: bool = False) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The files that match, and of each the names in its path that were matched and not given.

    ``folders``: the folders that match as well, unless the pattern goes into them by itself.
    """
    drive, rest = os.path.splitdrive(pattern)
    root = _SEPARATORS.match(rest)
    names = [name for name in _SEPARATORS.split(rest) if name]
    start = drive + (os.sep if root else "")
    folders = folders and "**" not in names
    for found, matched in _below(start, names, ()):
        if folders or not os.path.isdir(found):  # noqa: PTH112 (bytes that are no text)
            yield found, matched


def _below(folder: str, names: list[str], matched: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What matches ``names``, one after the other, below a folder."""
    if not names:
        yield folder, matched
        return
    name, *rest = names
    given = os.path.join(folder, name)  # noqa: PTH118
    if not glob.has_magic(name) or os.path.lexists(given):
        if os.path.lexists(given):
            yield from _below(given, rest, matched)
    elif name == "**":
        for below, more in _folders(folder):
            if rest:
                yield from _below(below, rest, matched + more)
            else:
                yield from _below(below, ["*"], matched + more)
    else:
        for found in glob.iglob(name, root_dir=folder or None, include_hidden=True):  # noqa: PTH207
            yield from _below(os.path.join(folder, found), rest, (*matched, found))  # noqa: PTH118


def _folders(top: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A folder and all below it, each once, with the names that lead there."""
    to_do: list[tuple[str, tuple[str, ...]]] = [(top, ())]
    entered = set()
    while to_do:
        folder, names = to_do.pop()
        try:
            found = os.stat(folder or os.curdir)  # noqa: PTH116
            if (found.st_dev, found.st_ino) in entered:
                continue
            entered.add((found.st_dev, found.st_ino))
            with os.scandir(folder or os.curdir) as entries:
                below = sorted(entry.name for entry in entries if is_folder(entry))
        except OSError:  # it cannot be read, or is no folder
            continue
        yield folder, names
        to_do += [(os.path.join(folder, name), (*names, name)) for name in reversed(below)]  # noqa: PTH118
