"""One folder put in another's place: a crash leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from edgefashion.system.files import replace_patiently

_TRIES: Final = 20

_HERE: Final = -100
"""Linux's AT_FDCWD: paths are meant from the folder that one stands in."""

_EXCHANGE: Final = 2
"""And its RENAME_EXCHANGE."""


def behind(target: Path) -> Path:
    """Where ``target`` really is: what a link leads to is replaced, and the link stays."""
    return Path(os.path.realpath(target)) if target.is_symlink() else target


def previous_of(target: Path) -> Path:
    """Where the folder that ``target`` replaces waits until the swap is done."""
    return target.with_name(f".{target.name}.previous")


def swap(new: Path, target: Path) -> None:
    """Put ``new`` at ``target``, which is no link. What was there may be at ``new`` then.

    On Linux in one step, where the file system can. Elsewhere in two renames: a crash between them is undone by the
    next open, and so is the first of them by a reader that comes between them. Then it is done again.
    """
    previous = previous_of(target)
    if not (target.is_dir() and _exchanged(new, target)):
        for left in reversed(range(_TRIES)):
            if target.exists():
                _remove(previous)
                replace_patiently(target, previous)
            try:
                replace_patiently(new, target)
                break
            except OSError:
                if not left or not target.exists():
                    raise
    _remove(previous)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change their places in one step; False where this system or this disk cannot."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError):  # a C library before glibc 2.28
        return False
    return int(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)) == 0


def _remove(previous: Path) -> None:
    if previous.is_symlink():
        previous.unlink()
    else:
        shutil.rmtree(previous, ignore_errors=True)


def restore_interrupted(target: Path, mark: str) -> None:
    """Put back what a swap that was killed between its two renames has left beside ``target``: a folder that holds
    the file ``mark``."""
    if not target.name or target.exists():
        return
    target = behind(target)
    previous = previous_of(target)
    if (previous / mark).is_file():
        with contextlib.suppress(OSError):
            previous.replace(target)
