"""What a person sees of a moment: the answer, what is waited for, what is kept, the keys; also on a screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from helpers.camera import (
    NetworkCamera,
    RunningCamera,
    blank,
    click_close_button,
    press,
    run_camera,
    screenshot,
    virtual_screen,
    wait_until,
    write_clip,
)

from edgefashion.camera import demo_clip
from edgefashion.camera.moment import CONDITIONS, Health, Moment
from edgefashion.camera.outputs import overlay, text
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from helpers.camera import Picture
    from helpers.types import Arrays

SCREEN_WH = (1600, 1000)
GREEN = (80, 200, 64)
"""BGR of an accepted answer and its garment's box."""
RED = (90, 90, 255)
WHITE = (255, 255, 255)


def count(picture: Picture, colour: tuple[int, int, int]) -> int:
    """Pixels of exactly this colour."""
    return int((picture == np.array(colour, np.uint8)).all(2).sum())


def draw(frame: Picture, state: str = "none", *, condition: str = "live", **changes: Any) -> Picture:
    height, width = frame.shape[:2]
    settings: dict[str, Any] = {
        "confidence": 1.0,
        "guide": preprocess.guide_box(width, height),
        "model": "edge",
        "precision": "INT8",
    }
    health = Health(condition, fps=120.0, latency_ms=12345.6)  # as wide as it gets
    return Moment(0.0, health, state, image=frame, **settings | changes).drawn()


def bar_of(picture: Picture) -> Picture:
    return picture[picture.shape[0] - round(overlay.BAR * min(picture.shape[:2]) / 720) :]


SIZES = [(1280, 720), (640, 480), (720, 1280), (160, 120), (1920, 1080), (480, 480)]


@pytest.mark.parametrize("size_wh", SIZES)
@pytest.mark.parametrize("label", ["Bag", "T-shirt/top", "A label of another model"])
def test_words_have_room(size_wh: tuple[int, int], label: str) -> None:
    """On a frame of any usual size the words are large enough to read, inside the picture, apart
    from one another, and nothing is drawn through them."""
    bar = bar_of(draw(np.zeros((size_wh[1], size_wh[0], 3), np.uint8), "garment", label=label))
    width = bar.shape[1]
    # The answer is in colour, the figures in grey; faint pixels belong to the letters' smooth edges.
    coloured = np.ptp(bar, axis=2) > 20
    answer = np.argwhere(coloured & (bar.max(2) > 60))
    figures = np.argwhere(~coloured & (bar.max(2) > 60))
    (top, left), (bottom, right) = answer.min(0), answer.max(0)
    assert left > 0
    assert top > 0
    assert bottom < len(bar) - 1
    assert bottom - top >= 10  # pixels: the least a capital letter needs to be read
    assert right < figures[:, 1].min()
    assert figures[:, 1].max() < width - 1
    assert np.ptp(figures[:, 0]) >= 14  # two lines
    # What lies over the words and between them is the bar alone.
    assert not bar[: min(top, figures[:, 0].min()) - 2].any()
    assert not bar[:, right + 2 : figures[:, 1].min() - 2].any()


@pytest.mark.parametrize("condition", [condition for condition in CONDITIONS if condition != "live"])
@pytest.mark.parametrize("size_wh", SIZES)
def test_notices_have_room(size_wh: tuple[int, int], condition: str) -> None:
    """What is said while there is no frame fits into a picture of any usual size."""
    picture = draw(np.zeros((size_wh[1], size_wh[0], 3), np.uint8), condition=condition)
    rows, columns = np.nonzero(picture.any(2))
    assert np.ptp(rows) >= 10
    assert columns.min() > 0
    assert columns.max() < picture.shape[1] - 1


@pytest.mark.parametrize("condition", ["stale", "reconnecting", "starting", "ended"])
def test_no_old_answer(condition: str, test_set: Arrays) -> None:
    """Unless frames come, nothing of an answer is to be seen: the picture is the same as if there had been
    none, and dark."""
    scene = demo_clip.scene_of(test_set[0][0])
    shown = draw(
        scene, "garment", condition=condition, label="Bag", box=(400, 100, 300, 400), pixels=scene[:28, :28, :1]
    )
    np.testing.assert_array_equal(shown, draw(scene, condition=condition))
    assert count(shown, GREEN) == 0
    assert np.median(shown) <= text.GROUND
    loud = condition in ("stale", "reconnecting")
    assert count(shown, RED if loud else WHITE) > 1000


def test_dark_picture_is_made_once() -> None:
    """While the same last frame is shown it is darkened once, and what is drawn on it stays off it."""
    frame = blank()
    first, second = (draw(frame, condition="stale", note=note) for note in ("m", ""))
    assert (first != second).any()
    np.testing.assert_array_equal(second, draw(frame, condition="stale"))
    assert overlay._darkened(frame, False) is overlay._darkened(frame, False)
    assert overlay._darkened(frame, False) is not overlay._darkened(frame.copy(), False)


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (720, 1280), (160, 120)])
def test_what_is_kept_is_always_said(size_wh: tuple[int, int]) -> None:
    """The sentence of what is stored stands in the upper left corner in every condition, red while
    anything is, and clear of what the model saw."""
    frame = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    pixels = np.full((28, 28, 1), 128, np.uint8)
    for condition in CONDITIONS:
        for sentence in ("Nothing is recorded", "Recording to edgefashion-20261123T053359Z.mp4"):
            picture = draw(frame, condition=condition, kept=sentence, pixels=pixels, guide=None)
            top = picture[: picture.shape[0] // 6]
            reddish = (top[..., 2].astype(int) - top[..., 0] > 60).any()
            assert reddish == sentence.startswith("Recording")
            assert (picture != draw(frame, condition=condition, kept="", pixels=pixels, guide=None)).any()
            inset = (top == 128).all(2).sum(0) > 20
            if condition == "live":
                ground = (top.max(2) <= text.GROUND).any(0)
                assert np.flatnonzero(ground).max() < np.flatnonzero(inset).min() - 2


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (720, 1280), (480, 480)])
def test_help_lists_the_keys(size_wh: tuple[int, int]) -> None:
    """With help a panel in the middle lists every key, inside the picture, and hides nothing of the answer."""
    frame = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    without, shown = (draw(frame, "garment", label="Bag", help=on) for on in (False, True))
    rows, columns = np.nonzero((shown != without).any(2))
    assert rows.min() > 0
    assert rows.max() < shown.shape[0] - len(bar_of(shown))
    assert columns.min() > 0
    assert columns.max() < shown.shape[1] - 1
    panel = shown[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    # A key's green, line by line.
    lines = (panel == np.array(GREEN, np.uint8)).all(2).any(1)
    assert np.count_nonzero(np.diff(lines.astype(int)) == 1) == 8


def test_notes_come_and_go() -> None:
    """A note stands over the bar while there is one, however long it is."""
    for note in ("Mirrored", "m" * 200):
        plain, noted = draw(blank(), note=""), draw(blank(), note=note)
        rows, columns = np.nonzero((plain != noted).any(2))
        assert rows.max() < noted.shape[0] - len(bar_of(noted))
        assert columns.min() > 0
        assert columns.max() < noted.shape[1] - 1


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (160, 120), (75, 1000)])
@pytest.mark.parametrize("condition", ["live", "stale"])
def test_mirror(size_wh: tuple[int, int], condition: str) -> None:
    """Mirrored, the picture, guide and box are flipped, and the words and the inset are not."""
    width, height = size_wh
    frame = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    box = (width // 8, height // 8, width // 3, height // 4)
    x, y, w, h = preprocess.guide_box(width, height)
    drawn: dict[str, Any] = {
        "state": "garment",
        "condition": condition,
        "label": "Bag",
        "pixels": frame[:28, :28, :1],
        "note": "n",
    }
    mirrored = draw(frame, box=box, mirror=True, **drawn)
    flipped: dict[str, Any] = {"box": (width - box[0] - box[2], *box[1:]), "guide": (width - x - w, y, w, h)}
    np.testing.assert_array_equal(mirrored, draw(np.ascontiguousarray(frame[:, ::-1]), **flipped, **drawn))
    assert (mirrored != draw(frame, box=box, **drawn)).any()


@pytest.mark.parametrize(
    ("size_wh", "expected_wh"),
    [((1280, 720), (1280, 720)), ((640, 480), (640, 480)), ((160, 120), (480, 360)), ((1, 1), (360, 360))],
)
def test_drawn_size(size_wh: tuple[int, int], expected_wh: tuple[int, int]) -> None:
    """The drawn frame is as large as the frame; a tiny one is enlarged until words can be read."""
    for condition in ("live", "stale"):
        assert draw(blank(size_wh), condition=condition).shape == (expected_wh[1], expected_wh[0], 3)


@pytest.mark.parametrize("size_wh", [(3000, 4), (4, 3000), (2, 2)])
@pytest.mark.parametrize("condition", ["live", "stale"])
def test_odd_shapes(size_wh: tuple[int, int], condition: str) -> None:
    """A strip of a picture, or a speck of one, can be drawn and not drawn over."""
    frame = blank(size_wh)
    changes: dict[str, Any] = {"note": "a note", "help": True, "kept": "Recording to x.mp4"}
    pixels = np.zeros((28, 28, 1), np.uint8)
    assert draw(frame, "garment", condition=condition, box=(0, 0, *size_wh), pixels=pixels, **changes).size
    np.testing.assert_array_equal(frame, blank(size_wh))


def test_drawn_once() -> None:
    """A moment is drawn once however many want it, and another moment of the same frame anew."""
    moment = Moment(0.0, Health("live"), image=blank())
    assert moment.drawn() is moment.drawn()
    assert (replace(moment, mirror=True, note="Mirrored", _drawn={}).drawn() != moment.drawn()).any()


def test_drawn_with_opencv_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenCV without fonts of its own draws the words with strokes."""
    text.drawn.cache_clear()
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    shown = draw(np.zeros((720, 1280, 3), np.uint8), "garment", label="Ankle boot")
    text.drawn.cache_clear()
    assert count(shown, GREEN) > 1000


# --- The command -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    with virtual_screen(SCREEN_WH) as display_name:
        yield display_name


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    """A 1280x720 video of an ankle boot, longer than any test looks at it."""
    path = tmp_path_factory.mktemp("window") / "boot.avi"
    return write_clip(path, [demo_clip.scene_of(test_set[0][0])] * 60, fps=1)


def test_window_shows_the_drawn_frame(tmp_path: Path, screen: str, clip: Path, test_set: Arrays) -> None:
    """The window shows the clip's frame with the answer, the garment's box, the guide and the
    inset drawn on it, pixel by pixel; q then ends the command with 0."""
    with RunningCamera(tmp_path, "--source", clip, display_name=screen) as running:
        running.wait_for("garment")
        wait_until(lambda: count(screenshot(screen), GREEN) > 1000, "the answer on the screen")
        shown = screenshot(screen)[:720, :1280]
        scene = demo_clip.scene_of(test_set[0][0])
        seen = preprocess.find(scene, preprocess.guide_box(1280, 720))
        assert seen is not None
        answer = running.events[0]
        expected = draw(
            scene, "garment", label="Ankle boot", confidence=answer["confidence"], box=seen.box, pixels=seen.pixels
        )
        different = np.abs(shown.astype(int) - expected).max(2) > 40
        different[608:, 900:] = False  # the figures, which are never twice the same
        # What is left is what the video's compression blurs: nothing of a box or word is missing.
        assert different.mean() < 0.002
        assert count(shown[608:], GREEN) > 1000
        press(screen, "x")  # any other key does not end it
        time.sleep(1)
        assert running.process.poll() is None
        press(screen, "q")
        assert running.end() == 0
        assert running.events[-1]["state"] == "ended"
        assert len(running.events) < 60
        # Nothing of Qt's own, only our summary.
        assert running.errors.count("\n") == 1
    assert not screenshot(screen).any()


def test_close_button_ends_it(tmp_path: Path, screen: str, clip: Path) -> None:
    """Closing the window ends the command with 0."""
    with RunningCamera(tmp_path, "--source", clip, display_name=screen) as running:
        running.wait_for("garment")
        wait_until(lambda: count(screenshot(screen), GREEN) > 1000, "the answer on the screen")
        click_close_button(screen)
        assert running.end() == 0
        assert len(running.events) < 60


def test_lost_camera_is_shown(tmp_path: Path, screen: str, test_set: Arrays) -> None:
    """While a network camera is lost the window says so in place of the old answer, q still ends
    it, and an answer comes back with the camera."""
    scene = cv2.resize(demo_clip.scene_of(test_set[0][0]), (640, 360), interpolation=cv2.INTER_AREA)
    with (
        NetworkCamera(lambda _: np.asarray(scene, np.uint8), interval_s=0.05) as network_camera,
        RunningCamera(tmp_path, "--source", network_camera.url, display_name=screen) as running,
    ):
        running.wait_for("garment")
        wait_until(lambda: count(screenshot(screen), GREEN) > 500, "the answer on the screen")
        network_camera.cut()
        wait_until(lambda: count(screenshot(screen), RED) > 500, "the loss on the screen")
        assert count(screenshot(screen), GREEN) == 0
        network_camera.start()
        wait_until(lambda: count(screenshot(screen), GREEN) > 500, "the answer to come back")
        network_camera.cut()
        wait_until(lambda: count(screenshot(screen), RED) > 500, "the loss on the screen")
        press(screen, "q")
        assert running.end() == 0
        assert [event["state"] for event in running.events[-2:]] == ["reconnecting", "ended"]


def test_no_display(tmp_path: Path, clip: Path) -> None:
    """Without a display the command ends with 3 and one line that names --headless: Qt, which
    would abort the process, is not asked in it."""
    done = run_camera(tmp_path, "--source", clip, "--record", "x.mp4", "--events", "-", display_name=":9999")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("edgefashion: no display")
    assert "--headless" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.mp4").exists()
