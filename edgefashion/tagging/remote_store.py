"""What lies behind a URL, by fsspec: pictures in archives, in buckets, on servers. One at a time."""

from __future__ import annotations

import functools
import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

from edgefashion.data.picture_kinds import HEAD_BYTES, is_meant
from edgefashion.data.picture_walk import FOLDER, UNREADABLE, LeftOut, stray, why_left_out
from edgefashion.errors import BadInputError, MissingError
from edgefashion.system import addresses
from edgefashion.system.extras import need
from edgefashion.system.text import is_url
from edgefashion.tagging import logins
from edgefashion.tagging.patterns import expanded

_LOCAL: Final = ("file", "local")
_HTTP: Final = ("http", "https")

_PACKED: Final = {".tgz": "gzip", ".tbz2": "bz2", ".txz": "xz"}
"""Endings of tar archives that fsspec does not know; it knows .gz, .bz2 and .xz."""

_AT_ONCE: Final = 64
"""Files whose first bytes are asked for together: a store answers each after a while."""


def local_path(url: str) -> str | None:
    """The path of this machine that a ``file://`` URL or pattern means; None for any other URL.

    Programs write blanks and umlauts as ``%20`` and ``%C3%BC``, people write them as they are: what exists is meant.
    """
    protocol, _, path = url.partition("://")
    if protocol not in _LOCAL or "::" in url:
        return None
    path = _system(url)[1] if os.name == "nt" else f"/{path.removeprefix('localhost/').lstrip('/')}"
    plain = unquote(path, errors="surrogateescape")
    return plain if plain != path and not _leads_somewhere(path) and _leads_somewhere(plain) else path


def _leads_somewhere(path: str) -> bool:
    return os.path.lexists(path) or (glob.has_magic(path) and next(expanded(path), None) is not None)


def open_file(url: str) -> BinaryIO:
    """Open a file. Raises what the file system behind it raises, or :class:`RefusedLoginError`."""
    with logins.asking(url):
        system, inner = _opened(url)
        opened: BinaryIO = system.open(inner, "rb")
        return opened


def try_logins(urls: Sequence[str]) -> None:
    """Ask with each account in ``urls``, so that those that are refused are known before pictures are read."""

    def first_byte(url: str) -> None:
        system, inner = _opened(url)
        system.cat_file(inner, 0, 1)

    logins.try_each(urls, first_byte)


def pictures(url: str, left_out: LeftOut) -> Iterator[str]:
    """The URLs of the pictures behind one: of a pattern, a folder or archive, or itself. What is no picture is counted.

    Raises :class:`BadInputError` for what cannot be listed, :class:`MissingError` for a package that is not there.
    """
    first, _, rest = url.partition("::")
    protocol = first.partition("://")[0]
    tail = f"::{rest}" if rest else ""
    if is_meant(first) and (protocol in _HTTP or logins.is_refused(url)):
        yield url  # taken for a picture by its name: whoever opens it says what is wrong
        return
    try:
        with logins.asking(url, reads=False):  # what is refused may also be told to be no folder
            system, inner = _opened(url)
            pattern = None if protocol in _HTTP else _pattern(system, inner)
            if pattern is not None:
                names, root = _files_matching(system, pattern, left_out), _given_part(inner, pattern)
            elif not system.isdir(inner):
                yield url
                return
            else:
                names, root = _files_below(system, inner), inner
            for name in _chosen(system, names, root, left_out, protocol):
                yield f"{_with_protocol(protocol, name)}{tail}"
    except (BadInputError, MissingError):
        raise
    except Exception as error:  # every file system has errors of its own
        said = addresses.without_secrets(str(error) or type(error).__name__, url)
        raise BadInputError(f"{addresses.shown(url)} cannot be listed: {said}. Check the URL") from error


def _files_below(system: Any, inner: str) -> Iterator[str]:
    for folder, _, files in system.walk(inner):
        yield from (f"{folder.rstrip('/')}/{name}" for name in sorted(files))


def _files_matching(system: Any, pattern: str, left_out: LeftOut) -> Iterator[str]:
    for name, facts in system.glob(pattern, detail=True).items():
        if facts.get("type") != "directory":
            yield name
        elif "**" not in pattern and not stray(_parts(name)[-1:]):
            left_out.add(FOLDER, name)


def _pattern(system: Any, inner: str) -> str | None:
    """``inner`` as a pattern in which the names that exist are names; None where all of it is a name."""
    if not glob.has_magic(inner) or system.exists(inner):
        return None
    made: list[str] = []
    there = True
    for name in inner.split("/"):
        # Behind the first name that is a pattern nothing can be looked up.
        there = there and (not glob.has_magic(name) or system.exists("/".join([*inner.split("/")[: len(made)], name])))
        made.append(glob.escape(name) if there else name)
    return "/".join(made)


def _given_part(inner: str, pattern: str) -> str:
    """How ``inner`` begins before its first name that is a pattern."""
    same = itertools.takewhile(
        lambda pair: not glob.has_magic(pair[0]) or pair[0] != pair[1],
        zip(inner.split("/"), pattern.split("/"), strict=True),
    )
    return "/".join(name for name, _ in same)


def _chosen(system: Any, names: Iterator[str], root: str, left_out: LeftOut, protocol: str) -> Iterator[str]:
    """Of the files those that are pictures; the others are counted."""
    begin = len(root.strip("/"))
    while batch := list(itertools.islice(names, _AT_ONCE)):
        reasons = {}
        for name in batch:
            below = name.strip("/")[begin:]
            reasons[name] = stray(_parts(unquote(below) if protocol in _HTTP else below))
        asked = [name for name in batch if reasons[name] is None and not is_meant(name)]
        heads = dict(zip(asked, _heads(system, asked, protocol), strict=True))
        for name in batch:
            reason = reasons[name]
            if reason is None and name in heads:
                head = heads[name]
                reason = why_left_out(name, functools.partial(bytes, head)) if isinstance(head, bytes) else UNREADABLE
            if reason is None:
                yield name
            elif not name.endswith("/"):  # some stores list their folders as well
                left_out.add(reason, name)


def _parts(path: str) -> Sequence[str]:
    return [name for name in path.split("/") if name]


def _heads(system: Any, names: list[str], protocol: str) -> list[bytes | Exception]:
    """The first bytes of files, or why they are not to be had."""
    if not names:
        return []
    if protocol not in _HTTP:
        found: list[bytes | Exception] = system.cat_ranges(names, 0, HEAD_BYTES, on_error="return")
        return found
    heads: list[bytes | Exception] = []
    for name in names:
        try:
            # As a stream: many a server would send all of it.
            with logins.asking(name), system.open(name, "rb", block_size=0) as file:
                heads.append(file.read(HEAD_BYTES))
        except Exception as error:
            heads.append(error)
    return heads


def _with_protocol(protocol: str, name: str) -> str:
    return name if is_url(name) else f"{protocol}://{name.lstrip('/') if protocol not in _LOCAL else name}"


def _opened(url: str) -> tuple[Any, str]:
    """The file system a URL is of, an archive's kept open, and what it calls the file."""
    first, _, rest = url.partition("::")
    if not rest:
        return _system(url)
    protocol, _, inner = first.partition("://")
    return _archive(protocol, rest), inner


def _system(url: str, **options: Any) -> tuple[Any, str]:
    """The file system a URL is of, and what it calls the file. ``options`` are fsspec's, by protocol."""
    need("fsspec", "to read URLs")
    import fsspec

    try:
        system, inner = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        protocol = url.partition("://")[0]
        raise MissingError(
            f"a package is needed to read {protocol}:// and is not installed. Run: pip install 'fsspec[{protocol}]'"
        ) from error
    except ValueError as error:
        raise BadInputError(
            f"{addresses.shown(url)} cannot be opened: {addresses.without_secrets(str(error), url)}. Give another URL"
        ) from error
    return system, inner


@functools.lru_cache(maxsize=4)
def _archive(protocol: str, rest: str) -> Any:
    """An archive's file system. It is kept, so that the archive's table of contents is read only once."""
    if (here := local_path(rest)) is not None:
        rest = here
    packed = next((how for end, how in _PACKED.items() if rest.lower().endswith(end)), None)
    options = {"tar": {"compression": packed}} if packed and protocol == "tar" else {}
    return _system(f"{protocol}://::{rest}", **options)[0]
