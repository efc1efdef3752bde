"""Facts that travel in a JPEG: JSON in its comment segment, written and read without touching the pixels."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

_VERSION: Final = 1
_START: Final = b"\xff\xd8"
_JFIF: Final = b"\xff\xe0"
_COMMENT: Final = b"\xff\xfe"
_MOST_BYTES: Final = 0xFFFF - 2


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a collected picture. Every field has a default: a file may lack any of them."""

    time: str = ""
    """ISO 8601, with the offset from UTC: when it was taken or, from a file, looked at."""
    camera: str = ""
    """The computer and its camera, or the folder of pictures that it comes from, with a hash of its path: one place."""
    why: str = ""
    """``unsure``, ``changed`` (named differently within a second) or ``sample`` (a sure one)."""
    label: str | None = None
    """The network's answer, in its own words; None where it saw no garment."""
    confidence: float = 0.0
    """From 0 to 1."""
    accepted: bool = False
    """True where the network was sure enough to say it."""
    top: tuple[tuple[str, float], ...] = ()
    """The best answers with their shares, the best first."""
    model: str = ""
    revision: str = ""
    worn: bool = False
    """True where somebody wears the garment."""
    box: tuple[int, int, int, int] | None = None
    """Where the garment is in the picture: x, y, width, height in pixels. What is around it is its margin or, where
    the whole frame was kept, that."""


def with_facts(jpeg: bytes, facts: Facts) -> bytes:
    """The JPEG file ``jpeg`` with ``facts`` in a comment segment of its own, the first but for JFIF's.

    Raises :class:`ValueError` for what is no JPEG.
    """
    if not jpeg.startswith(_START):
        raise ValueError("it is no JPEG")
    text = json.dumps({"edgefashion": _VERSION, **asdict(facts)}).encode()
    if len(text) > _MOST_BYTES:
        raise ValueError("the facts are too long for a comment")
    at = 4 + int.from_bytes(jpeg[4:6], "big") if jpeg[2:4] == _JFIF else 2
    return jpeg[:at] + _COMMENT + (len(text) + 2).to_bytes(2, "big") + text + jpeg[at:]


def read_facts(path: Path) -> Facts | None:
    """The facts in a JPEG file; None where there are none, it is gone, or it is no JPEG. Nothing is decoded.

    A fact that is not what it should be has its default.
    """
    try:
        with path.open("rb") as file:
            for text in _comments(file):
                with contextlib.suppress(ValueError, RecursionError):
                    found = json.loads(text)
                    if isinstance(found, dict) and "edgefashion" in found:
                        return _facts(found)
    except OSError:
        pass
    return None


def _comments(file: BinaryIO) -> Iterator[bytes]:
    """The comment segments of a JPEG, up to where its pixels begin."""
    if file.read(2) != _START:
        return
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] != 0xDA:
        length = int.from_bytes(head[2:], "big") - 2
        if length < 0:
            return
        if head[:2] == _COMMENT:
            yield file.read(length)
        else:
            file.seek(length, os.SEEK_CUR)


def _facts(found: dict[str, Any]) -> Facts:
    """The facts among ``found``, each of its own kind."""
    sound = {
        "time": _is_time,
        "confidence": _is_share,
        "accepted": lambda value: isinstance(value, bool),
        "worn": lambda value: isinstance(value, bool),
        "top": lambda value: isinstance(value, list) and all(map(_is_answer, value)),
        "box": _is_box,
    }
    told = {
        field.name: found[field.name]
        for field in fields(Facts)
        if field.name in found and sound.get(field.name, _is_text)(found[field.name])
    }
    if "top" in told:
        told["top"] = tuple((label, float(share)) for label, share in told["top"])
    if "box" in told:
        told["box"] = tuple(told["box"])
    return Facts(**told)


def _is_text(value: object) -> bool:
    """False for text, too, that no page takes: JSON may hold half a letter."""
    return isinstance(value, str) and re.search("[\ud800-\udfff]", value) is None


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_answer(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_text(value[0]) and _is_share(value[1])


def _is_box(value: object) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(type(edge) is int for edge in value)
