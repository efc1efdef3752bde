"""What waits to be delivered to another machine: in memory, and in a file that outlives this process.

The file is SQLite's, in its write-ahead mode, and mirrors what is in memory: an event is written to it by a thread of
its own as soon as it is told, and taken out once it is delivered. So a crash of this process, or its being killed,
loses nothing; the next start delivers the rest first, in order, each event under the name that it had. Every change is
synced to the disk: a power cut loses at most the events of the moment. Where the disk is full or broken, events wait in
memory alone, and :attr:`Outbox.fault` says so.

The size is bounded. Beyond it the oldest are dropped; an event that says how many stands in their place.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgefashion.camera.events.event import Event
from edgefashion.camera.events.sink import CAPACITY, line
from edgefashion.system.text import reason_of

MOST_BYTES: Final = 20_000_000
"""Of the events' lines that wait."""

RETRY_S: Final = 5.0
"""Wait before a file that could not be written is tried again."""

LAZY_S: Final = 1.0
"""What has arrived is taken out of the file after this, or with the next event: each write is one more for the disk."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS events(number INTEGER PRIMARY KEY, run TEXT, seq INTEGER, line TEXT);
CREATE TABLE IF NOT EXISTS dropped(number INTEGER PRIMARY KEY, run TEXT, seq INTEGER, line TEXT, count INTEGER);
"""
_PLACES: Final = 8
"""Cameras of one account that may send to the same place at a time, each with a file of its own."""


@dataclass(frozen=True)
class Message:
    """An event on its way. ``run`` and ``seq`` name it for good, so that who gets it twice can tell."""

    number: int
    """Its place in the outbox, which only grows."""
    run: str
    """16 hex digits, new at every start of the program that told it."""
    seq: int
    """1, 2, 3, ... within the run; where one is missing, it was dropped."""
    line: str
    """The event as a line of JSON."""
    dropped: int = 0
    """Of the message that stands for dropped ones: how many."""

    @property
    def id(self) -> str:
        """The name as one word."""
        return f"{self.run}-{self.seq}"


class Outbox:
    """Messages in order, until they are delivered. Any thread may call any method; none waits for the disk."""

    def __init__(self, path: Path | None = None, most: int = CAPACITY, most_bytes: int = MOST_BYTES) -> None:
        """``path``: its file; another camera's that is in use is passed over for ``NAME-2`` and so on. Without one
        what waits ends with this process. Raises :class:`OSError` where no file can be had.
        """
        self.path: Path | None = None
        """The file; None where there is none."""
        self.fault = ""
        """Why the file cannot be written; empty while all is well."""
        self.run = uuid.uuid4().hex[:16]
        """The name of this run."""
        self.dropped = 0
        """Events dropped or refused since the start."""
        self._most, self._most_bytes = most, most_bytes
        self._seq = self._last = 0
        self._waiting: deque[Message] = deque()
        self._taken: dict[int, Message] = {}
        self._bytes = 0
        self._gap: Message | None = None
        self._gap_taken = False
        self._to_add: dict[int, Message] = {}
        self._to_remove: set[int] = set()
        self._gap_changed = self._closed = False
        self.changed = threading.Condition()
        """Notified when a message comes."""
        self._saver: threading.Thread | None = None
        if path is not None:
            self._file = self._open(path)
            self._take_over(path)
            self._saver = threading.Thread(target=self._save_all, name="outbox", daemon=True)
            self._saver.start()

    # --- Messages -------------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Take ``event``; beyond the bounds the oldest are dropped."""
        text = line(event)
        with self.changed:
            self._seq += 1
            self._last += 1
            self._add(Message(self._last, self.run, self._seq, text))
            self.changed.notify_all()

    def take(self, most: int) -> list[Message]:
        """The oldest messages that are not taken yet; where some before them were dropped, first how many."""
        with self.changed:
            taken = []
            if self._gap is not None and not self._gap_taken:
                taken.append(self._gap)
                self._gap_taken = True
            events = [self._waiting.popleft() for _ in range(min(most - len(taken), len(self._waiting)))]
            self._taken |= {message.number: message for message in events}
            return taken + events

    def give_back(self, message: Message) -> None:
        """``message``, the oldest, could not be delivered: it is the next to be taken again."""
        with self.changed:
            if message.dropped:
                self._gap_taken = False
            elif self._taken.pop(message.number, None) is not None:
                self._waiting.appendleft(message)
                self._drop_beyond()

    def delivered(self, message: Message, *, refused: bool = False) -> None:
        """``message`` has arrived, or it is ``refused`` for good: forget it."""
        with self.changed:
            if message.dropped:
                assert self._gap is not None
                # More may have been dropped since it was taken.
                left = self._gap.dropped - message.dropped
                self._gap = _gap(self._gap, left) if left else None
                self._gap_changed, self._gap_taken = True, False
            elif self._taken.pop(message.number, None) is not None:
                self._bytes -= len(message.line)
                self._forget(message)
                self.dropped += refused
            self.changed.notify_all()

    @property
    def empty(self) -> bool:
        """True while there is nothing to be taken."""
        return not self._waiting and (self._gap is None or self._gap_taken)

    def __len__(self) -> int:
        """How many events wait or are on their way."""
        return len(self._waiting) + len(self._taken)

    def _add(self, message: Message) -> None:
        self._waiting.append(message)
        self._bytes += len(message.line)
        self._to_add[message.number] = message
        self._drop_beyond()

    def _drop_beyond(self) -> None:
        while self._waiting and (len(self) > self._most or self._bytes > self._most_bytes):
            oldest = self._waiting.popleft()
            self._bytes -= len(oldest.line)
            self._forget(oldest)
            self.dropped += 1
            self._gap = _gap(oldest, (self._gap.dropped if self._gap else 0) + 1)
            self._gap_changed = True

    def _forget(self, message: Message) -> None:
        if self._to_add.pop(message.number, None) is None:
            self._to_remove.add(message.number)

    # --- The file -------------------------------------------------------------------------------

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place in range(1, _PLACES + 1):
            at = _place(path, place)
            try:
                try:
                    file = self._read(at)
                except sqlite3.DatabaseError as error:
                    if not _is_damaged(error):
                        raise
                    self._put_aside(at)
                    file = self._read(at)
            except sqlite3.Error as error:
                if _is_busy(error):
                    continue
                raise OSError(f"{at}: {error}") from error
            self.path = at
            return file
        raise OSError(f"{path}: {_PLACES} other cameras use it already")

    def _take_over(self, path: Path) -> None:
        """Take what waits in files that nobody uses any more: of a camera that ended while this one, its successor, had
        begun already, or of one that is there no longer. A crash in between delivers them twice, never not at all."""
        for place in range(1, _PLACES + 1):
            left = _place(path, place)
            if left == self.path or not left.is_file():
                continue
            try:
                with contextlib.closing(sqlite3.connect(left, timeout=0, isolation_level=None)) as file:
                    file.execute("PRAGMA locking_mode=EXCLUSIVE")
                    file.execute("BEGIN IMMEDIATE")
                    for table in ("dropped", "events"):
                        for run, seq, text in file.execute(f"SELECT run, seq, line FROM {table} ORDER BY number"):  # noqa: S608
                            _fields(text)
                            self._last += 1
                            self._add(Message(self._last, run, seq, text))
                    self._save(self._to_add, self._to_remove, self._gap, gap_changed=self._gap_changed)
                    self._to_add, self._to_remove, self._gap_changed = {}, set(), False
                    file.execute("ROLLBACK")
                for rest in ("", "-wal", "-shm"):
                    left.with_name(f"{left.name}{rest}").unlink(missing_ok=True)
            except (sqlite3.Error, OSError, ValueError, TypeError):
                continue  # another camera's, or no file of ours: it stays

    def _read(self, path: Path) -> sqlite3.Connection:
        """Open the file and take what is in it. Nobody else can open it from then on."""
        # The saving thread uses it from here on, and nobody else.
        file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            if os.name == "posix":
                path.chmod(0o600)
            # Exclusive: the lock is held until the process ends, however that ends, and no -shm file is needed.
            for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                file.execute(f"PRAGMA {setting}")
            file.execute("PRAGMA journal_size_limit=1000000")
            file.executescript(f"BEGIN IMMEDIATE;{_TABLES}COMMIT;")
            rows = file.execute("SELECT number, run, seq, line FROM events ORDER BY number").fetchall()
            gap = file.execute("SELECT number, run, seq, line, count FROM dropped").fetchone()
            kept = [Message(*row) for row in rows]
            for message in kept:
                _fields(message.line)
            self._gap = Message(*gap) if gap else None
        except (ValueError, TypeError) as error:
            file.close()
            raise _NoEventsError("it holds what is no event") from error
        except BaseException:
            file.close()
            raise
        self._last = max([0, *(message.number for message in kept), *([self._gap.number] if self._gap else ())])
        for message in kept:
            self._add(message)
        self._to_add.clear()
        return file

    def _put_aside(self, path: Path) -> None:
        path.replace(path.with_name(f"{path.name}.damaged"))
        for rest in ("-wal", "-shm"):
            path.with_name(f"{path.name}{rest}").unlink(missing_ok=True)
        print(f"edgefashion: {path} was damaged, and is kept as {path.name}.damaged", file=sys.stderr)

    def _save_all(self) -> None:
        """Write each change, until the outbox is closed."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._closed or self._is_unsaved)
                self.changed.wait_for(lambda: self._closed or self._to_add or self._gap_changed, LAZY_S)
                closed = self._closed
                added, removed, gap = self._to_add, self._to_remove, self._gap
                gap_changed, self._gap_changed = self._gap_changed, False
                self._to_add, self._to_remove = {}, set()
            try:
                self._save(added, removed, gap if gap_changed else None, gap_changed=gap_changed)
                self.fault = ""
            except sqlite3.Error as error:
                self.fault = f"events wait in memory alone: {reason_of(error)}"
                with self.changed:
                    # What was taken out meanwhile need not be written any more.
                    self._to_add = {n: m for n, m in added.items() if n not in self._to_remove} | self._to_add
                    self._to_remove |= removed
                    self._gap_changed = self._gap_changed or gap_changed
                    if not closed:
                        self.changed.wait_for(lambda: self._closed, RETRY_S)
            if closed:
                with contextlib.suppress(sqlite3.Error):
                    self._file.close()
                return

    @property
    def _is_unsaved(self) -> bool:
        return bool(self._to_add or self._to_remove or self._gap_changed)

    def _save(self, added: dict[int, Message], removed: set[int], gap: Message | None, *, gap_changed: bool) -> None:
        if not (added or removed or gap_changed):
            return
        self._file.execute("BEGIN IMMEDIATE")
        try:
            self._file.executemany("DELETE FROM events WHERE number = ?", [(number,) for number in removed])
            rows = [(m.number, m.run, m.seq, m.line) for m in added.values()]
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

    def close(self, patience_s: float) -> None:
        """Write what is unsaved, in so many seconds at most, and let go of the file. May be called twice."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        if self._saver is not None and self._saver.is_alive():
            self._saver.join(patience_s)

    @property
    def lost(self) -> int:
        """Once it is closed: how many events are nowhere any more."""
        written = self._saver is not None and not self._saver.is_alive()
        return self.dropped + (len(self._to_add) if written else len(self))


def _place(path: Path, number: int) -> Path:
    """The file for so many cameras that use one at once."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


class _NoEventsError(sqlite3.DatabaseError):
    """A sound database that holds something else."""


def _gap(last: Message, dropped: int) -> Message:
    """What stands for ``dropped`` messages, of which ``last`` was the last."""
    fields = _fields(last.line)
    reason = f"{dropped:,} events dropped: more were waiting than there is room for"
    event = Event(fields["time"], fields["frame"], "fault", reason=reason)
    return Message(last.number, last.run, last.seq, line(event), dropped)


def _fields(text: str) -> dict[str, Any]:
    fields = json.loads(text)
    if not isinstance(fields, dict) or "time" not in fields or "frame" not in fields:
        raise ValueError("no event")
    return fields


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_damaged(error: sqlite3.Error) -> bool:
    known = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(error, _NoEventsError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in known
