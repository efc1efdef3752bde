"""The command ``camera`` with its window on a screen, which is Xvfb's: drawn, lost, closed, and without a display."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from helpers.camera import NetworkCamera, RunningCamera, run_camera, wait_until, write_clip
from helpers.drawing import GREEN, RED, count, draw
from helpers.screen import click_close_button, press, screenshot, virtual_screen

from edgefashion.camera import demo_clip
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from helpers.types import Arrays

SCREEN_WH = (1600, 1000)


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    with virtual_screen(SCREEN_WH) as display_name:
        yield display_name


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    """A 1280x720 video of an ankle boot, longer than any test looks at it."""
    path = tmp_path_factory.mktemp("window") / "boot.avi"
    return write_clip(path, [demo_clip.scene_of(test_set[0][0])] * 60, fps=1)


@pytest.mark.linux_only("the window is looked at on a virtual X screen (Xvfb, xdotool)")
def test_window_shows_the_drawn_frame(tmp_path: Path, screen: str, clip: Path, test_set: Arrays) -> None:
    """The window shows the clip's frame with the answer, the garment's box, the guide and, with --details, the
    inset drawn on it, pixel by pixel; q then ends the command with 0."""
    with RunningCamera(tmp_path, "--source", clip, "--details", display_name=screen) as running:
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


@pytest.mark.linux_only("the window is looked at on a virtual X screen (Xvfb, xdotool)")
def test_close_button_ends_it(tmp_path: Path, screen: str, clip: Path) -> None:
    """Closing the window ends the command with 0."""
    with RunningCamera(tmp_path, "--source", clip, display_name=screen) as running:
        running.wait_for("garment")
        wait_until(lambda: count(screenshot(screen), GREEN) > 1000, "the answer on the screen")
        click_close_button(screen)
        assert running.end() == 0
        assert len(running.events) < 60


@pytest.mark.linux_only("the window is looked at on a virtual X screen (Xvfb, xdotool)")
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


@pytest.mark.linux_only("without DISPLAY there is no screen, which Windows always has")
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
