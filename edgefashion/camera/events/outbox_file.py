"""The file of an outbox: SQLite's, in its write-ahead mode, each change synced to the disk."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edgefashion.camera.events.message import Message, fields_of
from edgefashion.system.state_file import put_aside

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS events(number INTEGER PRIMARY KEY, run TEXT, seq INTEGER, line TEXT);
CREATE TABLE IF NOT EXISTS dropped(number INTEGER PRIMARY KEY, run TEXT, seq INTEGER, line TEXT, count INTEGER);
"""
_PLACES: Final = 8
"""Cameras of one account that may send to the same place at a time, each with a file of its own."""

_LARGEST: Final = 2**62
"""Of a number in the file: what is counted on from there has room in SQLite's 64 bits."""


class OutboxFile:
    """One file, or none as long as none can be had. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """``path``: the file's; another camera's that is in use is passed over for ``NAME-2`` and so on."""
        self.path: Path | None = None
        """The file; None while it is not open."""
        self._wanted = path
        self._file: sqlite3.Connection | None = None
        self._left: list[tuple[Path, sqlite3.Connection]] = []

    def open(self) -> tuple[list[Message], Message | None]:
        """Open it; returns what waits in it, in order, and what stands for dropped ones before.

        A damaged one is put aside, which is told. Raises :class:`OSError` where no file can be had just now.
        """
        self._wanted.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place in range(1, _PLACES + 1):
            at = _place(self._wanted, place)
            try:
                try:
                    found = self._open_at(at)
                except sqlite3.DatabaseError as error:
                    if not _is_damaged(error):
                        raise
                    put_aside(at)
                    for rest in ("-wal", "-shm"):
                        at.with_name(f"{at.name}{rest}").unlink(missing_ok=True)
                    found = self._open_at(at)
            except sqlite3.Error as error:
                if _is_busy(error):
                    continue
                raise OSError(f"{at}: {error}") from error
            self.path = at
            return found
        raise OSError(f"{self._wanted}: {_PLACES} other cameras use it already")

    def left_over(self) -> list[Message]:
        """What waits in files that nobody uses any more: of a camera that ended while this one, its successor, had
        begun already, or of one that is there no longer.

        The files go as soon as :meth:`save` has written what was in them. A crash in between delivers it twice, never
        not at all.
        """
        found: list[Message] = []
        for place in range(1, _PLACES + 1):
            at = _place(self._wanted, place)
            if at == self.path or not at.is_file():
                continue
            try:
                file = sqlite3.connect(at, timeout=0, isolation_level=None, check_same_thread=False)
            except sqlite3.Error:
                continue
            try:
                file.execute("PRAGMA locking_mode=EXCLUSIVE")
                file.execute("BEGIN IMMEDIATE")
                kept, gap = _messages(file)
            except (sqlite3.Error, OSError):  # another camera's, or no file of ours: it stays
                file.close()
                continue
            self._left.append((at, file))
            found += [*([gap] if gap else []), *kept]
        return [Message(each.number, each.run, each.seq, each.line) for each in found]

    def save(self, added: Iterable[Message], removed: Iterable[int], gap: Message | None, *, gap_changed: bool) -> None:
        """Write what has changed, all of it or nothing. Raises :class:`sqlite3.Error`."""
        assert self._file is not None
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.executemany("DELETE FROM events WHERE number = ?", [(number,) for number in removed])
            rows = [(m.number, m.run, m.seq, m.line) for m in added]
            self._file.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?)", rows)
            if gap_changed:
                self._file.execute("DELETE FROM dropped")
            if gap is not None:
                row = (gap.number, gap.run, gap.seq, gap.line, gap.dropped)
                self._file.execute("INSERT INTO dropped VALUES (?, ?, ?, ?, ?)", row)
            self._file.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                self._file.execute("ROLLBACK")
            raise
        self._let_go(remove=True)

    def close(self) -> None:
        """Let go of it. May be called twice."""
        self._let_go(remove=False)
        if self._file is not None:
            with contextlib.suppress(sqlite3.Error):
                self._file.close()

    def _let_go(self, *, remove: bool) -> None:
        """Let go of the files that were left over."""
        left, self._left = self._left, []
        for path, file in left:
            with contextlib.suppress(sqlite3.Error, OSError):
                file.close()
                for rest in ("", "-wal", "-shm") if remove else ():
                    path.with_name(f"{path.name}{rest}").unlink(missing_ok=True)

    def _open_at(self, path: Path) -> tuple[list[Message], Message | None]:
        """Open the file and read what is in it. Nobody else can open it from then on."""
        file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            if os.name == "posix":
                path.chmod(0o600)
            # Exclusive: the lock is held until the process ends, however that ends, and no -shm file is needed.
            for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                file.execute(f"PRAGMA {setting}")
            file.execute("PRAGMA journal_size_limit=1000000")
            file.executescript(f"BEGIN IMMEDIATE;{_TABLES}COMMIT;")
            found = _messages(file)
        except BaseException:
            file.close()
            raise
        self._file = file
        return found


class _NoEventsError(sqlite3.DatabaseError):
    """A sound database that holds something else."""


def _messages(file: sqlite3.Connection) -> tuple[list[Message], Message | None]:
    """What waits, in order, and what stands for dropped ones. Raises :class:`sqlite3.Error`."""
    try:
        rows = file.execute("SELECT number, run, seq, line FROM events ORDER BY number").fetchall()
        gaps = file.execute("SELECT number, run, seq, line, count FROM dropped").fetchall()
        kept, dropped = [Message(*row) for row in rows], [Message(*row) for row in gaps]
        for message in (*kept, *dropped):
            _check(message)
    except sqlite3.OperationalError as error:
        # Other tables, or texts in another encoding, for which there is no code.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR:
            raise _NoEventsError("it holds what is no event") from error
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise _NoEventsError("it holds what is no event") from error
    return kept, next(iter(dropped), None)


def _check(message: Message) -> None:
    numbers = (message.number, message.seq, message.dropped)
    if not all(isinstance(number, int) and abs(number) < _LARGEST for number in numbers) or message.dropped < 0:
        raise ValueError("no number")
    if not isinstance(message.run, str) or not isinstance(message.line, str):
        raise TypeError("no text")
    fields_of(message.line)


def _place(path: Path, number: int) -> Path:
    """The file for so many cameras that use one at once."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_damaged(error: sqlite3.Error) -> bool:
    known = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(error, _NoEventsError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in known
