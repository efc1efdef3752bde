"""What a person sees: the drawn frame, a real window on a virtual screen, the recording."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from camera_helpers import (
    NetworkCamera,
    RunningCamera,
    blank,
    click_close_button,
    number_of,
    numbered,
    press,
    read_clip,
    run_camera,
    screenshot,
    virtual_screen,
    wait_until,
    write_clip,
)

from edgefashion import demo, display, garment, sources
from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from camera_helpers import Picture
    from conftest import Arrays

SCREEN_WH = (1600, 1000)
GREEN = (80, 200, 60)
"""BGR of an accepted answer and its garment's box."""
RED = (90, 90, 255)


def count(picture: Picture, colour: tuple[int, int, int]) -> int:
    """Pixels of exactly this colour."""
    return int((picture == np.array(colour, np.uint8)).all(2).sum())


# --- The drawn frame -------------------------------------------------------------------------


def draw(frame: Picture, state: str = "none", **changes: Any) -> Picture:
    height, width = frame.shape[:2]
    settings: dict[str, Any] = {
        "label": None,
        "confidence": 1.0,
        "guide": garment.guide_box(width, height),
        "box": None,
        "pixels": None,
        "fps": 120.0,
        "latency_ms": 12345.6,  # as wide as it gets
    }
    return display.draw(frame, state=state, **settings | changes)


SIZES = [(1280, 720), (640, 480), (720, 1280), (160, 120), (1920, 1080), (480, 480)]


@pytest.mark.parametrize("size_wh", SIZES)
@pytest.mark.parametrize("label", ["Bag", "T-shirt/top", "A label of another model"])
def test_words_have_room(size_wh: tuple[int, int], label: str) -> None:
    """On a frame of any usual size the words are large enough to read, inside the picture, apart
    from one another, and nothing is drawn through them."""
    picture = draw(np.zeros((size_wh[1], size_wh[0], 3), np.uint8), "garment", label=label)
    height, width = picture.shape[:2]
    bar = picture[height - round(84 * min(height, width) / 720) :]
    # The answer is in colour, the speed in grey; faint pixels belong to the letters' smooth edges.
    coloured = np.ptp(bar, axis=2) > 20
    answer = np.argwhere(coloured & (bar.max(2) > 60))
    speed = np.argwhere(~coloured & (bar.max(2) > 60))
    (top, left), (bottom, right) = answer.min(0), answer.max(0)
    assert left > 0
    assert top > 0
    assert bottom < len(bar) - 1
    assert bottom - top >= 10  # pixels: the least a capital letter needs to be read
    assert right < speed[:, 1].min()
    assert speed[:, 1].max() < width - 1
    assert np.ptp(speed[:, 0]) >= 6
    # What lies over the words and between them is the bar alone.
    assert not bar[: top - 2].any()
    assert not bar[:, right + 2 : speed[:, 1].min() - 2].any()


@pytest.mark.parametrize("state", ["reconnecting", "waiting"])
@pytest.mark.parametrize("size_wh", SIZES)
def test_notices_have_room(size_wh: tuple[int, int], state: str) -> None:
    """What is said while there is no frame fits into a picture of any usual size."""
    picture = display.draw_waiting(state, np.zeros((size_wh[1], size_wh[0], 3), np.uint8))
    rows, columns = np.nonzero(picture.any(2))
    assert np.ptp(rows) >= 10
    assert columns.min() > 0
    assert columns.max() < picture.shape[1] - 1


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (160, 120), (75, 1000)])
def test_mirror(size_wh: tuple[int, int]) -> None:
    """Mirrored, the picture, guide and box are flipped, and the words and the inset are not."""
    width, height = size_wh
    frame = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    pixels = frame[:28, :28, :1]
    box = (width // 8, height // 8, width // 3, height // 4)
    flipped_box = (width - box[0] - box[2], *box[1:])
    flipped_frame = np.ascontiguousarray(frame[:, ::-1])
    mirrored = draw(frame, "garment", box=box, pixels=pixels, mirror=True)
    np.testing.assert_array_equal(mirrored, draw(flipped_frame, "garment", box=flipped_box, pixels=pixels))
    assert (mirrored != draw(frame, "garment", box=box, pixels=pixels)).any()


@pytest.mark.parametrize(
    ("size_wh", "expected_wh"),
    [((1280, 720), (1280, 720)), ((640, 480), (640, 480)), ((160, 120), (480, 360)), ((1, 1), (360, 360))],
)
def test_drawn_size(size_wh: tuple[int, int], expected_wh: tuple[int, int]) -> None:
    """The drawn frame is as large as the frame; a tiny one is enlarged until words can be read."""
    assert draw(blank(size_wh)).shape == (expected_wh[1], expected_wh[0], 3)


@pytest.mark.parametrize("size_wh", [(3000, 4), (4, 3000), (2, 2)])
def test_odd_shapes(size_wh: tuple[int, int]) -> None:
    """A strip of a picture, or a speck of one, can be drawn and not drawn over."""
    frame = blank(size_wh)
    assert draw(frame, "garment", box=(0, 0, *size_wh), pixels=np.zeros((28, 28, 1), np.uint8)).size
    assert display.draw_waiting("reconnecting", frame).size
    np.testing.assert_array_equal(frame, blank(size_wh))


# --- The recording ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "CLIP.MP4"])
@pytest.mark.parametrize("size_wh", [(640, 480), (321, 241)])
def test_recording_is_a_video(tmp_path: Path, name: str, size_wh: tuple[int, int]) -> None:
    """A recording can be played and holds every frame, also of an odd size, and of sizes that
    change on the way."""
    recorder = display.Recorder(tmp_path / name, 12)
    for number in range(6):
        recorder.write(numbered(number * 1000, size_wh if number < 3 else (1280, 720)))
    recorder.close()
    recorder.close()
    frames = read_clip(tmp_path / name)
    assert [number_of(frame) for frame in frames] == [number * 1000 for number in range(6)]
    assert {frame.shape for frame in frames} <= {(size_wh[1] - odd, size_wh[0] - odd, 3) for odd in (0, 1)}
    assert sources.open_source(str(tmp_path / name)).fps == 12


def test_recording_keeps_time(tmp_path: Path) -> None:
    """A recording of a live camera plays at the speed of life: a slow camera's frames are
    repeated, a fast one's left out, and the time a camera was lost is cut."""
    slow, fast, lost = (display.Recorder(tmp_path / f"{name}.avi", 10) for name in ("slow", "fast", "lost"))
    for number in range(5):
        slow.write_at(numbered(number), 1000 + number * 0.5)
    for number in range(101):
        fast.write_at(numbered(number), 1000 + number * 0.02)
    for number, at_s in enumerate([1000, 1000.1, 4600, 4600.1]):
        lost.write_at(numbered(number), at_s)
    for recorder in (slow, fast, lost):
        recorder.close()
    assert len(read_clip(tmp_path / "slow.avi")) == 21  # 2 s at 10 a second, and the first
    shown = [number_of(frame) for frame in read_clip(tmp_path / "fast.avi")]
    assert len(shown) in (20, 21)  # the clock's last tick may fall to either side
    assert shown == sorted(set(shown))
    assert [number_of(frame) for frame in read_clip(tmp_path / "lost.avi")] == [0, 1, 2, 3]


def test_recording_without_a_frame(tmp_path: Path) -> None:
    """Without a frame a recording leaves no file behind, and an older one as it was."""
    old = write_clip(tmp_path / "old.avi", [numbered(5)])
    before = old.read_bytes()
    for name in ("new.avi", "old.avi"):
        display.Recorder(tmp_path / name, 10).close()
    assert [path.name for path in tmp_path.iterdir()] == ["old.avi"]
    assert old.read_bytes() == before


@pytest.mark.parametrize(
    ("place", "words"),
    [("clip.gif", "ending in"), ("clip", "ending in"), ("missing/clip.mp4", "does not exist"), ("d.mp4", "written")],
)
def test_bad_recording(tmp_path: Path, place: str, words: str) -> None:
    """A recording that cannot be written is refused when it is made, not at its first frame."""
    (tmp_path / "d.mp4").mkdir()
    with pytest.raises(BadInputError, match=words):
        display.Recorder(tmp_path / place, 10)


# --- The window ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    with virtual_screen(SCREEN_WH) as display_name:
        yield display_name


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    """A 1280x720 video of an ankle boot, longer than any test looks at it."""
    path = tmp_path_factory.mktemp("window") / "boot.avi"
    return write_clip(path, [demo.scene_of(test_set[0][0])] * 60, fps=1)


def test_window_shows_the_drawn_frame(tmp_path: Path, screen: str, clip: Path, test_set: Arrays) -> None:
    """The window shows the clip's frame with the answer, the garment's box, the guide and the
    inset drawn on it, pixel by pixel; q then ends the command with 0."""
    with RunningCamera(tmp_path, "--source", clip, display_name=screen) as running:
        running.wait_for("garment")
        wait_until(lambda: count(screenshot(screen), GREEN) > 1000, "the answer on the screen")
        shown = screenshot(screen)[:720, :1280]
        scene = demo.scene_of(test_set[0][0])
        seen = garment.find(scene, garment.guide_box(1280, 720))
        assert seen is not None
        answer = running.events[0]
        expected = draw(
            scene, "garment", label="Ankle boot", confidence=answer["confidence"], box=seen.box, pixels=seen.pixels
        )
        different = np.abs(shown.astype(int) - expected).max(2) > 40
        different[636:, 900:] = False  # the speed, which is never twice the same
        # What is left is what the video's compression blurs: nothing of a box or word is missing.
        assert different.mean() < 0.002
        assert count(shown[636:], GREEN) > 1000
        press(screen, "q")
        assert running.end() == 0
        assert running.events[-1]["state"] == "ended"
        assert len(running.events) < 60
        # Nothing of Qt's own, only our summary.
        assert running.errors.count("\n") == 1
    assert not screenshot(screen).any()


REOPENED = """
import numpy as np
from edgefashion import display
painted, answers = display._is_painted, []
def missed_once(*given):
    answers.append(painted(*given) and bool(answers))
    return answers[-1]
display._is_painted = missed_once
window = display.Window(fullscreen=True)
while window.show(np.full((100, 160, 3), (80, 200, 60), np.uint8)):
    if answers:
        print(answers[0], answers[-1], len(answers) > 1, flush=True)
        answers = []
"""


def test_window_that_stays_black_is_opened_anew(screen: str) -> None:
    """A window that does not come to show its picture is opened anew, and then fills the screen."""
    process = subprocess.Popen(
        [sys.executable, "-c", REOPENED],
        env=os.environ | {"DISPLAY": screen},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "False True True\n"
        wait_until(lambda: count(screenshot(screen), GREEN) == SCREEN_WH[0] * SCREEN_WH[1], "the picture")
        press(screen, "q")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_escape_ends_it(tmp_path: Path, screen: str, clip: Path) -> None:
    """Esc ends the command with 0."""
    with RunningCamera(tmp_path, "--source", clip, display_name=screen) as running:
        running.wait_for("garment")
        press(screen, "x")  # any other key does not
        running.wait_for("garment", after=len(running.events))
        press(screen, "Escape")
        assert running.end() == 0
        assert len(running.events) < 60


def test_close_button_ends_it(tmp_path: Path, screen: str, clip: Path) -> None:
    """Closing the window ends the command with 0."""
    with RunningCamera(tmp_path, "--source", clip, display_name=screen) as running:
        running.wait_for("garment")
        wait_until(lambda: count(screenshot(screen), GREEN) > 1000, "the answer on the screen")
        click_close_button(screen)
        assert running.end() == 0
        assert len(running.events) < 60


def test_fullscreen(tmp_path: Path, screen: str, clip: Path, test_set: Arrays) -> None:
    """--fullscreen fills the screen with the picture, its proportions kept."""
    with RunningCamera(tmp_path, "--source", clip, "--fullscreen", display_name=screen) as running:
        running.wait_for("garment")
        wait_until(lambda: count(screenshot(screen), GREEN) > 1000, "the answer on the screen")
        shown = screenshot(screen)
        # 1280x720 becomes 1600x900, centred between two bands of 50 rows.
        rows = shown[60:-60]
        assert rows[:, 0].any(1).all()
        assert rows[:, -1].any(1).all()
        box = np.argwhere((shown[:800] == np.array(GREEN, np.uint8)).all(2))
        (top, left), (bottom, right) = box.min(0), box.max(0)
        seen = garment.find(demo.scene_of(test_set[0][0]), garment.guide_box(1280, 720))
        assert seen is not None
        assert (right - left) / (bottom - top) == pytest.approx(seen.box[2] / seen.box[3], rel=0.03)
        assert right - left == pytest.approx(seen.box[2] * 1.25, rel=0.03)
        press(screen, "q")
        assert running.end() == 0


def test_lost_camera_is_shown(tmp_path: Path, screen: str, test_set: Arrays) -> None:
    """While a network camera is lost the window says so in place of the old answer, q still ends
    it, and an answer comes back with the camera."""
    scene = cv2.resize(demo.scene_of(test_set[0][0]), (640, 360), interpolation=cv2.INTER_AREA)
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


@pytest.mark.parametrize("display_name", [None, ":9999"])
def test_no_display(tmp_path: Path, clip: Path, display_name: str | None) -> None:
    """Without a display the command ends with 3 and one line that names --headless: Qt, which
    would abort the process, is not asked in it."""
    done = run_camera(tmp_path, "--source", clip, "--record", "x.mp4", "--events", "-", display_name=display_name)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("edgefashion: no display")
    assert "--headless" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.mp4").exists()
