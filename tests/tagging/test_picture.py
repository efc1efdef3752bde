"""A picture is prepared as it is at its full size."""

from __future__ import annotations

import io

import numpy as np
import pytest
from helpers.types import Arrays
from PIL import Image

from edgefashion.inference import preprocess
from edgefashion.tagging.picture import prepare


@pytest.mark.parametrize(("photos", "size_wh"), [(True, (1001, 1335)), (False, (1333, 1001))])
def test_decoded_smaller(photos: bool, size_wh: tuple[int, int], test_set: Arrays) -> None:
    """Of a large JPEG decoded smaller, the network sees the same and the box is at the full size."""
    image = Image.fromarray(preprocess.as_photos(test_set[0][:1])[0]).resize(size_wh, Image.Resampling.BICUBIC)
    encoded = {}
    for kind in ("jpeg", "png"):
        image.save(file := io.BytesIO(), kind, **({"quality": 95} if kind == "jpeg" else {}))
        file.seek(0)
        encoded[kind] = prepare(file, kind, photos)
    small, full = encoded["jpeg"], encoded["png"]
    assert (small.width, small.height) == (full.width, full.height) == size_wh
    assert small.pixels is not None
    assert full.pixels is not None
    assert np.abs(small.pixels.astype(int) - full.pixels).mean() < 3
    assert np.allclose(small.within, full.within, atol=12)
    assert (int(small.phash, 16) ^ int(full.phash, 16)).bit_count() <= 4
