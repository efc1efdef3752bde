"""The table ``edgefashion tag`` writes, kept so that nothing is lost or done twice, whenever the run is killed.

Rows go into a journal beside the table, ``OUT.partial``, and at the end the table is written aside, synced and renamed,
and then the journal removed. Whatever step a crash comes between, the next start finds each row in the table, in the
journal, or in both, and each picture ends up in the table once.

What made the rows (the model, its hash, its precision) stands in the journal and in the table's notes
(:class:`~edgefashion.tagging.formats.Notes`). Going on with another model is refused.

A picture whose file could not be had (:attr:`Row.try_again`) is tried again by the next run. Once it has another row,
that one alone is in the table. Which rows these are stands in the journal and in the notes, too.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final, Self

from edgefashion.errors import BadInputError
from edgefashion.system.files import sync_folder
from edgefashion.system.text import reason_of
from edgefashion.tagging import formats, inventory
from edgefashion.tagging.errors import TableError
from edgefashion.tagging.formats import read_rows
from edgefashion.tagging.journal import Journal, other
from edgefashion.tagging.row import Row
from edgefashion.tagging.text_set import TextSet

__all__ = ["Ledger", "read_rows"]


_ERRORS_KEPT: Final = 1000


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
            self._notes = formats.notes_path(self.out)
            self._notes_aside = self.out.with_name(f".{self._notes.name}.part")
            self._check_place(out)
            self._journal = Journal(self.out.with_name(f"{self.out.name}.partial"), made_with)
            self._paths = TextSet()
            # Paths to be tried again, those of them that have another row by now, and those tried again in vain.
            self._again, self._mended, self._in_vain = TextSet(), TextSet(), TextSet()
            self._errors, self._first_errors = TextSet(), dict[str, str]()
            try:
                self._read()
                for aside in (self._aside, self._notes_aside):
                    aside.unlink(missing_ok=True)
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

    def error_of(self, path: str) -> str | None:
        """Why a picture that had its row when the table was opened could not be read; None for one that could. Empty
        where that is not kept: of a million errors the first are enough."""
        path = inventory.shown(path)
        return self._first_errors.get(path, "") if path in self._errors else None

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows; a picture that has one is passed over. They are on the disk within a second.

        Of a path that is a URL the account and password are left out. Raises :class:`TableError` if they cannot be
        written; those before are kept.
        """
        new: dict[str, Row] = {}
        for row in rows:
            path = inventory.shown(row.path)
            if self._has(path):
                continue
            if row.try_again and path in self._paths:
                self._in_vain.add(path)  # it says so already
            else:
                new[path] = row if path == row.path else replace(row, path=path)
        if new:
            self._journal.add(new.values())
            for path in new:
                (self._paths if self._paths.add(path) else self._mended).add(path)

    def finish(self) -> None:
        """Write the table aside and rename it; then the journal goes. Raises :class:`TableError` if the table
        cannot be written: the rows are kept, and the next start goes on with them."""
        if self._journal.empty and self.out.exists():
            self._journal.close(remove=True)
            return
        # Of the table that is there, too: should the run die between the two renames, these notes are that table's.
        try_again = TextSet()
        try:
            # Closed, even where an error is held on to: an open file can be neither removed nor unmounted everywhere.
            with self._aside.open("wb") as file, closing(self._each_once(try_again)) as rows:
                formats.write_rows(file, self._suffix, rows, self._made_with, try_again)
                _sync(file)
            if self._suffix != ".parquet":
                with self._notes_aside.open("wb") as file:
                    formats.write_notes(file, self._made_with, try_again)
                    _sync(file)
                self._notes_aside.replace(self._notes)
                sync_folder(self.out.parent)  # the table must not come before its notes
            self._aside.replace(self.out)
            sync_folder(self.out.parent)
        except OSError as error:
            raise TableError(
                f"{self.out} cannot be written: {reason_of(error)}. "
                "Mend that and run the same command again: all rows are kept"
            ) from error
        finally:
            for aside in (self._aside, self._notes_aside):
                with suppress(OSError):
                    aside.unlink()
        self._journal.close(remove=True)

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
        there: Iterator[tuple[str, str | None, bool]] = iter(())
        if self.out.exists():
            if self._suffix == ".parquet":
                self._check_made_with()
            there = formats.read_paths(self.out)
        journal = ((row.path, row.error, row.try_again) for row in self._journal.rows())
        for path, error, try_again in itertools.chain(there, journal):
            if error is not None and not try_again and self._errors.add(path) and len(self._errors) <= _ERRORS_KEPT:
                self._first_errors[path] = error
            if self._paths.add(path):
                if try_again:
                    self._again.add(path)
            elif not try_again and path in self._again:
                self._mended.add(path)
        if self.out.exists() and self._suffix != ".parquet":
            self._check_made_with()  # now: what is no table at all is to be told first

    def _check_made_with(self) -> None:
        there = formats.notes_of(self.out).made_with
        if there != self._made_with:
            raise other(self.out, there, self._made_with, "Delete it, or choose another --out")

    def _each_once(self, try_again: TextSet) -> Generator[Row, None, None]:
        """The rows of the new table. The marks of all that are tried again, in the old table and in the new, are put
        into ``try_again``."""
        written = TextSet()
        there = read_rows(self.out) if self.out.exists() else ()
        for row in itertools.chain(there, self._journal.rows()):
            if row.try_again:
                try_again.add(formats.mark(row.path, row.error or ""))
                if row.path in self._mended:
                    continue
            if written.add(row.path):
                yield row
        if len(written) != len(self._paths):
            raise TableError(f"{self.out} or {self._journal.path} was changed meanwhile. Run the same command again")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
