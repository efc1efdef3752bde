"""A file that one process at a time holds open for writing. The lock ends with the process, however that ends.

The package ``filelock`` does not do this. Its locks are files of their own, which stay when they are let go. Its lock
on an open file covers the first byte, and Windows then lets nobody else read that byte.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from edgefashion.errors import BadInputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_LOCK_AT: Final = 1 << 30
"""Windows locks bytes, and nobody else may read a locked one. This one is far behind the end of the file."""

_held: Final[set[int]] = set()
"""The descriptors that this process holds."""


def hold(path: Path) -> int:
    """Open ``path`` for reading and appending, created if need be; returns its descriptor, for :func:`let_go`.

    Raises :class:`BadInputError` while another process holds it, OSError if it cannot be opened or locked.
    """
    while True:
        descriptor = os.open(path, _FLAGS, 0o666)
        try:
            _lock(descriptor)
            # The process that held it before may have removed the file while we opened it. Then we try again.
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(descriptor)):
                    _held.add(descriptor)
                    return descriptor
        except (BlockingIOError, PermissionError) as error:
            os.close(descriptor)
            raise BadInputError(
                f"{path} is being written by another process. Wait until that is done, or choose another file"
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def let_go(descriptor: int) -> None:
    """Close the file; another may hold it from now on."""
    _held.discard(descriptor)
    os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        os.lseek(descriptor, _LOCK_AT, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _forget() -> None:
    """Close what the parent holds."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    # A forked child has the lock, too, and would keep it if it outlived its killed parent.
    os.register_at_fork(after_in_child=_forget)
