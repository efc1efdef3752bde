"""Moments drawn as window and recording draw them, and their colours counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.outputs import overlay
from edgefashion.inference import preprocess
from edgefashion.system import palette

if TYPE_CHECKING:
    from helpers.camera import Picture

GREEN, RED, WHITE = (palette.bgr(colour) for colour in (palette.GARMENT, palette.ALARM, palette.WHITE))


def count(picture: Picture, colour: tuple[int, int, int]) -> int:
    """Pixels of exactly this colour."""
    return int((picture == np.array(colour, np.uint8)).all(2).sum())


def draw(frame: Picture, state: str = "none", *, condition: str = "live", **changes: Any) -> Picture:
    """A frame as the window shows it; ``changes`` are fields of the moment."""
    height, width = frame.shape[:2]
    settings: dict[str, Any] = {
        "confidence": 1.0,
        "guide": preprocess.guide_box(width, height),
        "model": "edge",
        "precision": "INT8",
        "details": True,
    }
    health = Health(condition, fps=120.0, latency_ms=12345.6)  # as wide as it gets
    return overlay.drawn(Moment(0.0, health, state, image=frame, **settings | changes))
