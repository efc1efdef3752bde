"""What a person sees of the camera: the drawn frame, in a window or in a recording."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.errors import BadInputError, MissingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.garment import Box

WINDOW: Final = "edgefashion"
_QUIT_KEYS: Final = (ord("q"), ord("Q"), 27)  # 27 is Esc

# BGR
_WHITE: Final = (255, 255, 255)
_DARK: Final = (32, 32, 32)
_COLOURS: Final = {"garment": (80, 200, 60), "unknown": (40, 170, 250), "none": (200, 200, 200)}
_ANSWERS: Final = {
    "none": "Show me a garment",
    "unknown": "Not sure",
    "reconnecting": "Camera lost - reconnecting",
}


def draw(
    frame: NDArray[np.uint8],
    *,
    state: str,
    label: str | None,
    confidence: float | None,
    guide: Box,
    box: Box | None,
    pixels: NDArray[np.uint8] | None,
    fps: float,
    latency_ms: float | None,
    mirror: bool = False,
) -> NDArray[np.uint8]:
    """Draw the guide, the garment's box, the answer, FPS, latency and what the model saw.

    Takes BGR (h, w, 3) and returns a new picture of the same size; ``mirror`` flips the picture
    under the drawing, as a person facing a camera expects, never the words.
    """
    import cv2

    picture = cv2.flip(frame, 1) if mirror else frame.copy()
    height, width = picture.shape[:2]
    colour = _COLOURS.get(state, _WHITE)
    unit = height / 720  # every size below is for a 720-pixel frame

    def at(b: Box) -> tuple[tuple[int, int], tuple[int, int]]:
        x = width - b[0] - b[2] if mirror else b[0]
        return (x, b[1]), (x + b[2], b[1] + b[3])

    cv2.rectangle(picture, *at(guide), _WHITE, max(1, round(4 * unit)))
    cv2.rectangle(picture, *at(guide), _DARK, max(1, round(2 * unit)))
    if box is not None:
        cv2.rectangle(picture, *at(box), colour, max(1, round(3 * unit)))

    bar = round(84 * unit)
    picture[height - bar :] = (picture[height - bar :] * 0.25).astype(picture.dtype)
    answer = (
        f"{label}  {confidence:.0%}"
        if state == "garment" and label and confidence is not None
        else _ANSWERS.get(state, state)
    )
    margin = round(24 * unit)
    _text(picture, answer, (margin, height - round(26 * unit)), 1.5 * unit, colour)
    speed = f"{fps:.0f} fps" + ("" if latency_ms is None else f"   {latency_ms:.1f} ms")
    (speed_width, _), _ = cv2.getTextSize(speed, cv2.FONT_HERSHEY_SIMPLEX, 0.8 * unit, 2)
    _text(picture, speed, (width - speed_width - margin, height - round(30 * unit)), 0.8 * unit, _WHITE)

    if pixels is not None:
        side = round(112 * unit)
        if margin + side < width and margin + side < height:
            seen = cv2.cvtColor(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_NEAREST), cv2.COLOR_GRAY2BGR)
            picture[margin : margin + side, width - margin - side : width - margin] = seen
            cv2.rectangle(picture, (width - margin - side, margin), (width - margin, margin + side), _WHITE, 1)
    return picture


def _text(picture: NDArray[np.uint8], text: str, at: tuple[int, int], scale: float, colour: tuple[int, ...]) -> None:
    import cv2

    thickness = max(1, round(2 * scale))
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)


def display_works() -> bool:
    """True if a window can be opened here.

    Tried in another process: without a display Qt aborts the whole process it is asked in.
    """
    code = "import cv2; cv2.namedWindow('probe'); cv2.waitKey(1); cv2.destroyAllWindows()"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


class Window:
    """A window on the screen. Raises :class:`MissingError` where there is no display."""

    def __init__(self, fullscreen: bool = False) -> None:
        if not display_works():
            raise MissingError("no display here to show a window on. Run with --headless, or from a desktop session")
        import cv2

        cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        if fullscreen:
            cv2.setWindowProperty(WINDOW, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)
        self._shown = False
        self._fullscreen = fullscreen

    def show(self, picture: NDArray[np.uint8], wait_ms: int = 1) -> bool:
        """Show ``picture``; False once the user pressed q or Esc or closed the window."""
        import cv2

        if not self._shown and not self._fullscreen:
            cv2.resizeWindow(WINDOW, picture.shape[1], picture.shape[0])
        cv2.imshow(WINDOW, picture)
        key = cv2.waitKey(max(1, wait_ms)) & 0xFF
        closed = self._shown and cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) < 1
        self._shown = True
        return key not in _QUIT_KEYS and not closed

    def close(self) -> None:
        import cv2

        cv2.destroyAllWindows()


class Recorder:
    """An .mp4 or .avi of the drawn frames. Raises :class:`BadInputError` if it cannot be written."""

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() not in {".mp4", ".avi"}:
            raise BadInputError(f"--record {path}: give a name ending in .mp4 or .avi")
        if not path.absolute().parent.is_dir():
            raise BadInputError(f"--record {path}: its folder does not exist. Create it first")
        self._path = path
        self._fps = fps
        self._size_wh: tuple[int, int] | None = None

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

    def close(self) -> None:
        if self._size_wh is not None:
            self._writer.release()
