"""Which of the files that are found are pictures: one rule for folders, globs, archives and remote stores.

What file systems and other programs leave among pictures (thumbnails, resource forks, waste bins) is no picture of the
user's. What is left out is counted by its sort, to be told once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Self

from edgefashion.data.picture_kinds import HEAD_BYTES, NOT_READ, found_kind

SORTED_AT_ONCE: Final = 10_000
"""Entries of a folder that are sorted together. A larger folder comes in several parts, each sorted by itself."""

HIDDEN, SYSTEM, OTHER, NOT_READ_HERE, NO_FILE, UNREADABLE, COLLECTED, FOLDER = (
    "hidden",
    "system",
    "no_picture",
    "not_read",
    "no_file",
    "unreadable",
    "collected",
    "folder",
)
"""The reasons to leave a file out."""

_WORDS: Final = {
    HIDDEN: ("hidden file", "hidden files"),
    SYSTEM: ("thumbnail or file of a system", "thumbnails and files of a system"),
    OTHER: ("file that is no picture", "files that are no pictures"),
    NOT_READ_HERE: ("picture of a kind that is not read here", "pictures of a kind that is not read here"),
    NO_FILE: ("name without a file behind it", "names without a file behind them"),
    UNREADABLE: ("file that cannot be opened", "files that cannot be opened"),
    COLLECTED: ("picture that was collected for teaching", "pictures that were collected for teaching"),
    FOLDER: ("folder (end the pattern in ** for what is in it)", "folders (end the pattern in ** for what is in them)"),
}

_STRAYS: Final = frozenset(
    {
        "@eadir",  # Synology's thumbnails
        "#recycle",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "__macosx",  # resource forks, in archives of a Mac
        "network trash folder",
        "temporary items",
        "lost+found",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "picasa.ini",
        "icon\r",
    }
)
"""Names of files and folders that systems make, in small letters. Many more begin with a dot."""


def stray(names: Sequence[str]) -> str | None:
    """Why a file is left out for one of its path's names, those below where the search began: ``HIDDEN`` or ``SYSTEM``;
    None where it is not."""
    if any(name.casefold() in _STRAYS for name in names):
        return SYSTEM
    return HIDDEN if any(name.startswith(".") and name not in (".", "..") for name in names) else None


class LeftOut:
    """How many files were left out, by sort."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._seen: dict[str, Counter[str]] = {}

    def add(self, sort: str, name: str) -> None:
        """Count a file; of what is no picture its suffix is told, too."""
        self.counts[sort] += 1
        if sort in (OTHER, NOT_READ_HERE):
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
            told = suffix if suffix.isprintable() and 1 < len(suffix) <= 8 else "others"
            self._seen.setdefault(sort, Counter())[told] += 1

    def told(self) -> str:
        """What was left out, in words: ``left out: 2 hidden files, 1 file that is no picture (.txt)``; empty where
        nothing was."""
        parts = [
            f"{self.counts[sort]:,} {words[self.counts[sort] != 1]}{self._suffixes(sort)}"
            for sort, words in _WORDS.items()
            if self.counts[sort]
        ]
        return f"left out: {', '.join(parts)}" if parts else ""

    def as_json(self) -> dict[str, int]:
        """Every sort that occurred with its number of files."""
        return {sort: self.counts[sort] for sort in _WORDS if self.counts[sort]}

    def copy(self) -> Self:
        """The counts as they are now."""
        made = type(self)()
        made.counts = self.counts.copy()
        made._seen = {sort: seen.copy() for sort, seen in self._seen.items()}
        return made

    def since(self, before: Self) -> Self:
        """What was added since a copy was made."""
        made = type(self)()
        made.counts = self.counts - before.counts
        made._seen = {sort: seen - before._seen.get(sort, Counter()) for sort, seen in self._seen.items()}
        return made

    def _suffixes(self, sort: str) -> str:
        most = [suffix for suffix, _ in self._seen.get(sort, Counter()).most_common(4)]
        return f" ({', '.join(most)})" if most and most != ["others"] else ""


_NEVER: Final = "never"


class FolderWalk:
    """The pictures below folders of this machine. It knows the folders it has been in, and enters each once."""

    def __init__(self, left_out: LeftOut) -> None:
        self._left_out = left_out
        self._entered: dict[tuple[int, int], str | None] = {}
        """By ``st_dev`` and ``st_ino`` of each, why nothing of it is taken; None for most."""

    def has_seen(self, folder: tuple[int, int]) -> bool:
        """True if the files of a folder, by its ``st_dev`` and ``st_ino``, came or were counted."""
        return folder in self._entered

    def has_given(self, folder: tuple[int, int]) -> bool:
        """True if its pictures came."""
        return self._entered.get(folder, _NEVER) is None

    def below(self, root: str, above: str | None = None) -> Iterator[str]:
        """The pictures' paths: sorted within a folder, then those of the folders below it. Links are followed.

        A folder that cannot be read comes itself, for whoever opens it to say why. With ``above`` nothing comes: all is
        counted as left out for that sort.
        """
        to_do = [(root, above)]
        while to_do:
            folder, above = to_do.pop()
            try:
                # Links may lead in a circle, or to one folder twice.
                if not self._enter(folder, above):
                    continue
                entries = os.scandir(folder)
            except OSError:
                if above is None:
                    yield folder
                continue
            below: list[tuple[str, str | None]] = []
            with entries:
                while stretch := list(itertools.islice(_listed(entries), SORTED_AT_ONCE)):
                    for entry in sorted(stretch, key=lambda entry: entry.name):
                        sort = above or stray([entry.name])
                        if is_folder(entry):
                            if sort is None or not entry.is_symlink():  # a stray link's files are not its own
                                below.append((entry.path, sort))
                        elif sort is not None:
                            self._left_out.add(sort, entry.name)
                        elif is_picture_file(entry.path, self._left_out, is_file=_is_file(entry)):
                            yield entry.path
            to_do += sorted(below, reverse=True)

    def _enter(self, folder: str, above: str | None) -> bool:
        found = os.stat(folder)  # noqa: PTH116
        where = found.st_dev, found.st_ino
        if self._entered.get(where, _NEVER) in (None, above):
            return False
        self._entered[where] = above
        return True


def is_picture_file(path: str, left_out: LeftOut, *, is_file: bool | None = None) -> bool:
    """True for a file of this machine that is a picture, or is called one; any other is counted.

    ``is_file``: whether there is a file at all, where that is known without asking.
    """
    if not (os.path.isfile(path) if is_file is None else is_file):  # noqa: PTH113 (bytes that are no text)
        sort: str | None = NO_FILE
    else:
        try:
            sort = why_left_out(path, lambda: head_of(path))
        except OSError:
            sort = UNREADABLE
    if sort is not None:
        left_out.add(sort, path)
    return sort is None


def head_of(path: str) -> bytes:
    """The first bytes of a file of this machine."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read(HEAD_BYTES)


def why_left_out(name: str, head: Callable[[], bytes]) -> str | None:
    """``OTHER`` or ``NOT_READ_HERE`` for a file that is no picture of ours, None for one that is. ``head`` gives its
    first bytes, and is asked only where the name does not settle it."""
    kind = found_kind(name, head)
    return OTHER if kind is None else NOT_READ_HERE if kind in NOT_READ else None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """True for a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _listed(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """The entries, up to where the folder cannot be read any further."""
    with contextlib.suppress(OSError):
        yield from entries
