"""Motion JPEG over HTTP, as network cameras send it, read picture by picture and decoded only on demand.

A reader of its own because a general one decodes every picture, shows half of a truncated one, and waits for a
header that never ends.
"""

from __future__ import annotations

import base64
import http.client
import re
import socket
import time
import urllib.parse
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 3.0
LARGEST_HEADER_BYTES: Final = 16_384
LARGEST_PICTURE_BYTES: Final = 32 * 2**20
_PORTS: Final = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935}
_CHUNK_BYTES: Final = 65_536
_START, _END = b"\xff\xd8", b"\xff\xd9"
_BLANK_LINE: Final = re.compile(rb"\r\n\r\n|\n\n")


class StreamLostError(Exception):
    """The stream is over; the message says why, as a phrase."""


class MjpegStream:
    """A ``multipart/x-mixed-replace`` answer. Made by :func:`connect`."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self._boundary = (response.headers.get_boundary() or "--").encode()
        self._buffer = bytearray()
        self._jpeg = b""

    def grab(self) -> None:
        """Wait for the next whole picture. Raises :class:`StreamLostError` when none can come any more."""
        until_s = time.monotonic() + READ_TIMEOUT_S  # each byte may come in time and a picture never
        while True:
            end = self._header_end(until_s)
            length = _content_length(bytes(self._buffer[:end]))
            del self._buffer[:end]
            jpeg = self._sized(length, until_s) if length is not None else self._until_marker(until_s)
            if jpeg.startswith(_START) and jpeg.rstrip(b"\r\n\0").endswith(_END):
                self._jpeg = jpeg
                return
            if time.monotonic() > until_s:
                raise StreamLostError("it sends no whole pictures")

    def picture(self) -> NDArray[np.uint8] | None:
        """The picture of the last :meth:`grab`, BGR (h, w, 3); None if it cannot be decoded."""
        import cv2
        import numpy as np

        try:
            image = cv2.imdecode(np.frombuffer(self._jpeg, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # a size nobody means, for one
            image = None
        if image is None:
            return None
        return np.asarray(image, np.uint8)

    def close(self) -> None:
        self._response.close()
        self._connection.close()

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
        if not jpeg.rstrip(b"\r\n\0").endswith(_END):
            # The length was wrong, or the picture is: another may begin within what was taken for it.
            after = self._buffer.find(self._boundary, 0, length)
            del self._buffer[: after if after > 0 else length]
            return jpeg
        del self._buffer[:length]
        return jpeg

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
        try:
            chunk = self._response.read1(_CHUNK_BYTES)
        except TimeoutError as error:
            raise StreamLostError(f"it sent nothing for {READ_TIMEOUT_S:.0f} s") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StreamLostError("the connection broke") from error
        if not chunk:
            raise StreamLostError("the server ended the stream")
        if time.monotonic() > until_s:
            raise StreamLostError(f"no whole picture came for {READ_TIMEOUT_S:.0f} s")
        self._buffer += chunk


def knock(url: str, timeout_s: float) -> None:
    """See that somebody listens where a URL points; of one that is not for TCP nothing is tried.

    Raises :class:`StreamLostError` otherwise.
    """
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port or _PORTS.get(parts.scheme.lower())
        if parts.hostname and port:
            socket.create_connection((parts.hostname, port), timeout_s).close()
    except ValueError as error:
        raise StreamLostError("it is no address") from error
    except TimeoutError as error:
        raise StreamLostError(f"nobody answers for {timeout_s:.0f} s") from error
    except OSError as error:
        raise StreamLostError((error.strerror or str(error)).lower()) from error


def connect(url: str) -> MjpegStream | None:
    """Open an ``http://`` URL; None if its answer is something else than motion JPEG, to be read by other means.

    Raises :class:`StreamLostError` if there is no server or it refuses.
    """
    parts = urllib.parse.urlsplit(url)
    headers = {"User-Agent": "edgefashion", "Accept": "multipart/x-mixed-replace, */*"}
    if parts.username is not None:
        login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    try:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CONNECT_TIMEOUT_S)
        connection.connect()
        channel = connection.sock  # the connection forgets it where the answer is to be its last
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
    except ValueError as error:
        raise StreamLostError("it is no address") from error
    except http.client.HTTPException as error:
        raise StreamLostError("what answers there is no web server") from error
    except TimeoutError as error:
        raise StreamLostError(f"no answer for {CONNECT_TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise StreamLostError((error.strerror or str(error)).lower()) from error
    if response.status != http.HTTPStatus.OK or response.headers.get_content_type() != "multipart/x-mixed-replace":
        connection.close()
        if response.status in (403, 404, 410) or response.status >= 500:
            raise StreamLostError(f"the server answers {response.status} {response.reason}")
        return None  # moved, or a login of another kind, or another sort of stream
    channel.settimeout(READ_TIMEOUT_S)
    return MjpegStream(connection, response)


def _content_length(header: bytes) -> int | None:
    for line in header.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
            return length if 0 < length <= LARGEST_PICTURE_BYTES else None
    return None
