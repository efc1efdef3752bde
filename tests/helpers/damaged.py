"""Files that are called .npz and cannot be read as arrays."""

from __future__ import annotations

import io
import zipfile

import numpy as np


def _npz(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(name, content)
    return file.getvalue()


def _npy(array: object) -> bytes:
    file = io.BytesIO()
    np.save(file, array)  # type: ignore[arg-type]
    return file.getvalue()


_WHOLE = _npz(network=np.arange(3000) % 7)
_PACKED = bytearray(_WHOLE)
_PACKED[70:90] = b"\xff" * 20  # in the packed bytes: zlib.error
_LOCKED = bytearray(_WHOLE)
_LOCKED[6] |= 1  # as if with a password, here and in the list at the end
_LOCKED[_LOCKED.index(b"PK\x01\x02") + 8] |= 1
_HEAD = _npy(np.zeros(3)).replace(b"(3,), }", b"(9999999999999,), }"[:19])

DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "text": b"no archive",
    "one array": _npy(np.zeros(3)),
    "cut": _WHOLE[:100],
    "packed bytes": bytes(_PACKED),
    "a password": bytes(_LOCKED),
    "objects": _npz(network=np.array([{}], dtype=object)),
    "no array": _zip("network.npy", b"\x93NUMPY\x01\x00\xff\xff{"),
    "huge": _zip("network.npy", _HEAD),
    "another's": _npz(other=np.zeros(3)),
    "texts": _npz(**dict.fromkeys(("network", "keys", "features", "key", "count", "names", "labels"), "x")),
    "numbers": _npz(**dict.fromkeys(("network", "keys", "features", "most", "held", "names", "labels"), 7)),
}
"""By what is wrong with each."""
