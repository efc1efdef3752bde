"""Who sent a photo: what is held out together, so that a network is not judged by pictures it knows the twins of.

Photos of one sender show one room, one light and often the same garments. A sender is a place on a day. It is told, or
guessed, by the first of these that a photo has:

1. the sub-folder below its label's folder;
2. of a picture that a camera collected, the camera and the day;
3. of a file that a phone or a camera has named (``IMG_0001.jpg``), the day: in the name, or when it was taken by the
   picture's own note (EXIF). Where neither tells, all such files of a folder are taken for one day's;
4. the file name's part before its first ``-`` or ``_``; all of it where there is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Final, NamedTuple

from edgefashion.data import collected

FOLDER, CAMERA, DAY, NO_DAY, NAME = "folder", "camera and day", "day", "no day", "name"
"""How a sender is told."""

WORDS: Final = {
    FOLDER: "their sub-folder",
    CAMERA: "camera and day",
    DAY: "the day of a phone's or camera's file",
    NO_DAY: "nothing (files of a phone or camera that tell no day)",
    NAME: "the beginning of the file's name",
}

UNKNOWN_DAY: Final = "a day that no file tells"

_DEVICE: Final = re.compile(
    r"(?:img|image|dsc[nf]?|pxl|p|pic|photo|picture|mvimg|vid|video|dcim|cimg|imag|sam|gopr|dji|hpim|pict|screenshot"
    r"|signal|whatsapp[ _-]image|wa|snapshot|capture|frame|scan|foto|bild|download|unnamed|fullsizerender)"
    r"[ _-]*(?:e|wa)?[ _-]*(?:\d.*|\(\d+\))?|\d{3}[_-]\d{4}|\d{8}[_-]\d{6}.*",
    re.IGNORECASE,
)
"""File names, their suffix left out, that devices and programs give."""

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_DATE: Final = re.compile(r"(?<!\d)(20\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_COLLECTED: Final = re.compile(r"(\d{4})(\d\d)(\d\d)-\d{6}-[0-9a-f]{16}(?:-\d+)?")
_TAKEN: Final = (0x9003, 0x9004, 0x0132)
"""EXIF's tags of when a picture was taken, digitized, changed."""


class Sender(NamedTuple):
    """What a photo is held out with."""

    name: str
    by: str
    """How it is told: one of this module's words."""


def sender_of(path: Path, label_folder: Path) -> Sender:
    """The sender of a photo below its label's folder. Of files that a device has named the picture's head is read."""
    below = path.relative_to(label_folder).parts
    if len(below) > 1:
        return Sender(below[0], FOLDER)
    stem = path.stem
    if found := _COLLECTED.fullmatch(stem):
        facts = collected.read_facts(path)
        day = "-".join(found.groups())
        return Sender(f"{facts.camera} {day}" if facts and facts.camera else day, CAMERA)
    if stem.isdecimal() and (taken := _day_in(stem) or _day_taken(path)):
        return Sender(taken, DAY)
    if _DEVICE.fullmatch(stem) or _UUID.fullmatch(stem):
        taken = _day_in(stem) or _day_taken(path)
        return Sender(taken, DAY) if taken else Sender(UNKNOWN_DAY, NO_DAY)
    return Sender(prefix_of(stem), NAME)


def hashed(sender: str) -> str:
    """What is written of a sender in a bundle, which travels: a person's name, or a camera's address, tells nobody."""
    return f"sha256:{hashlib.sha256(sender.encode('utf-8', 'surrogateescape')).hexdigest()}"


def prefix_of(stem: str) -> str:
    """A file name's part before its first ``-`` or ``_``; all of it where there is none."""
    return re.split(r"[-_]", stem, maxsplit=1)[0] or stem


def _day_in(stem: str) -> str | None:
    found = _DATE.search(stem)
    return f"{found[1]}-{found[3]}-{found[4]}" if found else None


def _day_taken(path: Path) -> str | None:
    """The day that the picture itself tells; None where it tells none or cannot be read."""
    from PIL import Image

    with contextlib.suppress(Exception):  # of a damaged head Pillow raises many kinds
        with Image.open(path) as picture:
            exif = picture.getexif()
            told = {**exif, **exif.get_ifd(0x8769)}
        for tag in _TAKEN:
            if found := _DATE.match(str(told.get(tag, "")).replace(":", "-")):
                return f"{found[1]}-{found[3]}-{found[4]}"
    return None
