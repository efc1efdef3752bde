"""Files written whole, flushed to the disk, and known by their hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
"""Errors of a disk, or of an account's share of it, that is full: room may be made."""

_OWN: Final = re.compile(r"/dev/(?:fd/|stdin\Z)|/proc/(?:thread-)?self/")
"""How names begin that mean another file to each process: its own open files."""

_REPLACE_TRIES: Final = 40
_REPLACE_WAIT_S: Final = 0.05


def is_own(path: str) -> bool:
    """True for ``/dev/stdin``, ``/dev/fd/63`` and ``/proc/self/fd/5``, which no other process finds there."""
    return sys.platform != "win32" and _OWN.match(path) is not None


def seen_by_others(path: str) -> str:
    """``path`` as other processes of this machine find it, where they can."""
    if sys.platform != "linux" or not is_own(path):
        return path
    rest = "fd/0" if path == "/dev/stdin" else path[len("/dev/") :] if path.startswith("/dev/") else ""
    return f"/proc/{os.getpid()}/{rest or path.partition('self/')[2]}"


def sync(folder: Path) -> None:
    """Flush a folder's files to the disk, so that the rename never outruns the bytes."""
    # Windows flushes only what may be written; elsewhere a file that may be read alone is flushed too.
    mode = "rb+" if os.name == "nt" else "rb"
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open(mode) as file:
                os.fsync(file.fileno())


def copy_folder(folder: Path, to: Path) -> None:
    """Copy a folder of somebody's to ``to``, which is new, as files and folders of our own: what may only be read there
    can be written, replaced and removed here. Links are followed. Raises OSError."""
    shutil.copytree(folder, to, copy_function=shutil.copyfile)
    for path in (to, *to.rglob("*")):
        if path.is_dir():  # of folders the modes are copied all the same
            path.chmod(path.stat().st_mode | stat.S_IRWXU)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_output(out: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Fail before the work, not after it, if ``out`` cannot be written.

    ``suffixes`` are those it may have; ``what`` says so in an error (``"only PNG pictures"``). Raises
    :class:`BadInputError`.
    """
    if out.suffix.lower() not in suffixes or out.is_dir():
        raise BadInputError(f"{out}: {what} are written. Give a name ending in {suffixes[0]}")
    folder = out.absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise BadInputError(f"{out} cannot be written: its folder does not exist or is read-only. Choose another place")


def check_not_read(out: Path, read: Iterable[Path]) -> None:
    """Fail before the work if ``out`` is one of the files ``read``, by whatever name: nobody wants that one replaced.

    Raises :class:`BadInputError`.
    """
    try:
        there = out.stat()
    except (OSError, ValueError):  # nothing is replaced; or no name at all, which writing it tells
        return
    for path in read:
        with suppress(OSError, ValueError):
            if os.path.samestat(there, path.stat()):
                raise BadInputError(
                    f"{out} is read by this very command, and writing it would spoil it. Give another name"
                )


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A temporary path of the same suffix, renamed to ``path`` once the block is left well."""
    # Of a name of its own: two processes may write the same file.
    aside = path.with_name(f".{path.stem}.new-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def write_whole(path: Path, text: str) -> None:
    """Write a small text file so that everybody, a power cut included, finds the old one or the new one whole.

    Raises OSError, and the old one is there as it was.
    """
    aside = path.with_name(f".{path.name}.new-{secrets.token_hex(4)}")
    try:
        with aside.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        replace_patiently(aside, path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
    sync_folder(path.parent)


def replace_patiently(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``. On Windows that is refused while another process reads ``path``: then it is tried
    again for two seconds."""
    for _ in range(_REPLACE_TRIES - 1):
        try:
            new.replace(path)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(_REPLACE_WAIT_S)
        else:
            return
    new.replace(path)


def cached_array(path: Path, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array of the .npy file ``path``, memory-mapped; computed and written there first if need be, and again where
    the file is damaged."""
    import numpy as np  # here, because hashing a file or writing one needs no numpy

    def read() -> NDArray[Any]:
        try:
            array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        except OSError:
            raise
        except Exception as error:  # as of an .npz file, see read_arrays
            raise ValueError(f"it is no whole array: {error}") from error
        return array

    with suppress(FileNotFoundError, ValueError):
        return read()
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        np.save(aside, compute())
    return read()


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file, by name. Raises :class:`OSError` where it cannot be opened, and :class:`ValueError`
    for one that is damaged or something else, in whatever way that shows."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.asarray(stored[name]) for name in stored.files}
    except OSError:
        raise
    # A zip's and a header's readers raise a dozen kinds, and another one with a later release.
    except Exception as error:
        raise ValueError(f"it is no whole file of arrays: {error}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as lasting as the files; elsewhere than on POSIX systems a folder cannot be synced."""
    if os.name == "posix":
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
