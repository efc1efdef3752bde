"""A server of the model that is away or busy is asked again, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from edgefashion.errors import MissingError
from edgefashion.system.backoff import Backoff

T = TypeVar("T")

_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 5.0
"""Before the server is asked again."""


def patiently(ask: Callable[[], T], patience_s: float) -> T:
    """What ``ask`` gives. It is called again while a server fails, until ``patience_s`` are over; then that is raised.

    A network of this machine is asked once: what it raises is raised.
    """
    backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
    until_s: float | None = None
    while True:
        try:
            return ask()
        except MissingError as error:
            from edgefashion.inference.remote.engine import ChangedError  # here: only a served model comes to this
            from edgefashion.inference.remote.errors import ServerError

            until_s = until_s or time.monotonic() + patience_s
            if not isinstance(error, ServerError) or isinstance(error, ChangedError) or time.monotonic() > until_s:
                raise
        time.sleep(backoff.next_s())
