"""The table ``edgefashion tag`` writes, kept so that nothing is lost or done twice, whenever the run is killed.

Rows go into a journal beside the table, ``OUT.partial``, and at the end the table is written aside, synced and renamed,
and then the journal removed. Whatever step a crash comes between, the next start finds each row in the table, in the
journal, or in both, and each picture ends up in the table once.

What made the rows (the model, its hash, its precision) stands in the journal, in a Parquet table's metadata, and for
CSV and JSON Lines, which have no place for it, in ``OUT.made_with`` beside the table; going on with another model is
refused.

A picture whose file could not be had (:attr:`Row.may_pass`) is tried again by the next run; once it has another row,
that one alone is in the table.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.system.files import sync_folder
from edgefashion.tagging import formats, inventory
from edgefashion.tagging.formats import read_rows, reason_of
from edgefashion.tagging.journal import Journal, other
from edgefashion.tagging.row import Row

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
        self._suffix = formats.check_suffix(out)
        self._made_with = dict(made_with)
        try:
            # The file a symbolic link leads to is what is replaced, in its own folder.
            self.out = Path(os.path.realpath(out))
            self._aside = self.out.with_name(f".{self.out.name}.part")
            self._beside = self.out.with_name(f"{self.out.name}.made_with")
            self._check_place(out)
            self._journal = Journal(self.out.with_name(f"{self.out.name}.partial"), made_with)
            self._paths = Paths()
            # Rows that may be replaced, those of them that were, and those that were tried again in vain.
            self._again, self._mended, self._in_vain = Paths(), Paths(), Paths()
            try:
                self._read()
                with suppress(FileNotFoundError):
                    self._aside.unlink()
            except BaseException:
                self.close()
                raise
        except (OSError, ValueError) as error:
            raise BadInputError(f"{out} cannot be written: {reason_of(error)}. Choose another --out") from error
        self.done = len(self._paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has(self, path: str) -> bool:
        """True if this picture has its row, from now or from before; False for one that is to be tried again."""
        return self._has(inventory.shown(path))

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows; a picture that has one is passed over. They are on the disk within a second.

        Of a path that is a URL the account and password are left out. Raises :class:`BadInputError` if they cannot be
        written; those before are kept.
        """
        new: dict[str, Row] = {}
        for row in rows:
            path = inventory.shown(row.path)
            if self._has(path):
                continue
            if row.may_pass and path in self._paths:
                self._in_vain.add(path)  # it says so already
            else:
                new[path] = row if path == row.path else replace(row, path=path)
        if new:
            self._journal.add(new.values())
            for path in new:
                (self._paths if self._paths.add(path) else self._mended).add(path)

    def finish(self) -> None:
        """Write the table aside and rename it; then the journal goes. Raises :class:`BadInputError` if the table
        cannot be written: the rows are kept, and the next start goes on with them."""
        if self._journal.empty and self.out.exists():
            self._journal.close(remove=True)
            return
        try:
            # Closed, even where an error is held on to: an open file can be neither removed nor unmounted everywhere.
            if self._suffix != ".parquet":
                self._write_beside()
            with self._aside.open("wb") as file, closing(self._each_once()) as rows:
                formats.write_rows(file, self._suffix, rows, self._made_with)
                file.flush()
                os.fsync(file.fileno())
            self._aside.replace(self.out)
            sync_folder(self.out.parent)
        except OSError as error:
            raise BadInputError(
                f"{self.out} cannot be written: {reason_of(error)}. "
                "Mend that and run the same command again: all rows are kept"
            ) from error
        finally:
            with suppress(OSError):
                self._aside.unlink()
        self._journal.close(remove=True)

    def _write_beside(self) -> None:
        with self._aside.open("wb") as file:
            file.write(json.dumps(self._made_with).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._aside.replace(self._beside)
        sync_folder(self.out.parent)  # the table must not come before it

    def close(self) -> None:
        """End without finishing; the rows wait in the journal."""
        self._journal.close()

    def _check_place(self, out: Path) -> None:
        if self.out.is_dir():
            raise BadInputError(f"{out} is a folder. Give the name of a file for --out")
        if self.out.exists() and not self.out.is_file():
            raise BadInputError(f"{out} is no ordinary file. Choose another --out")
        if not self.out.parent.is_dir():
            raise BadInputError(f"{out} cannot be written: {self.out.parent} is no folder. Make it first")

    def _has(self, path: str) -> bool:
        return path in self._paths and (path not in self._again or path in self._mended or path in self._in_vain)

    def _read(self) -> None:
        """Learn which pictures have their row in the table or the journal."""
        there: Iterator[tuple[str, bool]] = iter(())
        if self.out.exists():
            if self._suffix == ".parquet":
                self._check_made_with(formats.made_with_of(self.out))
            there = formats.read_paths(self.out)
        for path, may_pass in itertools.chain(there, ((row.path, row.may_pass) for row in self._journal.rows())):
            if self._paths.add(path):
                if may_pass:
                    self._again.add(path)
            elif not may_pass and path in self._again:
                self._mended.add(path)
        if self.out.exists() and self._suffix != ".parquet":
            self._check_made_with(self._beside_says())

    def _check_made_with(self, made_with: Any) -> None:
        if made_with != self._made_with:
            raise other(self.out, made_with, self._made_with, "Delete it, or choose another --out")

    def _beside_says(self) -> Any:
        try:
            return json.loads(self._beside.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _each_once(self) -> Generator[Row, None, None]:
        written = Paths()
        there = read_rows(self.out) if self.out.exists() else ()
        for row in itertools.chain(there, self._journal.rows()):
            if row.may_pass and row.path in self._mended:
                continue
            if written.add(row.path):
                yield row
        if len(written) != len(self._paths):
            raise BadInputError(f"{self.out} or {self._journal.path} was changed meanwhile. Run the same command again")


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
