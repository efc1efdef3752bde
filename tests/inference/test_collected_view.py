"""A picture that was collected whole is looked at as one that was cut out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefashion.data import collected
from edgefashion.data.collected import Facts
from edgefashion.inference.collected_view import read_garment


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((100, 60, 100, 80), (96, 120, 3)),
        ((0, 0, 320, 240), (240, 320, 3)),
        (None, (240, 320, 3)),
        ((300, 200, 100, 80), (240, 320, 3)),
        ((10, 10, 3, 3), (240, 320, 3)),
    ],
    ids=["a garment in it", "all of it", "nothing told", "beyond it", "too small"],
)
def test_cut_to_the_garment(tmp_path: Path, box: tuple[int, int, int, int] | None, shape: tuple[int, ...]) -> None:
    """Where the file says where its garment is, that is seen, with a tenth around it; else the whole picture."""
    image = np.full((240, 320, 3), 90, np.uint8)
    jpeg = bytes(cv2.imencode(".jpg", image)[1].tobytes())
    facts = Facts(time="2026-11-27T10:00:00+00:00", camera="front", label="Shirt", box=box)
    assert read_garment(collected.write(tmp_path, jpeg, facts, 7).path).shape == shape
