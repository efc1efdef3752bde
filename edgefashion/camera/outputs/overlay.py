"""What a person sees of a moment of the camera: the picture, and on it where, what and how sure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera.outputs import text as words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.moment import Health, Moment
    from edgefashion.inference.preprocess import Box

READABLE_PX: Final = 360
"""A frame with a shorter edge than this is enlarged before it is drawn on: words need pixels."""

LARGEST_WH: Final = (1280, 720)
"""What there is no frame for is drawn at this size, and no frame is enlarged beyond it."""

BAR: Final = 112
"""Height of the bar with the answer, for a shorter edge of 720 pixels, as every size here."""

_MARGIN: Final = 28
_ANSWER: Final = 58
_SURE: Final = 42
_NOTE: Final = 30
_SMALL: Final = 23
_SMALLEST_PX: Final = 13
_INSET: Final = 112

# BGR
_WHITE: Final = (255, 255, 255)
_GREY: Final = (205, 205, 205)
_DARK: Final = (32, 32, 32)
_RED: Final = (90, 90, 255)
_COLOURS: Final = {"garment": (80, 200, 64), "unknown": (64, 180, 250), "none": _WHITE}
_ANSWERS: Final = {"none": "Show me a garment", "unknown": "Not sure"}
_NOTICES: Final = {
    "starting": "Waiting for the camera",
    "stale": "Camera stalled",
    "reconnecting": "Camera lost - reconnecting",
    "ended": "Camera off",
}
_KEYS: Final = (
    ("q", "quit"),
    ("f", "full screen"),
    ("m", "mirror"),
    ("s", "snapshot"),
    ("r", "record a clip, or end it"),
    ("p", "FP32 or INT8"),
    ("1-9", "another model"),
    ("h", "these keys"),
)


def draw_moment(moment: Moment) -> NDArray[np.uint8]:
    """Draw all that a person is to know of ``moment`` on its picture.

    Returns a new BGR (h, w, 3) of the image's size, or of a whole multiple of it where the words could not be
    read otherwise. Unless the source is live the picture is dark and says what is waited for: an old answer would
    lie. ``mirror`` flips the picture under the drawing, as a person facing a camera expects, never the words.
    """
    if moment.image is not None and moment.health.well:
        sheet = _Sheet(_grown(moment.image, moment.mirror))
        _draw_answer(sheet, moment, sheet.picture.shape[1] // moment.image.shape[1])
    else:
        sheet = _Sheet(_darkened(moment.image, moment.mirror).copy())
        _draw_notice(sheet, moment)
    _draw_kept(sheet, moment)
    if moment.help:
        _draw_help(sheet)
    return sheet.picture


class _Sheet:
    """A picture to draw on, and how large things are on it."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self.picture = picture
        self.height, self.width = picture.shape[:2]
        self.unit = min(self.height, self.width) / 720

    def px(self, size: float, least: int = 1) -> int:
        return max(least, int(size * self.unit + 0.5))

    def outline(self, box: tuple[int, ...], colour: words.Colour, thickness: float) -> None:
        import cv2

        x, y, w, h = box
        cv2.rectangle(self.picture, (x, y), (x + w, y + h), colour, self.px(thickness))

    def corners(self, box: tuple[int, ...]) -> None:
        """The four corners of ``box``, to be seen on light and on dark."""
        import cv2
        import numpy as np

        x, y, w, h = box
        arm = max(0, min(w, h) // 9)
        ends = [((x, y), 1, 1), ((x + w, y), -1, 1), ((x, y + h), 1, -1), ((x + w, y + h), -1, -1)]
        lines = [
            np.array([(a + arm * right, b), (a, b), (a, b + arm * down)], np.int32) for (a, b), right, down in ends
        ]
        cv2.polylines(self.picture, lines, False, _DARK, self.px(8, 3))
        cv2.polylines(self.picture, lines, False, _WHITE, self.px(4))

    def write(
        self, text: str, at: tuple[int, int], size_px: int, colour: words.Colour = _WHITE, bold: bool = False
    ) -> None:
        """Write on ground that is dark already; ``at`` is the line's upper left corner."""
        words.lay(self.picture, words.drawn(text, size_px, colour, bold), *at)

    def label(self, text: str, middle: tuple[float, int], size: float, colour: words.Colour = _WHITE) -> None:
        """Write ``text`` on a dark strip of its own, around (x, y of the upper edge)."""
        pad = self.px(size / 2)
        size_px = words.fitting(text, self.px(size, _SMALLEST_PX), self.width - 2 * (pad + self.px(_MARGIN) // 2))
        width, height = words.width_of(text, size_px), words.height_of(size_px)
        x, y = round(middle[0] - width / 2), middle[1]
        words.darken(self.picture, x - pad, y - pad // 2, x + width + pad, y + height + pad // 2)
        self.write(text, (x, y), size_px, colour)


def _draw_answer(sheet: _Sheet, moment: Moment, times: int) -> None:
    def placed(box: Box) -> tuple[int, ...]:
        x, y, w, h = (times * n for n in box)
        return (sheet.width - x - w if moment.mirror else x), y, w, h

    colour = _COLOURS.get(moment.state, _WHITE)
    top = sheet.height - sheet.px(BAR)
    if moment.guide is not None:
        x, y, w, h = placed(moment.guide)
        sheet.corners((x, y, w, min(h, top - sheet.px(12) - y)))
    if moment.box is not None:
        sheet.outline(placed(moment.box), colour, 4)
    words.darken(sheet.picture, 0, top, sheet.width, sheet.height)  # over the outlines: no line through the words

    margin, small = sheet.px(_MARGIN), sheet.px(_SMALL, _SMALLEST_PX)
    figures = _speed(moment.health), _network(moment)
    figures_width = max(words.width_of(text, small) for text in figures)
    room = sheet.width - 2 * margin
    if figures_width > room // 2:
        small, figures_width = max(1, int(small * room / 2 / figures_width)), room // 2
    y = sheet.height - sheet.px(BAR / 2) - words.height_of(small)
    for line, text in enumerate(figures):
        x = sheet.width - margin - words.width_of(text, small)
        sheet.write(text, (x, y + line * words.height_of(small)), small, _GREY)

    named = moment.state == "garment" and moment.label is not None
    answer = moment.label if named and moment.label else _ANSWERS.get(moment.state, moment.state)
    sure = f"{moment.confidence:.0%}" if named and moment.confidence is not None else ""
    large, medium = sheet.px(_ANSWER), sheet.px(_SURE)
    wanted = words.width_of(answer, large, True) + words.width_of(sure, medium) + sheet.px(_ANSWER / 3)
    shrink = min(1.0, (room - figures_width - margin) / wanted)  # a portrait picture's bar is narrow
    large, medium = max(1, int(large * shrink)), max(1, int(medium * shrink))
    y = sheet.height - sheet.px(BAR / 2) - words.height_of(large) // 2
    sheet.write(answer, (margin, y), large, colour, bold=True)
    x = margin + words.width_of(answer, large, True) + large // 3
    sheet.write(sure, (x, y + round((large - medium) * 0.97)), medium, colour)  # on the answer's baseline
    _draw_inset(sheet, moment)
    _draw_note(sheet, moment, top)


def _draw_inset(sheet: _Sheet, moment: Moment) -> None:
    """What the model saw, in the upper right corner."""
    import cv2

    side, margin = sheet.px(_INSET), sheet.px(_MARGIN)
    if moment.pixels is None or margin + side >= min(sheet.width, sheet.height):
        return
    left = sheet.width - margin - side
    shown = cv2.resize(moment.pixels, (side, side), interpolation=cv2.INTER_NEAREST)
    seen = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR if shown.ndim == 2 else cv2.COLOR_RGB2BGR)
    sheet.picture[margin : margin + side, left : left + side] = seen
    sheet.outline((left, margin, side, side), _WHITE, 2)


def _draw_notice(sheet: _Sheet, moment: Moment) -> None:
    """What is waited for, in the middle, large."""
    if not moment.help:  # the panel lies over its place
        _draw_condition(sheet, moment.health)
    small, network = sheet.px(_SMALL, _SMALLEST_PX), _network(moment)
    x = sheet.width - sheet.px(_MARGIN) - words.width_of(network, small)
    sheet.write(network, (x, sheet.height - sheet.px(BAR / 2)), small, _GREY)
    _draw_note(sheet, moment, sheet.height - sheet.px(BAR))


def _draw_condition(sheet: _Sheet, health: Health) -> None:
    text = _NOTICES.get(health.condition, _NOTICES["starting"])
    size_px = words.fitting(text, sheet.px(_ANSWER), sheet.width - 2 * sheet.px(_MARGIN), bold=True)
    x = (sheet.width - words.width_of(text, size_px, True)) // 2
    y = (sheet.height - words.height_of(size_px)) // 2
    waiting = health.condition in ("starting", "ended")
    sheet.write(text, (x, y), size_px, _WHITE if waiting else _RED, bold=True)
    if health.reason:
        reason = health.reason
        small = words.fitting(reason, sheet.px(_NOTE, _SMALLEST_PX), sheet.width - 2 * sheet.px(_MARGIN))
        below = y + words.height_of(size_px) + small // 2
        sheet.write(reason, ((sheet.width - words.width_of(reason, small)) // 2, below), small, _WHITE)


def _draw_kept(sheet: _Sheet, moment: Moment) -> None:
    """What is stored, in the upper left corner: red while anything is."""
    import cv2

    margin = sheet.px(_MARGIN)
    kept, size = moment.kept, sheet.px(_SMALL, _SMALLEST_PX)
    recorded = not kept.startswith("Nothing")
    inset = sheet.px(_INSET) + margin if moment.pixels is not None else 0
    size = words.fitting(kept, size, max(1, sheet.width - 2 * margin - 2 * size - inset))
    width, height, pad = words.width_of(kept, size), words.height_of(size), size // 2
    x = margin + pad + (size if recorded else 0)
    words.darken(sheet.picture, margin, margin, x + width + pad, margin + height + pad)
    if recorded:
        at = margin + pad + size // 4, margin + pad // 2 + height // 2
        cv2.circle(sheet.picture, at, max(2, size // 3), _RED, cv2.FILLED, cv2.LINE_AA)
    sheet.write(kept, (x, margin + pad // 2), size, _RED if recorded else _GREY)


def _draw_note(sheet: _Sheet, moment: Moment, above: int) -> None:
    if moment.note:
        height = words.height_of(sheet.px(_NOTE, _SMALLEST_PX))
        sheet.label(moment.note, (sheet.width / 2, above - height - sheet.px(_NOTE)), _NOTE)


def _draw_help(sheet: _Sheet) -> None:
    """A panel in the middle that lists the keys."""
    size = sheet.px(_NOTE, _SMALLEST_PX)
    line, gap = round(size * 1.5), size
    first = max(words.width_of(key, size, True) for key, _ in _KEYS)
    width = first + gap + max(words.width_of(does, size) for _, does in _KEYS)
    x, y = (sheet.width - width) // 2, (sheet.height - line * len(_KEYS)) // 2
    words.darken(sheet.picture, x - gap, y - gap, x + width + gap, y + line * len(_KEYS) + gap)
    words.darken(sheet.picture, x - gap, y - gap, x + width + gap, y + line * len(_KEYS) + gap)
    for number, (key, does) in enumerate(_KEYS):
        at = y + number * line
        sheet.write(key, (x, at), size, _COLOURS["garment"], bold=True)
        sheet.write(does, (x + first + gap, at), size)


def _speed(health: Health) -> str:
    if health.latency_ms is None:
        return f"{health.fps:.0f} fps"
    digits = 1 if health.latency_ms < 10 else 0
    return f"{health.fps:.0f} fps   {health.latency_ms:.{digits}f} ms"


def _network(moment: Moment) -> str:
    return f"{moment.model} {moment.precision.upper()}".strip()


def _grown(image: NDArray[np.uint8], mirror: bool) -> NDArray[np.uint8]:
    """A copy of ``image`` to draw on, flipped, and enlarged where words could not be read on it."""
    import cv2
    import numpy as np

    # Not beyond a window's size: a strip of a picture would become a huge one.
    times = max(1, min(math.ceil(READABLE_PX / min(image.shape[:2])), LARGEST_WH[0] // max(image.shape[:2])))
    picture = cv2.flip(image, 1) if mirror else image
    if times > 1:
        picture = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture.copy() if picture is image else picture, np.uint8)


_last_dark: tuple[Any, bool, NDArray[np.uint8]] | None = None


def _darkened(image: NDArray[np.uint8] | None, mirror: bool) -> NDArray[np.uint8]:
    """The picture under a notice, black without an ``image``: made once for all moments that have the same."""
    global _last_dark  # one picture, which threads may replace but never change
    import numpy as np

    last = _last_dark
    if last is None or last[0] is not image or last[1] != mirror:
        picture = np.zeros((*LARGEST_WH[::-1], 3), np.uint8) if image is None else _grown(image, mirror)
        words.darken(picture, 0, 0, picture.shape[1], picture.shape[0])
        last = _last_dark = (image, mirror, picture)
    return last[2]
