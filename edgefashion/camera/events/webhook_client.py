"""A webhook's address taken apart, and one event posted to it, signed as Standard Webhooks has it.

https://www.standardwebhooks.com: three headers, ``webhook-id``, ``webhook-timestamp`` (Unix seconds) and
``webhook-signature`` (``v1,`` and the Base64 of an HMAC-SHA256 over ``ID.TIMESTAMP.BODY``).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import email.utils
import hashlib
import hmac
import http.client
import json
import re
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from edgefashion.errors import BadInputError
from edgefashion.system import addresses
from edgefashion.version import __version__

if TYPE_CHECKING:
    from edgefashion.camera.events.message import Message

EXAMPLE: Final = "https://host/path"

ANSWER_S: Final = 10.0
"""How long a receiver may take for a step of its answer, and for all of it."""

LONGEST_ANSWER: Final = 65_536
"""Bytes of an answer's body that are read, so that the connection can be used again."""

LONGEST_WAIT_S: Final = 3600.0
"""A receiver that asks for more patience than this is asked again after it."""

SHORTEST_KEY: Final = 16
"""Bytes of a secret."""

_PREFIX: Final = "whsec_"
"""What a secret begins with that is written in Base64: Standard Webhooks, "Signature scheme"."""


@dataclass(frozen=True)
class Receiver:
    """Where events are posted. Neither the account, nor the secret, nor the path shows in a text of it: a path may be
    all the secret that a webhook has."""

    host: str
    port: int
    tls: bool
    path: str = field(repr=False)
    """The path with its query."""
    login: str | None = field(default=None, repr=False)
    """The value of the header ``Authorization``."""
    user: str | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    """What events are signed with; None leaves them unsigned."""

    @property
    def target(self) -> str:
        """The address without its account."""
        return f"{self}{self.path}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """What the receiver says to an event."""

    status: int
    wait_s: float | None = None
    """How long it asks to be left alone."""
    repeated: bool = False
    """The event had been sent just before, over a connection that ended without an answer."""

    @property
    def words(self) -> str:
        """The status in words; the standard's, not the receiver's own."""
        return f"{self.status} {http.client.responses.get(self.status, '')}".strip()


def parse(spec: str, secret: str | None = None) -> Receiver:
    """``http[s]://[user:password@]host[:port][/path]`` taken apart. Raises :class:`BadInputError`, without secrets."""
    shown = addresses.shown(spec)
    addresses.check_whole(spec)
    try:
        url = urlsplit(spec)
        port, host = url.port, url.hostname or ""
        if "@" in url.path + url.query and url.username is None:
            raise BadInputError(f"--events {shown}: in a user or password write @ / : ? # as %40 %2F %3A %3F %23")
        user, password = (unquote(text or "", errors="strict") for text in (url.username, url.password))
        login = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user or password else None
    except ValueError:
        # Without its cause: that may name a part of the password.
        what_to_do = addresses.how_to_escape(spec) or f"Write it like {EXAMPLE}"
        raise BadInputError(f"--events {shown} is no webhook's address. {what_to_do}") from None
    if not addresses.is_host(host) or port == 0 or "%" in host:
        raise BadInputError(f"--events {shown} names no host or port. Write it like {EXAMPLE}")
    if not re.fullmatch(r"[!-~]*", url.path + url.query):
        raise BadInputError(f"--events {shown}: write a space or a letter with an accent in %-codes")
    tls = url.scheme == "https"
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Receiver(
        host, port or (443 if tls else 80), tls, path, login, user or None, key_of(secret) if secret else None
    )


def key_of(secret: str) -> bytes:
    """The bytes to sign with: a secret that begins with ``whsec_`` is Base64, any other one is taken as it is.

    Raises :class:`BadInputError`, without the secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True) if secret.startswith(_PREFIX) else b""
    except (binascii.Error, ValueError):
        raise BadInputError(
            f"events_secret begins with {_PREFIX}, and what follows is no Base64. Copy it again, whole"
        ) from None
    key = key or secret.encode()
    if len(key) < SHORTEST_KEY or secret.startswith("<"):  # as the example in the settings file does
        raise BadInputError(
            f"events_secret can be guessed. Give {SHORTEST_KEY} characters or more of your own. Take, for instance, "
            f"{secrets.token_urlsafe(24)}"
        )
    return key


def signature(key: bytes, name: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = hmac.digest(key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def body_of(message: Message) -> bytes:
    """The event's own fields, and before them its ``id``."""
    return json.dumps({"id": message.id, **json.loads(message.line)}).encode()


class Client:
    """Posts to one receiver, over one connection for as long as that lasts. It follows no redirect."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._connection: http.client.HTTPConnection | None = None

    def post(self, message: Message) -> Answer:
        """Post ``message``. Raises :class:`OSError` or :class:`http.client.HTTPException` where no answer comes."""
        if self._connection is not None:
            # One that has been idle may have ended at its other end. Then the event goes again, over a new one.
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self._ask(self._connection, message)
            self.close()
            self._connection = self._connect()
            return replace(self._ask(self._connection, message), repeated=True)
        self._connection = self._connect()
        return self._ask(self._connection, message)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        to = self._receiver
        if to.tls:
            trusted = ssl.create_default_context()
            return http.client.HTTPSConnection(to.host, to.port, timeout=ANSWER_S, context=trusted)
        return http.client.HTTPConnection(to.host, to.port, timeout=ANSWER_S)

    def _ask(self, connection: http.client.HTTPConnection, message: Message) -> Answer:
        # One that sends a byte now and then never runs into the socket's own limit.
        cut = threading.Event()
        late = threading.Timer(ANSWER_S, _cut, (connection, cut))
        late.daemon = True
        try:
            if connection.sock is None:
                connection.connect()
            late.start()
            body = body_of(message)
            connection.request("POST", self._receiver.path, body, self._headers(message, body))
            answer = connection.getresponse()
            if len(answer.read(LONGEST_ANSWER + 1)) > LONGEST_ANSWER or answer.will_close:
                self.close()
            return Answer(answer.status, _wait_s(answer.getheader("Retry-After")))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if cut.is_set():
                raise TimeoutError from error
            raise
        finally:
            late.cancel()

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"edgefashion/{__version__}",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
        }
        if self._receiver.login:
            headers["Authorization"] = self._receiver.login
        if self._receiver.key:
            headers["webhook-signature"] = signature(self._receiver.key, message.id, timestamp, body)
        return headers


def _cut(connection: http.client.HTTPConnection, cut: threading.Event) -> None:
    cut.set()
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _wait_s(text: str | None) -> float | None:
    """The header ``Retry-After``: seconds, or a date."""
    if not text:
        return None
    try:
        if text.strip().isdigit():
            wait_s = float(text)
        else:
            wait_s = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait_s, 0.0), LONGEST_WAIT_S)
