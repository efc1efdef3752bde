"""What a person sees of the camera: the drawn frame, in a window or in a recording."""

from __future__ import annotations

import contextlib
import ctypes
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.errors import BadInputError, MissingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.garment import Box

WINDOW: Final = "edgefashion"
_QUIT_KEYS: Final = (ord("q"), ord("Q"), 27)  # 27 is Esc

READABLE_PX: Final = 360
"""A frame with a shorter edge than this is enlarged before it is drawn on: words need pixels."""

LARGEST_WH: Final = (1280, 720)
"""A window opens no larger than this; the user may enlarge it."""

OPENINGS: Final = 8
"""A window that is never painted is opened anew, at most this often in all."""

LONGEST_GAP_S: Final = 2.0
"""A recording repeats frames to keep time up to this gap; a longer one is a cut."""

# BGR
_WHITE: Final = (255, 255, 255)
_DARK: Final = (32, 32, 32)
_COLOURS: Final = {
    "garment": (80, 200, 60),
    "unknown": (40, 170, 250),
    "none": (200, 200, 200),
    "reconnecting": (90, 90, 255),
}
_ANSWERS: Final = {
    "none": "Show me a garment",
    "unknown": "Not sure",
    "reconnecting": "Camera lost - reconnecting",
    "waiting": "Waiting for the camera",
}


def draw(
    frame: NDArray[np.uint8],
    *,
    state: str,
    label: str | None,
    confidence: float | None,
    guide: Box | None,
    box: Box | None,
    pixels: NDArray[np.uint8] | None,
    fps: float | None,
    latency_ms: float | None,
    mirror: bool = False,
) -> NDArray[np.uint8]:
    """Draw the guide, the garment's box, the answer, FPS, latency and what the model saw.

    Takes BGR (h, w, 3) and returns a new picture of the same size, or of a whole multiple of it
    where the words could not be read otherwise; ``mirror`` flips the picture under the drawing,
    as a person facing a camera expects, never the words.
    """
    import cv2

    picture = cv2.flip(frame, 1) if mirror else frame.copy()
    # Not beyond a window's size: a strip of a picture would become a huge one.
    times = max(1, min(math.ceil(READABLE_PX / min(frame.shape[:2])), LARGEST_WH[0] // max(frame.shape[:2])))
    if times > 1:
        picture = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)
    height, width = picture.shape[:2]
    colour = _COLOURS.get(state, _WHITE)
    unit = min(height, width) / 720  # every size below is for a shorter edge of 720 pixels

    def outline(b: Box, colour: tuple[int, ...], thickness: float) -> None:
        x, y, w, h = (times * n for n in b)
        x = width - x - w if mirror else x
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, max(1, round(thickness * unit)))

    bar = picture[height - round(84 * unit) :]
    behind_words = (bar * 0.25).astype(picture.dtype)
    if guide is not None:
        outline(guide, _WHITE, 4)
        outline(guide, _DARK, 2)
    if box is not None:
        outline(box, colour, 3)
    bar[:] = behind_words  # over the outlines, which would strike the words through

    answer = (
        f"{label}  {confidence:.0%}"
        if state == "garment" and label and confidence is not None
        else _ANSWERS.get(state, state)
    )
    speed = "   ".join(
        text
        for value, text in ((fps, f"{fps or 0:.0f} fps"), (latency_ms, f"{latency_ms or 0:.1f} ms"))
        if value is not None
    )
    margin = round(24 * unit)
    large, small = 1.5 * unit, 0.8 * unit
    wanted = _text_width(answer, large) + _text_width(speed, small) + 3 * margin
    shrink = min(1.0, width / wanted)  # a portrait picture's bar is narrow
    large, small = large * shrink, small * shrink
    _text(picture, answer, (margin, height - round(26 * unit)), large, colour)
    _text(picture, speed, (width - _text_width(speed, small) - margin, height - round(30 * unit)), small, _WHITE)

    if pixels is not None:
        side = round(112 * unit)
        if margin + side < width and margin + side < height:
            shown = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_NEAREST)
            seen = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR if shown.ndim == 2 else cv2.COLOR_RGB2BGR)
            picture[margin : margin + side, width - margin - side : width - margin] = seen
            cv2.rectangle(picture, (width - margin - side, margin), (width - margin, margin + side), _WHITE, 1)
    return picture


def draw_waiting(state: str, frame: NDArray[np.uint8] | None, mirror: bool = False) -> NDArray[np.uint8]:
    """The last frame, darkened, under words that say what is waited for: an old answer would lie.

    ``state`` is reconnecting or waiting; without a ``frame`` the picture is black.
    """
    import numpy as np

    dark = np.zeros((LARGEST_WH[1], LARGEST_WH[0], 3), np.uint8) if frame is None else (frame * 0.4).astype(np.uint8)
    nothing = {"label": None, "confidence": None, "guide": None, "box": None, "pixels": None}
    return draw(dark, state=state, fps=None, latency_ms=None, mirror=mirror, **nothing)


def _text(picture: NDArray[np.uint8], text: str, at: tuple[int, int], scale: float, colour: tuple[int, ...]) -> None:
    import cv2

    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, _thickness(scale), cv2.LINE_AA)


def _text_width(text: str, scale: float) -> int:
    import cv2

    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, _thickness(scale))
    return int(width)


def _thickness(scale: float) -> int:
    return max(1, round(2 * scale))


def display_works() -> bool:
    """True if a window can be opened here.

    Tried in another process: without a display Qt aborts the whole process it is asked in.
    """
    code = "import cv2; cv2.namedWindow('probe'); cv2.waitKey(1); cv2.destroyAllWindows()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            timeout=20,
            check=False,
            start_new_session=True,  # a Ctrl-C meant for us must not look like a missing display
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


class _Screen:
    """A connection to the X server: what OpenCV does not tell of the screen."""

    def __init__(self, x: Any, server: Any) -> None:
        self._x = x
        self._server = server
        self._root = ctypes.c_ulong(x.XDefaultRootWindow(server))
        self.size_wh: tuple[int, int] = (x.XDisplayWidth(server, 0), x.XDisplayHeight(server, 0))
        self.rgb: bool = x.XDefaultDepth(server, 0) == 24
        """Whether a pixel is three bytes; another screen rounds colours, and :meth:`shows` would not know them."""

    def managed(self) -> bool:
        """Whether a window manager is there, which shows itself by a property of the root window."""
        check = ctypes.c_ulong(self._x.XInternAtom(self._server, b"_NET_SUPPORTING_WM_CHECK", 0))
        kind, length, left = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_ulong()
        bits, value = ctypes.c_int(), ctypes.c_void_p()
        any_kind = ctypes.c_ulong(0)
        which = (self._server, self._root, check, ctypes.c_long(0), ctypes.c_long(1), 0, any_kind)
        answer = (kind, bits, length, left, value)
        self._x.XGetWindowProperty(*which, *(ctypes.byref(part) for part in answer))
        if value:
            self._x.XFree(value)
        return kind.value != 0

    def shows(self, rgb: int, x: int, y: int) -> bool:
        """Whether the screen has this colour at (x, y)."""
        one, all_planes, pixmap_by_pixel = ctypes.c_uint(1), ctypes.c_ulong(0xFFFFFF), 2
        image = self._x.XGetImage(self._server, self._root, x, y, one, one, all_planes, pixmap_by_pixel)
        if not image:
            return False
        image = ctypes.c_void_p(image)
        try:
            return bool(self._x.XGetPixel(image, 0, 0) & 0xFFFFFF == rgb)
        finally:
            self._x.XDestroyImage(image)


@contextlib.contextmanager
def _screen() -> Iterator[_Screen | None]:
    """Hold a connection to the X server; None where there is none.

    A bare X server starts anew when its last client leaves, and that must not be the probe of
    :func:`display_works`: a window opened meanwhile stays black.
    """
    try:
        x = ctypes.CDLL("libX11.so.6")
    except OSError:
        yield None
        return
    for function in (x.XOpenDisplay, x.XGetImage):
        function.restype = ctypes.c_void_p
    for function in (x.XDefaultRootWindow, x.XInternAtom, x.XGetPixel):
        function.restype = ctypes.c_ulong
    server = ctypes.c_void_p(x.XOpenDisplay(None))
    if not server:
        yield None
        return
    try:
        yield _Screen(x, server)
    finally:
        x.XCloseDisplay(server)


class Window:
    """A window on the screen. Raises :class:`MissingError` where there is no display."""

    def __init__(self, fullscreen: bool = False) -> None:
        with _screen() as screen:
            if not display_works():
                raise MissingError(
                    "no display here to show a window on. Run with --headless, or from a desktop session"
                )
            self._fullscreen = fullscreen
            self._open(screen)
        self._shown = False

    def _open(self, screen: _Screen | None) -> None:
        import cv2

        # GUI_NORMAL: no toolbar over the picture, and no complaint of Qt's about its missing fonts.
        cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        if self._fullscreen:
            # Without a window manager, as on a bare kiosk, nobody grants full screen: take it.
            if screen:
                cv2.moveWindow(WINDOW, 0, 0)
                cv2.resizeWindow(WINDOW, *screen.size_wh)
            cv2.setWindowProperty(WINDOW, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)

    def _prepare(self, picture: NDArray[np.uint8]) -> None:
        """Give the window the size for its first ``picture``, and see that it is painted.

        On a busy machine OpenCV's Qt sometimes misses that its first window came to the screen and never paints
        it; another one is then opened. Asked only where no window manager may cover the window or delay it.
        """
        self._fit(picture)
        with _screen() as screen:
            if screen is None or not screen.rgb or screen.managed():
                return
            for _ in range(OPENINGS - 1):
                if _is_painted(screen, picture.shape):
                    return
                self.close()
                self._open(screen)
                self._fit(picture)

    def _fit(self, picture: NDArray[np.uint8]) -> None:
        import cv2

        if not self._fullscreen:
            height, width = picture.shape[:2]
            factor = min(1.0, LARGEST_WH[0] / width, LARGEST_WH[1] / height)
            cv2.resizeWindow(WINDOW, max(1, round(width * factor)), max(1, round(height * factor)))

    def show(self, picture: NDArray[np.uint8], wait_ms: int = 1) -> bool:
        """Show ``picture`` for ``wait_ms``; False once the user pressed q or Esc or closed the window."""
        import cv2

        if not self._shown:
            self._shown = True
            self._prepare(picture)
        cv2.imshow(WINDOW, picture)
        key = cv2.waitKey(max(1, wait_ms)) & 0xFF
        return key not in _QUIT_KEYS and not self._gone()

    def _gone(self) -> bool:
        import cv2

        try:
            return bool(cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) < 1)
        except cv2.error:  # with its last window gone, OpenCV's Qt has no windows to ask about
            return True

    def close(self) -> None:
        """Take the window off the screen. May be called twice."""
        import cv2

        cv2.destroyAllWindows()


def _is_painted(screen: _Screen, shape: tuple[int, ...]) -> bool:
    """Whether the open window comes to show a dark grey picture of this shape within a second."""
    import cv2
    import numpy as np

    grey = np.full(shape, _DARK, np.uint8)
    until_s = time.monotonic() + 1
    while time.monotonic() < until_s:
        cv2.imshow(WINDOW, grey)
        cv2.waitKey(10)
        x, y, w, h = cv2.getWindowImageRect(WINDOW)
        width, height = screen.size_wh
        at = min(max(x + w // 2, 0), width - 1), min(max(y + h // 2, 0), height - 1)
        if screen.shows(int.from_bytes(bytes(_DARK), "big"), *at):
            return True
    return False


class Recorder:
    """An .mp4 or .avi of the drawn frames. Raises :class:`BadInputError` if it cannot be written."""

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() not in {".mp4", ".avi"}:
            raise BadInputError(f"--record {path}: give a name ending in .mp4 or .avi")
        if not path.absolute().parent.is_dir():
            raise BadInputError(f"--record {path}: its folder does not exist. Create it first")
        self._new = not path.exists()
        try:
            path.open("ab").close()  # now, not at the first frame; what is there already stays until then
        except OSError as error:
            raise BadInputError(f"--record {path} cannot be written: {error.strerror}. Choose another place") from error
        self._path = path
        self._fps = fps
        self._size_wh: tuple[int, int] | None = None
        self._since_s, self._written = -math.inf, 0  # of write_at, since the last gap

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Add a frame; later frames are scaled to the first one's size."""
        import cv2

        if self._size_wh is None:
            self._size_wh = (picture.shape[1], picture.shape[0])
            codec = cv2.VideoWriter.fourcc(*("mp4v" if self._path.suffix.lower() == ".mp4" else "MJPG"))
            self._writer = cv2.VideoWriter(str(self._path), codec, self._fps, self._size_wh)
            if not self._writer.isOpened():
                raise BadInputError(f"--record {self._path} cannot be written. Choose another place")
        if (picture.shape[1], picture.shape[0]) != self._size_wh:
            picture = cv2.resize(picture, self._size_wh, interpolation=cv2.INTER_AREA)
        self._writer.write(picture)

    def write_at(self, picture: NDArray[np.uint8], at_s: float) -> None:
        """Add a live frame taken at ``at_s`` seconds, as often as is due, or not at all: so the
        recording plays at the speed of life, whatever the camera's rate."""
        if at_s - (self._since_s + self._written / self._fps) > LONGEST_GAP_S:
            self._since_s, self._written = at_s, 0
        while self._since_s + self._written / self._fps <= at_s:
            self.write(picture)
            self._written += 1

    def close(self) -> None:
        """Finish the file; nothing is left of one that got no frame. May be called twice."""
        if self._size_wh is not None:
            self._writer.release()
        elif self._new:
            self._path.unlink(missing_ok=True)
