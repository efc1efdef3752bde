"""Which names of folders are labels, and which label a person may type."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from edgefashion.data.picture_walk import stray
from edgefashion.errors import BadInputError
from edgefashion.labels import GROUPS, NO_GARMENT, PHOTO_LABELS, UNKNOWN

TO_REVIEW: Final = "to review"
"""The folder of the pictures that nobody has decided about yet."""

DELETED: Final = ".deleted"
"""The folder of those that were deleted, for an undo."""

LONGEST: Final = 60
"""Characters that a label has at most. As UTF-8 they fit into the 255 bytes that a file system allows."""

_FORBIDDEN: Final = '/\\:*?"<>|'
"""Characters that Windows has in no name."""

_RESERVED: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])(\..*)?", re.IGNORECASE
)
"""Names of devices, which Windows allows no file, whatever follows a dot."""

_TAKEN: Final = {"photos.csv", "annotations.json"}
"""Names of lists that are read beside the labels' folders."""

ALIASES: Final = {
    "t-shirt/top": "T-shirt",
    "t-shirt top": "T-shirt",
    "tshirt": "T-shirt",
    "none": NO_GARMENT,
    "none of these": UNKNOWN,  # as the review page calls it
}
"""Other spellings, by their :func:`key`, and the folder's name."""


def key(label: str) -> str:
    """The same for two labels that differ by case, blanks or underscores only: they are one label."""
    return " ".join(unicodedata.normalize("NFC", label).replace("_", " ").split()).casefold()


def is_label_folder(name: str) -> bool:
    """True for a folder's name that is a label: not ``to review``, no hidden folder and none of a system's."""
    return key(name) != TO_REVIEW and stray([name]) is None


def folder_of_label(label: str, there: Iterable[str] = ()) -> str:
    """The folder's name for a label that was typed or that a network says, the same on every system.

    A label that is there already, but for case or blanks, is that one. ``T-shirt/top`` is ``T-shirt``.

    Args:
        label: Any text.
        there: The labels that there are.

    Raises:
        BadInputError: It can be no folder's name on one of the systems; says why and what to do.
    """
    plain = " ".join(unicodedata.normalize("NFC", label).split())
    wanted = key(plain)
    known = (*there, *(name for name in (*PHOTO_LABELS, *GROUPS) if "/" not in name))
    if found := next((name for name in known if key(name) == wanted), ALIASES.get(wanted)):
        return found
    if why := _why_not(plain):
        raise BadInputError(f"{label[: LONGEST + 1]!r} can be no label: {why}")
    return plain


def _why_not(plain: str) -> str | None:
    """Why no folder may have this name, and what to do; None where one may."""
    if not plain.replace("_", ""):
        return "it is empty. Type a name"
    if len(plain) > LONGEST:
        return f"it has more than {LONGEST} characters. Make it shorter"
    if found := next((c for c in plain if c in _FORBIDDEN), None):
        return f"a folder of this name is made, and {found} may not be in it. Leave it out"
    if not plain.isprintable():
        return "it has characters that cannot be seen. Type it anew"
    if plain.startswith("."):
        return "a folder whose name begins with a dot is hidden. Leave out the dot"
    if plain.endswith("."):
        return "Windows loses a dot at the end of a folder's name. Leave it out"
    if _RESERVED.fullmatch(plain):
        return "Windows keeps this name for a device. Add a word to it"
    if not is_label_folder(plain) or plain.casefold() in _TAKEN:
        return "a folder of this name has another meaning here. Choose another name"
    return None
