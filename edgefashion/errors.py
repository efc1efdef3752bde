"""What can go wrong, as exceptions the command line turns into exit codes.

Every message says what was wrong, where, and what to do about it.
"""

from __future__ import annotations

import re
from typing import Final

_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls (line breaks and a terminal's escapes among them), marks that turn the direction of writing, and surrogates:
the bytes of a name that are no valid text."""


def printable(text: object) -> str:
    r"""``text`` on one line, which any terminal, page and file can take.

    A file's name may hold anything: a line break is written as ``\n``, a terminal's escape as ``\x1b``, a byte that
    is no text as ``\udcff``. Everything else, an accent or a picture letter, stays.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


class EdgeFashionError(Exception):
    """Base of every error a user can cause or mend. Its text is one line, whatever names it quotes."""

    exit_code = 2

    def __str__(self) -> str:
        return printable(super().__str__())


class BadInputError(EdgeFashionError):
    """A path, file, option or model that cannot be used as it is (exit code 2)."""


class GateError(EdgeFashionError):
    """A measured gate failed: parity, accuracy or regression (exit code 1)."""

    exit_code = 1


class MissingError(EdgeFashionError):
    """Something this machine lacks: an extra, a dataset, a camera, a display (exit code 3)."""

    exit_code = 3


class NoDecoderError(MissingError, BadInputError):
    """A whole picture of a kind that this machine has no library for: one file's fault, mended by an install."""
