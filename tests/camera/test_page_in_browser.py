"""The page in a real browser: what it shows, that it never shows what was, and that anyone can read it."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import itertools
import re
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers.browser import CONTRAST, Browser, chromium
from helpers.camera import wait_until
from helpers.hand_made import moment, standing
from helpers.web import REASON, TOKEN, Loop, live, lost, scene

from edgefashion.camera import wording
from edgefashion.camera.page import streams
from edgefashion.camera.page.page import Page
from edgefashion.system.pages import server

pytestmark = pytest.mark.linux_only("the browser is steered over inherited file descriptors")

SHOWS = "document.body.dataset.show === '{}'"
WORDS = "document.getElementById('{}').textContent"
NOTHING = "\N{EN DASH}"
SIZES = ((1280, 720), (390, 844))

# A pixel of the picture, as the browser shows it; GREEN's is in the middle of the left edge of the garment's box.
PIXEL = """(() => {
  const picture = document.getElementById('picture'), canvas = document.createElement('canvas');
  if (picture.hidden || !picture.naturalWidth) return null;
  canvas.width = picture.naturalWidth; canvas.height = picture.naturalHeight;
  const drawn = canvas.getContext('2d');
  drawn.drawImage(picture, 0, 0);
  return [...drawn.getImageData(ACROSS, DOWN, 1, 1).data].slice(0, 3);
})()"""


def green_at(across: int, down: int) -> str:
    """Whether the browser shows a green pixel there."""
    pixel = PIXEL.replace("ACROSS", str(across)).replace("DOWN", str(down))
    return f"(found => found !== null && found[1] > found[0] + 60)({pixel})"


GREEN = green_at(400, 300)
BOX = (400, 100, 200, 400)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(300) as found:
        yield found
        found.call("Page.navigate", url="about:blank")


@pytest.fixture(autouse=True)
def silent(browser: Browser) -> Iterator[None]:
    """Nobody watches the page of the test before, and nothing of it is remembered."""
    browser.call("Page.navigate", url="about:blank")
    browser.complaints.clear()
    browser.requests.clear()
    yield
    browser.call("Network.clearBrowserCookies")


def words(browser: Browser, place: str) -> str:
    return str(browser.evaluate(WORDS.format(place)))


def test_answers_as_they_come(browser: Browser, page: Page) -> None:
    """The page names the garment, says how sure it is, shows its box, lists the last answers with their times, and
    asks for nothing but its own server."""
    with Loop(page, live(None)) as loop:
        browser.open(page.url, 1280, height_px=720)
        browser.wait_until(SHOWS.format("none"))
        assert words(browser, "headline") == "Show me a garment"
        loop.show(live("Pullover", 0.999, box=BOX))
        browser.wait_until(SHOWS.format("garment"))
        assert (words(browser, "headline"), words(browser, "percent")) == ("Pullover", "99%")
        assert browser.evaluate("document.title") == "Pullover"
        browser.wait_until(GREEN)
        loop.show(live("Bag", 0.4, state="unknown"))
        browser.wait_until(SHOWS.format("unknown"))
        assert words(browser, "headline") == "Not sure"
        assert browser.evaluate("document.getElementById('sure').checkVisibility()") is False
        listed = browser.evaluate("[...document.querySelectorAll('#last li')].map(item => item.innerText.split('\\n'))")
        assert [item[1:] for item in listed] == [["Not sure"], ["Pullover", "99%"]]
        assert all(len(item[0]) == len("05:40:08") for item in listed)
        for place, said in (("model", "kiosk INT8"), ("fps", "30 fps"), ("latency", "4.1 ms"), ("uptime", "1 d 2 h")):
            assert words(browser, f"h-{place}") == said
        assert words(browser, "kept") == "Nothing is recorded"
        assert browser.complaints == []
        assert {urlsplit(request).netloc for request in browser.requests} == {urlsplit(page.url).netloc}


def test_no_answer_outlives_its_source(browser: Browser, page: Page) -> None:
    """Whatever has become of the source is said with its reason, and neither name, confidence nor box stay."""
    with Loop(page, live(box=BOX)) as loop:
        browser.open(page.url, 1280, height_px=720)
        for condition in ("starting", "stale", "reconnecting", "ended"):
            loop.show(live(box=BOX))
            browser.wait_until(SHOWS.format("garment"))
            browser.wait_until(GREEN)
            assert words(browser, "headline") == "Pullover"
            loop.show(dataclasses.replace(lost(condition), box=BOX))
            browser.wait_until(SHOWS.format(condition))
            assert words(browser, "headline") == wording.WORDS[condition].headline
            assert words(browser, "condition-word") == words(browser, "h-condition") == wording.WORDS[condition].short
            assert words(browser, "detail").lower() == REASON
            assert browser.evaluate("document.getElementById('sure').checkVisibility()") is False
            browser.wait_until(f"!({GREEN})")


def test_a_lost_server_is_noticed(browser: Browser, page: Page) -> None:
    """With the server gone the page says so, takes answer and picture off, and comes back by itself with the server."""
    with Loop(page, live(box=BOX)):
        browser.open(page.url, 1280, height_px=720)
        browser.wait_until(GREEN)
    page.close()
    browser.wait_until(SHOWS.format("lost"))
    assert words(browser, "headline") == "Connection lost"
    assert browser.evaluate("document.getElementById('picture').checkVisibility()") is False
    assert words(browser, "h-fps") == NOTHING
    again = Page(urlsplit(page.url).netloc)
    try:
        with Loop(again, live("Coat", box=BOX)):
            browser.wait_until(SHOWS.format("garment"))
            assert words(browser, "headline") == "Coat"
            browser.wait_until(GREEN)
    finally:
        again.close()


def test_a_silent_server_is_noticed(browser: Browser, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is open and tells nothing is a lost one too: a stopped server process closes nothing."""
    with Loop(page, live(box=BOX)):
        browser.open(page.url, 1280, height_px=720)
        browser.wait_until(GREEN)
        monkeypatch.setattr(streams, "TICK_S", 3.5)
        browser.wait_until(SHOWS.format("lost"))
        monkeypatch.undo()
        browser.wait_until(SHOWS.format("garment"))


def test_a_cut_picture_comes_back(browser: Browser, page: Page) -> None:
    """A picture stream that ends while events go on is opened anew."""
    with Loop(page, live(box=BOX)):
        browser.open(page.url, 1280, height_px=720)
        browser.wait_until(GREEN)
        (viewer,) = page.hub.watching
        for connection in list(page._server._uvicorn.server_state.connections):
            assert isinstance(connection, server.Connection)
            if connection.scope["path"] == "/picture.mjpg":
                connection.loop.call_soon_threadsafe(connection.abort)
        wait_until(lambda: not page.hub.watching, "the cut")
        wait_until(lambda: page.hub.watching[viewer], "the picture's return")
        browser.wait_until(GREEN)


def test_nobody_looks(browser: Browser, page: Page) -> None:
    """A page that is hidden costs nothing: its streams end, and come back when it is seen again."""
    with Loop(page, live()):
        browser.open(page.url, 1280, height_px=720)
        wait_until(lambda: page.hub.viewers() == {"events": 1, "picture": 1}, "the streams")
        hide = "Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}});"
        turn = "document.dispatchEvent(new Event('visibilitychange'));"
        browser.evaluate(hide.format("true") + turn)
        wait_until(lambda: page.hub.viewers() == {"events": 0, "picture": 0}, "their end")
        browser.evaluate(hide.format("false") + turn)
        browser.wait_until(SHOWS.format("garment"))


def test_still_for_who_wants_it_still(browser: Browser, page: Page) -> None:
    """Who asked for little motion gets a picture a second and no transitions."""
    with Loop(page, live()):
        browser.open(page.url, 1280, height_px=720, still=True)
        browser.wait_until(SHOWS.format("garment"))
        wait_until(lambda: page.hub.watching, "the picture")
        assert browser.evaluate("getComputedStyle(document.getElementById('answer')).transitionDuration") == "0s"
        assert [request for request in browser.requests if "picture.mjpg" in request and request.endswith("&slow")]


# --- For everyone ----------------------------------------------------------------------------


def test_readable(browser: Browser, page: Page) -> None:
    """On a screen and a phone, light and dark, in every state: nothing runs out of the page, no word's contrast is
    below 4.5 to 1, and the answer is large."""
    long_reason = "the stream http://camera.the-shop-in-the-high-street.example:8080/video.mjpg has stopped answering"
    states = {
        "garment": live("T-shirt/top", 1.0),
        "none": live(None),
        "unknown": live("Bag", 0.4, state="unknown"),
        "reconnecting": lost(reason=long_reason),
    }
    with Loop(page) as loop:
        browser.open(page.url, 1280, still=True)  # a colour on its way is no colour to judge
        for state, moment in states.items():
            loop.show(moment)
            browser.wait_until(SHOWS.format(state))
            for (width_px, height_px), dark in itertools.product(SIZES, (False, True)):
                browser.look_as(width_px, height_px, dark=dark, still=True)
                paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 180) == dark
                assert browser.evaluate(CONTRAST) >= 4.5
                assert browser.evaluate("document.documentElement.scrollWidth") <= width_px
                assert browser.evaluate("headline.scrollWidth <= headline.clientWidth")
                letters_px = browser.evaluate("parseFloat(getComputedStyle(headline).fontSize)")
                assert letters_px >= (95 if width_px == 1280 else 44)
                if width_px == 1280:
                    assert browser.evaluate("document.documentElement.scrollHeight") <= height_px
        assert browser.complaints == []


def test_heard_and_typed(browser: Browser, page: Page) -> None:
    """A screen reader finds landmarks, headings, a politely live answer, the confidence and the picture by name; the
    keyboard reaches the button, and it shows."""
    with Loop(page, live()):
        browser.open(page.url, 1280, height_px=720)
        browser.wait_until("document.getElementById('picture').checkVisibility()")
        nodes = [
            (node["role"]["value"], node.get("name", {}).get("value", ""), properties(node))
            for node in browser.call("Accessibility.getFullAXTree")["nodes"]
            if not node["ignored"]
        ]
        roles = [role for role, _, _ in nodes]
        assert {"banner", "main", "contentinfo"} <= set(roles)
        named = {(role, name) for role, name, _ in nodes}
        assert {
            ("heading", "edgefashion"),
            ("heading", "Last answers"),
            ("heading", "Health"),
            ("region", "Answer"),
            ("meter", "Confidence"),
            ("figure", "Camera"),
            ("button", "Full screen"),
        } <= named
        (picture,) = [name for role, name, _ in nodes if role == "image"]
        assert picture == "Live picture of the camera, the garment framed"
        (status,) = [facts for role, _, facts in nodes if role == "status"]
        assert (status["live"], status["atomic"]) == ("polite", True)
        assert browser.evaluate("document.querySelector('[aria-live] #percent')") is None, "a figure that never rests"
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        assert browser.evaluate("document.activeElement.id") == "fullscreen"
        assert browser.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
        assert browser.evaluate("document.documentElement.lang") == "en"


def properties(node: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one["value"].get("value") for one in node["properties"]}


def test_only_its_own_files(browser: Browser, page: Page) -> None:
    """What is not the page's own is neither loaded nor run nor asked, though a script in the page tried."""
    with Loop(page, live()):
        browser.open(page.url, 1280, height_px=720)
        browser.evaluate("""
            document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}));
            document.body.append(Object.assign(document.createElement('div'), {id: 'x'}));
            document.getElementById('x').setAttribute('style', 'color: red');
            try { document.getElementById('x').setAttribute('onclick', 'window.hit = 1') } catch {}
            try { document.getElementById('x').innerHTML = '<img src=x onerror="window.hit = 1">' } catch {}
            document.getElementById('x').click();
            fetch('http://127.0.0.1:9/').catch(() => {})
            """)
        browser.evaluate("1")
        assert browser.evaluate("window.hit") is None
        assert browser.evaluate("getComputedStyle(document.getElementById('x')).color") != "rgb(255, 0, 0)"
        assert len([text for text in browser.complaints if "Content Security Policy" in text]) >= 3


# --- Of all garments in view ------------------------------------------------------------------


def test_every_garment_in_view(browser: Browser, page: Page) -> None:
    """The picture shows every garment's box, and is described with their names; the main one's is the answer. What is
    worn while nothing is held up is said below."""
    coat, bag = standing("Pullover", BOX), standing("Bag", (800, 300, 200, 200))
    with Loop(page, moment(scene(1), coat, bag)) as loop:
        browser.open(page.url, 1280, height_px=720)
        browser.wait_until(SHOWS.format("garment"))
        browser.wait_until(GREEN)
        browser.wait_until(green_at(800, 400))
        assert words(browser, "headline") == "Pullover"
        assert browser.evaluate("picture.alt") == "Live picture of the camera, framed: Pullover, Bag"
        loop.show(moment(scene(1), dataclasses.replace(coat, held=False), people=True))
        browser.wait_until(SHOWS.format("none"))
        assert (words(browser, "headline"), words(browser, "detail")) == ("Hold a garment up", "Worn: Pullover")
        assert browser.evaluate("document.getElementById('sure').checkVisibility()") is False
        assert words(browser, "none-yet")
        assert browser.evaluate("document.querySelectorAll('#last li').length") == 1
        assert browser.complaints == []


@pytest.mark.parametrize("details", [False, True])
def test_technicians_words_are_for_technicians(browser: Browser, page: Page, details: bool) -> None:
    """Without details the page shows no milliseconds, no network and no precision; with details it does."""
    with Loop(page, moment(scene(1), standing("Pullover", BOX), details=details)):
        browser.open(page.url, 1280, height_px=720)
        browser.wait_until(SHOWS.format("garment"))
        seen = browser.evaluate("document.body.innerText").lower()
        assert [word in seen for word in (" ms", "kiosk", "int8")] == [details] * 3
        assert "15 fps" in seen


def test_long_names_fit(browser: Browser, page: Page) -> None:
    """However long a name is, on a screen and on a phone it is shown whole, as large as there is room for."""
    doubtful = standing("Coat", BOX, accepted=False, doubt=("Coat", "Pullover"))
    for labels, garment in (
        ({"Coat": "Donaudampfschifffahrtsgesellschaftskapitänsmantel"}, standing("Coat", BOX)),
        ({"Coat": "Wintermantel mit Kapuze und Fellkragen"}, standing("Coat", BOX)),
        ({"Coat": "Wintermantel", "Pullover": "Strickpullover"}, doubtful),
        ({}, doubtful),
    ):
        with Loop(page, moment(scene(1), garment, labels=labels)):
            browser.open(page.url, 1280, still=True)
            for width_px, height_px in SIZES:
                browser.look_as(width_px, height_px, dark=False, still=True)
                browser.wait_until(SHOWS.format("unknown" if garment.doubt else "garment"))
                browser.wait_until("headline.scrollWidth <= headline.clientWidth")
                assert browser.evaluate("headline.getBoundingClientRect().right") <= width_px
                assert browser.evaluate("document.documentElement.scrollWidth") <= width_px
                assert browser.evaluate("parseFloat(getComputedStyle(headline).fontSize)") >= 12
    with Loop(page, live("Coat")):  # and afterwards a short one is large again
        browser.look_as(1280, 720, dark=False, still=True)
        browser.wait_until("headline.textContent === 'Coat'")
        assert browser.evaluate("parseFloat(getComputedStyle(headline).fontSize)") >= 95


# --- With a token ----------------------------------------------------------------------------


def test_token_leaves_the_address(browser: Browser) -> None:
    """Opened by a link on another site, the page takes the token once, hides it, and shows itself from then on."""
    page = Page("0.0.0.0:0", TOKEN)
    address = f"http://127.0.0.1:{urlsplit(page.url).port}/"

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<a id="link" href="{address}?token={TOKEN}">the camera</a>'.encode())

        def log_message(self, *_: object) -> None:
            pass

    with contextlib.ExitStack() as stack:
        stack.callback(page.close)
        elsewhere = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere))
        stack.callback(elsewhere.shutdown)
        stack.enter_context(Loop(page, live()))
        threading.Thread(target=elsewhere.serve_forever, args=(0.02,), daemon=True).start()
        browser.open(address, 1280)
        assert "This page is shown to whoever has its token" in browser.evaluate("document.body.innerText")
        browser.open(f"http://localhost:{elsewhere.server_port}/", 1280)
        browser.evaluate("document.getElementById('link').click()")
        browser.wait_until("document.body?.dataset.show === 'garment'")
        assert browser.evaluate("location.href") == address
        assert browser.evaluate("document.cookie") == ""
        browser.open(address, 1280)
        browser.wait_until(SHOWS.format("garment"))


def test_many_pages_in_one_browser(browser: Browser, page: Page) -> None:
    """A page that finds no place says what is the matter, and gets in once there is one."""
    page.hub.open["events"] = streams.VIEWERS
    with Loop(page, live()):
        browser.open(page.url, 1280)
        browser.wait_until(f"{WORDS.format('detail')} === 'Too many pages are open. Trying again'")
        page.hub.open["events"] = 0
        browser.wait_until(SHOWS.format("garment"))
