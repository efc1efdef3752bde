"""Pictures read and written: of any size, mode and depth, turned upright."""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.system.files import written_aside

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image


IMAGE_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

MAX_PIXELS: Final = 1 << 27
"""Larger pictures are refused before decoding. Phones make 108 million pixels. A file of a few kilobytes can claim a
billion, which would fill a small computer's memory once decoded."""


def image_paths(path: Path) -> list[Path]:
    """``path`` itself if it is a file, else every image below the folder, sorted.

    Raises :class:`BadInputError` if the path does not exist or the folder holds no image.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadInputError(f"{path} does not exist. Give an image file or a folder of images")
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not found:
        raise BadInputError(f"{path} holds no image ({' '.join(sorted(IMAGE_SUFFIXES))}). Give a folder with pictures")
    return found


@dataclass(frozen=True)
class Picture:
    """A decoded picture, and how large it was before it was decoded smaller."""

    image: NDArray[np.uint8]
    """BGR (height, width, 3), upright."""
    width: int
    height: int


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a BMP, JPEG, PNG, TIFF or WebP file of any mode and depth.

    EXIF rotation is applied, 16 bits become 8, transparency is laid over white.

    Args:
        path: The file.

    Returns:
        BGR uint8 (height, width, 3), upright, from 0 to 255.

    Raises:
        BadInputError: Anything else, a file that is truncated, or a picture that is too large.

    Example:
        >>> from edgefashion import read_image
        >>> picture = read_image("shirt.jpg")
        >>> picture.dtype, picture.ndim
        (dtype('uint8'), 3)
    """
    return decode_image(Path(path), str(path)).image


def decode_image(
    file: Path | BinaryIO, name: str, least_px: int | None = None, most_pixels: int = MAX_PIXELS
) -> Picture:
    """As :func:`read_image`, of a file or a stream of one, called ``name`` in what is raised.

    ``least_px``: how long the shorter edge has to be at least. A JPEG four times as large is decoded at a quarter or an
    eighth of its size where that is enough, in a fraction of the time. ``most_pixels``: a picture of more is refused
    before it is decoded.
    """
    # Pillow, not OpenCV: it knows a picture's size before it decodes, turns every format upright,
    # and raises on a truncated file where OpenCV reads grey bars as success.
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of half-broken metadata and large sizes. Only the picture counts here.
            warnings.simplefilter("ignore")
            _import_formats()
            with Image.open(file, formats=_FORMATS) as opened:
                width, height = opened.size
                whole: tuple[int, int, int, int] | None = None
                if width * height > most_pixels:
                    size = f"{width} x {height}"
                    raise BadInputError(f"{name} has more than {most_pixels:,} pixels, {size}. Make it smaller")
                # Smaller ones cost little to decode whole, which leaves the answers the same to the last digit.
                if least_px is not None and min(width, height) >= 4 * least_px:
                    # Does nothing but for JPEG, which is shrunk by the largest of 1, 2, 4 and 8 that leaves both edges
                    # long enough.
                    factor = least_px / min(width, height)
                    drafted = opened.draft(None, (int(np.ceil(width * factor)), int(np.ceil(height * factor))))
                    if drafted:  # as in halving, the last row or column of an odd edge is left out
                        whole = (0, 0, max(1, int(drafted[1][2])), max(1, int(drafted[1][3])))
                opened.load()
                cut = opened if whole is None or whole[2:] == opened.size else opened.crop(whole)
                turned = opened.getexif().get(_ORIENTATION, 1)
                if turned in _ON_ITS_SIDE:
                    width, height = height, width
                upright = cut if turned == 1 else ImageOps.exif_transpose(cut)
                return Picture(_as_bgr(upright), width, height)
    except UnidentifiedImageError as error:
        raise BadInputError(f"{name} is no BMP, JPEG, PNG, TIFF or WebP. Replace it or leave it out") from error
    except Image.DecompressionBombError as error:
        raise BadInputError(f"{name} has more than {most_pixels:,} pixels. Make it smaller") from error
    except OSError as error:
        if error.errno is not None:
            reason = f"{error.strerror}. Check the path and its permissions"
            raise BadInputError(f"{name} cannot be read: {reason}") from error
        raise BadInputError(f"{name} {_BROKEN}") from error
    except (ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:  # Pillow's decoders raise these too
        raise BadInputError(f"{name} {_BROKEN}") from error


_BROKEN: Final = "is not a whole, readable picture. Replace it or leave it out"

_ORIENTATION: Final = 0x0112
"""EXIF's tag of how a picture is to be turned."""

_ON_ITS_SIDE: Final = (5, 6, 7, 8)

_FORMATS: Final = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")


def _import_formats() -> None:
    """Import what reads our formats: where one of them is missing Pillow imports all the seventy that it knows."""
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401


def _as_bgr(picture: Image.Image) -> NDArray[np.uint8]:
    import cv2
    from PIL import Image

    if picture.mode.startswith("I"):  # 16-bit grey, in one of Pillow's four spellings
        grey = np.asarray(picture, np.float32) / 257
        return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        picture = Image.alpha_composite(white, rgba)
    # Not [..., ::-1] and a copy of it, for which numpy takes as long as the decoder takes for the picture.
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    return np.asarray(cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR), np.uint8)


@contextlib.contextmanager
def quiet_cv2() -> Iterator[None]:
    """Silence OpenCV's own warnings while it decodes: the user reads our one line instead."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a grey or BGR picture as PNG; raises OSError if the place cannot be written."""
    import cv2

    _, encoded = cv2.imencode(".png", image)
    with written_aside(path) as aside:
        # Not imwrite: it fails without an error, and does so for some Windows paths.
        aside.write_bytes(encoded.tobytes())


def perceptual_hash(picture: NDArray[np.uint8]) -> int:
    """64 bits that survive resizing and compression (pHash: the signs of the 8x8 lowest
    frequencies of the 32x32 grey picture against their median)."""
    import cv2

    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(grey.astype(np.float32))[:8, :8].ravel()
    bits = np.packbits(low > np.median(low[1:]))
    return int.from_bytes(bits.tobytes(), "big")
