"""What a PNG says beside its pixels: how many of its bits count, what is transparent, and notes that may be junk."""

from __future__ import annotations

import struct
import zlib


def significant_bits(raw: bytes) -> int | None:
    """The most that a PNG's sBIT says of a channel; None without one, or where it is junk."""
    note = _note(raw, b"sBIT")
    bits = max(note, default=0) if note is not None and len(note) <= 4 else 0
    return bits if 8 <= bits <= 16 else None


def clear_grey(raw: bytes) -> tuple[int, int] | None:
    """Which of a grey PNG's values is transparent (tRNS), and which one is white, both as they are stored; None for a
    PNG of another kind, or where all is opaque."""
    note = _note(raw, b"tRNS")
    if raw[25] != 0 or note is None or len(note) < 2:
        return None
    white = (1 << raw[24]) - 1
    return int.from_bytes(note[:2], "big") & white, white


def _note(raw: bytes, kind: bytes) -> bytes | None:
    """The content of the first chunk ``kind`` before the pixels."""
    at = 8
    while at + 12 <= len(raw) and raw[at + 4 : at + 8] != b"IDAT":
        size = int(struct.unpack_from(">I", raw, at)[0])
        if raw[at + 4 : at + 8] == kind:
            return raw[at + 8 : at + 8 + size]
        at += size + 12
    return None


def png_without_notes(raw: bytes) -> bytes:
    """A PNG without all that is no pixels: a damaged note is no reason to refuse the picture.

    Its EXIF stays if it is whole, for it says how the picture is turned. Raises struct.error for a PNG that is cut off.
    """
    parts, at = [raw[:8]], 8
    while at < len(raw):
        end = at + struct.unpack_from(">I", raw, at)[0] + 12
        kind, content = raw[at + 4 : at + 8], raw[at + 4 : end - 4]
        is_whole_exif = kind == b"eXIf" and raw[end - 4 : end] == struct.pack(">I", zlib.crc32(content))
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND") or is_whole_exif:
            parts.append(raw[at:end])
        at = end
    return b"".join(parts)
