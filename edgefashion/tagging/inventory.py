"""The pictures that tagging is asked for: files, folders, globs, and whatever fsspec opens. One at a time.

A folder of a million is never listed whole. No picture comes twice, whichever ways lead to it.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from edgefashion.data.images import IMAGE_SUFFIXES
from edgefashion.errors import BadInputError, MissingError
from edgefashion.system.extras import need
from edgefashion.system.text import is_url, without_password

SORTED_AT_ONCE: Final = 10_000
"""Entries of a folder that are sorted together. A larger folder comes in several parts, each sorted by itself."""

_HERE: Final = frozenset({"file", "local", "memory", "zip", "tar"})
"""Protocols that need no network."""

_WITH_ACCOUNT: Final = frozenset(
    {"dav", "davs", "ftp", "ftps", "hdfs", "http", "https", "scp", "sftp", "smb", "ssh", "webdav", "webhdfs"}
)
"""Protocols whose URLs may hold an account. In others an @ is part of the name: ``github://org:repo@main/a.jpg``,
``abfs://container@account/a.jpg``."""

_ACCOUNT: Final = re.compile(r"(?<=://)[^/]*@")
_ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz")


def walk(paths: Sequence[str]) -> Iterator[str]:
    """The pictures' paths and URLs, each once: those in folders first, sorted within a folder, then the others.

    A file named outright comes whatever its suffix, of folders and globs only the pictures. Links are followed,
    each folder entered once. A folder that cannot be read comes itself, for whoever opens it to say why.
    Raises :class:`BadInputError` for a path that leads to nothing, :class:`MissingError` for a URL whose
    package is not installed.
    """
    folders = [path for path in paths if not is_url(path) and os.path.isdir(path)]  # noqa: PTH112 (bytes that are no text)
    others = [path for path in paths if path not in folders]
    walked = _Walked()
    for folder in dict.fromkeys(folders):
        yield from walked.below(folder)
    # A single glob without ** names nothing twice, so its names, a million perhaps, need not be remembered.
    walked.remembers = len(others) > 1 or any("**" in path for path in others)
    for path in dict.fromkeys(others):
        for found in _found(path):
            if walked.is_new(found):
                yield found


def check(paths: Sequence[str]) -> None:
    """Raise what :func:`walk` would, and :class:`BadInputError` for a path without a picture, before any work.

    Folders may be empty, as long as some path holds a picture: in a shop some folders are.
    """
    for path in paths:
        if path.lower().endswith(_ARCHIVES) and not is_url(path):
            kind = "zip" if path.lower().endswith(".zip") else "tar"
            raise BadInputError(f"{path} is an archive. Write {kind}://::{path} for the pictures in it")
    empty = [path for path in paths if next(walk([path]), None) is None]
    for path in empty:
        if len(empty) == len(paths) or not os.path.isdir(path):  # noqa: PTH112 (bytes that are no text)
            known = " ".join(sorted(IMAGE_SUFFIXES))
            raise BadInputError(f"{without_password(path)} holds no picture ({known}). Give another path")


def is_here(path: str) -> bool:
    """True for what can be listed without a network: a local path, or a URL of one or of an archive there."""
    return all(part.partition("://")[0] in _HERE for part in path.split("::") if is_url(part))


def shown(path: str) -> str:
    """What a picture is called in the table: its path, without the account and password a URL may hold."""
    if "@" not in path or not is_url(path):
        return path
    return "::".join(
        _ACCOUNT.sub("...@", part) if part.partition("://")[0] in _WITH_ACCOUNT else part for part in path.split("::")
    )


def is_picture(name: str) -> bool:
    """True for a name with a picture's suffix."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def open_picture(path: str) -> BinaryIO:
    """Open what :func:`walk` gave. Raises what the file system behind it raises."""
    if not is_url(path):
        return open(path, "rb")  # noqa: PTH123
    system, inner = _opened(path)
    opened: BinaryIO = system.open(inner, "rb")
    return opened


class _Walked:
    """The pictures below folders, and what of all paths came already."""

    def __init__(self) -> None:
        self._folders: set[tuple[int, int]] = set()
        self._files: set[int] = set()
        self.remembers = True

    def below(self, root: str) -> Iterator[str]:
        """The pictures in a folder and the folders below it."""
        to_do = [root]
        while to_do:
            folder = to_do.pop()
            try:
                # Links may lead in a circle, or to one folder twice.
                if not self._enter(folder):
                    continue
                entries = os.scandir(folder)
            except OSError:
                yield folder
                continue
            below = []
            with entries:
                while stretch := list(itertools.islice(_listed(entries), SORTED_AT_ONCE)):
                    for entry in sorted(stretch, key=lambda entry: entry.name):
                        try:
                            if entry.is_dir():
                                below.append(entry.path)
                                continue
                            is_file = entry.is_file()
                        except OSError:  # a link to itself
                            continue
                        if is_file and is_picture(entry.name):
                            yield entry.path
            to_do += sorted(below, reverse=True)

    def _enter(self, folder: str) -> bool:
        found = os.stat(folder)  # noqa: PTH116
        where = found.st_dev, found.st_ino
        if where in self._folders:
            return False
        self._folders.add(where)
        return True

    def is_new(self, path: str) -> bool:
        """True for a file that came neither with a folder nor by name."""
        if is_url(path):
            key = hash(path)
        else:
            folder, name = os.path.split(path)
            try:
                found = _stat(folder or os.curdir)
            except OSError:
                return True
            if found in self._folders and is_picture(name):
                return False
            key = hash((found, name))
        if not self.remembers:
            return True
        new = key not in self._files
        self._files.add(key)
        return new


@functools.lru_cache(maxsize=64)
def _stat(folder: str) -> tuple[int, int]:
    found = os.stat(folder)  # noqa: PTH116
    return found.st_dev, found.st_ino


def _listed(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """The entries, up to where the folder cannot be read any further."""
    with contextlib.suppress(OSError):
        yield from entries


def _found(path: str) -> Iterator[str]:
    """The files behind a path that is no local folder."""
    if is_url(path):
        yield from _remote(path)
    elif os.path.lexists(path):
        yield path
    elif glob.has_magic(path):
        matches = glob.iglob(path, recursive=True)  # noqa: PTH207
        yield from (found for found in matches if is_picture(found) and os.path.isfile(found))  # noqa: PTH113
    else:
        raise BadInputError(f"{path} does not exist. Give picture files, folders, globs or URLs")


def _remote(url: str) -> Iterator[str]:
    first, _, rest = url.partition("::")
    protocol = first.partition("://")[0]
    tail = f"::{rest}" if rest else ""
    try:
        system, inner = _opened(url)
        if glob.has_magic(inner) and protocol not in ("http", "https"):
            names: Iterator[str] = iter(system.glob(inner))
        elif (inner and is_picture(inner)) or not system.isdir(inner):
            yield url
            return
        else:
            names = (
                f"{folder.rstrip('/')}/{name}" for folder, _, files in system.walk(inner) for name in sorted(files)
            )
        for name in names:
            if is_picture(name):
                yield f"{_with_protocol(protocol, name)}{tail}"
    except (BadInputError, MissingError):
        raise
    except Exception as error:  # every file system has errors of its own
        said = without_password(str(error) or type(error).__name__)
        raise BadInputError(f"{without_password(url)} cannot be listed: {said}. Check the URL") from error


def _with_protocol(protocol: str, name: str) -> str:
    return name if is_url(name) else f"{protocol}://{name.lstrip('/') if protocol not in ('file', 'local') else name}"


def _opened(url: str) -> tuple[Any, str]:
    """The file system a URL is of, an archive's kept open, and what it calls the file."""
    first, _, rest = url.partition("::")
    if not rest:
        return _system(url)
    protocol, _, inner = first.partition("://")
    return _archive(protocol, rest), inner


def _system(url: str) -> tuple[Any, str]:
    """The file system a URL is of, and what it calls the file."""
    need("fsspec", "to read URLs")
    import fsspec

    try:
        system, inner = fsspec.core.url_to_fs(url)
    except ImportError as error:
        protocol = url.partition("://")[0]
        raise MissingError(
            f"a package is needed to read {protocol}:// and is not installed. Run: pip install 'fsspec[{protocol}]'"
        ) from error
    except ValueError as error:
        raise BadInputError(f"{without_password(url)} cannot be opened: {error}. Give another URL") from error
    return system, inner


@functools.lru_cache(maxsize=4)
def _archive(protocol: str, rest: str) -> Any:
    """An archive's file system. It is kept, so that the archive's table of contents is read only once."""
    return _system(f"{protocol}://::{rest}")[0]


def read_here(path: str) -> bytes | None:
    """The bytes of a ``memory://`` file, which only this process can read; None for any other path."""
    if not path.startswith("memory://"):
        return None
    with open_picture(path) as file:
        return file.read()
