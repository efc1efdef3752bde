"""What every process that we start of our own has in common."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def child_environment(**more: str) -> dict[str, str]:
    """For a child started with -P, which does not import from the current folder: where this package is."""
    home = str(Path(__file__).parents[2])
    beside = [more.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(filter(None, (*beside, home)))}


def leave_ending_to_the_parent() -> None:
    """Ignore what ends a whole group of processes, for the parent's end ends us; and leave no core file."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
