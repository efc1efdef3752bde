"""The pictures that tagging is asked for: files, folders, globs, and whatever fsspec opens. One at a time.

A folder of a million is never listed whole. No picture comes twice, whichever ways lead to it. What is a picture,
:mod:`edgefashion.data.picture_walk` says, of all of them.
"""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from edgefashion.data.collected import is_collected
from edgefashion.data.picture_walk import COLLECTED, FOLDER, FolderWalk, LeftOut, is_picture_file, stray
from edgefashion.errors import BadInputError
from edgefashion.system import addresses, files
from edgefashion.system.text import is_url
from edgefashion.tagging import picture, remote_store
from edgefashion.tagging.patterns import expanded

_HERE: Final = frozenset({"file", "local", "memory", "zip", "tar"})
"""Protocols that need no network."""

_ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz")


def walk(paths: Sequence[str], left_out: LeftOut | None = None) -> Iterator[str]:
    """The pictures' paths and URLs, each once: those in folders first, sorted within a folder, then the others.

    A file named outright comes whatever it is; of folders, globs, archives and stores only the pictures, and the rest
    is counted in ``left_out``. So are, of this machine, those that were collected for teaching: they are cut out of
    others, and a folder that ``--collect`` names may lie among these. Links are followed, each folder entered once. A
    folder that cannot be read comes itself, for whoever opens it to say why. Raises :class:`BadInputError` for a path
    that leads to nothing, :class:`MissingError` for a URL whose package is not installed.
    """
    walked = _Walked(LeftOut() if left_out is None else left_out)
    folders = [path for path in paths if not is_url(path) and os.path.isdir(path)]  # noqa: PTH112 (bytes that are no text)
    others = [path for path in paths if path not in folders]
    for folder in dict.fromkeys(folders):
        yield from walked.below(folder)
    # A single glob without ** names nothing twice, so its names, a million perhaps, need not be remembered.
    walked.remembers = len(others) > 1 or any("**" in path for path in others)
    for path in dict.fromkeys(others):
        yield from walked.found(path)


def check(paths: Sequence[str]) -> None:
    """Raise what :func:`walk` would, and :class:`BadInputError` for a path without a picture, before any work.

    Folders may be empty, as long as some path holds a picture: in a shop some folders are.
    """
    _check_apart(paths)
    for url in filter(is_url, paths):
        addresses.check_whole(url)
    for path in paths:
        if path.lower().endswith(_ARCHIVES) and not is_url(path):
            kind = "zip" if path.lower().endswith(".zip") else "tar"
            raise BadInputError(f"{path} is an archive. Write {kind}://::{path} for the pictures in it")
    remote_store.try_logins(paths)
    empty = []
    for path in paths:
        left_out = LeftOut()
        if next(walk([path], left_out), None) is None:
            empty.append((path, left_out.told()))
    for path, told in empty:
        if len(empty) == len(paths) or not os.path.isdir(path):  # noqa: PTH112 (bytes that are no text)
            raise BadInputError(f"{shown(path)} holds no picture{f' ({told})' if told else ''}. Give another path")


def _check_apart(paths: Sequence[str]) -> None:
    """Raise :class:`BadInputError` for two URLs that differ in their secrets alone: a table tells them not apart."""
    known: dict[str, str] = {}
    for path in filter(is_url, paths):
        if known.setdefault(shown(path), path) != path:
            raise BadInputError(
                f"{shown(path)} is given more than once, with different secrets, which no table shows. "
                "Tag each in a run of its own, with an --out of its own"
            )


def is_here(path: str) -> bool:
    """True for what can be listed without a network: a local path, or a URL of one or of an archive there."""
    return all(part.partition("://")[0] in _HERE for part in path.split("::") if is_url(part))


def shown(path: str) -> str:
    """What a picture is called in the table: its path, without the account and secrets that a URL may hold."""
    return addresses.shown(path) if is_url(path) else path


def open_picture(path: str) -> BinaryIO:
    """Open what :func:`walk` gave. Raises what the file system behind it raises."""
    if not is_url(path):
        return open(path, "rb")  # noqa: PTH123
    if (here := remote_store.local_path(path)) is not None:
        return open(here, "rb")  # noqa: PTH123
    return remote_store.open_file(path)


class _Walked:
    """The pictures that came already, whichever way."""

    def __init__(self, left_out: LeftOut) -> None:
        self._left_out = left_out
        self._folders = FolderWalk(left_out)
        self._files: set[int] = set()
        self.remembers = True

    def below(self, root: str) -> Iterator[str]:
        """The pictures in a folder and the folders below it."""
        return filter(self._is_theirs, self._folders.below(root))

    def found(self, path: str) -> Iterator[str]:
        """The pictures behind a path that is no local folder, which did not come yet."""
        if not is_url(path):
            yield from self._here(path)
        elif (here := remote_store.local_path(path)) is None:
            yield from filter(self._is_new, remote_store.pictures(path, self._left_out))
        else:
            protocol = path.partition("://")[0]
            names = self.below(here) if os.path.isdir(here) else self._here(here)  # noqa: PTH112
            yield from (f"{protocol}://{name}" for name in names)

    def _here(self, path: str) -> Iterator[str]:
        if os.path.lexists(path):  # first of all: a name may look like a pattern
            _check_no_pipe(path)
            if self._is_new(path, named=True):
                yield path
        elif not glob.has_magic(path):
            raise BadInputError(f"{path} does not exist. Give picture files, folders, globs or URLs")
        else:
            for name, matched in expanded(path, folders=True):
                if os.path.isdir(name):  # noqa: PTH112 (bytes that are no text)
                    if not stray(matched) and not self._folders.has_seen(_stat(name)):
                        self._left_out.add(FOLDER, name)
                    continue
                if not self._is_new(name):
                    continue
                if (reason := stray(matched)) is not None:
                    self._left_out.add(reason, name)
                elif is_picture_file(name, self._left_out) and self._is_theirs(name):
                    yield name

    def _is_theirs(self, path: str) -> bool:
        """False, and counted, for a picture that was collected."""
        if collected := _is_collected(path):
            self._left_out.add(COLLECTED, path)
        return not collected

    def _is_new(self, path: str, *, named: bool = False) -> bool:
        """True for a file that came neither with a folder nor by name; ``named`` if it is named outright."""
        if is_url(path):
            key = hash(path)
        else:
            folder, name = os.path.split(path)
            try:
                found = _stat(folder or os.curdir)
            except OSError:
                return True
            if self._folders.has_seen(found):
                # What its walk left out is wanted all the same where it is named outright.
                came = self._folders.has_given(found) and not stray([name]) and is_picture_file(path, LeftOut())
                return named and not (came and not _is_collected(path))
            key = hash((found, name))
        if not self.remembers:
            return True
        new = key not in self._files
        self._files.add(key)
        return new


def _is_collected(path: str) -> bool:
    return is_collected(os.path.basename(path))  # noqa: PTH119 (bytes that are no text)


def _check_no_pipe(path: str) -> None:
    """Raise :class:`BadInputError` for a pipe or socket by its name, which would be waited for without an end."""
    there = os.path.isfile(path) or not os.path.exists(path)  # noqa: PTH110, PTH113 (bytes that are no text)
    if not there and not files.is_own(path):
        raise BadInputError(f"{path} is neither a file nor a folder. Give picture files, folders, globs or URLs")


@functools.lru_cache(maxsize=64)
def _stat(folder: str) -> tuple[int, int]:
    found = os.stat(folder)  # noqa: PTH116
    return found.st_dev, found.st_ino


def read_here(path: str) -> bytes | None:
    """The bytes of a file that only this process can read (``memory://``, ``/dev/stdin``), one more than may be;
    None for any other path."""
    if not path.startswith("memory://") and not files.is_own(path):
        return None
    with open_picture(path) as file:
        return file.read(picture.MAX_BYTES + 1)
