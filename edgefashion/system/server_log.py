"""What goes wrong in a server of ours, as single lines on stderr. stdout carries results and events."""

from __future__ import annotations

import functools
import logging
import sys
import time
from typing import Final

from edgefashion.system.addresses import without_secrets

QUIET_S: Final = 60.0
"""The same complaint is written once in this time, so that a log does not fill a disk."""

_MOST_REMEMBERED: Final = 100
"""Complaints of the last :data:`QUIET_S`. Where they are so many, further ones are not written."""


class _OneLine(logging.Handler):
    """Errors of the server's libraries, one line each on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage(), record.exc_info[1] if record.exc_info else None)


_said: dict[str, float] = {}
"""Each line that was written, and when, by ``time.monotonic()``."""


def complain(message: str, error: BaseException | None = None, who: str = "page") -> None:
    """Write one line to stderr, unless it was written within the last :data:`QUIET_S`. ``who``: the server's name."""
    cause = f": {type(error).__name__}: {error}" if error else ""
    line = " ".join(without_secrets(f"edgefashion: {who}: {message.strip()}{cause}").split())
    now_s = time.monotonic()
    for old in [old for old, said_s in list(_said.items()) if now_s - said_s > QUIET_S]:
        _said.pop(old, None)
    if line not in _said and len(_said) < _MOST_REMEMBERED:
        _said[line] = now_s
        print(line, file=sys.stderr, flush=True)


@functools.cache
def log_to_stderr() -> None:
    """Have :func:`complain` write the errors that uvicorn logs, and nothing else that it logs."""
    log = logging.getLogger("uvicorn.error")
    log.addHandler(_OneLine(logging.ERROR))
    log.propagate = False
