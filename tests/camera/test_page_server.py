"""The page's server: viewers that misbehave are bounded, and nothing is left of it once it is closed."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil
import pytest
from helpers.camera import wait_until
from helpers.web import Loop, ask_and_never_read, events, get, live, unsent_bytes

from edgefashion.camera.page import streams
from edgefashion.camera.page.page import Page
from edgefashion.errors import EdgeFashionError
from edgefashion.system import server_log
from edgefashion.system.pages import server

# --- Viewers that misbehave -------------------------------------------------------------------


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


# --- The end ----------------------------------------------------------------------------------


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
    server_log._said.clear()
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
