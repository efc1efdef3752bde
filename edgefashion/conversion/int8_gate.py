"""The gate that INT8 has to pass: how much accuracy it may lose."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgefashion.errors import GateError
from edgefashion.evaluation.metrics import EXACTLY

MAX_DROP: Final = 0.005
"""Accuracy INT8 may lose unless told otherwise, as a share: half a point."""


def passes(drop: float, max_drop: float) -> bool:
    """True if ``drop``, the accuracy lost on images kept from calibration, is allowed. Both are shares from 0 to 1."""
    return drop <= max_drop + EXACTLY


def failed(*, images: int, before: float, after: float, max_drop: float, tried: str, kept: Path) -> GateError:
    """The error that INT8 lost too much, after accuracy control was ``tried``; the FP32 IR is ``kept``."""
    return GateError(
        f"accuracy gate failed: of {images:,} images kept from calibration INT8 gets {after:.4f} right, FP32 "
        f"{before:.4f}: a drop of {before - after:.4f}, above --max-drop {max_drop:g}, though {tried}. The FP32 IR is "
        f"kept in {kept}; try more --calibration images or a larger --max-drop"
    )
