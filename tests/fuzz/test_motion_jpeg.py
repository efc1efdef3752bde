"""Any bytes of a motion JPEG camera are pictures, or the end of the stream: never half a picture, never a hang."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
from helpers.fuzzing import fuzz, mutations
from hypothesis import given
from hypothesis import strategies as st

from edgefashion.camera.sources import mjpeg
from edgefashion.camera.sources.failures import StreamLostError

JPEGS = [cv2.imencode(".jpg", np.full((8, 8 * n, 3), 40 * n, np.uint8))[1].tobytes() for n in (1, 2, 3)]
PNG = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()


def part(picture: bytes, *, sized: bool, kind: str = "image/jpeg", line: str = "\r\n") -> bytes:
    length = f"Content-Length: {len(picture)}{line}" if sized else ""
    return f"--cut{line}Content-Type: {kind}{line}{length}{line}".encode() + picture + line.encode()


SIZED = b"".join(part(jpeg, sized=True) for jpeg in JPEGS)
UNSIZED = b"".join(part(jpeg, sized=False, line="\n") for jpeg in JPEGS)
VALID = [
    SIZED,
    UNSIZED,
    part(JPEGS[0], sized=True) + part(PNG, sized=True, kind="image/png") + part(JPEGS[1], sized=False),
]
WORDS = [
    *(
        b"\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b"--cut",
        b"--cut--",
        b"Content-Length: 0",
        b"Content-Length: 99999",
        b"-1",
        b"\0",
    ),
    *(
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff\xda",
        b"\xff\xe0\x00\x00",
        b"\xff\xe0\xff\xff",
        b"Content-Length:",
        b"\x89PNG\r\n\x1a\n",
    ),
]


class Told:
    """An answer that is told beforehand, in pieces of the given sizes."""

    kind, boundary, length, url = "multipart/x-mixed-replace", "cut", None, "http://camera/"

    def __init__(self, raw: bytes, sizes: list[int]) -> None:
        self._pieces = []
        for size in sizes:
            self._pieces.append(raw[:size])
            raw = raw[size:]
        self._pieces = [piece for piece in (*self._pieces, raw) if piece]

    def read(self, until_s: float) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None:
        pass


class NoClient:
    """Whoever asks again finds nobody."""

    def get(self, connect_s: float) -> Any:
        raise StreamLostError("connection refused")


def pictures_of(raw: bytes, sizes: list[int]) -> list[bytes]:
    """Every picture up to the end of the stream."""
    reader: Any = mjpeg.HttpPictures(NoClient(), Told(raw, sizes), 1.0)  # type: ignore[arg-type]
    found = []
    try:
        while True:
            reader.grab(20.0)
            found.append(reader._picture)
            reader.picture()
            assert len(found) <= len(raw), "pictures without an end"
    except StreamLostError:
        return found
    finally:
        reader.close()


@fuzz(50)
@given(st.sampled_from(VALID), st.lists(st.integers(1, 300), max_size=12))
def test_however_it_is_cut(raw: bytes, sizes: list[int]) -> None:
    """In whatever pieces a stream comes, all of its pictures are read, whole and in their order."""
    expected = [JPEGS[0], PNG, JPEGS[1]] if raw is VALID[2] else JPEGS
    assert pictures_of(raw, sizes) == expected


@fuzz(120)
@given(st.binary() | mutations(VALID, WORDS), st.lists(st.integers(1, 300), max_size=6))
def test_any_bytes(raw: bytes, sizes: list[int]) -> None:
    """Whatever a camera sends, a picture that is handed on stands in the stream as it is and has a beginning and an
    end, the stream comes to its end, and how it was cut into pieces makes no difference."""
    began_s = time.monotonic()
    found = pictures_of(raw, sizes)
    assert time.monotonic() - began_s < 15, "it hangs"
    for picture in found:
        assert picture in raw
        assert picture.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF", b"BM"))
    assert found == pictures_of(raw, [])
