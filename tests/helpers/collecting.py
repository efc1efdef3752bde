"""Pictures that are collected, made of noise: no two are alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgefashion.data import collected
from edgefashion.data.collection import jpeg_of
from edgefashion.data.images import perceptual_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray


def garment(number: int, size_wh: tuple[int, int] = (90, 120), *, grain: int = 0) -> NDArray[np.uint8]:
    """A picture, BGR (h, w, 3), unlike that of any other number; with ``grain``, in levels, its file is large."""
    random = np.random.default_rng(number)
    image = cv2.resize(random.integers(0, 256, (8, 8, 3), np.uint8), size_wh, interpolation=cv2.INTER_CUBIC)
    return np.asarray(image // 2 + random.integers(0, grain + 1, image.shape, np.uint8), np.uint8)


def put(folder: Path, number: int = 0, **facts: object) -> collected.Picture:
    """Such a picture among those to review."""
    image = garment(number)
    known = collected.Facts(**({"time": "2026-11-27T10:11:12+01:00", "label": "Coat"} | facts))  # type: ignore[arg-type]
    return collected.write(folder, jpeg_of(image), known, perceptual_hash(image))


def names(folder: Path) -> list[str]:
    """Every file below ``folder``, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
