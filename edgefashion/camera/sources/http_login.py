"""The answer to a web server's demand for a login: Digest (RFC 7616, and 2617 as most cameras have it) or Basic."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import urllib.request
from dataclasses import dataclass
from typing import Final

_CHALLENGE: Final = re.compile(r"(?:^|,)\s*(Basic|Digest)\b", re.IGNORECASE)
_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


@dataclass(frozen=True)
class Account:
    """A user and password, as they are, without escapes."""

    user: str
    password: str

    def basic(self) -> str:
        """The header ``Authorization`` that shows them to whoever asks."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class Login:
    """A server's demand, answered for each request. The password itself is sent only where Basic is all it takes."""

    def __init__(self, demands: list[str], account: Account) -> None:
        """``demands`` are the headers ``WWW-Authenticate``. Raises :class:`ValueError` if none can be answered."""
        self._account, self._count = account, 0
        self._digest: dict[str, str] = {}
        basic = False
        for header in demands:
            parts = _CHALLENGE.split(header)[1:]
            for scheme, rest in zip(parts[::2], parts[1::2], strict=True):
                if scheme.lower() == "basic":
                    basic = True
                    continue
                demand = _parameters(rest)
                known = demand.get("algorithm", "MD5").upper().removesuffix("-SESS") in _HASHES
                if known and demand.get("nonce") and not self._digest:  # the server's first choice
                    self._digest = demand
        if not self._digest and not basic:
            raise ValueError("no demand that can be answered")

    def header(self, method: str, path: str) -> str:
        """``Authorization`` for a request."""
        if not self._digest:
            return self._account.basic()
        demand, account = self._digest, self._account
        algorithm = demand.get("algorithm", "MD5").upper()
        name = _HASHES[algorithm.removesuffix("-SESS")]

        def digest(*texts: str) -> str:
            return hashlib.new(name, ":".join(texts).encode(), usedforsecurity=False).hexdigest()

        self._count += 1
        count, ours = f"{self._count:08x}", secrets.token_hex(8)
        realm, nonce = demand.get("realm", ""), demand["nonce"]
        secret = digest(account.user, realm, account.password)
        if algorithm.endswith("-SESS"):
            secret = digest(secret, nonce, ours)
        given = {"username": account.user, "realm": realm, "nonce": nonce, "uri": path}
        quality = "auth" if "auth" in re.split(r"[,\s]+", demand.get("qop", "")) else ""
        middle = [nonce, count, ours, quality] if quality else [nonce]
        given["response"] = digest(secret, *middle, digest(method, path))
        given |= {name: demand[name] for name in ("opaque",) if name in demand}
        quoted = [f'{key}="{_escaped(value)}"' for key, value in given.items()]
        plain = [f"algorithm={demand['algorithm']}"] if "algorithm" in demand else []
        plain += [f"qop={quality}", f"nc={count}", f'cnonce="{ours}"'] if quality else []
        return "Digest " + ", ".join([*quoted, *plain])


def _parameters(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in urllib.request.parse_http_list(text) if "=" in part)
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
