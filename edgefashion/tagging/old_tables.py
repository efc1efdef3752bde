"""Tables and journals of older edgefashions: those before a picture could have several garments, and those before
:attr:`~edgefashion.tagging.row.Row.try_again` was kept with them.
"""

from __future__ import annotations

from typing import Any, Final

COLUMNS: Final = ("path", "label", "confidence", "top", "accepted", "box", "width", "height", "phash", "error")
"""Of a table before the column ``garments``."""

_TRIED_AGAIN: Final = (" cannot be read: ", " took longer than ")
"""What those versions wrote into the error of a picture whose file could not be had. Not to be changed: the tables
with these words exist."""


def try_again(error: str) -> bool:
    """:attr:`~edgefashion.tagging.row.Row.try_again` of a row that does not say it, from its error.

    Nothing else in the package looks at the words of an error.
    """
    return any(words in error for words in _TRIED_AGAIN)


def garments(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The column ``garments`` of a row of :data:`COLUMNS`, as JSON: the picture was taken for one garment."""
    if fields["label"] is None or fields["box"] is None:
        return []
    return [{name: fields[name] for name in ("label", "confidence", "accepted", "box")}]
