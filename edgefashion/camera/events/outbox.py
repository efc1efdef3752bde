"""What waits to be delivered to another machine: in memory, and in a file that outlives this process.

The file is SQLite's, in its write-ahead mode, and mirrors what is in memory: an event is written to it by a thread of
its own as soon as it is told, and taken out once it is delivered. So a crash of this process, or its being killed,
loses nothing; the next start delivers the rest first, in order, each event under the name that it had. Every change is
synced to the disk: a power cut loses at most the events of the moment. Where the disk is full or broken, events wait in
memory alone, and :attr:`Outbox.fault` says so. The file is tried again and again, also where there was none at the
start.

The size is bounded. Beyond it the oldest are dropped; an event that says how many stands in their place.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Final

from edgefashion.camera.events.event import Event
from edgefashion.camera.events.message import Message, gap
from edgefashion.camera.events.outbox_file import OutboxFile
from edgefashion.camera.events.sink import CAPACITY, line
from edgefashion.system.text import reason_of

MOST_BYTES: Final = 20_000_000
"""Of the events' lines that wait."""

RETRY_S: Final = 5.0
"""Wait before a file that could not be written is tried again."""

LAZY_S: Final = 1.0
"""What has arrived is taken out of the file after this, or with the next event: each write is one more for the disk."""


class Outbox:
    """Messages in order, until they are delivered. Any thread may call any method; none waits for the disk."""

    def __init__(self, path: Path | None = None, most: int = CAPACITY, most_bytes: int = MOST_BYTES) -> None:
        """``path``: its file; another camera's that is in use is passed over for ``NAME-2`` and so on. Without one
        what waits ends with this process.
        """
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
        self._file = OutboxFile(path) if path is not None else None
        self._saver: threading.Thread | None = None
        if self._file is not None:
            self._save(self._file)
            self._saver = threading.Thread(target=self._save_all, args=(self._file,), name="outbox", daemon=True)
            self._saver.start()

    @property
    def path(self) -> Path | None:
        """The file; None where there is none, or none yet."""
        return self._file.path if self._file is not None else None

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
                self._gap = gap(self._gap, left) if left else None
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
            self._gap = gap(oldest, (self._gap.dropped if self._gap else 0) + 1)
            self._gap_changed = True

    def _forget(self, message: Message) -> None:
        if self._to_add.pop(message.number, None) is None:
            self._to_remove.add(message.number)

    # --- The file -------------------------------------------------------------------------------

    def _save_all(self, file: OutboxFile) -> None:
        """Write each change, until the outbox is closed."""
        while True:
            with self.changed:
                if file.path is not None:
                    self.changed.wait_for(lambda: self._closed or self._is_unsaved)
                    self.changed.wait_for(lambda: self._closed or self._to_add or self._gap_changed, LAZY_S)
                closed = self._closed
            well = self._save(file)
            if closed:
                file.close()
                return
            if not well:
                with self.changed:
                    self.changed.wait_for(lambda: self._closed, RETRY_S)

    @property
    def _is_unsaved(self) -> bool:
        return bool(self._to_add or self._to_remove or self._gap_changed)

    def _save(self, file: OutboxFile) -> bool:
        """Open the file where it is not open, and write what has changed; whether that went well."""
        try:
            if file.path is None:
                self._begin_with(*file.open(), file.left_over())
            self._write(file)
        except Exception as error:  # whatever a disk does, or has done to the file: this goes on
            self.fault = f"events wait in memory alone: {reason_of(error)}"
            return False
        self.fault = ""
        return True

    def _begin_with(self, kept: list[Message], dropped: Message | None, left: list[Message]) -> None:
        """Put before all messages what was in the file, which is open now, and what is ``left`` in others."""
        last = max([0, *(message.number for message in (*kept, *([dropped] if dropped else [])))])
        older = [*kept, *(replace(each, number=last + n) for n, each in enumerate(left, 1))]
        last += len(left)
        with self.changed:
            new = older[len(kept) :]
            if self._last:  # some were put before there was a file; these are older, and get numbers below theirs
                self._to_remove |= {message.number for message in kept}
                new = older = [replace(message, number=message.number - last) for message in older]
                dropped = replace(dropped, number=dropped.number - last) if dropped else None
                self._gap_changed = self._gap_changed or dropped is not None
            else:
                self._last = last
            self._to_add |= {message.number: message for message in new}
            self._waiting.extendleft(reversed(older))
            self._bytes += sum(len(message.line) for message in older)
            if dropped is not None:
                self._gap = gap(self._gap, self._gap.dropped + dropped.dropped) if self._gap else dropped
            self._drop_beyond()
            self.changed.notify_all()

    def _write(self, file: OutboxFile) -> None:
        """Write what has changed. What could not be written is unsaved as before."""
        with self.changed:
            if not self._is_unsaved:
                return
            added, removed, said = self._to_add, self._to_remove, self._gap
            gap_changed, self._gap_changed = self._gap_changed, False
            self._to_add, self._to_remove = {}, set()
        try:
            file.save(added.values(), removed, said if gap_changed else None, gap_changed=gap_changed)
        except BaseException:
            with self.changed:
                # What was taken out meanwhile need not be written any more.
                self._to_add = {n: m for n, m in added.items() if n not in self._to_remove} | self._to_add
                self._to_remove |= removed
                self._gap_changed = self._gap_changed or gap_changed
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
        return self.dropped + self._unwritten

    @property
    def kept(self) -> int:
        """Once it is closed: how many events wait in the file."""
        return len(self) - self._unwritten

    @property
    def _unwritten(self) -> int:
        written = self._saver is not None and not self._saver.is_alive()
        return len(self._to_add) if written else len(self)
