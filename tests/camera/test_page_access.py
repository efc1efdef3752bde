"""Where the page may be opened, and who is let in."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from helpers.web import TOKEN, get, live

from edgefashion.camera.page.page import Page
from edgefashion.errors import BadInputError, MissingError
from edgefashion.system.pages.address import parse

PATHS = ("/", "/page.css", "/page.js", "/icon.svg", "/events", "/picture.mjpg", "/picture.jpg", "/healthz", "/metrics")


@pytest.fixture(scope="module")
def plain() -> Iterator[Page]:
    """For what changes nothing."""
    opened = Page("127.0.0.1:0")
    opened.take(live())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Page]:
    opened = Page("0.0.0.0:0", TOKEN)
    yield opened
    opened.close()


# --- Opened, or refused in one line -----------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "token", "says"),
    [
        ("8080", None, "'8080' is no address. Give HOST:PORT, such as 127.0.0.1:8080"),
        (":8080", None, "is no address"),
        ("127.0.0.1", None, "is no address"),
        ("http://127.0.0.1:8080", None, "is no address"),
        ("127.0.0.1:port", None, "is no address"),
        ("127.0.0.1:80800", None, "ports end at 65535"),
        ("nowhere.invalid:8080", None, "no machine named 'nowhere.invalid' is known here"),
        ("192.0.2.1:8080", TOKEN, "this machine has no such address"),
        ("0.0.0.0:0", None, "can be reached from other machines and needs a token. Add --token"),
        ("[::]:0", None, "needs a token"),
        ("127.0.0.1:0", "short", "--token must be 16 to 128 letters"),
        ("127.0.0.1:0", "sixteen letters or more", "--token must be"),
        ("127.0.0.1:0", "", "--token must be"),
    ],
)
def test_bad_addresses_and_tokens(address: str, token: str | None, says: str) -> None:
    """What cannot be served is refused in one line before anything starts; no token given is repeated in it."""
    with pytest.raises(BadInputError) as refused:
        Page(address, token)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not token or token not in str(refused.value)


def test_port_in_use(page: Page) -> None:
    """A port that is taken is named, and who has it is not disturbed."""
    with pytest.raises(BadInputError, match="the port is in use"):
        Page(urlsplit(page.url).netloc)
    assert get(page, "/").status == 200


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="an administrator may open every port")
@pytest.mark.linux_only("ports below 1024 are for administrators on POSIX only")
def test_port_of_the_system() -> None:
    """A port that only administrators may open is refused with the remedy."""
    with pytest.raises(BadInputError, match="Choose one above 1023"):
        Page("127.0.0.1:80")


@pytest.mark.parametrize("module", ["starlette", "uvicorn", "prometheus_client"])
def test_extra_missing(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the line that installs it is told."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingError, match=r'for --web .* Run: pip install "edgefashion\[web\]"'):
        Page("127.0.0.1:0")


def test_names_resolve() -> None:
    """A name is served at every address it has here, all on one port; brackets hold an IPv6 address."""
    assert {number for _, number in parse("localhost:80").places} <= {"127.0.0.1", "::1"}
    assert parse("[::1]:80").loopback
    assert not parse("[::]:80").loopback
    page = Page("localhost:0")
    try:
        assert page.url.startswith("http://localhost:")
        assert get(page, "/").status == 200
    finally:
        page.close()


# --- Below a path of a proxy ------------------------------------------------------------------


def test_nothing_is_rooted(guarded: Page) -> None:
    """No address in the page's files, nor one that it leads to, begins at the root of the host."""
    files = {path: get(guarded, path, Authorization=f"Bearer {TOKEN}").body.decode() for path in PATHS[:4]}
    files |= {"welcome": get(guarded, "/?welcome").body.decode()}
    for path, text in files.items():
        assert not re.findall(r"""(?:href|src|url|action)=["']?/|url\(["']?/|["'`]/\w""", text), path
    assert get(guarded, f"/?token={TOKEN}").headers["location"] == "?welcome"


@pytest.mark.parametrize("path", ["//", "//page.css", "/healthz/", "//picture.jpg/", "/metrics//"])
def test_slashes_too_many(guarded: Page, path: str) -> None:
    """What proxies leave of slashes at both ends changes nothing, and leads nowhere: not past the token either."""
    guarded.take(live(taken_s=time.monotonic()))
    assert get(guarded, path).status == 401
    assert get(guarded, path, Authorization=f"Bearer {TOKEN}").status == 200


@pytest.mark.parametrize("host", ["a/?welcome", "a/?welcome#", "a?welcome=", "127.0.0.1/?token=x", "\\", "[", "a:b:c"])
def test_odd_hosts(guarded: Page, plain: Page, host: str) -> None:
    """A Host header that holds a path or a query opens nothing and breaks nothing."""
    for path in ("/", "/picture.jpg", "/healthz"):
        assert get(guarded, path, Host=host).status == 401
        assert get(plain, path, Host=host).status == 421


# --- Who is let in ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing(guarded: Page, path: str) -> None:
    """Without the token, or with another, every path answers 401 and one sentence; with it as Bearer, none does."""
    guarded.take(live(taken_s=time.monotonic()))
    for headers in ({}, {"Authorization": "Bearer " + TOKEN[:-1]}, {"Authorization": f"Basic {TOKEN}"}):
        refused = get(guarded, path, **headers)
        assert refused.status == 401
        assert refused.body.count(b"\n") == 1
        assert TOKEN.encode() not in refused.body
    assert get(guarded, path, Authorization=f"Bearer {TOKEN}").status == 200


def test_token_becomes_a_cookie(guarded: Page) -> None:
    """?token= sets a cookie that scripts and other sites do not get, leads to an address without it, and lets in."""
    entered = get(guarded, f"/?token={TOKEN}")
    assert entered.status == 303
    assert "token" not in entered.headers["location"]
    cookie, *attributes = entered.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict"} <= set(attributes)
    assert TOKEN not in cookie
    assert {name.partition("=")[0] for name in attributes}.isdisjoint({"Path", "Domain"}), "a proxy knows another path"
    assert get(guarded, "/events", Cookie=cookie).status == 200
    assert get(guarded, "/events", Cookie="edgefashion-8080=" + cookie.partition("=")[2]).status == 200, "an older one"
    assert get(guarded, "/events", Cookie=cookie, Authorization="Basic cHJveHk6eA==").status == 200, "a proxy's own"
    assert get(guarded, "/", Cookie=cookie + "x").status == 401
    assert get(guarded, "/?token=another", Cookie=cookie).status == 401
    assert get(guarded, "/?token=%C3%A4").status == 401
    assert get(guarded, "/", Authorization="Bearer \xe4").status == 401


def test_loopback_with_a_token() -> None:
    """A token that was given is asked for on this machine too."""
    page = Page("127.0.0.1:0", TOKEN)
    try:
        assert get(page, "/").status == 401
        assert get(page, "/", Authorization=f"Bearer {TOKEN}", Host="kiosk.shop").status == 200
    finally:
        page.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_foreign_names_get_nothing(plain: Page, host: str, status: int) -> None:
    """A page of the world that made its own name mean 127.0.0.1 reads nothing here."""
    for path in ("/", "/picture.jpg", "/events"):
        assert get(plain, path, Host=host).status == status


def test_every_answer_is_safe(page: Page, guarded: Page) -> None:
    """Whatever is asked, the answer forbids foreign loading, framing, guessing and keeping."""
    page.take(live(taken_s=time.monotonic()))
    asked = [get(page, path) for path in (*PATHS, "/nowhere", "/../pyproject.toml", "/?welcome")]
    asked += [get(page, "/", "POST"), get(page, "/", Host="evil.example"), get(guarded, "/")]
    assert [answer.status for answer in asked] == [200] * len(PATHS) + [404, 404, 200, 405, 421, 401]
    for answer in asked:
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
