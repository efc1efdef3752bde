"""Who owns what root writes for a service."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path


def hand_over(folder: Path) -> None:
    """Give what root has written into ``folder`` to the account that the folder around it belongs to: a service's
    camera has to be able to take a revision back."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    with contextlib.suppress(OSError), _opened(str(folder.absolute().parent)) as above:
        owner = next((found for found in (os.fstat(above), os.stat("..", dir_fd=above)) if found.st_uid != 0), None)
        if owner is None:
            return
        # That account may move things while we look, so nothing is named by its path: what is open stays what it is.
        _give(above, owner)
        for _, _, names, inside in os.fwalk(folder.absolute().name, dir_fd=above):
            _give(inside, owner)
            for name in names:
                with contextlib.suppress(OSError), _opened(name, os.O_NOFOLLOW | os.O_NONBLOCK, inside) as file:
                    _give(file, owner)


@contextlib.contextmanager
def _opened(path: str, flags: int = 0, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _give(descriptor: int, owner: os.stat_result) -> None:
    """Give an open file or folder of root's to ``owner``; no file that has another name, which may be anywhere."""
    found = os.fstat(descriptor)
    whole = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
    if found.st_uid == 0 and whole:
        os.chown(descriptor, owner.st_uid, owner.st_gid)
