"""One folder put in another's place: a crash leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path


def previous_of(target: Path) -> Path:
    """Where the folder that ``target`` replaces waits until the swap is done."""
    return target.with_name(f".{target.name}.previous")


def swap(new: Path, target: Path) -> None:
    """Put ``new`` at ``target``. Two renames: a crash between them is undone by the next open."""
    previous = previous_of(target)
    if target.exists():
        shutil.rmtree(previous, ignore_errors=True)
        target.replace(previous)
    new.replace(target)
    shutil.rmtree(previous, ignore_errors=True)


def restore_interrupted(target: Path, mark: str) -> None:
    """Put back what a swap that was killed between its two renames has left beside ``target``: a folder that holds
    the file ``mark``."""
    previous = previous_of(target) if target.name else target
    if not target.exists() and (previous / mark).is_file():
        with contextlib.suppress(OSError):
            previous.replace(target)
