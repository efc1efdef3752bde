"""The Content-Encoding of a request, undone piece by piece, so that a small body never becomes an endless one."""

from __future__ import annotations

import zlib
from typing import Final

from kserve.errors import InvalidInput

_PACKED: Final = ("gzip", "x-gzip", "deflate")
_EITHER: Final = zlib.MAX_WBITS + 32
"""zlib's own mark for: gzip or zlib, as the data begin. HTTP's deflate is zlib's format."""


class Coding:
    """One request's. Raises ``InvalidInput`` for one that is not read here."""

    def __init__(self, header: str) -> None:
        self.name = header.strip().lower()
        if self.name not in ("", "identity", *_PACKED):
            raise InvalidInput(
                f"the Content-Encoding {header[:40]!r} is not read here. Send gzip, deflate, or it as it is"
            )
        self._unpack = zlib.decompressobj(_EITHER) if self.name in _PACKED else None

    def decoded(self, part: bytes, most_bytes: int) -> bytes:
        """What ``part`` of the body holds; of a packed one ``most_bytes`` at most, and then nothing more may be asked.

        Raises ``InvalidInput`` for bytes that are not of this coding.
        """
        if self._unpack is None or not part:
            return part
        try:
            found = self._unpack.decompress(part, most_bytes)
        except zlib.error as error:
            raise InvalidInput(f"the body is no {self.name} data, which its Content-Encoding says") from error
        if self._unpack.unused_data:
            raise InvalidInput(f"more follows the end of the {self.name} data. Send one stream")
        return found

    def check_whole(self) -> None:
        """Raise ``InvalidInput`` where the body ended before its packed data did."""
        if self._unpack is not None and not self._unpack.eof:
            raise InvalidInput(f"the {self.name} data end too early. Send it whole")
