"""The table ``edgefashion tag`` writes, kept so that nothing is lost or done twice, whenever the run is killed.

Rows go into a journal beside the table, ``OUT.partial``, and at the end the table is written aside, synced and renamed,
and then the journal removed. Whatever step a crash comes between, the next start finds each row in the table, in the
journal, or in both, and each picture ends up in the table once.

What made the rows (the model, its hash, its precision) stands in the journal and in a Parquet table's metadata, and
going on with another model is refused. CSV and JSON Lines have no place for it in a finished table.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import numpy as np

from edgefashion import tag_formats
from edgefashion.errors import BadInputError
from edgefashion.tag_formats import read_rows
from edgefashion.tag_journal import Journal, other, sync_folder
from edgefashion.tag_rows import Row

__all__ = ["Ledger", "Paths", "read_rows"]

_RECENT: Final = 1 << 16


class Ledger:
    """Which pictures have their row, and the way of new rows into the table. Use it as a context manager."""

    done: int
    """Rows that were there when it was opened."""

    def __init__(self, out: Path, made_with: Mapping[str, str]) -> None:
        """Open the table ``out`` (``.parquet``, ``.csv`` or ``.jsonl``) to begin it, go on with it or add to it.

        Raises :class:`BadInputError`, nothing changed, if it cannot be written, another process writes it, what is
        there is no such table, or its rows are made with something else; and
        :class:`~edgefashion.errors.MissingError` for Parquet without pyarrow.
        """
        self._suffix = tag_formats.check_suffix(out)
        # The file a symbolic link leads to is what is replaced, in its own folder.
        self.out = Path(os.path.realpath(out))
        self._aside = self.out.with_name(f".{self.out.name}.part")
        self._made_with = dict(made_with)
        if self.out.is_dir():
            raise BadInputError(f"{out} is a folder. Give the name of a file for --out")
        if not self.out.parent.is_dir():
            raise BadInputError(f"{out} cannot be written: {self.out.parent} is no folder. Make it first")
        self._journal = Journal(self.out.with_name(f"{self.out.name}.partial"), made_with)
        try:
            self._paths = Paths()
            for row in self._rows():
                self._paths.add(row.path)
            with suppress(FileNotFoundError):
                self._aside.unlink()
        except BaseException:
            self.close()
            raise
        self.done = len(self._paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has(self, path: str) -> bool:
        """True if this picture has its row, from now or from before."""
        return path in self._paths

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows; a picture that has one is passed over. They are on the disk within a second.

        Raises :class:`BadInputError` if they cannot be written; those before are kept.
        """
        new = {row.path: row for row in rows if row.path not in self._paths}
        if new:
            self._journal.add(new.values())
            for path in new:
                self._paths.add(path)

    def finish(self) -> None:
        """Write the table aside and rename it; then the journal goes. Raises :class:`BadInputError` if the table
        cannot be written: the rows are kept, and the next start goes on with them."""
        if self._journal.empty and self.out.exists():
            self._journal.close(remove=True)
            return
        try:
            with self._aside.open("wb") as file:
                tag_formats.write_rows(file, self._suffix, self._each_once(), self._made_with)
                file.flush()
                os.fsync(file.fileno())
            self._aside.replace(self.out)
            sync_folder(self.out.parent)
        except OSError as error:
            raise BadInputError(
                f"{self.out} cannot be written: {tag_formats.reason_of(error)}. "
                "Mend that and run the same command again: all rows are kept"
            ) from error
        finally:
            with suppress(OSError):
                self._aside.unlink()
        self._journal.close(remove=True)

    def close(self) -> None:
        """End without finishing; the rows wait in the journal."""
        self._journal.close()

    def _rows(self) -> Iterator[Row]:
        """The table's rows, then the journal's."""
        if self.out.exists():
            if self._suffix == ".parquet":
                there = tag_formats.made_with_of(self.out)
                if there != self._made_with:
                    raise other(self.out, there, self._made_with, "Delete it, or choose another --out")
            yield from read_rows(self.out)
        yield from self._journal.rows()

    def _each_once(self) -> Iterator[Row]:
        written = Paths()
        for row in self._rows():
            if written.add(row.path):
                yield row


class Paths:
    """A set of texts in 8 bytes each: 64 bits of a hash. Two of a million are taken for one once in 37 million runs."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._recent: set[int] = set()

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
            self._sorted = np.concatenate([self._sorted, np.fromiter(self._recent, np.uint64, len(self._recent))])
            self._sorted.sort()
            self._recent.clear()
        return True

    def _holds(self, number: int) -> bool:
        if number in self._recent:
            return True
        at = int(np.searchsorted(self._sorted, np.uint64(number)))
        return at < len(self._sorted) and int(self._sorted[at]) == number


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
