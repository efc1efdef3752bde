"""What kind of picture a file is: by its first bytes, for names are given by phones, browsers and people.

Which kinds are read here, which of them need a library that may be missing, and which are named and not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from edgefashion.errors import BadInputError, NoDecoderError
from edgefashion.system.extras import install_line, installed

HEAD_BYTES: Final = 64
"""So many of a file's first bytes say what it is."""

IMAGE_SUFFIXES: Final = frozenset(
    {".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heics", ".heif", ".heifs", ".hif", ".j2k", ".jfif", ".jp2"}
    | {".jpe", ".jpeg", ".jpg", ".pfm", ".pgm", ".pjpeg", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""A file called so is meant as a picture: where its bytes are none, that is an error and not a file to leave out."""

NOT_READ: Final = {
    "JPEG XL": "JPEG XL",
    "EXR": "OpenEXR, whose light has no upper end,",
    "HDR": "Radiance HDR, whose light has no upper end,",
    "PSD": "Photoshop's",
    "RAW": "a camera's raw file and",
}
"""Pictures that are none of ours, and what a message calls them."""

KNOWN: Final = "BMP, JPEG, PNG, TIFF, WebP, GIF, AVIF, HEIC, JPEG 2000 or PNM"
"""What is read, in words."""

_RAW_SUFFIXES: Final = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
"""Most raw files begin as TIFF does."""

_BRANDS: Final = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"), "HEIF"),
    b"crx ": "RAW",
}
"""ISO/IEC 23008-12 and the AV1 image format; CR3 is Canon's."""

_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)
"""Sizes of the header behind the file's own: many a text begins with BM."""

_PNM: Final = re.compile(rb"(P[1-7Ff])\s+(#[^\n]*\n\s*)*\d")

_BEGINNINGS: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"v/1\x01", "EXR"),
    (b"#?RADIANCE", "HDR"),
    (b"#?RGBE", "HDR"),
    (b"8BPS", "PSD"),
    (b"FUJIFILMCCD-RAW", "RAW"),
    (b"IIRO", "RAW"),
    (b"IIRS", "RAW"),
    (b"MMOR", "RAW"),
    (b"IIU\0", "RAW"),
)


def kind_of(head: bytes) -> str | None:
    """What a file is that begins with ``head``, its first ``HEAD_BYTES``: a format's name as Pillow has it, ``PFM``, or
    one of ``NOT_READ``; None for what is no picture."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "RAW" if head[8:10] == b"CR" else "TIFF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if found := _PNM.match(head):
        return "PFM" if found[1] in (b"PF", b"Pf") else "PPM"
    return None


def _of_brands(head: bytes) -> str | None:
    """The box "ftyp" names what a file is mainly, and behind that all that it is as well."""
    size = max(16, int.from_bytes(head[:4], "big"))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
    found = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    # "mif1" alone: a HEIF of some kind.
    return found[0] if found else "HEIF" if brands[0] in (b"mif1", b"msf1") else None


def is_meant(name: str) -> bool:
    """True for a name with a picture's suffix."""
    return _suffix(name) in IMAGE_SUFFIXES


def found_kind(name: str, head: Callable[[], bytes]) -> str | None:
    """As :func:`kind_of` of a file that was found under a name, of which ``head`` is read only where it has to be.

    A name with a picture's suffix is enough (``""``): whoever reads the file then says what it is.
    """
    suffix = _suffix(name)
    if suffix in IMAGE_SUFFIXES:
        return ""
    kind = kind_of(head())
    return "RAW" if kind == "TIFF" and suffix in _RAW_SUFFIXES else kind


def _suffix(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def decoder_of(kind: str | None, name: str) -> str:
    """The format's name in Pillow, what reads it imported.

    Raises :class:`BadInputError` for what is no picture and for kinds that are not read, and :class:`NoDecoderError`
    where a library is missing.
    """
    if kind is None:
        raise BadInputError(f"{name} is no {KNOWN}. Replace it or leave it out")
    if kind in NOT_READ:
        said = f"is {NOT_READ[kind]} is not read here" if kind == "RAW" else f"is {NOT_READ[kind]} and not read here"
        raise BadInputError(f"{name} {said}. Save it as JPEG or PNG")
    if kind == "HEIF" or (kind == "AVIF" and not _has_avif()):
        _register_heif(kind, name)
    elif kind == "JPEG2000" and not _has("jpg_2000"):
        raise NoDecoderError(f"{name} is JPEG 2000, which this Pillow cannot read. Run: pip install --upgrade pillow")
    _import_format(kind)
    return kind


def _has(feature: str) -> bool:
    from PIL import features

    return bool(features.check(feature))


def _has_avif() -> bool:
    try:
        from PIL import AvifImagePlugin
    except ImportError:  # Pillow before 11.3
        return False
    return bool(AvifImagePlugin.SUPPORTED)


def _register_heif(kind: str, name: str) -> None:
    said = "HEIC" if kind == "HEIF" else kind
    if not installed("pillow_heif"):
        install = install_line("pillow_heif") if kind == "HEIF" else 'pip install --upgrade "pillow>=11.3"'
        raise NoDecoderError(f"{name} is {said}, which needs a library that is not installed. Run: {install}")
    try:
        import pillow_heif
    except ImportError as error:
        raise NoDecoderError(
            f"{name} is {said}, and pillow-heif cannot be loaded: {error}. "
            "Run: pip install --force-reinstall pillow-heif"
        ) from error
    if kind == "HEIF":
        pillow_heif.register_heif_opener(thumbnails=False)
    elif hasattr(pillow_heif, "register_avif_opener"):  # in old releases only
        pillow_heif.register_avif_opener(thumbnails=False)
    else:
        raise NoDecoderError(
            f'{name} is AVIF, which this Pillow cannot read. Run: pip install --upgrade "pillow>=11.3"'
        )


def _import_format(kind: str) -> None:
    """Import what reads one format: where it is missing Pillow imports all the seventy that it knows."""
    import importlib

    modules = {"BMP": "Bmp", "GIF": "Gif", "JPEG": "Jpeg", "JPEG2000": "Jpeg2K", "PNG": "Png", "PPM": "Ppm"}
    modules |= {"TIFF": "Tiff", "WEBP": "WebP"}
    if kind in modules:
        importlib.import_module(f"PIL.{modules[kind]}ImagePlugin")
