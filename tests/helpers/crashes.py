"""A process that is killed, or finds the disk full, at any one of its calls that change what is on the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.utime"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class KilledError(BaseException):
    """Stands for SIGKILL: nothing of ours handles it."""


class _Disk:
    """Counts the calls below ``folder`` that change something; fails all from the ``dies_at``-th on."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.calls = 0
        self.dies_at: int | None = None
        self.full_at: int | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        opens = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
        if not (opens or event in _CHANGES) or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = Path(os.fsdecode(arguments[0]))
        if not path.absolute().is_relative_to(self.folder) or path.name == ".lock":
            return
        if self.dies_at is not None and self.calls >= self.dies_at:
            raise KilledError
        if self.full_at is not None and self.calls >= self.full_at and (opens or event == "os.mkdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self.calls += 1


_disk = _Disk()
sys.addaudithook(_disk)  # for good; without a folder it does nothing


@contextlib.contextmanager
def _watched(folder: Path, **when: int) -> Iterator[None]:
    _disk.folder, _disk.calls, _disk.dies_at, _disk.full_at = str(folder.absolute()), 0, None, None
    vars(_disk).update(when)
    try:
        yield
    finally:
        _disk.folder = None


def calls_of(folder: Path, work: Callable[[], object]) -> int:
    """How many calls of ``work`` change something below ``folder``."""
    with _watched(folder):
        work()
    return _disk.calls


def killed(folder: Path, work: Callable[[], object], at: int) -> None:
    """Do ``work`` in a process that is killed at its call number ``at``: what would clear up after it fails too."""
    with _watched(folder, dies_at=at), contextlib.suppress(KilledError):
        work()


def with_full_disk(folder: Path, work: Callable[[], object], at: int) -> None:
    """Do ``work``; from its call number ``at`` on nothing new has room on the disk."""
    with _watched(folder, full_at=at):
        work()
