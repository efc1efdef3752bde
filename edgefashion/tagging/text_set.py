"""A set of texts of which only a hash each is kept, for more texts than should be in memory."""

from __future__ import annotations

import base64
import hashlib
from typing import Final, Self

import numpy as np

_RECENT: Final = 1 << 16
"""The number of hashes kept in a Python set before they are sorted into the array."""


class TextSet:
    """A set of texts in 8 bytes each: 64 bits of a hash. Two of a million are taken for one once in 37 million runs."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._recent: set[int] = set()

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """The set that :meth:`as_base64` was called on. Raises ValueError for another text."""
        made = cls()
        made._sorted = np.sort(np.frombuffer(base64.b64decode(text, validate=True), "<u8").astype(np.uint64))
        return made

    def as_base64(self) -> str:
        """The set as text: the hashes in ascending order, 8 bytes each, little-endian, in base64."""
        self._sort()
        return base64.b64encode(self._sorted.astype("<u8").tobytes()).decode()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def __contains__(self, text: str) -> bool:
        return self._holds(_hash(text))

    def add(self, text: str) -> bool:
        """True if it is new."""
        number = _hash(text)
        if self._holds(number):
            return False
        self._recent.add(number)
        if len(self._recent) >= _RECENT:
            self._sort()
        return True

    def _sort(self) -> None:
        self._sorted = np.concatenate([self._sorted, np.fromiter(self._recent, np.uint64, len(self._recent))])
        self._sorted.sort()
        self._recent.clear()

    def _holds(self, number: int) -> bool:
        if number in self._recent:
            return True
        at = int(np.searchsorted(self._sorted, np.uint64(number)))
        return at < len(self._sorted) and int(self._sorted[at]) == number


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
