"""The types that fixtures hand to tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[..., subprocess.CompletedProcess[str]]
"""What the fixtures ``run`` and ``run_here`` give: ``run("convert", "edge")``."""

Arrays = tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.int64]]]
"""Images, uint8 (n, 28, 28, 1), and their labels, int64 (n,)."""
