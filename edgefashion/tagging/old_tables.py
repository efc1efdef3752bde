"""Tables and journals of edgefashion before :attr:`~edgefashion.tagging.row.Row.try_again` was kept with them.

Nothing else in the package looks at the words of an error.
"""

from __future__ import annotations

from typing import Final

_TRIED_AGAIN: Final = (" cannot be read: ", " took longer than ")
"""What those versions wrote into the error of a picture whose file could not be had. Not to be changed: the tables
with these words exist."""


def try_again(error: str) -> bool:
    """:attr:`~edgefashion.tagging.row.Row.try_again` of a row that does not say it, from its error."""
    return any(words in error for words in _TRIED_AGAIN)
