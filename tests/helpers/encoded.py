"""Picture files made byte by byte: of any mode and depth, with EXIF, with notes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def png(pixels: NDArray[Any], colour_type: int, *extra: bytes, depth: int = 8) -> bytes:
    """A PNG of ``pixels`` (height, width, channels) at ``depth`` bits, with ``extra`` chunks."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1).astype(">u2" if depth == 16 else np.uint8)
    if depth < 8:
        bits = np.unpackbits(rows[..., None], axis=2)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    body = b"".join(extra) + chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def exif(orientation: int) -> bytes:
    """The least EXIF: a big-endian TIFF with the orientation as its only tag."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def encoded(suffix: str, image: NDArray[Any], *options: int) -> bytes:
    """``image`` in a format, written by OpenCV."""
    _, out = cv2.imencode(suffix, image, options)
    raw: bytes = out.tobytes()
    return raw


def tiff_turned(image: NDArray[Any], orientation: int) -> bytes:
    """A TIFF of ``image``, written by OpenCV, with an orientation: a longer directory, put at its end."""
    raw = encoded(".tiff", image)
    (at,) = struct.unpack_from("<I", raw, 4)
    (count,) = struct.unpack_from("<H", raw, at)
    entries = [raw[begin : begin + 12] for begin in range(at + 2, at + 2 + 12 * count, 12)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    raw += b"\0" * (len(raw) % 2)
    return raw[:4] + struct.pack("<I", len(raw)) + raw[8:] + directory


def with_exif(jpeg: bytes, content: bytes) -> bytes:
    content = b"Exif\0\0" + content
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def quadrants() -> Picture:
    """A picture (32, 48) whose four quarters differ, so that every turn and flip shows."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :24], image[:16, 24:] = (250, 10, 10), (10, 250, 10)
    image[16:, :24], image[16:, 24:] = (10, 10, 250), (240, 240, 10)
    return image


SMOOTH = cv2.GaussianBlur(quadrants(), (15, 15), 0)  # without hard edges JPEG stays within a few levels

LOSS = 16
"""Grey levels a lossy format may be off; the quarters differ by 240."""


def webp_with(image: Picture, content: bytes) -> bytes:
    """A WebP with alpha and this EXIF."""
    # Not all opaque: WebP would drop the alpha.
    alpha = np.full(image.shape[:2], 254, np.uint8)
    still = encoded(".webp", np.dstack([image, alpha]), cv2.IMWRITE_WEBP_QUALITY, 101)
    assert still[12:16] == b"VP8L"
    height, width = image.shape[:2]
    # 0x18: it has alpha and EXIF; the sizes are 24 bits, less one.
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body: bytes = b"WEBPVP8X" + struct.pack("<II", 10, 0x18) + size + still[12:]
    body += b"EXIF" + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


# What a camera stores of an upright picture, by the orientation it notes down (EXIF 2.3, 4.6.4).
STORED: dict[int, Callable[[Picture], Picture]] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: image.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda image: np.rot90(image, -1),
}
