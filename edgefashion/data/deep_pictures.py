"""Pictures of more than 8 bits a channel, which Pillow cuts to their upper 8 or does not open: TIFF, PNG and PFM.

OpenCV reads their values as they are. What the file says of itself comes from Pillow's reader of TIFF tags.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from edgefashion.data.pixel_range import in_8_bits, is_enlarged
from edgefashion.data.png_notes import significant_bits
from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UINT, _INT, _FLOAT, _UNDEFINED = 1, 2, 3, 4
"""TIFF's sample formats."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5
"""Of TIFF's colour spaces (PhotometricInterpretation)."""

_TURNED: Final = 274
"""TIFF's tag of how the picture is to be turned, of EXIF's number."""

_SAVE: Final = "Save it as JPEG or PNG"


@dataclass(frozen=True)
class TiffFacts:
    """What the first directory of a TIFF says."""

    width: int
    height: int
    bits: int
    sample_format: int
    colours: int
    orientation: int
    white: float | None
    black: float | None
    is_preview: bool
    """True where the first picture is a small one of another: so begin most raw files of cameras."""
    end: int
    """Where in the file its pixels end."""

    @property
    def deep(self) -> bool:
        """True where Pillow would lose something."""
        return self.colours != _CMYK and (self.bits > 8 or self.sample_format not in (_UINT, _UNDEFINED))


def tiff_facts(file: BinaryIO) -> TiffFacts:
    """Read the tags of a TIFF. What is raised for a damaged one is of many kinds."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    head = file.read(8)
    if head[2:4] in (b"+\0", b"\0+"):  # BigTIFF: the place of the first directory takes 8 bytes
        head += file.read(8)
    tags = ImageFileDirectory_v2(head)
    file.seek(tags.next)
    tags.load(file)

    def first(tag: int, otherwise: Any = None) -> Any:
        found = tags.get(tag, otherwise)
        return found[0] if isinstance(found, tuple) and found else found

    bits = tags.get(258, 1)
    places = zip(_all(tags.get(273) or tags.get(324)), _all(tags.get(279) or tags.get(325)), strict=False)
    return TiffFacts(
        width=int(first(256)),
        height=int(first(257)),
        bits=max(bits) if isinstance(bits, tuple) else int(bits),
        sample_format=int(first(339, _UINT)),
        colours=int(first(262, _BLACK_IS_ZERO)),
        orientation=next((turned for turned in range(1, 9) if turned == first(_TURNED)), 1),
        white=_number(first(341, first(281))),
        black=_number(first(340, first(280))),
        is_preview=bool(int(first(254, 0)) & 1) or 50706 in tags,  # 50706: DNGVersion
        end=max((int(at) + int(size) for at, size in places), default=0),
    )


def _all(told: Any) -> tuple[Any, ...]:
    return told if isinstance(told, tuple) else () if told is None else (told,)


def _number(told: Any) -> float | None:
    try:
        return None if told is None else float(told)
    except (TypeError, ValueError):
        return None


def of_tiff(raw: bytes, facts: TiffFacts, name: str) -> NDArray[np.uint8]:
    """A deep TIFF as uint8 grey (h, w), BGR (h, w, 3) or BGRA (h, w, 4), not turned.

    Raises :class:`BadInputError` for what is cut off, of a kind that OpenCV does not read, or of an unknown range.
    """
    if facts.colours not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise BadInputError(f"{name} is a TIFF of colours that are not read with {facts.bits} bits. {_SAVE}")
    if facts.end > len(raw):
        raise BadInputError(f"{name} is not a whole, readable picture. Replace it or leave it out")
    values = _values(raw if facts.orientation == 1 else _unturned(raw))
    if values is None or values.shape[:2] != (facts.height, facts.width):
        raise BadInputError(f"{name} is a TIFF of {facts.bits} bits a channel in a way that is not read. {_SAVE}")
    white = facts.white
    if white is None and facts.sample_format == _UINT and 8 < facts.bits < 16:
        white = float((1 << facts.bits) - 1)
        if values.max() > white:  # OpenCV moves such bits to the upper end of its 16
            white *= 1 << (16 - facts.bits)
    inverted = facts.colours == _WHITE_IS_ZERO
    return in_8_bits(values, name, white=white, black=facts.black, inverted=inverted)


def _unturned(raw: bytes) -> bytes:
    """A TIFF that says that it is upright: OpenCV turns some kinds of TIFF and not others, and which, its releases
    differ in. Raises struct.error for a damaged one."""
    order, is_big = "<" if raw[:2] == b"II" else ">", raw[2:4] in (b"+\0", b"\0+")
    place, number, entry, upright = ("Q", "Q", 20, "HHQHHI") if is_big else ("I", "H", 12, "HHIHH")
    (directory,) = struct.unpack_from(order + place, raw, 8 if is_big else 4)
    (entries,) = struct.unpack_from(order + number, raw, directory)
    first, made = directory + struct.calcsize(order + number), bytearray(raw)
    for at in range(first, first + entries * entry, entry):
        if struct.unpack_from(order + "H", raw, at)[0] == _TURNED:
            one_short = (3, 1, 1) + (0,) * (len(upright) - 4)
            struct.pack_into(order + upright, made, at, _TURNED, *one_short)
    return bytes(made)


def of_png(raw: bytes, name: str) -> NDArray[np.uint8]:
    """A PNG of 16 bits, which is known to be whole, as :func:`of_tiff` gives it."""
    values = _values(raw)
    if values is None:
        raise BadInputError(f"{name} is a PNG of 16 bits in a way that is not read. Save it with 8")
    return in_8_bits(values, name, white=png_white(raw, values))


def png_white(raw: bytes, values: NDArray[Any]) -> float | None:
    """What is white in a PNG of 16 bits, by its note of how many of them count (sBIT); None where it has none.

    By the format's rules it is always 65535, and samples of fewer bits are enlarged to 16. Some cameras write the
    number and do not enlarge: then no value has more bits, and the lower ones are used.
    """
    bits = significant_bits(raw)
    if bits is None:
        return None
    largest = (1 << bits) - 1
    is_small = bits < 16 and values.max() <= largest and not is_enlarged(values)
    return float(largest if is_small else 0xFFFF)


_PFM: Final = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+.\deE]{1,30})\s")


def pfm_size(head: bytes) -> tuple[int, int]:
    """(width, height) of a PFM. Raises ValueError for a head that is none."""
    if not (found := _PFM.match(head)):
        raise ValueError("no head of a PFM")
    return int(found[2]), int(found[3])


def of_pfm(raw: bytes, name: str) -> NDArray[np.uint8]:
    """A PFM, grey (h, w) or BGR (h, w, 3). Raises ValueError for a damaged one, :class:`BadInputError` for one of an
    unknown range."""
    found = _PFM.match(raw)
    assert found is not None, "its size was read"
    width, height, channels = int(found[2]), int(found[3]), 3 if found[1] == b"PF" else 1
    order = "<f4" if float(found[4]) < 0 else ">f4"
    values = np.frombuffer(raw, order, width * height * channels, found.end()).reshape(height, width, channels)
    return in_8_bits(values[::-1, :, ::-1], name)  # from the bottom up, red first


def _values(raw: bytes) -> NDArray[Any] | None:
    """What OpenCV reads, its values as they are; None where it cannot."""
    import cv2

    with quiet_cv2():
        try:
            found = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None
    return None if found is None else np.asarray(found)


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


def is_deep_png(head: bytes) -> bool:
    """True for 16 bits of colour or grey with alpha, of which Pillow keeps the upper 8."""
    return len(head) >= 26 and head[24] == 16 and head[25] in (2, 4, 6)


def over_white(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey (h, w) or (h, w, 1), BGR (h, w, 3) or BGRA (h, w, 4) as BGR, what is transparent white."""
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    if image.shape[2] == 3:
        return image
    alpha = image[..., 3:].astype(np.float32) / 255
    return np.rint(image[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
