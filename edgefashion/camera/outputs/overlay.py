"""What a person sees of a moment of the camera: the picture, and on it where, what and how sure."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera import wording
from edgefashion.camera.outputs import lettering
from edgefashion.camera.outputs.garments import Place, draw_garments, placed
from edgefashion.camera.outputs.outlines import draw_box, draw_corners
from edgefashion.system import palette
from edgefashion.system.palette import Colour

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.moment import Health, Moment

READABLE_PX: Final = 360
"""A frame with a shorter edge than this is enlarged before it is drawn on: words need pixels."""

LARGEST_WH: Final = (1280, 720)
"""What there is no frame for is drawn at this size, and no frame is enlarged beyond it."""

BAR: Final = 112
"""Height of the bar with the answer, for a shorter edge of 720 pixels, as every size here."""

_MARGIN: Final = 28
_ANSWER: Final = 58
_SURE: Final = 42
_ABOVE: Final = 46
"""An answer's size where there is another line below it."""
_BELOW: Final = 26
_TAG: Final = 26
_NOTE: Final = 30
_SMALL: Final = 23
_SMALLEST_PX: Final = 13
_INSET: Final = 112

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

_drawn: weakref.WeakKeyDictionary[Moment, NDArray[np.uint8]] = weakref.WeakKeyDictionary()


def drawn(moment: Moment) -> NDArray[np.uint8]:
    """What :func:`draw` draws of ``moment``, made once however many outputs want it. Nobody writes into it."""
    picture = _drawn.get(moment)
    if picture is None:
        picture = _drawn[moment] = draw(moment)
    return picture


def draw(moment: Moment) -> NDArray[np.uint8]:
    """Draw all that a person is to know of ``moment`` on its picture.

    Returns a new BGR (h, w, 3) of the image's size, or of a whole multiple of it where the words could not be
    read otherwise. Unless the source is live the picture is dark and says what is waited for: an old answer would
    lie. ``mirror`` flips the picture under the drawing, as a person facing a camera expects, never the text.
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
        self.height: int = picture.shape[0]
        self.width: int = picture.shape[1]
        self.unit = min(self.height, self.width) / 720

    def px(self, size: float, least: int = 1) -> int:
        return max(least, int(size * self.unit + 0.5))

    @property
    def bar_top(self) -> int:
        """Where the bar with the answer begins."""
        return self.height - self.px(BAR)

    @property
    def bar_middle(self) -> int:
        return self.height - self.px(BAR / 2)

    def write(
        self, line: str, at: tuple[int, int], size_px: int, colour: Colour = palette.WHITE, bold: bool = False
    ) -> None:
        """Write on ground that is dark already; ``at`` is the line's upper left corner."""
        lettering.lay(self.picture, lettering.drawn(line, size_px, palette.bgr(colour), bold), *at)

    def write_centred(self, line: str, y: int, size_px: int, colour: Colour, bold: bool = False) -> None:
        """Write in the middle of the picture's width; ``y`` is the line's upper edge."""
        self.write(line, ((self.width - lettering.width_of(line, size_px, bold)) // 2, y), size_px, colour, bold)

    def label(self, line: str, middle: tuple[float, int], size: float, colour: Colour = palette.WHITE) -> None:
        """Write ``line`` on a dark strip of its own, around (x, y of the upper edge)."""
        pad = self.px(size / 2)
        size_px = lettering.fitting(line, self.px(size, _SMALLEST_PX), self.width - 2 * (pad + self.px(_MARGIN) // 2))
        width, height = lettering.width_of(line, size_px), lettering.height_of(size_px)
        x, y = round(middle[0] - width / 2), middle[1]
        lettering.darken(self.picture, x - pad, y - pad // 2, x + width + pad, y + height + pad // 2)
        self.write(line, (x, y), size_px, colour)


# --- An answer --------------------------------------------------------------------------------


def _draw_answer(sheet: _Sheet, moment: Moment, times: int) -> None:
    """The answer and all that belongs to it, on a picture that is ``times`` as large as the moment's."""
    _draw_places(sheet, moment, times)
    # Over the outlines: no line goes through the words.
    lettering.darken(sheet.picture, 0, sheet.bar_top, sheet.width, sheet.height)
    figures_width = _draw_figures(sheet, moment)
    _draw_name(sheet, moment, sheet.width - 2 * sheet.px(_MARGIN) - figures_width)
    _draw_inset(sheet, moment)
    _draw_note(sheet, moment)


def _draw_places(sheet: _Sheet, moment: Moment, times: int) -> None:
    """Where the garment is looked for, and where it was found; of several each with its name."""
    if moment.guide is not None:
        x, y, w, h = placed(moment.guide, times, sheet.width, mirror=moment.mirror)
        inside = x, y, w, min(h, sheet.bar_top - sheet.px(12) - y)
        draw_corners(sheet.picture, inside, palette.WHITE, sheet.px(4))
    if moment.several:
        taken = [_kept_place(sheet, moment)]
        if moment.pixels is not None:
            side = sheet.px(_INSET) + sheet.px(_MARGIN)
            taken.append((sheet.width - side, 0, sheet.width, side))
        letters_px = sheet.px(_TAG, _SMALLEST_PX)
        draw_garments(
            sheet.picture,
            moment,
            times,
            thickness_px=sheet.px(6, 2),
            letters_px=letters_px,
            bottom=sheet.bar_top,
            taken=taken,
        )
    elif moment.box is not None:
        box = placed(moment.box, times, sheet.width, mirror=moment.mirror)
        draw_box(sheet.picture, box, palette.OF_STATE[moment.state], sheet.px(4))


def _draw_figures(sheet: _Sheet, moment: Moment) -> int:
    """Speed and network, at the right end of the bar, for who wants them; returns the width they take."""
    if not moment.details:
        return 0
    room, size_px = sheet.width - 2 * sheet.px(_MARGIN), sheet.px(_SMALL, _SMALLEST_PX)
    lines = _speed(moment.health), _network(moment)
    width = max(lettering.width_of(line, size_px) for line in lines)
    if width > room // 2:
        size_px, width = max(1, int(size_px * room / 2 / width)), room // 2
    for number, line in enumerate(lines):
        x = sheet.width - sheet.px(_MARGIN) - lettering.width_of(line, size_px)
        y = sheet.bar_middle + (number - 1) * lettering.height_of(size_px)
        sheet.write(line, (x, y), size_px, palette.GREY)
    return width + sheet.px(_MARGIN)


def _draw_name(sheet: _Sheet, moment: Moment, room: int) -> None:
    """The garment's name and how sure the network is, or what is said instead, at the left end of the bar."""
    words, named = wording.answer(moment), moment.shows == "garment"
    below = words.detail if moment.several else ""  # of one garment the guide's corners tell enough
    sure = f"{moment.confidence:.0%}" if named and moment.confidence is not None else ""
    colour = palette.OF_STATE[moment.shows]
    large, medium = sheet.px(_ABOVE if below else _ANSWER), sheet.px(_SURE)
    wanted = lettering.width_of(words.headline, large, True) + lettering.width_of(sure, medium) + sheet.px(_ANSWER / 3)
    shrink = min(1.0, room / wanted)  # a portrait picture's bar is narrow
    large, medium = max(1, int(large * shrink)), max(1, int(medium * shrink))
    small = lettering.fitting(below, sheet.px(_BELOW, _SMALLEST_PX), room) if below else 0
    high = lettering.height_of(large) + (lettering.height_of(small) if below else 0)
    x, y = sheet.px(_MARGIN), sheet.bar_middle - high // 2
    sheet.write(words.headline, (x, y), large, colour, bold=True)
    if below:
        sheet.write(below, (x, y + lettering.height_of(large)), small, palette.WHITE)
    x += lettering.width_of(words.headline, large, True) + large // 3
    sheet.write(sure, (x, y + round((large - medium) * 0.97)), medium, colour)  # on the name's baseline


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
    corner = left + side, margin + side
    cv2.rectangle(sheet.picture, (left, margin), corner, palette.bgr(palette.WHITE), sheet.px(2))


# --- No answer --------------------------------------------------------------------------------


def _draw_notice(sheet: _Sheet, moment: Moment) -> None:
    """Why there is no answer, in the middle, large."""
    if not moment.help:  # the panel lies over its place
        _draw_condition(sheet, moment.health)
    size_px, margin = sheet.px(_SMALL, _SMALLEST_PX), sheet.px(_MARGIN)
    network = _network(moment) if moment.details else ""
    if moment.health.condition in ("starting", "reconnecting"):  # something is being done about it
        sheet.write(wording.words(moment.health.condition).short, (margin, sheet.bar_middle), size_px, palette.GREY)
    x = sheet.width - margin - lettering.width_of(network, size_px)
    sheet.write(network, (x, sheet.bar_middle), size_px, palette.GREY)
    _draw_note(sheet, moment)


def _draw_condition(sheet: _Sheet, health: Health) -> None:
    headline, detail = wording.words(health.condition).headline, wording.detail(health.condition, health.reason)
    room = sheet.width - 2 * sheet.px(_MARGIN)
    large = lettering.fitting(headline, sheet.px(_ANSWER), room, bold=True)
    y = (sheet.height - lettering.height_of(large)) // 2
    quiet = health.condition in ("starting", "ended")
    sheet.write_centred(headline, y, large, palette.WHITE if quiet else palette.ALARM, bold=True)
    small = lettering.fitting(detail, sheet.px(_NOTE, _SMALLEST_PX), room)
    sheet.write_centred(detail, y + lettering.height_of(large) + small // 2, small, palette.WHITE)


# --- Both -------------------------------------------------------------------------------------


def _draw_kept(sheet: _Sheet, moment: Moment) -> None:
    """What is stored, in the upper left corner: red while anything is."""
    import cv2

    recorded, line = moment.kept.anything, wording.kept(moment.kept)
    left, top, right, bottom = _kept_place(sheet, moment)
    size_px = _kept_size(sheet, moment)
    pad = size_px // 2
    lettering.darken(sheet.picture, left, top, right, bottom)
    if recorded:
        middle, radius = (left + pad + size_px // 4, (top + bottom) // 2), max(2, size_px // 3)
        cv2.circle(sheet.picture, middle, radius, palette.bgr(palette.ALARM), cv2.FILLED, cv2.LINE_AA)
    x = left + pad + (size_px if recorded else 0)
    sheet.write(line, (x, top + pad // 2), size_px, palette.ALARM if recorded else palette.GREY)


def _kept_size(sheet: _Sheet, moment: Moment) -> int:
    margin, size_px = sheet.px(_MARGIN), sheet.px(_SMALL, _SMALLEST_PX)
    inset = sheet.px(_INSET) + margin if moment.pixels is not None else 0
    room = max(1, sheet.width - 2 * margin - 2 * size_px - inset)
    return lettering.fitting(wording.kept(moment.kept), size_px, room)


def _kept_place(sheet: _Sheet, moment: Moment) -> Place:
    """Where it is said what is stored."""
    margin, size_px = sheet.px(_MARGIN), _kept_size(sheet, moment)
    pad, line = size_px // 2, wording.kept(moment.kept)
    width = lettering.width_of(line, size_px) + 2 * pad + (size_px if moment.kept.anything else 0)
    return margin, margin, margin + width, margin + lettering.height_of(size_px) + pad


def _draw_note(sheet: _Sheet, moment: Moment) -> None:
    """What a key just did, above the bar."""
    if moment.note:
        height = lettering.height_of(sheet.px(_NOTE, _SMALLEST_PX))
        sheet.label(moment.note, (sheet.width / 2, sheet.bar_top - height - sheet.px(_NOTE)), _NOTE)


def _draw_help(sheet: _Sheet) -> None:
    """A panel in the middle that lists the keys."""
    size_px = sheet.px(_NOTE, _SMALLEST_PX)
    row, gap = round(size_px * 1.5), size_px
    first = max(lettering.width_of(key, size_px, True) for key, _ in _KEYS)
    width = first + gap + max(lettering.width_of(does, size_px) for _, does in _KEYS)
    x, y = (sheet.width - width) // 2, (sheet.height - row * len(_KEYS)) // 2
    for _ in range(2):  # a sixteenth as bright: many small words need darker ground than one line
        lettering.darken(sheet.picture, x - gap, y - gap, x + width + gap, y + row * len(_KEYS) + gap)
    for number, (key, does) in enumerate(_KEYS):
        at = y + number * row
        sheet.write(key, (x, at), size_px, palette.GARMENT, bold=True)
        sheet.write(does, (x + first + gap, at), size_px)


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
        lettering.darken(picture, 0, 0, picture.shape[1], picture.shape[0])
        last = _last_dark = (image, mirror, picture)
    return last[2]
