"""What goes wrong in the page's server, as single lines on stderr; stdout carries events."""

from __future__ import annotations

import functools
import logging
import sys
import time
from typing import Final

QUIET_S: Final = 60.0
"""The same complaint is written once in this time: a log must not fill a disk in a month."""


class _OneLine(logging.Handler):
    """Errors of the server's libraries, one line each on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage(), record.exc_info[1] if record.exc_info else None)


_said: dict[str, float] = {}


def complain(message: str, error: BaseException | None = None, who: str = "page") -> None:
    """Write one line to stderr, unless it was written within the last :data:`QUIET_S`."""
    cause = f": {type(error).__name__}: {error}" if error else ""
    line = " ".join(f"edgefashion: {who}: {message.strip()}{cause}".split())
    now_s = time.monotonic()
    for old in [old for old, said_s in list(_said.items()) if now_s - said_s > QUIET_S]:
        _said.pop(old, None)
    if line not in _said and len(_said) < 100:
        _said[line] = now_s
        print(line, file=sys.stderr, flush=True)


@functools.cache
def log_to_stderr() -> None:
    """Have uvicorn's errors written so, and nothing else of what it logs."""
    log = logging.getLogger("uvicorn.error")
    log.addHandler(_OneLine(logging.ERROR))
    log.propagate = False
