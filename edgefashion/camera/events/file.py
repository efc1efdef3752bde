"""Events in a file: appended, rotated, and whole lines only, whatever becomes of the disk or the file.

What a crash or a power cut can lose: an event is handed to the operating system as soon as it is written, so a
crash of the process loses at most what waits in the buffer, which is nothing unless :meth:`fault` says otherwise.
The file is synced to the disk at most once a second while events come, and on rotation and closing: a power cut loses
the events of the last second, or of the time since a sync that the disk has not finished, and may leave a last line
that is half written. That line is ended at the next start, so it spoils no other.

One process writes a file. Another may rename, remove or truncate it (logrotate): it is opened anew by its name.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from edgefashion.camera.events.sink import CAPACITY, Sink, Stream, Writer
from edgefashion.errors import BadInputError
from edgefashion.system.files import FULL, sync_folder
from edgefashion.system.text import reason_of

MAX_BYTES: Final = 10_000_000
"""A file is rotated before it grows beyond this."""

KEEP: Final = 5
"""Old files kept besides the one being written: NAME.1, the youngest, to NAME.5."""

SYNC_S: Final = 1.0
"""Least time between two syncs to the disk."""

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def open_file(name: str, capacity: int = CAPACITY, *, max_bytes: int = MAX_BYTES, keep: int = KEEP) -> Sink:
    """Open the event file ``name`` for appending; a device is written to as it is.

    Raises :class:`BadInputError` if it cannot be written. A full disk is no reason: events wait for space.
    """
    try:
        mode = Path(name).stat().st_mode if name else 0
        if stat.S_ISCHR(mode):
            return Stream(os.open(name, os.O_WRONLY), name, capacity, owned=True)
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
            raise BadInputError(f"--events {name} cannot be written: it is no ordinary file. Give - to write to a pipe")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise _unwritable(name, error) from error
    return EventFile(name, capacity, max_bytes=max_bytes, keep=keep)


class EventFile(Writer):
    """A sink that appends to a file and rotates it. See the module about what is kept when."""

    def __init__(self, name: str, capacity: int = CAPACITY, *, max_bytes: int = MAX_BYTES, keep: int = KEEP) -> None:
        super().__init__(capacity)
        # The file a symbolic link leads to is what is rotated, in its own folder.
        self._path = Path(os.path.realpath(name))
        self._max_bytes = max_bytes
        self._keep = keep
        self._descriptor = -1
        self._unsynced = False
        self._synced_s = -SYNC_S
        self._unrotated: str | None = None
        self._rotate_s = 0.0
        try:
            self._open()
        except (OSError, ValueError) as error:
            if not (isinstance(error, OSError) and error.errno in FULL):
                raise _unwritable(name, error) from error
            self._fault = reason_of(error)
        self._thread.start()

    def fault(self) -> str | None:
        """What keeps events from being written, or the file from being rotated, right now; None while all is well."""
        return super().fault() or self._unrotated

    def _write(self, data: bytes) -> None:
        self._follow()
        size = os.fstat(self._descriptor).st_size
        if size and size + len(data) > self._max_bytes and self._rotate():
            size = 0
        done = 0
        try:
            while done < len(data):
                done += os.write(self._descriptor, data[done:])
                self._unsynced = True
        except OSError:
            if done:
                self._cut_back(size, size + done)
            raise

    def _look_after(self) -> None:
        if self._unsynced and time.monotonic() - self._synced_s >= SYNC_S:
            self._sync()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            try:
                self._sync()
            finally:
                self._shut()

    def _open(self) -> None:
        created = not self._path.exists()
        self._descriptor = os.open(self._path, _FLAGS, 0o666)
        if created:
            sync_folder(self._path.parent)
        try:
            size = os.lseek(self._descriptor, 0, os.SEEK_END)
            if size:
                os.lseek(self._descriptor, size - 1, os.SEEK_SET)
                if os.read(self._descriptor, 1) != b"\n":
                    os.write(self._descriptor, b"\n")
        except OSError:
            self._shut()
            raise

    def _shut(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def _follow(self) -> None:
        """Have the file open that now goes by the name."""
        if self._descriptor >= 0:
            with suppress(OSError):
                if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                    return
            self._let_go()
        self._open()

    def _cut_back(self, whole: int, torn: int) -> None:
        """Take a half-written line off the end again, unless someone else has written behind it."""
        try:
            if os.fstat(self._descriptor).st_size == torn:
                os.ftruncate(self._descriptor, whole)
                return
        except OSError:
            pass
        self._shut()  # opening it again ends the line

    def _rotate(self) -> bool:
        """NAME to NAME.1, and so on; the last is dropped. False where that fails: the file then grows on."""
        if time.monotonic() < self._rotate_s:
            return False
        self._let_go()
        try:
            old = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._keep + 1))]
            # Only what stands in the way moves on: after a crash in the middle of this one place is free.
            last = next((n for n, path in enumerate(old) if n and not path.exists()), self._keep)
            if not self._keep:
                self._path.unlink()
            for n in range(last, 0, -1):
                old[n - 1].replace(old[n])
            self._unrotated = None
        except OSError as error:
            self._unrotated = f"the file cannot be rotated: {reason_of(error)}"
            self._rotate_s = time.monotonic() + 60
        self._open()
        sync_folder(self._path.parent)
        return self._unrotated is None

    def _sync(self) -> None:
        if self._unsynced:
            self._unsynced = False
            os.fsync(self._descriptor)
            self._synced_s = time.monotonic()


def _unwritable(name: str, error: Exception) -> BadInputError:
    return BadInputError(
        f"--events {name or 'the empty name'} cannot be written: {reason_of(error)}. Choose another place"
    )
