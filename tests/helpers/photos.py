"""Folders of photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def put(folder: Path, *names: str) -> None:
    """Small different pictures under those names."""
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (6, 6, 3), np.uint8)
        cv2.imwrite(str(path), cv2.resize(noise, (64, 64), interpolation=cv2.INTER_CUBIC))
