"""The page below a path of a host: behind nginx and Caddy, as people set them up, in a real browser."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers.browser import Browser, chromium
from helpers.proxies import caddy, nginx
from helpers.web import TOKEN, Loop, live

from edgefashion.camera.page.page import Page

pytestmark = pytest.mark.linux_only("the browser is steered over inherited file descriptors")

OTHER_TOKEN = "another-camera-s-token"
DOCUMENTED = Path(__file__, "../../../docs/kiosk.md").resolve().read_text(encoding="utf-8")
SHOWS = "document.body?.dataset.show === 'garment'"
PICTURE = "document.getElementById('picture').checkVisibility() && document.getElementById('picture').naturalWidth > 0"
STYLED = "getComputedStyle(document.getElementById('headline')).fontSize !== '16px'"

_NGINX = """
{documented}
location /bare {{ proxy_pass http://127.0.0.1:{port}/; }}
location /a/deep/path/ {{ proxy_pass http://127.0.0.1:{port}/; proxy_set_header Host $host; proxy_http_version 1.1; }}
location /rewritten/ {{
  rewrite ^/rewritten/(.*)$ /$1 break;
  proxy_pass http://127.0.0.1:{port};
  proxy_buffering on; gzip on; gzip_types text/event-stream text/css;
}}
location /other/ {{ proxy_pass http://127.0.0.1:{other}/; }}
"""
_CADDY = """
{documented}
handle_path /bare* {{
  reverse_proxy 127.0.0.1:{port}
}}
handle_path /a/deep/path/* {{
  encode gzip
  reverse_proxy 127.0.0.1:{port}
}}
handle_path /other/* {{
  reverse_proxy 127.0.0.1:{other}
}}
"""
PLACES = {
    "nginx": ("/kiosk/", "/kiosk", "/bare/", "/bare", "/a/deep/path/", "/rewritten/"),
    "caddy": ("/kiosk/", "/kiosk", "/bare/", "/bare", "/a/deep/path/"),
}


def documented(first: str, port: int) -> str:
    """The block of docs/kiosk.md that begins with ``first``, for a page at ``port``."""
    (block,) = re.findall(rf"^(    {re.escape(first)}\n(?:    .*\n)+)", DOCUMENTED, re.MULTILINE)
    assert "127.0.0.1:8080" in block
    return str(block).replace("8080", str(port))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(300) as found:
        yield found
        found.call("Page.navigate", url="about:blank")


@pytest.fixture(scope="module")
def cameras() -> Iterator[tuple[Page, Page]]:
    """Two, each with a token of its own."""
    one, other = Page("127.0.0.1:0", TOKEN), Page("127.0.0.1:0", OTHER_TOKEN)
    with Loop(one, live("Pullover")), Loop(other, live("Coat")):
        yield one, other
    one.close()
    other.close()


@pytest.fixture(scope="module")
def proxies(cameras: tuple[Page, Page], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    port, other = (urlsplit(page.url).port or 0 for page in cameras)
    at_nginx = _NGINX.format(documented=documented("location /kiosk/ {", port), port=port, other=other)
    at_caddy = _CADDY.format(documented=documented("redir /kiosk /kiosk/?{query}", port), port=port, other=other)
    with (
        nginx(tmp_path_factory.mktemp("nginx"), at_nginx) as first,
        caddy(tmp_path_factory.mktemp("caddy"), at_caddy) as second,
    ):
        yield {"nginx": first, "caddy": second}


@pytest.mark.parametrize(("proxy", "place"), [(proxy, place) for proxy, places in PLACES.items() for place in places])
def test_below_a_path(browser: Browser, proxies: dict[str, str], proxy: str, place: str) -> None:
    """Below a path, with the lines of the document and with others that people write, with and without the last slash:
    the token is taken once and hidden, and style, answers and live picture come."""
    browser.call("Network.clearBrowserCookies")
    address = proxies[proxy] + place
    browser.open(address, 1280, height_px=720)
    assert "This page is shown to whoever has its token" in browser.evaluate("document.body.innerText")
    browser.open(f"{address}?token={TOKEN}", 1280, height_px=720)
    browser.wait_until(SHOWS)
    shown_at = browser.evaluate("location.href")
    shown_before = "/kiosk/" if place == "/kiosk" else place  # both documents' lines lead there
    assert shown_at == proxies[proxy] + shown_before, "neither the token nor anything else is left in the address"
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(address, 1280, height_px=720)
    browser.wait_until(SHOWS)
    browser.wait_until(PICTURE)
    assert browser.evaluate("document.getElementById('headline').textContent") == "Pullover"
    assert browser.evaluate(STYLED)
    assert [text for text in browser.complaints if "Content Security Policy" in text] == []
    if place.endswith("/"):
        assert browser.complaints == []
        assert [url for url in browser.requests if not url.startswith(address)] == [], "something was asked elsewhere"


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_two_cameras_behind_one_proxy(browser: Browser, proxies: dict[str, str], proxy: str) -> None:
    """Each camera's token stays known beside the other's, and neither cookie is sent to what else the host has."""
    browser.call("Network.clearBrowserCookies")
    for place, token in (("/kiosk/", TOKEN), ("/other/", OTHER_TOKEN)):
        browser.open(f"{proxies[proxy]}{place}?token={token}", 1280, height_px=720)
        browser.wait_until(SHOWS)
    for place, garment in (("/kiosk/", "Pullover"), ("/other/", "Coat")):
        browser.open(proxies[proxy] + place, 1280, height_px=720)
        browser.wait_until(SHOWS)
        assert browser.evaluate("document.getElementById('headline').textContent") == garment
    sent = browser.call("Network.getCookies", urls=[proxies[proxy] + "/elsewhere"])["cookies"]
    assert sent == []


@pytest.mark.parametrize(
    ("proxy", "place"),
    [("nginx", "/kiosk/"), ("nginx", "/rewritten/"), ("caddy", "/kiosk/"), ("caddy", "/a/deep/path/")],
)
@pytest.mark.parametrize("stream", ["events", "picture.mjpg"])
def test_nothing_is_kept_back(proxies: dict[str, str], proxy: str, place: str, stream: str) -> None:
    """Parts of a stream come through one by one while it goes on: no proxy waits for a bufferful, nor for more to
    compress where it compresses."""
    connection = http.client.HTTPConnection(urlsplit(proxies[proxy]).netloc, timeout=20)
    wishes = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    connection.request("GET", f"{place}{stream}?viewer=test", headers=wishes)
    answer = connection.getresponse()
    assert answer.status == 200
    begins = b"data: " if stream == "events" else b"--picture"
    seen = 0
    while seen < 3:
        line = answer.readline()
        assert line, "the stream ended"
        seen += line.startswith(begins)
    answer.close()
    connection.close()


def test_without_a_token(proxies: dict[str, str], page: Page, tmp_path: Path) -> None:
    """Without a token the page answers a proxy that asks for it by its own address; to one that hands a name of the
    world on, it says what to change. The line of the document does so for Caddy."""
    port = urlsplit(page.url).port
    (line,) = re.findall(r"`(header_up Host [^`]+)`", DOCUMENTED)
    with Loop(page, live()), caddy(tmp_path, f"reverse_proxy 127.0.0.1:{port} {{\n {line}\n }}") as address:
        assert status(address, "kiosk.example")[0] == 200
    (tmp_path / "nginx").mkdir()
    lines = f"location / {{ proxy_pass http://127.0.0.1:{port}/; }} location /named/ {{ proxy_set_header Host $host; "
    with Loop(page, live()), nginx(tmp_path / "nginx", lines + f"proxy_pass http://127.0.0.1:{port}/; }}") as address:
        assert status(address, "kiosk.example")[0] == 200
        refused, said = status(address, "kiosk.example", "/named/")
    assert refused == 421
    assert "start it with a --token, or let the proxy before it send that address as Host" in said


def status(address: str, host: str, path: str = "/") -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    return answer.status, said
