"""Who is let in to the page, and the headers that keep everything else out of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE_AGE_S: Final = 365 * 24 * 3600
WELCOME: Final = "?welcome"
"""Leads on to the page once the cookie is set; see :meth:`Access._enter`. It is relative, as every address in the page
is, and keeps the path: behind a proxy the page may be at ``/kiosk/``, or at ``/kiosk``."""

WANTED: Final = (
    "This page is shown to whoever has its token: open it once with ?token=TOKEN after its address, with the token "
    "that {command} was started with.\n"
)
FOREIGN: Final = (
    "This server does not go by that name. Ask for it by the address that {command} was started with, start "
    "it with a --token, or let the proxy before it send that address as Host.\n"
)

_ONWARD: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=?">'
    '<title>edgefashion</title><p><a href="?">To the page</a>'
)

_CLOSED: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>edgefashion</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    "<h1>The token is missing</h1><p>{words}</p>"
)
"""What a browser is shown in the place of a page."""

WITHIN: Final = """
const here = location.href.split(/[?#]/)[0], base = document.createElement("base");
base.href = here.replace(/\\/?$/, "/");
document.head.append(base);
if (location.href.endsWith("?")) history.replaceState(null, "", here);
"""
"""The page's first script. A browser that was given ``/kiosk`` takes "page.css" for ``/page.css``; so it is told that
the page is a folder. It stands in the page itself, because from there no file of the page is found yet."""

_WITHIN_HASH: Final = base64.b64encode(hashlib.sha256(WITHIN.encode()).digest()).decode()

HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self' 'sha256-{_WITHIN_HASH}'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=()",
    "Cache-Control": "no-store",
}
"""Of every answer: nothing is loaded from elsewhere, shown elsewhere, or kept."""


class Access:
    """ASGI middleware: safe headers on every answer; without its token, or under a foreign name, no answer.

    Args:
        app: what is guarded.
        token: what is asked for; None asks for nothing and relies on ``hosts``.
        hosts: the names this server answers to where there is no token. Another site may have its own name resolve
            to 127.0.0.1 (DNS rebinding) and would then be let in; its requests carry that name.
        command: what started the server, for who is refused.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: frozenset[str], command: str) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts
        self._command = command
        # Not the token itself: who sees the cookie learns nothing to type, and a new token ends it.
        self._ticket = hmac.new((token or "").encode(), b"edgefashion page", hashlib.sha256).hexdigest()
        # Browsers keep the cookies of all ports of a machine together, and of all cameras behind a proxy: each token
        # has a name of its own, so that none takes the place of another.
        self._cookie = f"edgefashion-{self._ticket[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.datastructures import MutableHeaders
        from starlette.requests import Request

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "http":
            # Proxies differ in the slashes that they leave at both ends.
            scope = {**scope, "path": "/" + scope["path"].strip("/")}
            refused = self._answer_at_the_door(Request(scope))
            await (refused or self._app)(scope, receive, send_safely)

    def _answer_at_the_door(self, request: Request) -> Response | None:
        from starlette.responses import HTMLResponse, PlainTextResponse

        if self._token is None:
            if _name(request.headers.get("host", "")) in self._hosts:
                return None
            return PlainTextResponse(FOREIGN.format(command=self._command), 421)
        if request.scope["path"] == "/":  # not request.url's: a Host header has a hand in that one
            if request.scope["query_string"] == WELCOME[1:].encode():
                return HTMLResponse(_ONWARD)
            if "token" in request.query_params:
                return self._enter(request, request.query_params["token"])
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            entitled = _same(given.strip(), self._token)
        else:
            entitled = any(_same(value, self._ticket) for value in request.cookies.values())
        return None if entitled else self._refuse(request)

    def _enter(self, request: Request, given: str) -> Response:
        """The cookie for a right token, and on to an address without it.

        Not straight to the page: a browser that came by a link elsewhere does not send a SameSite=Strict cookie
        with what that link redirects to. The page that :data:`WELCOME` is leads on by itself, as this site's own.
        The cookie's path is the folder that the browser knows the page by, which no proxy needs to rewrite.
        """
        from starlette.responses import RedirectResponse

        if not _same(given, self._token or ""):
            return self._refuse(request)
        answer = RedirectResponse(WELCOME, 303)
        answer.set_cookie(self._cookie, self._ticket, max_age=COOKIE_AGE_S, path=None, httponly=True, samesite="strict")
        return answer

    def _refuse(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse, PlainTextResponse

        words, headers = WANTED.format(command=self._command), {"WWW-Authenticate": "Bearer"}
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_CLOSED.format(words=html.escape(words)), 401, headers)
        return PlainTextResponse(words, 401, headers)


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def of_the_page(request: Request) -> bool:
    """True if a request that changes something was sent by a page of this server, or by a program with its token.

    Browsers say from which site a request comes: in ``Sec-Fetch-Site`` where the page is safe (HTTPS, or this machine),
    and in ``Origin`` always. A form of another site cannot say that it sends JSON either.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        return False
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    if (origin := request.headers.get("origin")) is not None:
        return origin.partition("://")[2].lower() == request.headers.get("host", "").lower()
    return request.headers.get("authorization", "").lower().startswith("bearer ")
