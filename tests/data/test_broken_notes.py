"""A whole picture is read whatever is wrong with the notes in it: EXIF, colour profiles, texts."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.encoded import LOSS, RGBA, SMOOTH, chunk, encoded, exif, png, webp_with, with_exif

from edgefashion.data.images import read_image


def write(folder: Path, raw: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(raw)
    return path


JUNK_EXIF = {
    "no header": bytes.fromhex("0008000201120003000000010001"),
    "a Python text": repr(exif(6)).encode(),
    "thrice": b"Exif\0\0Exif\0\0" + exif(1),
    "cut": exif(6)[:14],
    "zeros": bytes(64),
    "one byte": b"M",
    "in a circle": b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x8769, 4, 1, 0, 8, 8),
    "turned by 99": exif(99),
    "a text for a number": b"MM\0*" + struct.pack(">IHHHI4sI", 8, 1, 274, 2, 3, b"6\0\0\0", 0),
}


@pytest.mark.parametrize("junk", JUNK_EXIF)
def test_broken_notes_do_not_refuse_a_picture(junk: str, tmp_path: Path) -> None:
    """A whole JPEG, PNG or WebP is read, and as it lies, whatever junk its EXIF is."""
    content = JUNK_EXIF[junk]
    jpeg = with_exif(encoded(".jpg", SMOOTH), content)
    alpha = np.dstack([SMOOTH[..., ::-1], np.full(SMOOTH.shape[:2], 255, np.uint8)])
    for raw in (jpeg, png(alpha, RGBA, chunk(b"eXIf", content)), webp_with(SMOOTH, content)):
        image = read_image(write(tmp_path, raw))
        assert image.shape == SMOOTH.shape
        assert np.abs(image.astype(int) - SMOOTH).max() <= LOSS


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(chunk(b"iCCP", b"sRGB\0\0no zlib at all"), id="colour profile"),
        pytest.param(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 22))), id="text that would fill memory"),
        pytest.param(struct.pack(">I", 4) + b"tEXtabcd" + bytes(4), id="wrong check sum"),
        pytest.param(chunk(b"pHYs", b"\1"), id="too short"),
    ],
)
def test_a_png_is_read_past_broken_notes(note: bytes, tmp_path: Path) -> None:
    """A PNG with a damaged note of any kind is read by its pixels, and turned by its EXIF if that is whole."""
    rgba = np.dstack([SMOOTH[..., ::-1], np.full(SMOOTH.shape[:2], 255, np.uint8)])
    raw = png(rgba, RGBA, note, chunk(b"eXIf", exif(3)))
    assert np.array_equal(read_image(write(tmp_path, raw)), SMOOTH[::-1, ::-1])
