"""What a web server answers to the address of a camera: through redirects and a login, and over TLS."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
import urllib.parse
from typing import Final

from edgefashion.camera.sources import tls
from edgefashion.camera.sources.failures import StreamLostError, by_error, by_status
from edgefashion.camera.sources.http_login import Account, Login
from edgefashion.camera.sources.schemes import split
from edgefashion.system.addresses import shown

ANSWER_S: Final = 5.0
"""For a server to answer a request."""

MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CHUNK_BYTES: Final = 65_536
_PAGES: Final = ("text/html", "application/xhtml+xml", "application/json", "text/xml", "application/xml", "text/css")
_SAFE: Final = "%/:=&?~#+!$,;'@()*[]|"


class Answer:
    """An answer whose body is still to be read."""

    def __init__(
        self,
        url: str,
        connection: http.client.HTTPConnection,
        channel: socket.socket,
        response: http.client.HTTPResponse,
    ) -> None:
        self.url = url
        """Where it came from at last, with the account."""
        self.kind = response.headers.get_content_type() if "content-type" in response.headers else ""
        self.boundary = response.headers.get_boundary() or ""
        self.length = response.length
        """Bytes of its body; None where the server does not say, as for what has no end."""
        self._connection, self._channel, self._response = connection, channel, response
        self._begun = b""

    def peek(self, size: int) -> bytes:
        """The first bytes of the body, fewer only where it is shorter; they are read once more afterwards."""
        until_s = time.monotonic() + ANSWER_S
        try:
            while len(self._begun) < size and (chunk := self._read(until_s)):
                self._begun += chunk
        except TimeoutError as error:
            raise StreamLostError(f"it sent nothing for {ANSWER_S:.0f} s") from error
        return self._begun[:size]

    def read(self, until_s: float) -> bytes:
        """The next bytes of the body; empty at its end.

        Raises :class:`TimeoutError` where none come until ``until_s``, and :class:`StreamLostError` where the
        connection broke.
        """
        begun, self._begun = self._begun, b""
        return begun or self._read(until_s)

    def _read(self, until_s: float) -> bytes:
        # After the last byte the connection is closed already, and has no time limit to set.
        if self._response.isclosed() or self._response.length == 0:
            return b""
        try:
            self._channel.settimeout(max(until_s - time.monotonic(), 0.001))
            return self._response.read1(_CHUNK_BYTES)
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StreamLostError("the connection broke") from error

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._response.close()
        self._connection.close()


def check_no_page(answer: Answer) -> None:
    """Raise :class:`StreamLostError` for what is for people, or programs, to read."""
    if answer.kind in _PAGES:
        raise StreamLostError(f"a page answers there, no stream ({answer.kind})", "page")


class Client:
    """Asks for one address, again and again if need be, and knows the way and the login from the time before."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.ca = tls.authority(split(url))
        """By what a certificate is checked; None where any is trusted."""
        self._logins: dict[tuple[str, int | None], Login] = {}
        """By host and port, of those that took it."""

    def get(self, connect_s: float) -> Answer:
        """The answer with status 200. Raises :class:`StreamLostError` for every other one."""
        url = self._url
        for _ in range(MOST_REDIRECTS + 1):
            if self.ca and split(url).scheme != "https":
                raise StreamLostError("it leads to an address without encryption", "unchecked")
            answer, response = self._get(url, connect_s)
            if response.status not in _REDIRECTS or not (to := response.headers.get("Location")):
                if response.status == http.HTTPStatus.OK:
                    return answer
                answer.close()
                raise by_status(response.status, response.reason, with_login=_account(url) is not None)
            answer.close()
            url = _led_to(url, to)
        raise StreamLostError("it leads on from address to address", "redirect")

    def _get(self, url: str, connect_s: float) -> tuple[Answer, http.client.HTTPResponse]:
        """One address's answer, after a login where it asks for one and the address has an account."""
        parts, account = split(url), _account(url)
        at = (parts.hostname or "", parts.port)
        path = urllib.parse.quote(f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/", _SAFE)
        known = self._logins.pop(at, None)
        answer, response = _request(url, path, connect_s, known.header("GET", path) if known else None, self.ca)
        if response.status == http.HTTPStatus.OK and known:
            self._logins[at] = known
        demands = response.headers.get_all("WWW-Authenticate") or []
        # Some forbid what they should ask a login for.
        asks = response.status == http.HTTPStatus.UNAUTHORIZED or (
            response.status == http.HTTPStatus.FORBIDDEN and not known and not demands
        )
        if not asks or account is None:
            return answer, response
        answer.close()
        try:
            login = Login(demands or ["Basic"], account)
        except ValueError:
            raise StreamLostError("it asks for a login of a kind that is not known here (401)", "login kind") from None
        # Once: each further try of a wrong password brings the account nearer to being locked.
        answer, response = _request(url, path, connect_s, login.header("GET", path), self.ca)
        if response.status == http.HTTPStatus.OK:
            self._logins[at] = login
        return answer, response


def _request(
    url: str, path: str, connect_s: float, authorization: str | None, ca: str | None
) -> tuple[Answer, http.client.HTTPResponse]:
    parts = split(url)
    headers = {
        "User-Agent": "edgefashion",
        "Accept": "multipart/x-mixed-replace, image/jpeg, image/png, */*",
        "Connection": "close",
    }
    if authorization:
        headers["Authorization"] = authorization
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=connect_s)
    waited_s = connect_s
    try:
        if parts.scheme == "https":
            connection = tls.connected(parts, connect_s, ca)
        else:
            connection.connect()
        channel = connection.sock  # the connection forgets it where the answer is to be its last
        waited_s = ANSWER_S
        channel.settimeout(ANSWER_S)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
    except (http.client.RemoteDisconnected, ConnectionResetError) as error:
        connection.close()
        raise StreamLostError("it hangs up without an answer") from error
    except http.client.HTTPException as error:
        connection.close()
        raise StreamLostError("what answers there is no web server", "request") from error
    except (ValueError, UnicodeError) as error:
        connection.close()
        raise StreamLostError("it is no address", "address") from error
    except OSError as error:
        connection.close()
        raise by_error(error, waited_s) from error
    return Answer(url, connection, channel, response), response


def _account(url: str) -> Account | None:
    parts = split(url)
    if parts.username is None:
        return None
    return Account(urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))


def _led_to(url: str, location: str) -> str:
    """Where a redirect leads; the account goes along to the same host only, and never from https to http."""
    try:
        here, there = split(url), urllib.parse.urlsplit(urllib.parse.urljoin(url, location))
    except ValueError:
        raise StreamLostError("it leads to what is no address", "redirect") from None
    if there.scheme not in ("http", "https"):
        raise StreamLostError(f"it leads to {shown(there.geturl())}", "redirect")
    same = there.hostname == here.hostname and (there.scheme == "https" or here.scheme == "http")
    if there.username is None and here.username is not None and same:
        account = here.netloc.rpartition("@")[0]
        there = there._replace(netloc=f"{account}@{there.netloc}")
    return there.geturl()
