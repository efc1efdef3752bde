"""Addresses as people write them, shown without their accounts, and without the secrets of their queries.

A password may hold any character, and then an address can be read in several ways: ``rtsp://admin:S3c/ret@host`` is
the host ``admin`` to a parser, and an account to whoever wrote it. What any reading takes for a secret is hidden. Two
functions do this: :func:`shown` for a text that is one address, :func:`without_secrets` for a sentence with addresses
in it, be it ours or a library's.

An account is hidden as a whole, the user too. Of a query, a fragment, or a path with such pairs in it (some cameras
have ``/user=admin_password=...``), the values are hidden whose names look like a secret's: users, passwords, tokens,
keys, signatures, sessions. Paths of this machine and names of files stay as they are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote, unquote

from edgefashion.errors import BadInputError, printable

HIDDEN: Final = "..."
"""What stands where a secret was."""

_SCHEME: Final = re.compile(r"(?<![A-Za-z0-9+.\-])([A-Za-z][A-Za-z0-9+.\-]+):/+", re.ASCII)
"""What an address begins with. One slash of two is lost where it was taken for a path."""

_NO_ACCOUNT: Final = frozenset(
    {"data", "dir", "file", "git", "github", "libarchive", "local", "memory", "pvc", "reference", "tar", "zip"}
)
"""Schemes in which an @ is part of a name: ``github://org:repo@main/a.jpg``, ``zip://a@2x.jpg::shop.zip``."""

_BUCKETS: Final = frozenset(
    {"abfs", "abfss", "adl", "az", "b2", "gcs", "gs", "hf", "oci", "oss", "r2", "s3", "s3a", "s3n", "wasb", "wasbs"}
)
"""Schemes whose first part is the name of a bucket, in which there is no colon: with one, it is an account. An @ is
else part of a name: ``abfs://container@account/a.jpg``, ``s3://shop/a@2x.jpg``."""

_PORT: Final = r"(?::\d{1,5})?"
_FULL_HOST: Final = re.compile(rf"(?:[\w-]+(?:\.[\w-]+)+|localhost|\[[\w:.%]+\]){_PORT}")
"""A host that no user is called like: with a dot, ``localhost``, or in brackets."""
_ANY_HOST: Final = re.compile(rf"[\w.-]+{_PORT}")
_DOUBLED: Final = re.compile(r"\d+x\.")
"""How the name of a picture goes on behind its @, as in ``shirt@2x.jpg``."""

_BARE: Final = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.\-]+(?::|(?=[/\\]{2})))?[/\\]{0,2}(?P<account>[^/\\@\s]{2,}?:.*)"
    rf"@(?=(?:{_FULL_HOST.pattern}|[\w-]+{_PORT})(?:[/\\?#]|\Z))",
    re.DOTALL,
)
"""An account where the scheme was forgotten, or its colon or slashes, or these lean the other way:
``admin:secret@192.168.1.5/live``, ``rtsp:\\\\admin:secret@host``."""
_BARE_QUERY: Final = re.compile(rf"{_FULL_HOST.pattern}/[^?]*\?")

_NAME: Final = r"[\w.%\[\]$~+-]{1,64}"
_PAIR: Final = re.compile(rf"(?P<before>[?&;#/_,!])(?P<name>{_NAME}?)=")
_NEXT: Final = {
    # Where a value ends: at the next pair, told by what stands before the first one. A password may hold the rest.
    ";": re.compile(rf"[&;]{_NAME}="),
    ",": re.compile(rf"[&,]{_NAME}="),
    "/": re.compile(rf"&{_NAME}=|_(?:user|password|channel|stream|protocol)="),
    "_": re.compile(rf"&{_NAME}=|_(?:user|password|channel|stream|protocol)="),
}
_NEXT_IN_QUERY: Final = re.compile(rf"&{_NAME}=")
_SECRET_NAME: Final = re.compile(
    "pass|pwd|psw|psd|secret|token|auth|cred|signature|session|jwt|bearer|cookie|usr|user|login|account|streamid|apikey"
    "|kennwort|contrase|senha|motdepasse|wachtwoord|parola|haslo|hmac|digest|^hdn|key$|keyid$"
    "|^(?:access|acct|basic|code|hash|md5|mdp|nonce|otp|p|pin|psk|pw|pd|sas|sid|sig|st|ticket|u|uid|un|verify|wpa)$"
)
_NOT_ALNUM: Final = re.compile(r"[\W_]+")

_LACKING: Final = re.compile(rf"(?:=|:/+){re.escape(HIDDEN)}(?:[@&;,_]|\Z)")
"""Where an account or a value was, and not in a name, such as ``wait...jpg``."""

_WORD_END: Final = re.compile(r"[\s\"<>]")
_PUNCTUATION: Final = re.compile(r"[.,:;'\")\]}]+\Z")
_BEGUN: Final = re.compile(r"[^/?#\s]*:[^\d/?#\s]")
"""What stands behind a scheme where an account has begun, as a port is a number."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_RESERVED: Final = "/?#[]@: \t"
_SHORTEST_PIECE: Final = 3
"""Characters of a piece of a secret that is looked for in a library's text. Shorter ones are in every text."""

_EDGE: Final = r"(?:(?<!\w)|(?<=\\[tnr])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
"""What stands before such a piece: no letter or digit, unless that ends an escape, as in ``S3\\xa0cret``."""

_Cut = tuple[int, int]
"""From where to where a text is hidden."""


def shown(address: str) -> str:
    """``address`` (a camera, a broker, a model, a picture, a path) as it may be shown; a path or a name unchanged."""
    return _without(address, _cuts(address))


def all_shown(value: Any) -> Any:
    """``value`` with each text in it, be it within lists and tables, as :func:`shown` shows it."""
    if isinstance(value, Mapping):
        return {all_shown(key): all_shown(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(all_shown, value))
    return shown(str(value)) if isinstance(value, str | PurePath) else value


def is_host(name: str) -> bool:
    """Whether a machine can be called so, or its address be written so. To look up another name raises
    :class:`UnicodeError` or :class:`ValueError`, which few libraries expect."""
    try:
        name.encode("idna")
    except UnicodeError:  # a..b, or 64 letters between two dots
        return False
    return bool(name) and not re.search(r"[\x00-\x20\x7f]", name)


def has_secret(value: Any) -> bool:
    """True where a text holds an account or a secret, be it within lists and tables."""
    if isinstance(value, Mapping):
        return any(has_secret(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple):
        return any(map(has_secret, value))
    return isinstance(value, str | PurePath) and shown(str(value)) != str(value)


def lacks_secret(address: str) -> bool:
    """True for what :func:`shown` gives of an address with a secret. Nobody may ask for it as it stands: a server would
    take the dots for a login, a wrong one, and a few of these lock an account."""
    return bool(_LACKING.search(address))


def check_whole(address: str) -> None:
    """Raise :class:`BadInputError` for an address that was copied from where its secret is hidden."""
    if lacks_secret(address):
        raise BadInputError(f"{address}: its user, password or token is hidden. Write it in the place of {HIDDEN}")


def without_secrets(text: str, *addresses: str) -> str:
    """``text`` with what is secret in the addresses that it holds hidden.

    ``addresses`` are those that are known to be meant. A library that fails to read one quotes a part of it ("Port
    could not be cast to integer value as 'S3c'"): each part of their secrets is hidden too, wherever it stands.
    """
    for address in addresses:
        text = _without_whole(text, address)
        for piece in _pieces(address):
            text = re.sub(rf"{_EDGE}{re.escape(piece)}(?!\w)", lambda _: HIDDEN, text)
    if ":/" not in text:
        return text
    schemes = list(_SCHEME.finditer(text))
    ends = [*(found.start() for found in schemes[1:]), len(text)]
    cuts: list[_Cut] = []
    for found, end in zip(schemes, ends, strict=False):
        cuts += _cuts_in_sentence(found[1].lower(), text, found.end(), end)
    return _without(text, cuts)


def in_arguments(text: str, *, pieces: bool = False) -> str:
    """``text`` as :func:`without_secrets` gives it, where the addresses on the command line may be meant.

    ``pieces``: it is a library's, and may quote a part of one; in our own sentences a part is a word like others.
    """
    words = [word for given in sys.argv[1:] for word in (given, given.partition("=")[2]) if ":" in word]
    if pieces:
        return without_secrets(text, *words)
    for word in words:
        text = _without_whole(text, word)
    return without_secrets(text)


def how_to_escape(address: str) -> str:
    """What to change in an address whose account holds characters that end it; empty where it can be read as it is."""
    found = _SCHEME.match(address)
    if not found or found[1].lower() in _NO_ACCOUNT:
        return ""
    rest = address[found.end() :]
    end = _account_end(found[1].lower(), rest)
    user, colon, password = rest[:end].partition(":")
    troubled = [c for c in dict.fromkeys(f"{user}{password}") if c in _RESERVED or c.isspace()]
    # More than one colon or @ is no trouble: the first colon and the last @ count.
    if not set(troubled) - {"@", ":"}:
        return ""
    written = " and ".join(f"{'a space' if c == ' ' else c} as {quote(c, '')}" for c in troubled if c.isprintable())
    return f"In a user or password write {written or 'every such character as %20'}" if colon or user else ""


# --- One address -----------------------------------------------------------------------------


def _cuts(address: str) -> list[_Cut]:
    """What is to be hidden in a text that is one address, by any way to read it."""
    schemes = list(_SCHEME.finditer(address))
    if not schemes:
        bare = _BARE.match(address)
        bare = None if bare and bare["account"].endswith(HIDDEN) else bare  # it is hidden already
        pairs = _pair_cuts(address, 0, in_path=False) if bare or _BARE_QUERY.match(address) else []
        return [*([bare.span("account")] if bare else []), *pairs]
    cuts = []
    for found in schemes:
        scheme, start = found[1].lower(), found.end()
        rest = address[start:]
        if end := _account_end(scheme, rest):
            cuts.append((start, start + end))
        elif found[0].endswith("//") and _is_account_alone(scheme, rest):
            cuts.append((start, len(address)))
    plain = schemes[0][1].lower() in _NO_ACCOUNT | _BUCKETS
    return [*cuts, *_pair_cuts(address, schemes[0].end(), in_path=not plain)]


def _account_end(scheme: str, rest: str) -> int:
    """Where in what follows ``scheme://`` the @ behind an account is; 0 if there is none."""
    at = rest.rfind("@")
    if at <= 0 or scheme in _NO_ACCOUNT:
        return 0
    before, after = rest[:at], rest[at + 1 :]
    head = re.split(r"[/?#]", before, maxsplit=1)[0]
    if scheme in _BUCKETS and ":" not in head:
        return 0
    if "@" in head and head != before and _DOUBLED.match(after):
        return _account_end(scheme, before)
    if "@" not in head and head != before:  # the @ may be part of a path, behind a host
        if _ANY_HOST.fullmatch(head) and _DOUBLED.match(after):
            return _account_end(scheme, before)
        if _FULL_HOST.fullmatch(head) and not _FULL_HOST.match(after):
            return 0
    return at


def _is_account_alone(scheme: str, rest: str) -> bool:
    """True for ``user:password`` with the host forgotten: what is behind the colon is no port."""
    if scheme in _NO_ACCOUNT or "@" in rest:
        return False
    return bool(_BEGUN.match(rest)) and not rest.startswith("[")


def _pair_cuts(text: str, start: int, *, in_path: bool) -> Iterator[_Cut]:
    """The values of ``name=value`` whose names look like a secret's."""
    at = start
    while found := _PAIR.search(text, at):
        at = found.end()
        before = found["before"]
        if before in "/_" and not in_path:
            at = found.start() + 1  # the name may go on to a pair of its own: photos/day=3?token=x
            continue
        following = _NEXT.get(before, _NEXT_IN_QUERY).search(text, at)
        end = following.start() if following else len(text)
        value = text[at:end]
        if value and (_is_secret(found["name"]) or _is_packed_secret(value)):
            yield at, end
            at = end


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(_NOT_ALNUM.sub("", unquote(name).lower())))


def _is_packed_secret(value: str) -> bool:
    """True where ``value`` is a web token, or an address in percent-encoding with a secret in it."""
    if value.startswith("eyJ"):
        return True
    plain = unquote(unquote(value))
    return plain != value and "://" in plain and shown(plain) != plain


# --- Addresses in a sentence -----------------------------------------------------------------


def _cuts_in_sentence(scheme: str, text: str, start: int, end: int) -> Iterator[_Cut]:
    """What is to be hidden of the address that begins before ``start``; it ends at ``end`` at the latest."""
    word = _WORD_END.search(text, start, end)
    word_end = word.start() if word else end
    if at := _account_end(scheme, text[start:word_end]):
        yield start, start + at
    elif scheme not in _NO_ACCOUNT and _BEGUN.match(text, start, word_end) and text[start] != "[":
        # A password with white space or a quotation mark in it goes on to an @ further on, in the same line.
        line_end = text.find("\n", start, end)
        last = text.rfind("@", start, end if line_end < 0 else line_end)
        if last > 0 and re.match(r"@[\w\[]", text[last : last + 2]):
            yield start, last
            word = _WORD_END.search(text, last, end)
            word_end = word.start() if word else end
    stop = _PUNCTUATION.search(text, start, word_end)
    plain = scheme in _NO_ACCOUNT | _BUCKETS
    for first, last in _pair_cuts(text[: stop.start() if stop else word_end], start, in_path=not plain):
        yield first, last


# --- Hiding ----------------------------------------------------------------------------------


def _without_whole(text: str, address: str) -> str:
    """``text`` with ``address``, written in any way, as it may be shown."""
    if (safe := shown(address)) != address:
        # And as a path, which has one slash there, and none at its end.
        for each in (address, address.replace("://", ":/"), str(PurePath(address))):
            in_hex = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", each)  # as Typer writes it
            for written in (each, repr(each)[1:-1], printable(each), in_hex, _quoted(each), _quoted(each, "")):
                text = text.replace(written, safe)
    return text


def _quoted(text: str, safe: str = "/") -> str:
    """``text`` in %-codes, a byte of the command line that is no UTF-8 among them."""
    try:
        return quote(text, safe, errors="surrogateescape")
    except UnicodeEncodeError:
        return quote(text, safe, errors="surrogatepass")


def _without(text: str, cuts: list[_Cut]) -> str:
    if not cuts:
        return text
    parts, at = [], 0
    for start, end in _merged(cuts):
        parts += [text[at:start], HIDDEN]
        at = end
    return "".join([*parts, text[at:]])


def _merged(cuts: list[_Cut]) -> list[_Cut]:
    merged: list[_Cut] = []
    for start, end in sorted(cuts):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _pieces(address: str) -> list[str]:
    """The parts of an address's secrets that a library may quote, the longest first."""
    found: set[str] = set()
    for start, end in _merged(_cuts(address)):
        secret = address[start:end]
        for text in (secret, unquote(secret)):
            user, _, password = text.partition(":")
            found |= {text, user, password, *re.split(r"[/@#\[\]?:&=\s]+", text)}
    found |= {repr(each)[1:-1] for each in found}
    return sorted((each for each in found if len(each) >= _SHORTEST_PIECE), key=len, reverse=True)
