"""The window: a real one, on a virtual screen that comes and goes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from helpers.camera import PATIENCE_S, wait_until
from helpers.screen import click_close_button, press, screenshot, start_screen, virtual_screen

from edgefashion.camera.moment import Health, Moment, Output
from edgefashion.camera.outputs import overlay, window
from edgefashion.camera.outputs.window import Window, WindowError
from edgefashion.errors import EdgeFashionError, MissingError
from edgefashion.system import palette

if TYPE_CHECKING:
    from helpers.camera import Picture

pytestmark = pytest.mark.linux_only("the window is looked at on a virtual X screen (Xvfb, xdotool)")

SCREEN_WH = (1600, 1000)
LIVE = Health("live", fps=30.0, latency_ms=2.0)
GREEN = palette.bgr(palette.GARMENT)


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    with virtual_screen(SCREEN_WH) as display_name:
        yield display_name


@pytest.fixture
def on_screen(screen: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The display's name, which the environment names too."""
    monkeypatch.setenv("DISPLAY", screen)
    return screen


def moment(level: int = 128, size_wh: tuple[int, int] = (640, 480), **changes: Any) -> Moment:
    image = np.full((size_wh[1], size_wh[0], 3), level, np.uint8)
    return Moment(time.monotonic(), LIVE, image=image, **changes)


def shows(display_name: str, expected: Picture) -> bool:
    """Whether a window at the screen's upper left shows this picture, pixel by pixel."""
    shown = screenshot(display_name)[: expected.shape[0], : expected.shape[1]]
    return shown.shape == expected.shape and not (shown != expected).any()


def show(opened: Output, display_name: str, what: Moment) -> None:
    """Hand over ``what``, again and again as the loop does, until it is on the screen."""

    def taken_and_shown() -> bool:
        opened.take(what)
        return shows(display_name, overlay.drawn(what))

    wait_until(taken_and_shown, "the picture")


def raised_by(opened: Window, what: Moment) -> EdgeFashionError:
    """What ``take`` comes to raise."""
    raised: list[EdgeFashionError] = []

    def fails() -> bool:
        try:
            opened.take(what)
        except EdgeFashionError as error:
            raised.append(error)
        return bool(raised)

    wait_until(fails, "the window to fail")
    return raised[0]


class Belongings:
    """What this process holds: file descriptors, threads, child processes."""

    def __init__(self) -> None:
        me = psutil.Process()
        self.descriptors = open_files()
        self.threads = threading.active_count()
        self.children = {child.pid for child in me.children(recursive=True)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Belongings) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(vars(self))


def open_files() -> list[str]:
    """What each descriptor of this process leads to, less the standard ones."""
    links = [Path(f"/proc/self/fd/{number}") for number in range(3, 256)]
    return sorted(str(link.readlink()) for link in links if link.is_symlink())


def process_of(opened: Window) -> psutil.Process:
    return psutil.Process(opened.pid)


def test_pictures_of_any_size(on_screen: str) -> None:
    """The window shows each picture pixel by pixel, whatever its size, and takes its size from it;
    closed, it is gone and has left nothing."""
    before = Belongings()
    opened: Output = Window()
    for level, size_wh in enumerate([(640, 480), (1280, 720), (480, 640), (1280, 720)], 100):
        show(opened, on_screen, moment(level, size_wh))
    # Nothing by a name that could be left behind.
    in_memory = [name for name in open_files() if name.startswith("/dev/shm/")]
    assert in_memory
    assert all(name.endswith("(deleted)") for name in in_memory)
    opened.close()
    opened.close()
    assert Belongings() == before
    wait_until(lambda: not screenshot(on_screen).any(), "the window to go")


def test_keys_are_handed_on(on_screen: str) -> None:
    """Keys come in their order, in lower case, and none of those that are no characters; Esc and the
    close button are q, and f is the window's own: it fills the screen, and gives it back."""
    opened = Window()
    try:
        small = moment()
        show(opened, on_screen, small)
        pressed = ""

        def heard(count: int) -> bool:
            nonlocal pressed
            pressed += opened.keys()
            return len(pressed) >= count

        # One at a time: of two within 25 ms OpenCV's Qt reports the last.
        for count, key in enumerate(("m", "1", "S"), 1):
            for silent in ("Left", "F5", "shift"):
                press(on_screen, silent)
                time.sleep(0.1)
            press(on_screen, key)
            wait_until(lambda count=count: heard(count), "the key")  # type: ignore[misc]
        assert pressed == "m1s"
        press(on_screen, "f")
        # 640x480 becomes 1333x1000, between two bands.
        wait_until(lambda: screenshot(on_screen)[700:900, 800].all(), "the whole screen")
        wait_until(lambda: opened.fullscreen, "the word of it")
        press(on_screen, "f")
        show(opened, on_screen, small)
        wait_until(lambda: not opened.fullscreen, "the word of it")
        assert opened.keys() == ""
        press(on_screen, "Escape")
        wait_until(lambda: opened.keys() == "q", "Esc")
        click_close_button(on_screen)
        wait_until(lambda: opened.keys().startswith("q"), "the close button")
    finally:
        opened.close()


def test_newest_picture_wins(on_screen: str) -> None:
    """While its process stands still the window takes picture after picture at once, and then shows
    the newest; not one of those in between has been kept for it."""
    opened = Window()
    try:
        show(opened, on_screen, moment(10))
        process_of(opened).suspend()
        descriptors = Belongings().descriptors
        for level in range(11, 90):
            opened.take(moment(level))
        assert Belongings().descriptors == descriptors
        newest = moment(200)
        opened.take(newest)
        process_of(opened).resume()
        wait_until(lambda: shows(on_screen, overlay.drawn(newest)), "the newest picture")
    finally:
        opened.close()


def test_display_lost_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the X server goes, take raises and nothing else happens: no key is told, nothing is left.
    Until it is back there is no display; then a new window shows pictures on the same one."""
    before = Belongings()
    server, name = start_screen(SCREEN_WH)
    try:
        monkeypatch.setenv("DISPLAY", name)
        opened = Window(fullscreen=True)
        opened.take(moment(90))
        wait_until(lambda: screenshot(name).any(), "the picture")
        server.kill()
        server.wait()
        error = raised_by(opened, moment())
        assert isinstance(error, WindowError)
        assert opened.keys() == ""
        opened.close()
        with pytest.raises(MissingError, match="--headless"):
            Window()
        later = Window(wait=False)
        assert isinstance(raised_by(later, moment()), MissingError)
        later.close()
        server, _ = start_screen(SCREEN_WH, name)
        again = Window(wait=False)
        show(again, name, moment(60))
        again.close()
    finally:
        server.terminate()
        server.wait()
    assert Belongings() == before


def test_display_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the X server stands still, take raises after a while, and the window can be closed."""
    before = Belongings()
    server, name = start_screen(SCREEN_WH)
    try:
        monkeypatch.setenv("DISPLAY", name)
        monkeypatch.setattr(window, "HANG_S", 1.0)
        opened = Window()
        show(opened, name, moment())
        server.send_signal(signal.SIGSTOP)
        assert "shown nothing" in str(raised_by(opened, moment()))
        opened.close()
    finally:
        server.kill()
        server.wait()
    assert Belongings() == before


def test_killed_window(on_screen: str) -> None:
    """When the window's process is killed take raises, again and again, and a new window can be opened."""
    before = Belongings()
    opened = Window()
    show(opened, on_screen, moment())
    process_of(opened).kill()
    for _ in range(2):
        assert isinstance(raised_by(opened, moment()), WindowError)
    opened.close()
    opened = Window()
    show(opened, on_screen, moment(40))
    opened.close()
    assert Belongings() == before


ORPHAN = """
import time, numpy as np
from edgefashion.camera.moment import Health, Moment, Output
from edgefashion.camera.outputs.window import Window
window = Window()
window.take(Moment(0.0, Health("live"), image=np.zeros((480, 640, 3), np.uint8)))
print(window.pid, flush=True)
time.sleep(600)
"""


def test_window_ends_with_its_owner(on_screen: str) -> None:
    """A process that is killed takes its window with it; Ctrl-C and SIGTERM alone, sent to all of a
    group, leave closing the window to its owner."""
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        process = psutil.Process(int(owner.stdout.readline()))
        wait_until(lambda: screenshot(on_screen).any(), "the picture")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        time.sleep(0.2)
        assert process.is_running()
        owner.kill()
        wait_until(lambda: not process.is_running(), "the window's end")
    wait_until(lambda: not screenshot(on_screen).any(), "the window to go")


@pytest.mark.parametrize("display_name", [None, ":9999"])
def test_no_display(display_name: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no display the window says so and names --headless; Qt, which aborts the process
    it is asked in, leaves no core file either."""
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    if display_name:
        monkeypatch.setenv("DISPLAY", display_name)
    before = Belongings()
    with pytest.raises(MissingError, match=r"no display here.*--headless"):
        Window()
    assert not window.display_works()
    assert Belongings() == before
    assert not list(tmp_path.iterdir())


REOPENED = """
import numpy as np
from edgefashion.camera.outputs import window_worker
from edgefashion.system import palette
painted, answers = window_worker._is_painted, []
def missed_once(*given):
    answers.append(painted(*given) and bool(answers))
    return answers[-1]
window_worker._is_painted = missed_once
window = window_worker._Window(fullscreen=True)
window.show(np.full((100, 160, 3), palette.bgr(palette.GARMENT), np.uint8))
print(answers[0], answers[-1], len(answers) > 1, flush=True)
while window.key() != "q":
    pass
"""


def test_window_that_stays_black_is_opened_anew(on_screen: str) -> None:
    """A window that does not come to show its picture is opened anew, and then fills the screen."""
    with subprocess.Popen([sys.executable, "-c", REOPENED], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "False True True\n"
            green = np.full((SCREEN_WH[1], SCREEN_WH[0], 3), GREEN, np.uint8)
            wait_until(lambda: shows(on_screen, green), "the picture")
            press(on_screen, "q")
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()


def test_fullscreen(on_screen: str) -> None:
    """In full screen the picture fills the screen, its proportions kept."""
    opened = Window(fullscreen=True)
    try:
        boxed = moment(200, (1280, 720), state="garment", box=(400, 200, 300, 240))

        def filled() -> bool:
            opened.take(boxed)
            shown = screenshot(on_screen)
            # 1280x720 becomes 1600x900, centred between two black bands of 50 rows.
            return bool(shown[55:-55, [0, -1]].any(2).all() and not shown[:45].any() and not shown[-45:].any())

        wait_until(filled, "the picture")
        shown = screenshot(on_screen)[:800]  # above the words
        box = np.argwhere((shown == np.array(GREEN, np.uint8)).all(2))
        (top, left), (bottom, right) = box.min(0), box.max(0)
        assert right - left == pytest.approx(300 * 1.25, rel=0.03)
        assert bottom - top == pytest.approx(240 * 1.25, rel=0.03)
    finally:
        opened.close()
