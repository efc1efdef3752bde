"""Memory in which one process hands pictures to another: plain ``mmap``, and nothing to clear away afterwards.

On POSIX a file without a name, in memory where the system has /dev/shm, whose descriptor the other process
inherits; on Windows memory with a random name. Either is gone with the last process that has it open.
"""

from __future__ import annotations

import mmap
import os
import secrets
import tempfile
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IN_MEMORY: Final = "/dev/shm"  # noqa: S108 (the file has no name there)


class PictureMemory:
    """The writing side: room for one picture, more of it when a larger one comes.

    ``descriptor`` is what the reading side made and this process has inherited, where that is the parent.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._map: mmap.mmap | None = None
        self._size, self._name = 0, ""
        if os.name == "nt":
            self._file: Any = None
        else:
            self._file = _unnamed_file() if descriptor is None else os.fdopen(descriptor, "r+b", buffering=0)

    @property
    def descriptor(self) -> int | None:
        """What the other process is to inherit and its side to be given; None on Windows."""
        return None if self._file is None else self._file.fileno()

    def put(self, picture: NDArray[np.uint8]) -> dict[str, Any]:
        """Write ``picture``, any uint8 array; returns what :meth:`PictureReader.get` takes.

        Raises :class:`OSError` where there is no memory for it.
        """
        import numpy as np

        if self._map is None or picture.nbytes > self._size:
            self._grow(max(picture.nbytes, self._size))
        np.ndarray(picture.shape, np.uint8, self._map)[...] = picture
        return {"shape": picture.shape, "size": self._size, "name": self._name}

    def close(self) -> None:
        """Let go of it. May be called twice."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file is not None:
            self._file.close()

    def _grow(self, size: int) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file is None:
            self._name = f"edgefashion-{secrets.token_hex(16)}"
            self._map = _named(size, self._name)
        else:
            # Really written: memory that is only promised would kill the process that first needs it.
            missing = memoryview(bytes(size - self._size))
            self._file.seek(self._size)
            while missing:
                missing = missing[self._file.write(missing) :]
            self._map = mmap.mmap(self._file.fileno(), size)
        self._size = size


class PictureReader:
    """The reading side."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None
        self._have: tuple[int, str] | None = None

    def get(self, put: dict[str, Any]) -> NDArray[np.uint8]:
        """The picture itself, not a copy: it changes with the next one."""
        import numpy as np

        want = put["size"], put["name"]
        if self._map is None or want != self._have:
            size, name = want
            # The old one is not closed: a picture may still be looked at.
            self._map = _named(size, name) if self._descriptor is None else mmap.mmap(self._descriptor, size)
            self._have = want
        return np.ndarray(tuple(put["shape"]), np.uint8, self._map)

    def close(self) -> None:
        """Let go of it, once no picture of it is looked at any more. May be called twice."""
        self._map = None


def _unnamed_file() -> Any:
    if os.access(_IN_MEMORY, os.W_OK):
        return tempfile.TemporaryFile(dir=_IN_MEMORY, buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _named(size: int, name: str) -> mmap.mmap:
    """Memory of this name, made if there is none: Windows only."""
    memory: Any = mmap.mmap  # whose tagname other systems do not have
    found: mmap.mmap = memory(-1, size, tagname=name)
    return found
