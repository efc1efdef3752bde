"""An ONNX file whose weights lie in files beside it, as PyTorch exports it, made one whole file.

ONNX is protobuf. Only what is needed of its wire format is read here, so that no package is: the tensors that name a
file (``external_data``) get those bytes as their own (``raw_data``); all else is copied as it is. Field numbers are
those of onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from edgefashion.errors import BadInputError

MOST_BYTES: Final = 2**30
"""Of the file and of all it names together: what :mod:`edgefashion.bundles.guard.check` takes."""

# message -> number of a field that holds a message -> which one
_WITHIN: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_RAW_DATA: Final = 9
_EXTERNAL_DATA: Final = 13
_DATA_LOCATION: Final = 14
_DEEPEST: Final = 32

_Field = tuple[int, int, bytes, bytes]
"""Number, wire type, the value, and the whole field as it stands."""


@contextlib.contextmanager
def whole(path: Path, named: Path | None = None) -> Iterator[Path]:
    """``path``; of an ONNX file that names others a copy that holds them, for as long as the block lasts.

    Raises :class:`BadInputError`, calling the file ``named``, for a file beside it that is missing or too short, lies
    elsewhere than beside it, or is too large.
    """
    named = named or path
    if path.suffix != ".onnx":
        yield path
        return
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MOST_BYTES else b""
    except OSError as error:
        raise BadInputError(f"{named} cannot be read ({error.strerror}). Check the path and its permissions") from error
    if b"location" not in data:  # the key that each of them has
        yield path
        return
    inliner = _Inliner(path.absolute().parent, named, size)
    try:
        made = inliner.message(data, "model", 0)
    except (ValueError, IndexError):
        yield path  # no protobuf: whoever reads it says so
        return
    if not inliner.inlined:
        yield path
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(made)
        yield copy


class _Inliner:
    def __init__(self, folder: Path, named: Path, size_bytes: int) -> None:
        self._folder, self._named, self._left_bytes = folder, named, MOST_BYTES - size_bytes
        self.inlined = 0

    def message(self, data: bytes, kind: str, depth: int) -> bytes:
        """The message with all that it names inside it."""
        if depth > _DEEPEST:
            raise ValueError("nested too deep")
        if kind == "tensor":
            return self._tensor(data)
        within, made = _WITHIN[kind], []
        for number, wire, value, field in _fields(data):
            made.append(
                _bytes_field(number, self.message(value, within[number], depth + 1))
                if wire == 2 and number in within
                else field
            )
        return b"".join(made)

    def _tensor(self, data: bytes) -> bytes:
        fields = list(_fields(data))
        if not any(number == _DATA_LOCATION and value == b"\x01" for number, _, value, _ in fields):
            return data
        entries = {}
        for number, _, value, _ in fields:
            if number == _EXTERNAL_DATA:
                entry = {n: v.decode("utf-8", "replace") for n, _, v, _ in _fields(value)}
                entries[entry.get(1, "")] = entry.get(2, "")
        self.inlined += 1
        kept = [field for number, _, _, field in fields if number not in (_EXTERNAL_DATA, _DATA_LOCATION, _RAW_DATA)]
        return b"".join(kept) + _bytes_field(_RAW_DATA, self._read(entries))

    def _read(self, entries: dict[str, str]) -> bytes:
        location = entries.get("location", "")
        relative, windows = PurePosixPath(location), PureWindowsPath(location)
        if not location or windows.anchor or relative.is_absolute() or ".." in (*relative.parts, *windows.parts):
            raise BadInputError(
                f"{self._named} names {location!r} for its weights, which is not beside it. Export it anew"
            )
        file = self._folder / relative
        try:
            if not file.is_file():  # a pipe would wait for ever
                raise BadInputError(
                    f"{self._named} has its weights in {location}, which is missing. Put that file beside it"
                )
            offset = int(entries.get("offset") or 0)
            length = int(entries.get("length") or file.stat().st_size - offset)
            self._left_bytes -= max(0, length)
            if self._left_bytes < 0:
                raise BadInputError(
                    f"{self._named} and its weights are larger than {MOST_BYTES:,} bytes. Give a smaller one"
                )
            with file.open("rb") as weights:
                weights.seek(offset)
                data = weights.read(max(0, length))
        except (OSError, ValueError) as error:
            raise BadInputError(f"{self._named}: its weights in {location} cannot be read. Export it anew") from error
        if offset < 0 or length < 0 or len(data) != length:
            raise BadInputError(f"{self._named}: its weights in {location} are cut off. Get that file anew")
        return data


def _fields(data: bytes) -> Iterator[_Field]:
    """The fields of a protobuf message. Raises ValueError or IndexError for what is none."""
    at = 0
    while at < len(data):
        start = at
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        begin = at
        if wire == 0:
            _, at = _varint(data, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            length, begin = _varint(data, at)
            at = begin + length
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(data) or not number:
            raise ValueError("cut off")
        yield number, wire, data[begin:at], data[start:at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if not byte & 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _bytes_field(number: int, value: bytes) -> bytes:
    return _as_varint(number << 3 | 2) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
