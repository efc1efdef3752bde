"""What every process that we start of our own has in common."""

from __future__ import annotations

import os
from pathlib import Path


def child_environment(**more: str) -> dict[str, str]:
    """For a child started with -P, which does not import from the current folder: where this package is."""
    home = str(Path(__file__).parent.parent)
    beside = [more.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(filter(None, (*beside, home)))}
