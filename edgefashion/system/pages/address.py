"""Where the page listens and who may see it: the address, the rule beyond this machine, the sockets, the token."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import secrets
import socket
from dataclasses import dataclass
from typing import Final

from edgefashion.errors import BadInputError
from edgefashion.system.addresses import shown

TOKEN_CHARACTERS: Final = 16
"""A token has this many at least: nobody guesses it over a network."""

SEND_BUFFER_BYTES: Final = 1 << 18
"""Of each connection, in the system: a few pictures, so that a slow viewer is shown what is now."""

_EXAMPLE: Final = "Give HOST:PORT, such as 127.0.0.1:8080"
PUBLISHED: Final = frozenset({"choose-your-own-words"})
"""Tokens that have stood in a document of ours as an example: everybody knows them."""

_TOKEN: Final = re.compile(rf"[A-Za-z0-9._~-]{{{TOKEN_CHARACTERS},128}}")


@dataclass(frozen=True)
class Address:
    """An address to listen on, resolved."""

    given: str
    host: str
    port: int
    places: tuple[tuple[socket.AddressFamily, str], ...]
    """The family and the number of every address that ``host`` is; ``localhost`` is often two."""

    @property
    def loopback(self) -> bool:
        """True if only this machine reaches it."""
        return all(ipaddress.ip_address(number.partition("%")[0]).is_loopback for _, number in self.places)


def parse(given: str) -> Address:
    """Read ``HOST:PORT``, ``[IPv6]:PORT`` or ``NAME:PORT``; port 0 takes any free one.

    Raises :class:`BadInputError` for anything else, and for a name that nobody knows.
    """
    bracketed = re.fullmatch(r"\[([^\]]+)\]:(\d{1,5})", given)
    plain = re.fullmatch(r"([^:\[\]\s/]+):(\d{1,5})", given)
    found = bracketed or plain
    if found is None:
        raise BadInputError(f"--web {shown(given)!r} is no address. {_EXAMPLE}")
    host, port = found[1], int(found[2])
    if port > 65535:
        raise BadInputError(f"--web {given}: ports end at 65535. {_EXAMPLE}")
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"--web {given}: no machine named {host!r} is known here. {_EXAMPLE}") from error
    places = dict.fromkeys((family, str(place[0])) for family, _, _, _, place in known)
    return Address(given, host, port, tuple(places))


def check_token(address: Address, token: str | None) -> None:
    """Raise :class:`BadInputError` for a token that is none, or where one is wanted and there is none."""
    if token is not None and not _TOKEN.fullmatch(token):
        raise BadInputError(
            f"--token must be {TOKEN_CHARACTERS} to 128 letters, digits, '.', '_', '~' or '-'. "
            f"Take, for instance, {secrets.token_urlsafe(18)}"
        )
    if token in PUBLISHED:
        raise BadInputError(
            "--token must be your own: the given one is known from our documents. "
            f"Take, for instance, {secrets.token_urlsafe(18)}"
        )
    if token is None and not address.loopback:
        raise BadInputError(
            f"--web {address.given} can be reached from other machines and needs a token. "
            f"Add --token, for instance --token {secrets.token_urlsafe(18)}, or listen on 127.0.0.1:{address.port}"
        )


def listen(address: Address) -> list[socket.socket]:
    """Open every place of ``address``, all on one port. Raises :class:`BadInputError` for one that cannot be."""
    opened: list[socket.socket] = []
    port = address.port
    missing: OSError | None = None
    try:
        for family, number in address.places:
            try:
                opened.append(_listen(family, number, port))
            except OSError as error:
                # A name is often IPv6 too on a machine without it: one place that exists is enough.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
                continue
            port = opened[0].getsockname()[1]
        if not opened:
            raise missing or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError as error:
        for one in opened:
            one.close()
        raise BadInputError(f"--web {address.given} cannot be opened: {_why(error)}") from error
    return opened


def names(address: Address, sockets: list[socket.socket]) -> tuple[str, frozenset[str]]:
    """The URL of a page that listens there, as it was given, and the names by which browsers may ask for it where no
    token is wanted."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    url = f"http://{host}:{sockets[0].getsockname()[1]}/"
    return url, frozenset({"localhost", "127.0.0.1", "[::1]", host.lower()})


def from_outside(address: Address, sockets: list[socket.socket]) -> str:
    """The URL by which another machine finds a page that listens on every address of this one, such as 0.0.0.0; empty
    for any other address, and where there is no network."""
    if not any(ipaddress.ip_address(number).is_unspecified for _, number in address.places):
        return ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the address that a packet would go from
        except OSError:
            return ""
        return f"http://{asking.getsockname()[0]}:{sockets[0].getsockname()[1]}/"


def _listen(family: socket.AddressFamily, number: str, port: int) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a restart waits for a minute
        else:  # there it would let another program take the port over
            one.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE"), 1)  # noqa: B009
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # accepted ones inherit it
        one.bind((number, port))
        one.listen(64)
        one.setblocking(False)
    except OSError:
        one.close()
        raise
    return one


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is in use. Choose another, or end what uses it"
        case errno.EACCES if os.name == "nt":
            return "the port is in use, or kept by the system. Choose another"
        case errno.EACCES:
            return "the system allows this port to administrators only. Choose one above 1023"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address. Take 127.0.0.1, or 0.0.0.0 for every address it has"
    return f"{error.strerror}. Choose another"
