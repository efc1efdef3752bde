"""The journal of a tagging run: rows appended as they come, so that a run killed at any moment goes on where it was.

JSON Lines: the first line says what the rows are made with, each further line is one picture's row. A row is handed to
the operating system at once, so a killed process loses none, and synced to the disk within a second, so a power cut
loses those of the last second. What a crash leaves half written at the end is cut off at the next start; a line that
a power cut spoilt further up is passed over, and its picture is tagged again.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from edgefashion.errors import BadInputError
from edgefashion.system import file_lock
from edgefashion.system.files import sync_folder
from edgefashion.system.text import reason_of
from edgefashion.tagging.errors import TableError
from edgefashion.tagging.formats import NO_ROW, from_record, to_record
from edgefashion.tagging.row import Row

SYNC_S: Final = 1.0
"""Rows are on the disk after so many seconds at most."""

_HEAD: Final = b'{"made_with": '
_HEAD_BYTES: Final = 1 << 20


class Journal:
    """An open journal. It is locked: while its process lives, no other can open it."""

    def __init__(self, path: Path, made_with: Mapping[str, str]) -> None:
        """Open or begin ``path``. Raises :class:`BadInputError` if that cannot be, another process writes it,
        it is no journal, or its rows are made with something else."""
        self.path = path
        self._head = _line({"made_with": dict(sorted(made_with.items()))})
        self._failed: OSError | None = None
        self._dirty = threading.Event()
        self._ended = threading.Event()
        self._torn = False
        try:
            self._descriptor = file_lock.hold(path)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            self._begin(dict(made_with))
        except BaseException as error:
            if self._torn:
                self._remove()
            file_lock.let_go(self._descriptor)
            if isinstance(error, OSError):
                raise _unwritable(path, error) from error
            raise
        self._thread = threading.Thread(target=self._keep_synced, name="journal", daemon=True)
        self._thread.start()

    @property
    def empty(self) -> bool:
        """True while it holds no row."""
        return os.fstat(self._descriptor).st_size <= len(self._head)

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows, all or, where the disk is full, none: that raises :class:`TableError`."""
        lines = b"".join(_line(to_record(row)) for row in rows)
        before = os.fstat(self._descriptor).st_size
        try:
            if self._failed is not None:
                raise self._failed
            _write(self._descriptor, lines)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, before)
            raise TableError(
                f"{self.path} cannot be written: {reason_of(error)}. "
                "Mend that and run the same command again: it goes on where it stopped"
            ) from error
        self._dirty.set()

    def rows(self) -> Iterator[Row]:
        """The rows so far, one at a time."""
        with self.path.open("rb") as lines:
            next(lines, None)
            for line in lines:
                with suppress(*NO_ROW):
                    yield from_record(json.loads(line))

    def close(self, *, remove: bool = False) -> None:
        """Sync and close it. It is removed if ``remove`` says so, and if it holds no row."""
        if self._ended.is_set():
            return
        remove = remove or self.empty
        self._ended.set()
        self._dirty.set()
        self._thread.join()
        if remove and os.name == "posix":
            self._remove()  # while it is locked: later it could be another process's
        file_lock.let_go(self._descriptor)
        if remove and os.name != "posix":  # where an open file cannot be removed
            self._remove()

    def _remove(self) -> None:
        # A journal that cannot be removed does no harm: its rows are in the finished table.
        with suppress(OSError):
            self.path.unlink()
        sync_folder(self.path.parent)

    def _begin(self, made_with: dict[str, str]) -> None:
        with self.path.open("rb") as file:
            first = file.readline(_HEAD_BYTES)
        if not first.endswith(b"\n"):  # a crash left half of the first line
            begun = first.rstrip(b"\0")
            if not (begun.startswith(_HEAD) or _HEAD.startswith(begun)) or len(first) == _HEAD_BYTES:
                raise self._foreign()
            self._start_anew()
            return
        try:
            there = json.loads(first)["made_with"]
        except NO_ROW as error:
            raise self._foreign() from error
        self._cut_torn_end()
        if there == made_with:
            return
        if os.fstat(self._descriptor).st_size > len(first):
            raise other(self.path, there, made_with, f"Delete {self.path} to begin again, or choose another --out")
        self._start_anew()

    def _foreign(self) -> BadInputError:
        return BadInputError(f"{self.path} is no journal of edgefashion tag. Move it away, or choose another --out")

    def _start_anew(self) -> None:
        self._torn = True
        os.ftruncate(self._descriptor, 0)
        _write(self._descriptor, self._head)
        os.fsync(self._descriptor)
        self._torn = False
        sync_folder(self.path.parent)

    def _cut_torn_end(self) -> None:
        with self.path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            whole = end
            while whole:
                start = max(0, whole - (1 << 16))
                file.seek(start)
                if (at := file.read(whole - start).rfind(b"\n")) >= 0:
                    whole = start + at + 1
                    break
                whole = start
        if whole < end:
            os.ftruncate(self._descriptor, whole)

    def _keep_synced(self) -> None:
        while True:
            self._dirty.wait()
            self._dirty.clear()
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._failed = error
            if self._ended.wait(SYNC_S):
                break
        with suppress(OSError):
            os.fsync(self._descriptor)


def _unwritable(path: Path, error: OSError) -> BadInputError:
    return BadInputError(f"{path} cannot be written: {reason_of(error)}. Choose another --out")


def other(path: Path, there: Any, now: Mapping[str, str], what_to_do: str) -> BadInputError:
    """The refusal of rows that something else made."""
    if not isinstance(there, dict):
        return BadInputError(f"{path} does not say what its rows are made with. {what_to_do}")
    names = sorted(name for name in {*there, *now} if there.get(name) != now.get(name))
    said = ", ".join(f"{name} {str(there.get(name))[:16]}, now {str(now.get(name))[:16]}" for name in names)
    return BadInputError(f"{path} holds rows made with something else ({said}). {what_to_do}")


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    done = 0
    while done < len(data):
        done += os.write(descriptor, data[done:])
