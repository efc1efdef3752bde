"""The page's server: bounded, guarded, red when it should be, and gone when it is closed."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil
import pytest
from helpers.camera import wait_until
from helpers.web import (
    REASON,
    TOKEN,
    Answer,
    Loop,
    ask_and_never_read,
    connect,
    events,
    get,
    live,
    lost,
    scene,
    unsent_bytes,
)
from prometheus_client.parser import text_string_to_metric_families

from edgefashion.camera.page import board, server, streams
from edgefashion.camera.page.address import parse
from edgefashion.camera.page.page import Page
from edgefashion.camera.page.picture import INTERVAL_S
from edgefashion.errors import BadInputError, EdgeFashionError, MissingError
from edgefashion.system import complaints

PATHS = ("/", "/page.css", "/page.js", "/icon.svg", "/events", "/picture.mjpg", "/picture.jpg", "/healthz", "/metrics")


@pytest.fixture
def page() -> Iterator[Page]:
    opened = Page("127.0.0.1:0")
    yield opened
    opened.close()


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


# --- Opened, or refused in one line ----------------------------------------------------------


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


# --- What is told ----------------------------------------------------------------------------


def test_events_tell_answers(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream tells each answer as it changes, the newest first in the list; a lost source takes the answer back."""
    with Loop(page) as loop:
        stream = events(page)
        assert next(stream)["show"] == "starting"
        loop.show(live(None))
        nothing = next(event for event in stream if event["show"] == "none")
        assert (nothing["headline"], nothing["confidence"]) == ("Show me a garment", None)
        for label in ("Pullover", "T-shirt/top"):
            loop.show(live(label))
            told = next(event for event in stream if event["headline"] == label)
            assert (told["show"], told["confidence"]) == ("garment", 0.974)
        loop.show(live("Bag", 0.4, state="unknown"))
        unsure = next(event for event in stream if event["show"] == "unknown")
        assert (unsure["headline"], unsure["confidence"]) == ("Not sure", None)
        assert [answer["label"] for answer in unsure["answers"]] == ["Not sure", "T-shirt/top", "Pullover"]
        loop.show(lost())
        gone = next(event for event in stream if event["show"] == "reconnecting")
        assert (gone["headline"], gone["detail"]) == ("Camera lost", "The stream has stopped answering")
        assert gone["confidence"] is None
        monkeypatch.setattr(board, "FRESH_S", 0.5)
        loop.show(None)
        stopped = next(event for event in stream if event["show"] == "stopped")
        assert stopped["headline"] == "Not answering"
        stream.close()  # type: ignore[attr-defined]


def test_an_answer_is_listed_once(page: Page) -> None:
    """A garment that stays is one answer however many frames name it; shown again after none, it is another."""
    for moment in (live(), live(confidence=0.99), live(None), live(), lost(), *(live(str(n)) for n in range(9))):
        page.take(moment)
    assert get(page, "/healthz").json["frames"] == 2_000_000
    listed = next(events(page))["answers"]
    assert [answer["label"] for answer in listed] == [str(n) for n in reversed(range(3, 9))]
    assert listed[0]["number"] == 11
    page.take(live("8", 0.5))
    assert next(events(page))["answers"][0] | {"time": ""} == {**listed[0], "time": "", "confidence": 0.5}


def test_motion_jpeg_reaches_opencv(page: Page) -> None:
    """OpenCV's own reader takes the stream: the frame, scaled to 1280 wide, the garment's box drawn into it."""
    big = cv2.resize(scene(1), (1920, 1080))
    box = (600, 200, 700, 700)
    with Loop(page, live(image=big, box=box)):
        capture = cv2.VideoCapture(f"{page.url}picture.mjpg")
        for _ in range(3):
            done, picture = capture.read()
            assert done
        capture.release()
    assert picture.shape == (720, 1280, 3)
    assert np.allclose(picture[300, 400], (0x97, 0xDC, 0x3D), atol=40), "the box's left edge, at 600 of 1920"
    assert np.abs(picture[20:100, 20:300].astype(int) - 238).max() < 8, "no words"


def test_nothing_is_drawn_of_a_lost_source(page: Page) -> None:
    """The last frame of a lost source carries no box; mirrored, the picture is flipped with its box."""

    def left_edge_is_green() -> bool:
        jpeg = np.frombuffer(get(page, "/picture.jpg").body, np.uint8)
        _, green, red = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), int)[300, 400]
        return bool(green > red + 60)

    box = (400, 100, 200, 400)
    page.take(live(box=box))
    assert left_edge_is_green()
    page.take(dataclasses.replace(lost(), box=box))
    time.sleep(streams.TICK_S)
    assert not left_edge_is_green()
    page.take(live(box=(1280 - 600, 100, 200, 400), mirror=True))
    time.sleep(streams.TICK_S)
    assert left_edge_is_green()


def test_pictures_are_made_once(page: Page) -> None:
    """No picture is made while nobody watches, and each once for all who do."""
    for number in range(30):
        page.take(live(number=number % 3))
    assert page.hub.pictures.made == 0
    viewers = [connect(page) for _ in range(5)]
    answers = []
    for viewer in viewers:
        viewer.request("GET", "/picture.mjpg")
        answers.append(viewer.getresponse())
    for number in range(3):
        before = page.hub.pictures.made
        page.take(live(number=number))
        for answer in answers:
            while b"\xff\xd9\r\n" not in answer.readline():
                pass
        assert page.hub.pictures.made - before <= 1
    assert 1 <= page.hub.pictures.made <= 3
    for viewer in viewers:
        viewer.close()
    for answer in answers:
        answer.close()
    wait_until(lambda: page.hub.viewers() == {"events": 0, "picture": 0}, "the viewers to be gone")
    made = page.hub.pictures.made
    page.take(live(number=4))
    assert page.hub.pictures.made == made


def test_ten_pictures_a_second(page: Page) -> None:
    """However many frames come and viewers watch, there is a picture per tenth of a second at most."""
    with Loop(page, live()) as loop, ExitStack() as stack:
        began_s = time.monotonic()
        for _ in range(4):
            stack.enter_context(ask_and_never_read(page, "/picture.mjpg"))
        wait_until(lambda: loop.handed > 25, "frames")
        assert 1 <= page.hub.pictures.made <= (time.monotonic() - began_s) / INTERVAL_S + 1


def test_no_picture_yet(page: Page) -> None:
    """Before the first frame there is no picture, which is said."""
    assert get(page, "/picture.jpg").status == 503
    assert get(page, "/").status == 200


# --- What monitors ask -----------------------------------------------------------------------


def test_healthz_is_red_in_time(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """/healthz is green while answers are of now; else it says which of source, frame or loop is to blame."""

    def health() -> Answer:
        return get(page, "/healthz")

    assert (health().status, health().json["why"]) == (503, "no picture has come yet")
    now_s = time.monotonic()
    page.take(live(taken_s=now_s))
    assert (health().status, health().json["healthy"], health().json["why"]) == (200, True, None)
    assert health().json["fps"] == 29.7
    page.take(live(taken_s=now_s - 5))
    assert health().status == 503
    assert health().json["why"].startswith("the newest frame is 5 s old")
    for condition in ("starting", "stale", "reconnecting", "ended"):
        page.take(lost(condition))
        assert (health().status, health().json["why"]) == (503, f"{condition}: {REASON}")
    page.take(live(taken_s=now_s))
    monkeypatch.setattr(board, "FRESH_S", 0.2)
    time.sleep(0.3)
    assert health().status == 503
    assert health().json["why"].startswith("the loop has handed on nothing")


def test_passwords_are_not_shown(page: Page) -> None:
    """The name and password in a camera's address are in no answer, whatever reason they come with."""
    page.take(lost(reason="rtsp://admin:p@ss/w0rd@10.0.0.9/live and http://me@cam/ do not answer"))
    for told in (get(page, "/healthz").body.decode(), str(next(events(page))), get(page, "/metrics").body.decode()):
        assert "admin" not in told
        assert "w0rd" not in told
        assert "me@" not in told
    assert get(page, "/healthz").json["why"] == "reconnecting: rtsp://10.0.0.9/live and http://cam/ do not answer"


def test_metrics_are_prometheus(page: Page) -> None:
    """/metrics is read by Prometheus's own parser, and tells what /healthz tells."""
    page.take(live("T-shirt/top", taken_s=time.monotonic()))
    page.take(live('A "quoted" \\ name\n', taken_s=time.monotonic()))
    answer = get(page, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    assert samples[("edgefashion_healthy",)] == 1
    assert samples[("edgefashion_source_condition", "live")] == 1
    assert samples[("edgefashion_source_condition", "stale")] == 0
    assert samples[("edgefashion_frames_total",)] == 2_000_000
    assert samples[("edgefashion_reconnects_total",)] == 2
    assert samples[("edgefashion_latency_seconds",)] == pytest.approx(0.0041)
    assert samples[("edgefashion_answers_total", "T-shirt/top")] == 1
    assert samples[("edgefashion_answers_total", 'A "quoted" \\ name\n')] == 1
    assert samples[("edgefashion_page_viewers", "picture")] == 0
    assert 0 <= samples[("edgefashion_frame_age_seconds",)] < 60
    if sys.platform == "linux":
        assert samples[("process_resident_memory_bytes",)] > 1e7


# --- Who is let in ---------------------------------------------------------------------------


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
    assert get(guarded, "/events", Cookie=cookie).status == 200
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
    asked = [get(page, path) for path in (*PATHS, "/nowhere", "/../pyproject.toml", "/welcome")]
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


# --- Viewers that misbehave ------------------------------------------------------------------


def test_viewers_that_never_read(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Viewers that take nothing hold one picture each at most, are cut off, and neither the loop nor others wait."""
    monkeypatch.setattr(streams, "STUCK_S", 0.5)
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    with ExitStack() as stack, Loop(page, live(image=noise)) as loop:
        for _ in range(streams.VIEWERS - 1):
            stack.enter_context(ask_and_never_read(page, "/picture.mjpg"))
        wait_until(lambda: page.hub.viewers()["picture"] == streams.VIEWERS - 1, "the viewers")
        held = 0
        capture = cv2.VideoCapture(f"{page.url}picture.mjpg")
        for _ in range(10):
            held = max([held, *unsent_bytes(page)])
            assert capture.read()[0], "who reads is shown pictures"
        capture.release()
        wait_until(lambda: page.hub.viewers()["picture"] == 0, "the viewers to be cut off")
        handed = loop.handed
        wait_until(lambda: loop.handed > handed, "the loop")
        largest = len(get(page, "/picture.jpg").body)
        assert 0 < held < 1.5 * largest


def test_viewers_are_bounded(page: Page) -> None:
    """One viewer too many is told so, and let in when another leaves."""
    with ExitStack() as stack:
        viewers = [stack.enter_context(ask_and_never_read(page, "/events")) for _ in range(streams.VIEWERS)]
        wait_until(lambda: page.hub.viewers()["events"] == streams.VIEWERS, "the viewers")
        refused = get(page, "/events")
        assert refused.status == 503
        assert b"16 viewers are watching already" in refused.body
        viewers[0].close()
        wait_until(lambda: get(page, "/events").status == 200, "a place")


def test_idle_connections_end(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and asks nothing, or half of something, is hung up on; so is one connection too many."""
    monkeypatch.setattr(server, "IDLE_S", 0.2)
    place = urlsplit(page.url)
    for said in (b"", b"GET / HTTP/1.1\r\nHost: "):
        with socket.create_connection((place.hostname, place.port), 20) as idle:
            idle.sendall(said)
            assert ended(idle)
    monkeypatch.setattr(server, "IDLE_S", 20)
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection((place.hostname, place.port), 20))
        third = stack.enter_context(socket.create_connection((place.hostname, place.port), 20))
        assert ended(third)


def ended(connection: socket.socket) -> bool:
    """Whether the other side hangs up without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


# --- The end ---------------------------------------------------------------------------------


def test_closing_leaves_nothing() -> None:
    """A page closed with viewers of every kind attached leaves no thread, no socket, and its port free."""

    def left() -> tuple[int, int]:
        return threading.active_count(), psutil.Process().num_fds() if os.name == "posix" else 0

    Page("127.0.0.1:0").close()  # what is imported once stays
    before = left()
    page = Page("127.0.0.1:0")
    place = urlsplit(page.url).netloc
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    with Loop(page, live(image=noise)):
        viewers = [ask_and_never_read(page, path) for path in ("/events", "/picture.mjpg", "/picture.mjpg", "/healthz")]
        stream = events(page)
        next(stream)
        wait_until(lambda: page.hub.viewers() == {"events": 2, "picture": 2}, "the viewers")
        wait_until(lambda: sum(size > 0 for size in unsent_bytes(page)) == 2, "two to be stuck")
    page.close()
    page.close()
    assert {told["show"] for told in stream} <= {"starting", "garment"}
    for viewer in viewers:
        viewer.close()
    assert left() == before
    Page(place).close()
    with pytest.raises(EdgeFashionError, match="the page's server has ended"):
        page.take(live())


def test_stdout_stays_silent(capfd: pytest.CaptureFixture[str], page: Page) -> None:
    """Nothing is written to stdout; an error is one line on stderr, once however often it comes."""
    place = urlsplit(page.url)
    with socket.create_connection((place.hostname, place.port)) as stranger:
        stranger.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        stranger.recv(1000)
    assert get(page, "/nowhere").status == 404
    complaints._said.clear()
    for _ in range(3):
        page.take(live(image=np.zeros((4, 4, 7), np.uint8)))
        assert get(page, "/picture.jpg").status == 503
        time.sleep(streams.TICK_S)
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.startswith("edgefashion: page: ")
    assert told.err.count("\n") == 1
    page.take(live())
    time.sleep(streams.TICK_S)
    assert get(page, "/picture.jpg").status == 200
