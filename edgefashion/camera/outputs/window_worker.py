"""The process that owns the window: the other end of :mod:`edgefashion.camera.outputs.window`.

The first message has the ``descriptor`` of the memory that pictures come in, and ``fullscreen``. Each of the others
tells of a picture in that memory. The answers are ``{"ready": true}``, ``{"shown": true}`` for each picture,
``{"key": "m"}`` for a key, ``{"fullscreen": true}`` where f was pressed, and ``{"error": ...}`` before the process ends
of one.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from edgefashion.camera.outputs.window import END_LIMIT_S, WINDOW
from edgefashion.camera.outputs.x_screen import Screen, screen
from edgefashion.system.processes import Parent
from edgefashion.system.shared_pictures import PictureReader
from edgefashion.system.text import last_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_WH: Final = (1280, 720)
"""A window opens no larger than this; the user may enlarge it."""

OPENINGS: Final = 8
"""A window that is never painted is opened anew, at most this often in all."""

LOOK_S: Final = 0.025
"""How often the window is asked for keys while no picture comes."""

_ESC: Final = 27
_DARK: Final = (32, 32, 32)


class _Window:
    def __init__(self, fullscreen: bool) -> None:
        self.fullscreen = fullscreen
        self._shape: tuple[int, ...] | None = None
        with screen() as x:
            self._open(x)

    def _open(self, x: Screen | None) -> None:
        import cv2

        # GUI_NORMAL: no toolbar over the picture, and no complaint of Qt's about its missing fonts.
        cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL)
        if self.fullscreen:
            self._fill(x)

    def _fill(self, x: Screen | None) -> None:
        import cv2

        # Without a window manager, as on a bare kiosk, nobody grants full screen: take it.
        if x:
            cv2.moveWindow(WINDOW, 0, 0)
            cv2.resizeWindow(WINDOW, *x.size_wh)
        cv2.setWindowProperty(WINDOW, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)

    def _prepare(self, shape: tuple[int, ...]) -> None:
        """Give the window the size for its first picture, and see that it is painted.

        On a busy machine OpenCV's Qt sometimes misses that its first window came to the screen and never paints
        it; another one is then opened. Asked only where no window manager may cover the window or delay it.
        """
        import cv2

        self._fit(shape)
        with screen() as x:
            if x is None or not x.rgb or x.managed():
                return
            for _ in range(OPENINGS - 1):
                if _is_painted(x, shape):
                    return
                cv2.destroyAllWindows()
                self._open(x)
                self._fit(shape)

    def _fit(self, shape: tuple[int, ...]) -> None:
        import cv2

        if not self.fullscreen:
            height, width = shape[:2]
            factor = min(1.0, LARGEST_WH[0] / width, LARGEST_WH[1] / height)
            cv2.resizeWindow(WINDOW, max(1, round(width * factor)), max(1, round(height * factor)))

    def show(self, picture: NDArray[np.uint8]) -> None:
        import cv2

        if self._shape is None:
            self._prepare(picture.shape)
        elif self._shape != picture.shape:
            self._fit(picture.shape)
        self._shape = picture.shape
        cv2.imshow(WINDOW, _framed(picture))

    def toggle(self) -> None:
        import cv2

        self.fullscreen = not self.fullscreen
        if self.fullscreen:
            with screen() as x:
                self._fill(x)
        else:
            cv2.setWindowProperty(WINDOW, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_NORMAL)
            self._fit(self._shape or (*LARGEST_WH[::-1], 3))

    def key(self) -> str:
        """Let the window live for a moment; the key pressed in it, q also where it was closed."""
        import cv2

        # The whole code: the last byte of an arrow's or a shift's is some letter's.
        code = cv2.waitKeyEx(1)
        if code == _ESC or self._gone():
            return "q"
        return chr(code).lower() if ord(" ") <= code <= ord("~") else ""

    def _gone(self) -> bool:
        import cv2

        try:
            return bool(cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) < 1)
        except cv2.error:  # with its last window gone, OpenCV's Qt has no windows to ask about
            return True


def _framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``picture`` with black bands to the window's proportions: the bands of OpenCV's Qt are nearly white."""
    import cv2
    import numpy as np

    _, _, w, h = cv2.getWindowImageRect(WINDOW)
    height, width = picture.shape[:2]
    if min(w, h) < 2:
        return picture
    across, down = max(0, round(height * w / h) - width) // 2, max(0, round(width * h / w) - height) // 2
    if max(across, down) < 2:
        return picture
    black = cv2.copyMakeBorder(picture, down, down, across, across, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return np.asarray(black, np.uint8)


def _is_painted(x: Screen, shape: tuple[int, ...]) -> bool:
    """Whether the open window comes to show a dark grey picture of this shape within a second."""
    import cv2
    import numpy as np

    grey = np.full(shape, _DARK, np.uint8)
    until_s = time.monotonic() + 1
    while time.monotonic() < until_s:
        cv2.imshow(WINDOW, grey)
        cv2.waitKey(10)
        left, top, w, h = cv2.getWindowImageRect(WINDOW)
        width, height = x.size_wh
        at = min(max(left + w // 2, 0), width - 1), min(max(top + h // 2, 0), height - 1)
        if x.shows(int.from_bytes(bytes(_DARK), "big"), *at):
            return True
    return False


def _serve(parent: Parent) -> None:
    import cv2

    cv2.setNumThreads(1)
    given = parent.receive()
    memory, window = PictureReader(given["descriptor"]), _Window(given["fullscreen"])
    parent.send({"ready": True})
    while True:
        try:
            picture = parent.receive(LOOK_S)
        except TimeoutError:
            picture = None
        except EOFError:
            break
        if picture:
            window.show(memory.get(picture))
        key = window.key()
        if picture:
            parent.send({"shown": True})  # not earlier: it is on the screen now
        if key == "f":
            window.toggle()
            parent.send({"fullscreen": window.fullscreen})
        elif key:
            parent.send({"key": key})
    cv2.destroyAllWindows()


def main() -> None:
    """Show pictures until the parent closes our stdin."""
    parent = Parent(grace_s=END_LIMIT_S)
    try:
        _serve(parent)
    except Exception as error:
        parent.send({"error": last_line(str(error)) or type(error).__name__})
        raise SystemExit(1) from None
    os._exit(0)  # without waiting for what Qt's threads still do


if __name__ == "__main__":
    main()
