"""Pictures read and written: of any size, mode and depth, turned upright."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from edgefashion.data import deep_pictures
from edgefashion.data.deep_pictures import is_deep_png, over_white, quiet_cv2
from edgefashion.data.picture_kinds import (
    HEAD_BYTES,
    IMAGE_SUFFIXES,
    decoder_of,
    is_meant,
    kind_of,
)
from edgefashion.data.picture_walk import FolderWalk, LeftOut
from edgefashion.data.pixel_range import in_8_bits
from edgefashion.data.png_notes import clear_grey, png_without_notes
from edgefashion.errors import BadInputError, NoDecoderError
from edgefashion.system.files import written_aside

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "NoDecoderError", "Picture", "decode_image", "image_paths", "is_still"]
__all__ += ["perceptual_hash", "quiet_cv2", "read_image", "scaled_box", "write_png"]

MAX_PIXELS: Final = 1 << 27
"""Larger pictures are refused unless they are JPEGs. A file of a few kilobytes can claim a billion pixels, which
would fill a small computer's memory."""

MAX_JPEG_PIXELS: Final = 1 << 28
"""A JPEG can be decoded at a half, a quarter or an eighth of its size, so that it takes no more memory than another
picture. Phones make 200 million pixels."""

WHOLE_JPEG_PIXELS: Final = 1 << 26
"""JPEGs of more are decoded smaller: nothing that looks at them needs so many."""

DRAFTED_PIXELS: Final = 1 << 25
"""And so small that they have no more than these."""


def image_paths(path: Path, left_out: LeftOut | None = None) -> list[Path]:
    """``path`` itself if it is a file, else every picture below the folder, sorted.

    What is left out of the folder is counted in ``left_out``. Raises :class:`BadInputError` if the path does not exist
    or the folder holds no picture.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        said = "is neither a file nor a folder" if path.exists() else "does not exist"
        raise BadInputError(f"{path} {said}. Give an image file or a folder of images")
    left_out = LeftOut() if left_out is None else left_out
    before = left_out.copy()
    found = sorted(Path(name) for name in FolderWalk(left_out).below(str(path)))
    if not found:
        told = left_out.since(before).told()
        raise BadInputError(f"{path} holds no image{f' ({told})' if told else ''}. Give a folder with pictures")
    return found


def is_still(path: Path) -> bool:
    """True for a file that is a picture, or is called one, and no film: a GIF of several frames is a film.

    Raises :class:`BadInputError` where it cannot be read.
    """
    from PIL import Image

    if path.exists() and not path.is_file():  # a pipe would be waited for, and lose what is read of it
        return is_meant(path.name)
    try:
        with path.open("rb") as file:
            kind = kind_of(file.read(HEAD_BYTES))
        if kind != "GIF":
            return kind is not None or is_meant(path.name)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions") from error
    try:
        with Image.open(path, formats=[decoder_of(kind, str(path))]) as opened:
            return not getattr(opened, "is_animated", False)
    except Exception:  # a damaged GIF, of which Pillow has errors of many kinds: whoever reads it says so
        return True


@dataclass(frozen=True)
class Picture:
    """A decoded picture, and how large it was before it was decoded smaller."""

    image: NDArray[np.uint8]
    """BGR (height, width, 3), upright."""
    width: int
    height: int

    def at_full_size(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """A box (x, y, width, height) in pixels of ``image`` as one in the picture at its full size."""
        return scaled_box(box, (self.image.shape[1], self.image.shape[0]), (self.width, self.height))


def scaled_box(
    box: tuple[int, int, int, int], of_wh: tuple[int, int], to_wh: tuple[int, int]
) -> tuple[int, int, int, int]:
    """A box (x, y, width, height) in a picture of one size as one in the same picture at another, rounded outwards."""
    (x, y, w, h), (width, height), (to_width, to_height) = box, of_wh, to_wh
    x0, x1 = x * to_width // width, -(-(x + w) * to_width // width)
    y0, y1 = y * to_height // height, -(-(y + h) * to_height // height)
    return x0, y0, x1 - x0, y1 - y0


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a BMP, GIF, JPEG, PNG, TIFF, WebP, AVIF, HEIC, JPEG 2000 or PNM file of any mode and depth.

    What it is, its bytes say and not its name. EXIF rotation is applied, deep pixels become 8 bits, transparency is
    laid over white, and of several frames the first is read. A JPEG of more than 67 million pixels is read at a half, a
    quarter or an eighth of its size.

    Args:
        path: The file.

    Returns:
        BGR uint8 (height, width, 3), upright, from 0 to 255.

    Raises:
        BadInputError: Anything else, a file that is truncated, a picture that is too large, or one whose values do not
            tell what is white.
        NoDecoderError: A HEIC or AVIF file without the library that reads it. It is a BadInputError, too.

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
    before it is decoded, or if it is a JPEG, decoded smaller.
    """
    from PIL import Image

    try:
        with file.open("rb") if isinstance(file, Path) else nullcontext(file) as stream:
            _silence_pillow()
            stream.seek(0)
            head = stream.read(HEAD_BYTES)
            stream.seek(0)
            given = _Given(stream, head, name, least_px, most_pixels)
            kind = decoder_of(kind_of(head) if head else None, name)
            if kind == "TIFF" and (found := _deep_tiff(given)):
                return found
            if kind == "PFM":
                return _pfm(given)
            try:
                return _with_pillow(given, kind)
            except _NOTES_ERRORS:
                # Whole but for a note in it? One that is truncated is so without its notes, too.
                if kind != "PNG":
                    raise
                stream.seek(0)
                bare = io.BytesIO(png_without_notes(stream.read()))
                return _with_pillow(replace(given, stream=bare), kind)
    except Image.DecompressionBombError as error:
        raise BadInputError(f"{name} has more than {most_pixels:,} pixels. Make it smaller") from error
    except OSError as error:
        if error.errno is not None:
            reason = f"{error.strerror}. Check the path and its permissions"
            raise BadInputError(f"{name} cannot be read: {reason}") from error
        raise BadInputError(f"{name} {_BROKEN}") from error
    except BadInputError:
        raise
    except (MemoryError, OverflowError) as error:
        raise BadInputError(f"{name} needs more memory than there is. Make it smaller") from error
    except Exception as error:  # decoders raise what they like for a damaged file
        raise BadInputError(f"{name} {_BROKEN}") from error


def _silence_pillow() -> None:
    """Pillow warns of half-broken metadata and large sizes. Only the picture counts here.

    For good, and not by ``warnings.catch_warnings``: that sets the filters of the whole process back, while another
    thread decodes, or a library ignores a warning of its own.
    """
    if warnings.filters[:1] != [_PILLOWS]:
        warnings.filterwarnings("ignore", module=_PILLOWS[3].pattern)


_PILLOWS: Final = ("ignore", None, Warning, re.compile(r"PIL\.|pillow_heif"), 0)
"""The filter as :mod:`warnings` keeps it."""

_BROKEN: Final = "is not a whole, readable picture. Replace it or leave it out"

_NOTES_ERRORS: Final = (SyntaxError, ValueError, EOFError, struct.error, zlib.error, OSError)

_ORIENTATION: Final = 0x0112
"""EXIF's tag of how a picture is to be turned."""

_ON_ITS_SIDE: Final = (5, 6, 7, 8)


@dataclass(frozen=True)
class _Given:
    """What is to be decoded, and how large it may be."""

    stream: BinaryIO
    head: bytes
    name: str
    least_px: int | None
    most_pixels: int

    def check_size(self, width: int, height: int) -> None:
        if width * height > self.most_pixels:
            size = f"{width} x {height}"
            raise BadInputError(f"{self.name} has more than {self.most_pixels:,} pixels, {size}. Make it smaller")

    def bytes(self) -> bytes:
        """The whole file."""
        self.stream.seek(0)
        return self.stream.read()


def _with_pillow(given: _Given, kind: str) -> Picture:
    # Pillow, not OpenCV: it knows a picture's size before it decodes, turns every format upright,
    # and raises on a truncated file where OpenCV reads grey bars as success.
    with _opened(given.stream, kind) as opened:
        width, height = opened.size
        whole = _drafted(opened, given)
        if whole is None:
            given.check_size(width, height)
        opened.load()
        turned = _orientation(opened)
        if turned in _ON_ITS_SIDE:
            width, height = height, width
        if kind == "PNG" and is_deep_png(given.head):
            image = over_white(deep_pictures.of_png(given.bytes(), given.name))
        else:
            cut = opened if whole is None or whole[2:] == opened.size else opened.crop(whole)
            image = _as_bgr(cut, given, kind)
        return Picture(_upright(image, turned), width, height)


def _opened(stream: BinaryIO, kind: str) -> Image.Image:
    from PIL import Image

    if kind == "JPEG":
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(stream)  # without Pillow's own limit of pixels, for it can be decoded smaller
    return Image.open(stream, formats=[kind])


def _drafted(opened: Image.Image, given: _Given) -> tuple[int, int, int, int] | None:
    """Have a JPEG decoded smaller where that is enough or has to be; the part of what is decoded that is the picture.

    Does nothing but for JPEG. Pillow shrinks by the largest of 1, 2, 4 and 8 that leaves both edges long enough.
    """
    width, height = wanted_wh = opened.size
    # Smaller ones cost little to decode whole, which leaves the answers the same to the last digit.
    if given.least_px is not None and min(width, height) >= 4 * given.least_px:
        factor = given.least_px / min(width, height)
        wanted_wh = int(np.ceil(width * factor)), int(np.ceil(height * factor))
    # The pixels of a progressive JPEG are all kept at once in the decoder, however small they are wanted.
    limit = given.most_pixels if "progressive" in opened.info else MAX_JPEG_PIXELS
    if min(WHOLE_JPEG_PIXELS, given.most_pixels) < width * height <= limit:
        most = min(DRAFTED_PIXELS, given.most_pixels)
        part = next((part for part in (2, 4, 8) if width * height <= most * part * part), None)
        if part is not None:
            wanted_wh = min(wanted_wh, (max(1, width // part), max(1, height // part)))
    if wanted_wh == opened.size:
        return None
    drafted = opened.draft(None, wanted_wh)
    if not drafted:
        return None
    # As in halving, the last row or column of an odd edge is left out.
    return 0, 0, max(1, int(drafted[1][2])), max(1, int(drafted[1][3]))


def _deep_tiff(given: _Given) -> Picture | None:
    """A TIFF that Pillow would read only in part; None for any other."""
    facts = deep_pictures.tiff_facts(given.stream)
    given.stream.seek(0)
    if facts.is_preview:
        raise BadInputError(
            f"{given.name} is a camera's raw file, or begins with a preview, and is not read here. Save it as JPEG"
        )
    if not facts.deep:
        return None
    given.check_size(facts.width, facts.height)
    image = over_white(deep_pictures.of_tiff(given.bytes(), facts, given.name))
    upright = _upright(image, facts.orientation)
    return Picture(upright, upright.shape[1], upright.shape[0])


def _pfm(given: _Given) -> Picture:
    width, height = deep_pictures.pfm_size(given.head)
    given.check_size(width, height)
    return Picture(over_white(deep_pictures.of_pfm(given.bytes(), given.name)), width, height)


def _orientation(opened: Image.Image) -> int:
    """How a picture is turned, from 1 to 8; 1 where its EXIF says nothing, or is junk."""
    try:
        turned = opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # of any kind: it takes apart whatever bytes came
        return 1
    return turned if isinstance(turned, int) and 1 <= turned <= 8 else 1


def _upright(image: NDArray[np.uint8], turned: int) -> NDArray[np.uint8]:
    """``image`` with EXIF's orientation undone."""
    import cv2

    if turned in (5, 7):
        image = np.asarray(cv2.transpose(image), np.uint8)
    if turned in (2, 4):
        return np.asarray(cv2.flip(image, 1 if turned == 2 else 0), np.uint8)
    turn = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 7: cv2.ROTATE_180, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
    return np.asarray(cv2.rotate(image, turn[turned]), np.uint8) if turned in turn else image


def _as_bgr(picture: Image.Image, given: _Given, kind: str) -> NDArray[np.uint8]:
    import cv2
    from PIL import Image

    clear = clear_grey(given.bytes()) if kind == "PNG" and "transparency" in picture.info else None
    if picture.mode.startswith(("I", "F")):  # deep grey, in one of Pillow's spellings
        values = np.asarray(picture)
        # Pillow brings those of the other kinds to 16 bits by the depth that their files name.
        most = deep_pictures.png_white(given.bytes(), values) if kind == "PNG" else float(0xFFFF)
        image = over_white(in_8_bits(values, given.name, white=most))
        if clear is not None:
            image[values == clear[0]] = 255
        return image
    if clear is not None:  # Pillow enlarges greys of 2 and 4 bits to 8, and not the one of them that is transparent
        picture.info["transparency"] = clear[0] * 255 // clear[1]
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        picture = Image.alpha_composite(white, rgba)
    if picture.mode == "LAB":
        picture = _from_lab(picture)
    # Not [..., ::-1] and a copy of it, for which numpy takes as long as the decoder takes for the picture.
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    return np.asarray(cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR), np.uint8)


def _from_lab(picture: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    seen = ImageCms.applyTransform(picture, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    assert seen is not None, "it is not changed in place"
    return seen


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
