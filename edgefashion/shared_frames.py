"""Memory that two processes share, for pictures on their way from one to the other.

A file in memory where the system has one (Linux: /dev/shm, already unlinked, so nothing can be left behind),
else a temporary file. It is as long as the largest picture from the start, but takes memory only where it was
written to.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_WH: Final = (3840, 2160)
"""A larger picture is reduced to fit: nothing here needs more."""

SLOTS: Final = 2
"""One is read while the other is written."""

SLOT_BYTES: Final = LARGEST_WH[0] * LARGEST_WH[1] * 3
_MEMORY: Final = "/dev/shm"  # noqa: S108 (the file made there has no name)


class SharedFrames:
    """Two slots for uint8 BGR (h, w, 3) pictures."""

    def __init__(self) -> None:
        """Make the memory; the other process gets :attr:`handle` and, on POSIX, :attr:`inherited`."""
        folder = _MEMORY if os.name == "posix" and Path(_MEMORY).is_dir() else None
        if os.name == "posix":
            self._file: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed in close())
            self.handle: int | str = self._file.fileno()
            self.inherited: tuple[int, ...] = (self._file.fileno(),)
        else:
            self._file = tempfile.NamedTemporaryFile(delete=False)  # noqa: SIM115 (closed in close())
            self.handle, self.inherited = self._file.name, ()
        self._file.truncate(SLOTS * SLOT_BYTES)
        self._map = mmap.mmap(self._file.fileno(), SLOTS * SLOT_BYTES)

    @classmethod
    def attached(cls, handle: int | str) -> SharedFrames:
        """The same memory in the other process."""
        self = cls.__new__(cls)
        self._file = open(handle, "r+b")  # noqa: PTH123, SIM115 (a descriptor or a name; closed in close())
        self.handle, self.inherited = handle, ()
        self._map = mmap.mmap(self._file.fileno(), SLOTS * SLOT_BYTES)
        return self

    def put(self, slot: int, picture: NDArray[np.uint8]) -> tuple[int, ...]:
        """Write ``picture`` into ``slot``; returns its shape there, reduced where it is too large."""
        import cv2
        import numpy as np

        if picture.nbytes > SLOT_BYTES:
            factor = min(LARGEST_WH[0] / picture.shape[1], LARGEST_WH[1] / picture.shape[0])
            picture = np.asarray(
                cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8
            )
        self._view(slot, picture.shape)[...] = picture
        return picture.shape

    def get(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A copy of the picture of ``shape`` in ``slot``. Raises :class:`ValueError` for one that does not fit."""
        return self._view(slot, shape).copy()

    def _view(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        import numpy as np

        return np.ndarray(shape, np.uint8, self._map, offset=slot * SLOT_BYTES)

    def close(self) -> None:
        """Let go of the memory; the last of the two processes frees it. May be called twice."""
        with contextlib.suppress(BufferError):  # a view still lives: the map goes with it
            self._map.close()
        if not self._file.closed:
            self._file.close()
            if isinstance(self.handle, str):
                with contextlib.suppress(OSError):  # the other process has it open: Windows keeps it then
                    Path(self.handle).unlink()
