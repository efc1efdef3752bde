"""A picture of too many pixels is refused or, where its decoder can, decoded smaller; memory stays bounded."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.encoded import LOSS, SMOOTH, encoded
from PIL import Image

from edgefashion.data.images import decode_image
from edgefashion.errors import BadInputError


@pytest.mark.parametrize("suffix", ["png", "progressive.jpg", "tiff", "webp", "bmp", "gif"])
def test_pixels_at_most(suffix: str, tmp_path: Path) -> None:
    """A picture of more pixels than asked for is refused with its size, in whatever format that cannot be decoded
    smaller; the memory of a progressive JPEG's decoder grows with the whole picture."""
    path = tmp_path / f"it.{suffix}"
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if suffix.endswith("jpg") else []
    cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8), options)
    assert decode_image(path, "it", most_pixels=1200).width == 40
    with pytest.raises(BadInputError, match="it has more than 1,199 pixels, 40 x 30"):
        decode_image(path, "it", most_pixels=1199)


@pytest.mark.parametrize(
    ("most_pixels", "size_wh"), [(640_000, (1000, 640)), (639_999, (500, 320)), (150_000, (250, 160)), (9_999, None)]
)
def test_a_large_jpeg_is_decoded_smaller(most_pixels: int, size_wh: tuple[int, int] | None) -> None:
    """A JPEG of more pixels than wanted is decoded at a half, a quarter or an eighth, its full size is told, and boxes
    are told in it; one that an eighth is too large of is refused."""
    raw = encoded(".jpg", cv2.resize(SMOOTH, (1000, 640)))
    if size_wh is None:
        with pytest.raises(BadInputError, match="more than 9,999 pixels, 1000 x 640"):
            decode_image(io.BytesIO(raw), "it", most_pixels=most_pixels)
        return
    picture = decode_image(io.BytesIO(raw), "it", most_pixels=most_pixels)
    assert picture.image.shape[1::-1] == size_wh
    assert (picture.width, picture.height) == (1000, 640)
    assert picture.at_full_size((0, 0, *size_wh)) == (0, 0, 1000, 640)
    assert np.abs(picture.image[5, 5].astype(int) - SMOOTH[1, 1]).max() <= LOSS


@pytest.mark.parametrize("pixels", [108, 200])
def test_a_phones_largest_jpegs(pixels: int) -> None:
    """A JPEG of 108 or 200 million pixels is read without more memory than it is drafted to needs."""
    height = int((pixels * 0.75e6) ** 0.5)
    # Of one colour, and small as a file; PIL, for OpenCV would take the memory for all of it in colour.
    made = io.BytesIO()
    Image.new("L", (height * 4 // 3, height), 77).save(made, "JPEG", quality=30)
    picture = decode_image(made, "it")
    assert picture.width * picture.height > 0.99e6 * pixels
    assert picture.image.shape[0] * picture.image.shape[1] <= 1 << 25
    assert abs(int(picture.image[9, 9, 0]) - 77) <= 2
