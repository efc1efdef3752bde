"""MODEL as a URL: taken apart into server, model and account, or refused with what is wrong with it.

Standard library only, so that importing it costs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from edgefashion.errors import BadInputError
from edgefashion.system import addresses

SCHEMES: Final = ("http", "https", "grpc")
FORMS: Final = "http://HOST:PORT/v2/models/NAME or grpc://HOST:PORT/NAME"
"""How a model's URL is written, for messages."""

_HTTP_PATH: Final = re.compile(r"(?P<base>(?:/[^/]+)*?)/v2/models/(?P<model>[^/]+)/?")
_GRPC_PATH: Final = re.compile(r"(?P<base>)(?:/v2/models)?/(?P<model>[^/]+)/?")


@dataclass(frozen=True)
class Address:
    """Where a served model is."""

    scheme: str
    server: str
    """Host and port, and for HTTP the path before ``/v2``."""
    model: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The URL as it may be shown."""
        return addresses.shown(self._url("", self.model))

    @property
    def with_account(self) -> str:
        """A URL that :func:`parse` makes the same of, account and password in it: never to be shown."""
        account = f"{quote(self.user, '')}:{quote(self.password, '')}@" if self.user or self.password else ""
        return self._url(account, quote(self.model, ""))

    def _url(self, account: str, model: str) -> str:
        return f"{self.scheme}://{account}{self.server}/{'' if self.scheme == 'grpc' else 'v2/models/'}{model}"


def parse(url: str) -> Address:
    """Take a model's URL apart; raises :class:`BadInputError`, one line without the password, for what is none."""
    shown = addresses.shown(url)
    addresses.check_whole(url)
    if escape := addresses.how_to_escape(url):
        raise BadInputError(f"{shown} cannot be read as it is written. {escape}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number, a broken IPv6 address
        # Without its cause: that may name a part of the password.
        raise BadInputError(f"{shown} is no URL of a model: its host or port is none. Write {FORMS}") from None
    if parts.scheme not in SCHEMES:
        raise BadInputError(f"{shown}: no server speaks {parts.scheme}:// here. Write {FORMS}")
    if not host or not addresses.is_host(host) or any(not letter.isprintable() or letter.isspace() for letter in url):
        raise BadInputError(f"{shown} names no server. Write {FORMS}")
    if port == 0 or (port is None and (parts.scheme == "grpc" or parts.netloc.endswith(":"))):
        raise BadInputError(f"{shown} names no port of the server. Write {FORMS}")
    if parts.query or parts.fragment:
        raise BadInputError(f"{shown}: a model's URL ends with its name. Leave out what begins with ? or #")
    found = (_GRPC_PATH if parts.scheme == "grpc" else _HTTP_PATH).fullmatch(parts.path)
    model = unquote(found["model"]) if found else ""
    if found is None or not model.isprintable():  # %00 in a name, which no model has
        raise BadInputError(f"{shown} names no model. Write {FORMS}")
    at = f"[{host}]" if ":" in host else host
    return Address(
        parts.scheme,
        f"{at}{'' if port is None else f':{port}'}{found['base']}",
        model,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )
