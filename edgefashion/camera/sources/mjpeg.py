"""Pictures over HTTP, as network cameras send them: motion JPEG, or one picture for each request.

A reader of its own because a general one decodes every picture, shows half of a truncated one, and waits for a
header that never ends. A picture is decoded only on demand.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from edgefashion.camera.sources.failures import StreamLostError
from edgefashion.camera.sources.frame import HANGS_S, Pace
from edgefashion.camera.sources.http_answer import ANSWER_S, Answer, Client, check_no_page
from edgefashion.system.backoff import Backoff

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_HEADER_BYTES: Final = 16_384
LARGEST_PICTURE_BYTES: Final = 32 * 2**20
_LOOKED_BYTES: Final = 65_536
_START, _END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_SPOILED_REST_S: Final = (0.2, 2.0)
"""First and longest wait after an answer that is no whole picture: a server is not asked for the same one at once."""
_SPOILED_IN_A_ROW: Final = 8
"""After so many a server is said to send none."""
_BLANK_LINE: Final = re.compile(rb"\r\n\r\n|\n\n")
_PICTURES: Final = {"image/jpeg", "image/jpg", "image/pjpeg", "image/png", "image/webp", "image/bmp"}


class EndOfStreamError(StreamLostError):
    """The server has ended its answer in good order."""


class HttpPictures:
    """The pictures at an address: of a ``multipart`` answer, or each by a request of its own. Made by :func:`connect`.

    A server whose multipart answers hold one picture each is asked again for every picture.
    """

    def __init__(self, client: Client, answer: Answer, connect_s: float) -> None:
        self._client, self._connect_s = client, connect_s
        self._parts = _Parts(answer) if answer.kind.startswith("multipart/") else None
        self._answer: Answer | None = answer
        self._picture = b""
        self._rest_s = 0.0
        """``time.monotonic()`` until which the server is left alone."""
        self._spoiled = 0
        """Answers in a row that were no whole picture."""
        self._backoff = Backoff(*_SPOILED_REST_S)

    @property
    def on_demand(self) -> bool:
        """True where a picture is asked for only when one is wanted."""
        return self._parts is None

    def gives_up_s(self, pace: Pace) -> tuple[float, float]:
        """How long :meth:`grab` waits, and how long whoever waits for it waits."""
        limit_s = pace.lost_s()
        return limit_s, limit_s + (self._connect_s + 2 * ANSWER_S if self.on_demand else HANGS_S)

    def grab(self, limit_s: float) -> None:
        """Wait for the next whole picture, for ``limit_s`` at most. Raises :class:`StreamLostError` if none comes."""
        until_s = time.monotonic() + limit_s  # each byte may come in time and a picture never
        if self._parts is not None:
            try:
                self._picture = self._parts.next(until_s)
                return
            except EndOfStreamError:
                if self._parts.pictures != 1:
                    raise
            self._hang_up()
            self._parts = None
        self._picture = self._asked_for(until_s)

    def picture(self) -> NDArray[np.uint8] | None:
        """The picture of the last :meth:`grab`, BGR (h, w, 3); None if it cannot be decoded."""
        import cv2
        import numpy as np

        try:
            image = cv2.imdecode(np.frombuffer(self._picture, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # a size nobody means, for one
            image = None
        if image is None:
            if self.on_demand:
                self._is_spoiled()
            return None
        self._spoiled = 0
        return np.asarray(image, np.uint8)

    def close(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _asked_for(self, until_s: float) -> bytes:
        """A picture by requests of its own. The server is busy with us for half of the time at most."""
        while True:
            time.sleep(max(0.0, min(self._rest_s, until_s) - time.monotonic()))
            began_s = time.monotonic()
            self._answer = self._answer or self._client.get(self._connect_s)
            try:
                check_no_page(self._answer)  # a login that has run out leads to one
                if self._answer.kind.startswith("multipart/"):
                    picture = _Parts(self._answer).next(until_s)
                else:
                    picture = _own(_body(self._answer, until_s))
            except EndOfStreamError:
                picture = b""
            except TimeoutError as error:
                if self._spoiled:
                    self._is_spoiled(late=True)
                raise StreamLostError(f"no whole picture came for {time.monotonic() - began_s:.0f} s") from error
            finally:
                self._hang_up()
            now_s = time.monotonic()
            self._rest_s = now_s + (now_s - began_s)
            if _is_whole(picture):
                return picture
            self._is_spoiled(late=now_s > until_s)

    def _is_spoiled(self, *, late: bool = False) -> None:
        """Wait longer before the next request. Raises :class:`StreamLostError` if that has not helped."""
        self._spoiled += 1
        if late or self._spoiled >= _SPOILED_IN_A_ROW:
            raise StreamLostError("it sends no whole pictures", "no pictures")
        if self._spoiled == 1:
            self._backoff.reset()
        self._rest_s = max(self._rest_s, time.monotonic() + self._backoff.next_s())


def connect(url: str, connect_s: float) -> HttpPictures | Answer:
    """Ask at an ``http://`` or ``https://`` address; what is neither motion JPEG nor a picture is returned as it is.

    Raises :class:`StreamLostError` if there is no server or it refuses.
    """
    client = Client(url)
    answer = client.get(connect_s)
    # A picture is what its bytes say, whatever the server calls it.
    if answer.kind.startswith("multipart/") or answer.kind in _PICTURES or _is_picture(answer):
        return HttpPictures(client, answer, connect_s)
    if client.ca:
        answer.close()
        check_no_page(answer)
        raise StreamLostError(
            "it is a film or a stream in segments, whose certificate is not checked here", "unchecked"
        )
    return answer


def _is_picture(answer: Answer) -> bool:
    if not answer.peek(len(_PNG)).lstrip(b"\r\n").startswith((_START + b"\xff", _PNG[:6])):
        return False
    return answer.length is not None or _is_over(answer)


def _is_over(answer: Answer) -> bool:
    """True of one picture whose length nobody told: in a stream another one begins behind it."""
    size = _LOOKED_BYTES
    while size <= LARGEST_PICTURE_BYTES:
        try:
            begun = answer.peek(size)
        except StreamLostError:  # nothing more for a while
            return False
        own = _own(begun)
        if own and own[:3] in begun.partition(own)[2]:
            return False
        if len(begun) < size:
            return bool(own)
        size *= 2
    return False


def _own(data: bytes) -> bytes:
    """The JPEG or PNG that ``data`` begins with, without what a camera adds behind or before it; empty where it has no
    end. Other pictures as they are."""
    data = data.lstrip(b"\r\n")
    if data.startswith(_PNG):
        return data[: data.find(_PNG_END) + len(_PNG_END)] if _PNG_END in data else b""
    if not data.startswith(_START):
        return data
    at = len(_START)
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":  # segments may hold an end of their own
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    end = data.find(_END, at)
    return data[: end + len(_END)] if end > 0 else b""


def _is_whole(picture: bytes) -> bool:
    """True of a JPEG or PNG that has its end. Of other pictures this is seen when they are decoded."""
    if picture.startswith(_START):
        return picture.rstrip(b"\r\n\0").endswith(_END)
    if picture.startswith(_PNG):
        return picture.rstrip(b"\r\n\0").endswith(_PNG_END)
    return picture.startswith((b"RIFF", b"BM"))


def _body(answer: Answer, until_s: float) -> bytes:
    """All of an answer."""
    data = bytearray()
    while chunk := answer.read(until_s):
        data += chunk
        if len(data) > LARGEST_PICTURE_BYTES:
            raise StreamLostError("it sends a picture without an end")
    return bytes(data)


class _Parts:
    """The pictures of a ``multipart`` answer, whatever kind its parts say that they are."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._boundary = (answer.boundary or "\n--").encode()
        self._buffer = bytearray()
        self.pictures = 0
        """Whole ones so far."""

    def next(self, until_s: float) -> bytes:
        """The next whole picture. Raises :class:`StreamLostError` if none comes until ``until_s``."""
        self._began_s = self._heard_s = time.monotonic()
        while True:
            end = self._header_end(until_s)
            length = _content_length(bytes(self._buffer[:end]))
            del self._buffer[:end]
            picture = self._sized(length, until_s) if length is not None else self._until_marker(until_s)
            if _is_whole(picture):
                self.pictures += 1
                return picture
            if time.monotonic() > until_s:
                raise self._given_up(until_s)

    def _header_end(self, until_s: float) -> int:
        """Where the next part's header ends. What stands before it belongs to no picture."""
        while not (found := _BLANK_LINE.search(self._buffer)):
            if len(self._buffer) > LARGEST_HEADER_BYTES:
                # Rubbish, or a picture longer than was said: the next header is behind it. Four bytes may be its start.
                del self._buffer[:-4]
            self._receive(until_s)
        return found.end()

    def _sized(self, length: int, until_s: float) -> bytes:
        while len(self._buffer) < length:
            self._receive(until_s)
        jpeg = bytes(self._buffer[:length])
        if _is_whole(jpeg):
            del self._buffer[:length]
            return jpeg
        # The length was wrong, or the picture is: another may begin within what was taken for it.
        after = self._buffer.find(self._boundary, 0, length)
        own = b"" if after > 0 else _own(jpeg)
        if after > 0 or own or not jpeg.startswith(_START):
            del self._buffer[: after if after > 0 else length]
            return own
        return self._longer_than_told(until_s)

    def _longer_than_told(self, until_s: float) -> bytes:
        """The picture that the buffer begins with, up to its own end; empty where the next part begins before that."""
        picture = self._until_marker(until_s)
        next_part = picture.find(self._boundary)
        if next_part < 0:
            return picture
        self._buffer[:0] = picture[next_part:]
        return b""

    def _until_marker(self, until_s: float) -> bytes:
        # Within a JPEG's data FF is always followed by 0 or a restart marker; before it lie segments that tell their
        # length and may hold a thumbnail with an end of its own.
        looked = self._data_start(until_s)
        while (end := self._buffer.find(_END, looked)) < 0:
            if len(self._buffer) > LARGEST_PICTURE_BYTES:
                raise StreamLostError("it sends a picture without an end")
            looked = max(0, len(self._buffer) - 1)
            self._receive(until_s)
        jpeg = bytes(self._buffer[: end + 2])
        del self._buffer[: end + 2]
        return jpeg

    def _data_start(self, until_s: float) -> int:
        """Where the picture's own data begins, behind its segments; 0 for what is no JPEG."""
        at = len(_START)
        while True:
            while len(self._buffer) < at + 4:
                self._receive(until_s)
            if not self._buffer.startswith(_START) or self._buffer[at] != 0xFF or at > LARGEST_PICTURE_BYTES:
                return 0
            if self._buffer[at + 1] == 0xDA:  # the start of scan
                return at
            at += 2 + int.from_bytes(self._buffer[at + 2 : at + 4], "big")

    def _receive(self, until_s: float) -> None:
        if time.monotonic() > until_s:
            raise self._given_up(until_s)
        try:
            chunk = self._answer.read(until_s)
        except TimeoutError as error:
            raise self._given_up(until_s) from error
        if not chunk:
            raise EndOfStreamError("the server ended the stream")
        self._heard_s = time.monotonic()
        self._buffer += chunk

    def _given_up(self, until_s: float) -> StreamLostError:
        waited_s, silent_s = until_s - self._began_s, time.monotonic() - self._heard_s
        what = "it sent nothing" if silent_s > 0.9 * waited_s else "no whole picture came"
        return StreamLostError(f"{what} for {waited_s:.0f} s")


LONGEST_NUMBER: Final = 18
"""Digits of a length that means one."""


def _content_length(header: bytes) -> int | None:
    for line in header.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value) if len(value.strip()) <= LONGEST_NUMBER else 0
            return length if 0 < length <= LARGEST_PICTURE_BYTES else None
    return None
