"""A file that one process at a time holds open for writing. The lock ends with the process, however that ends."""

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
"""Windows locks bytes, and nobody else may then read them: one far behind the end."""

_held: Final[set[int]] = set()


def hold(path: Path) -> int:
    """Open ``path`` for reading and appending, created if need be; returns its descriptor, for :func:`let_go`.

    Raises :class:`BadInputError` while another process holds it, OSError if it cannot be opened or locked.
    """
    while True:
        descriptor = os.open(path, _FLAGS, 0o666)
        try:
            _lock(descriptor)
            # Whoever had it before may have removed it while we opened it.
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
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    # A forked child shares the lock: one that outlives its killed parent would keep it.
    os.register_at_fork(after_in_child=_forget)
