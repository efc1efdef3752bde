"""What the page tells its viewers and monitors: answers, pictures, and red when something is wrong."""

from __future__ import annotations

import dataclasses
import sys
import time
from contextlib import ExitStack

import cv2
import numpy as np
import pytest
from helpers.camera import wait_until
from helpers.hand_made import moment as in_view
from helpers.hand_made import standing
from helpers.web import (
    REASON,
    Answer,
    Loop,
    ask_and_never_read,
    connect,
    events,
    get,
    live,
    lost,
    scene,
)
from prometheus_client.parser import text_string_to_metric_families

from edgefashion.camera.figures import Counts, Figures
from edgefashion.camera.page import board, streams
from edgefashion.camera.page.page import Page
from edgefashion.camera.page.picture import INTERVAL_S
from edgefashion.system import palette

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
    assert np.allclose(picture[300, 400], palette.bgr(palette.GARMENT), atol=40), "the box's left edge, at 600 of 1920"
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
    get(page, "/metrics")  # the library's import, from a cold disk, may take longer than an answer is of now
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


def test_figures_of_the_day(page: Page) -> None:
    """The figures of hour and day, what is expected, and what has drifted are gauges, and one line of the page; what
    was not counted yet is missing, and all of them where nothing is counted."""
    day = Counts(10, 4, 8.0, 60, 45, 6000.0)
    figures = Figures(Counts(looks=2, empty=1, light=200.0), day, {"not_sure": 0.3}, ("brightness",))
    page.take(dataclasses.replace(live("Coat"), figures=figures))
    text = get(page, "/metrics").body.decode()
    samples = {
        (sample.name.removeprefix("edgefashion_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    told = {
        ("visits", "hour"): 0,
        ("visits", "day"): 10,
        ("not_sure_ratio", "day"): 0.4,
        ("no_garment_ratio", "hour"): 0.5,
        ("no_garment_ratio", "day"): 0.75,
        ("confidence_mean", "day"): 0.8,
        ("brightness_mean", "hour"): 100,
        ("brightness_mean", "day"): 100,
        ("expected", "not_sure"): 0.3,
        ("drift", "not_sure"): 0,
        ("drift", "no_garment"): 0,
        ("drift", "confidence"): 0,
        ("drift", "brightness"): 1,
    }
    names = {name[0] for name in told}
    assert {name: value for name, value in samples.items() if name[0] in names} == pytest.approx(told)
    assert next(events(page))["today"] == figures.line
    page.take(live("Coat"))
    assert "edgefashion_visits" not in get(page, "/metrics").body.decode()
    assert next(events(page))["today"] == ""


# --- Of all garments in view ------------------------------------------------------------------


def test_events_tell_every_garment(page: Page) -> None:
    """The page is told every garment in view, under the name that is shown, with its box; what is worn while nothing is
    held up is no answer, and is said below."""
    names = {"Coat": "Mantel"}
    image = scene(1)
    coat, bag = standing("Coat", (430, 120, 380, 420)), standing("Bag", (900, 330, 200, 210), accepted=False, id=2)
    now_s = time.monotonic()
    page.take(in_view(image, coat, bag, labels=names, taken_s=now_s))
    told = next(events(page))
    assert (told["show"], told["headline"], told["detail"], told["details"]) == ("garment", "Mantel", "", False)
    assert [(one["label"], one["accepted"], one["box"], one["id"], one["held"]) for one in told["garments"]] == [
        ("Mantel", True, [430, 120, 380, 420], 1, True),
        ("Not sure", False, [900, 330, 200, 210], 2, True),
    ]
    page.take(in_view(image, dataclasses.replace(coat, held=False), people=True, labels=names, taken_s=now_s))
    told = next(events(page))
    assert (told["show"], told["headline"], told["detail"]) == ("none", "Hold a garment up", "Worn: Mantel")
    assert (told["confidence"], len(told["garments"])) == (None, 1)
    doubtful = standing("Coat", (430, 120, 380, 420), accepted=False, doubt=("Coat", "Pullover"))
    page.take(in_view(image, doubtful, labels=names, taken_s=now_s))
    told = next(events(page))
    assert (told["show"], told["headline"]) == ("unknown", "Mantel or Pullover?")
    assert [answer["label"] for answer in told["answers"]] == ["Mantel or Pullover?", "Mantel"]
    assert page.hub.board.counts == {"Coat": 1, None: 1}
    page.take(lost())
    assert next(events(page))["garments"] == []
