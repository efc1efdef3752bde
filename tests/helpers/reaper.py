"""A command of which nothing is left on leaving the block, or if the tests are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from edgefashion.system.processes import child_environment

LIMIT_S: Final = 120.0


@contextmanager
def kept(command: list[str], folder: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The reaper that runs ``command``; it removes ``folder`` at the end."""
    lifeline, ours = os.pipe()
    reaper = [sys.executable, "-P", "-m", "edgefashion.system.reaper", str(lifeline), folder, *command]
    process = subprocess.Popen(reaper, pass_fds=(lifeline,), env=child_environment(), start_new_session=True, **options)
    os.close(lifeline)
    try:
        yield process
    finally:
        os.close(ours)
        process.wait(LIMIT_S)
