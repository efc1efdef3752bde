"""A user and password that a server has refused are not tried again: a few wrong tries lock an account.

The first try is one request of its own, before several processes ask at once. Only accounts that stand in a URL count:
without one there is nothing to lock, and one picture of a server may be public and the next not.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from edgefashion.system import addresses
from edgefashion.system.text import is_url
from edgefashion.tagging.errors import RefusedLoginError

refused: Final[set[str]] = set()
"""The accounts that were refused, as :func:`account_of` gives them. Another process is told them when it starts."""

_FIRST_TRY_S: Final = 10.0
"""A server that takes longer to answer is left to the processes that read pictures."""

_UNAUTHORIZED: Final = 401
_FTP_NOT_LOGGED_IN: Final = "530"
_BY_NAME: Final = frozenset({"AuthenticationException", "LogonFailure"})
"""How Paramiko (SFTP) and smbprotocol call it. Neither need be installed."""


def account_of(url: str) -> str | None:
    """The account of a URL, with its server; None for a URL without."""
    for part in reversed(url.split("::")):  # zip://shirt.jpg::https://user:password@host/shop.zip
        with contextlib.suppress(ValueError):
            found = urlsplit(part)
            if found.password is not None:
                return f"{found.scheme}://{found.netloc}"
    return None


@contextlib.contextmanager
def asking(url: str) -> Iterator[None]:
    """Ask for ``url`` in this block. Raises :class:`RefusedLoginError` where its account is refused, or was before."""
    account = account_of(url)
    if account in refused:
        raise _refused(url)
    try:
        yield
    except Exception as error:
        if account is None or not is_refusal(error):
            raise
        refused.add(account)
        raise _refused(url) from error


def try_each(urls: Iterable[str], ask: Callable[[str], object]) -> None:
    """At the start of a run: ask once for a URL of each account, and for nothing else; ``ask`` may raise anything.

    What an earlier run of this process was refused counts no more: the server may have been told another password.
    """
    refused.clear()
    first: dict[str, str] = {}
    for url in filter(is_url, urls):
        if (account := account_of(url)) is not None:
            first.setdefault(account, url)

    def once(url: str) -> None:
        with contextlib.suppress(Exception), asking(url):  # what else it says, it says when it is read
            ask(url)

    trying = [threading.Thread(target=once, args=(url,), name="login", daemon=True) for url in first.values()]
    for each in trying:
        each.start()
    for each in trying:
        each.join(_FIRST_TRY_S)


def is_refusal(error: BaseException | None) -> bool:
    """True if by ``error``, or by what it came from, a server refuses a user and password."""
    while error is not None:
        said = getattr(error, "response", None)
        statuses = [getattr(of, name, None) for of in (error, said) for name in ("status", "status_code")]
        if _UNAUTHORIZED in statuses or type(error).__name__ in _BY_NAME or str(error)[:3] == _FTP_NOT_LOGGED_IN:
            return True
        error = error.__cause__
    return False


def _refused(url: str) -> RefusedLoginError:
    return RefusedLoginError(
        f"{addresses.shown(url)}: its server refuses the user and password, and is not asked again. "
        "Correct them in the URL"
    )
