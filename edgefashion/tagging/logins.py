"""A user and password that a server has refused are hardly tried again: a few wrong tries lock an account.

A web server may refuse them for one folder and take them for the next. So they are tried once for each top folder, and
where three refuse them, and none took them, they are wrong. Once something was read with them they are right, and a
refusal is the picture's own; but after three in a row a folder is asked for no more, and after three such folders the
server: the password was changed meanwhile. FTP, SFTP and SMB refuse them as such: there one try is enough.

The first tries are requests of their own, before several processes ask at once. Only accounts that stand in a URL
count: without one there is nothing to lock, and one picture of a server may be public and the next not.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from edgefashion.system import addresses
from edgefashion.system.text import is_url
from edgefashion.tagging.errors import RefusedLoginError

_refused: Final[set[str]] = set()
"""The accounts that are not to be tried, as :func:`account_of` gives them, and those for one top folder, which stands
behind them and a slash."""

_taken: Final[set[str]] = set()
"""The accounts that something was read with."""

_in_a_row: Final[dict[str, int]] = {}
"""How often an account that was taken has been refused since, by place; what is read there begins anew."""

_revoked: Final[set[str]] = set()
"""The accounts and places that are not to be tried though the account was taken before."""

_TRIES: Final = 3
"""Top folders of a server that may refuse an account before it is refused as such; and pictures of one in a row that
may be refused with an account that was taken before."""

_WEB: Final = ("http://", "https://")

_FIRST_TRY_S: Final = 10.0
"""A server that takes longer to answer is left to the processes that read pictures."""

_UNAUTHORIZED: Final = 401
_FTP_NOT_LOGGED_IN: Final = "530"
_BY_NAME: Final = frozenset({"AuthenticationException", "LogonFailure"})
"""How Paramiko (SFTP) and smbprotocol call it. Neither need be installed."""


def account_of(url: str) -> str | None:
    """The account of a URL, with its server; None for a URL without."""
    return _account_and_place(url)[0]


def _account_and_place(url: str) -> tuple[str | None, str]:
    """The account, and what a refusal of it is remembered for: with the top folder, or of other than web servers the
    account as such."""
    for part in reversed(url.split("::")):  # zip://shirt.jpg::https://user:password@host/shop.zip
        with contextlib.suppress(ValueError):
            found = urlsplit(part)
            if found.password is not None:
                account = f"{found.scheme}://{found.netloc}"
                top, below, _ = found.path.removeprefix("/").partition("/")
                return account, f"{account}/{top if below else ''}" if account.startswith(_WEB) else account
    return None, ""


def known() -> dict[str, list[str]]:
    """What is known of accounts, for :func:`learn` in another process."""
    return {"refused": sorted(_refused), "taken": sorted(_taken)}


def learn(told: dict[str, Any]) -> None:
    """Take over what another process says by :func:`known`."""
    _refused.update(told.get("refused", ()))
    _taken.update(told.get("taken", ()))


def forget() -> None:
    """Begin anew: the server may have been told another password since."""
    for known_of in (_refused, _taken, _in_a_row, _revoked):
        known_of.clear()


def is_refused(url: str) -> bool:
    """True if ``url`` is not to be asked for: its account was refused there, and was taken nowhere, or no longer is."""
    account, place = _account_and_place(url)
    if account in _revoked or place in _revoked:
        return True
    return account not in _taken and (account in _refused or place in _refused)


@contextlib.contextmanager
def asking(url: str, *, reads: bool = True) -> Iterator[None]:
    """Ask for ``url`` in this block. Raises :class:`RefusedLoginError` where its account is refused, or was before.

    ``reads``: the block ends well only if the server took the account.
    """
    account, place = _account_and_place(url)
    if is_refused(url):
        raise _error(url)
    try:
        yield
    except Exception as error:
        if account is None or not is_refusal(error):
            raise
        if account in _taken:
            _refused_since(account, place)
            raise
        _refused.add(place)
        if sum(each.startswith(f"{account}/") for each in tuple(_refused)) >= _TRIES:
            _refused.add(account)
        raise _error(url) from error
    if reads and account is not None:
        _taken.add(account)
        _in_a_row.pop(place, None)
        _revoked.difference_update([each for each in _revoked if each.startswith(f"{account}/")])


def _refused_since(account: str, place: str) -> None:
    """An account that was taken is refused."""
    _in_a_row[place] = _in_a_row.get(place, 0) + 1
    if _in_a_row[place] >= (_TRIES if account.startswith(_WEB) else 1):
        _revoked.add(place)
    if sum(each.startswith(f"{account}/") for each in _revoked) >= _TRIES:
        _revoked.add(account)


def try_each(urls: Iterable[str], ask: Callable[[str], object]) -> None:
    """At the start of a run: ask once for a URL of each account, while that is refused of further top folders, and for
    nothing else; ``ask`` may raise anything. What an earlier run of this process was told counts no more."""
    forget()
    first: dict[str, dict[str, str]] = {}
    for url in filter(is_url, urls):
        account, place = _account_and_place(url)
        if account is not None:
            first.setdefault(account, {}).setdefault(place, url)

    def until_known(urls: Iterable[str]) -> None:
        for url in urls:
            with contextlib.suppress(Exception), asking(url):  # what else it says, it says when it is read
                ask(url)
            if not is_refused(url):
                return

    trying = [
        threading.Thread(target=until_known, args=(places.values(),), name="login", daemon=True)
        for places in first.values()
    ]
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


def _error(url: str) -> RefusedLoginError:
    whole = account_of(url) in _refused | _revoked
    what = "and is not asked again" if whole else "for its top folder, and is not asked for more of that"
    return RefusedLoginError(
        f"{addresses.shown(url)}: its server refuses the user and password{',' if whole else ''} {what}. "
        "Correct them in the URL"
    )
