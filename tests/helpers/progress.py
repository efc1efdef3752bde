"""The lines that a command writes to stderr while it works."""

from __future__ import annotations

import re

_START = re.compile(r"about \d+ (seconds|minutes|hours): ")
_LATER = re.compile(r"(\d+:)?\d+:\d\d  ")


def progress_lines(stderr: str) -> list[str]:
    """The lines that tell how far the work is: the one before it, and those meanwhile."""
    return [line for line in stderr.splitlines() if _START.match(line) or _LATER.match(line)]


def without_progress(stderr: str) -> str:
    """What else was written: on a busy machine any work may take long enough to tell of itself."""
    told = progress_lines(stderr)
    return "".join(line for line in stderr.splitlines(keepends=True) if line.rstrip("\n") not in told)
