"""One picture that shows an answer: garments' boxes, the main one's mask, what the model saw, the likeliest labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.inference import preprocess
from edgefashion.system import palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.decision import Answer
    from edgefashion.inference.predict import Prediction
    from edgefashion.inference.preprocess import Box

PANEL_PX: Final = 420
_MARGIN: Final = 16
_TITLE_PX: Final = 34
_GROUND: Final = (32, 32, 32)
_INK: Final = palette.bgr(palette.WHITE)
_RIM: Final = palette.bgr(palette.DARK)
_LETTERS: Final = 0.5
"""OpenCV's scale for a garment's name in the photo."""

_ROW_PX: Final = 70
"""Height of a label and its bar, where there is room."""

_LINE_PX: Final = 25
"""Height of a line of text."""

_MOST_OTHERS: Final = 5
"""Garments beside the main one that are listed."""


def draw(picture: NDArray[np.uint8], seen: Prediction) -> NDArray[np.uint8]:
    """Draw a BGR (h, w, 3) picture and its answer: BGR uint8, about 1,700 by 500 pixels."""
    import cv2

    found = seen.garment
    title = "photo, garments' boxes" if len(seen.garments) > 1 else "photo, garment's box"
    columns = [_photo(title, picture, seen)]
    if found is not None:
        pixels = found.pixels
        model_saw = np.asarray(
            cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR if pixels.shape[-1] == 1 else cv2.COLOR_RGB2BGR), np.uint8
        )
        if found.mask is not None:
            looked_at = preprocess.part(picture, found.within)
            columns.append(_panel("mask: dark is background", _masked(looked_at, found.mask)))
        columns.append(_panel(f"what the model saw: {pixels.shape[1]}x{pixels.shape[0]}", model_saw))
    return np.hstack([*columns, _answer(seen)])


def _colour(answer: Answer | None) -> tuple[int, int, int]:
    shown = palette.GREY if answer is None else palette.GARMENT if answer.accepted else palette.UNSURE
    return palette.bgr(shown)


def in_words(answer: Answer) -> str:
    """An answer as it is said to somebody: its name where it is accepted, else what it may be."""
    if answer.accepted:
        return answer.label
    return f"{answer.label} or {answer.doubt}?" if answer.doubt else f"Not sure: {answer.label}"


def _masked(image: NDArray[np.uint8], mask: NDArray[np.float32]) -> NDArray[np.uint8]:
    import cv2

    shown = cv2.resize(mask, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)[..., None]
    return np.asarray(image * (0.25 + 0.75 * shown), np.uint8)


def _blank() -> NDArray[np.uint8]:
    return np.full((PANEL_PX + _TITLE_PX + _MARGIN, PANEL_PX + _MARGIN, 3), _GROUND, np.uint8)


def _panel(title: str, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _placed(title, image)[0]


def _placed(title: str, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, float]:
    """The image on a panel, how far from its left edge, and how many times as large."""
    import cv2

    scale = PANEL_PX / max(image.shape[:2])
    size_wh = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    sharp = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    panel = _blank()
    x = _MARGIN + (PANEL_PX - size_wh[0]) // 2
    panel[_TITLE_PX : _TITLE_PX + size_wh[1], x : x + size_wh[0]] = cv2.resize(image, size_wh, interpolation=sharp)
    cv2.putText(panel, title, (_MARGIN, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _INK, 1, cv2.LINE_AA)
    return panel, x, scale


def _photo(title: str, picture: NDArray[np.uint8], seen: Prediction) -> NDArray[np.uint8]:
    """The photo with a frame around each garment, the main one's the thickest and on top. Where there are several, each
    has its name."""
    import cv2

    panel, left, scale = _placed(title, picture)
    frames: list[tuple[Answer, Box]] = []
    for garment in seen.garments:
        x, y, w, h = (round(edge * scale) for edge in garment.box)
        frames.append((garment.answer, (left + x, _TITLE_PX + y, w, h)))
    for number, (answer, (x, y, w, h)) in reversed(list(enumerate(frames))):
        line_px = 1 if number else 3
        cv2.rectangle(panel, (x, y), (x + w, y + h), _RIM, line_px + 2)
        cv2.rectangle(panel, (x, y), (x + w, y + h), _colour(answer), line_px)
    if len(frames) > 1:
        _write_names(panel, frames)
    return panel


def _write_names(panel: NDArray[np.uint8], frames: list[tuple[Answer, Box]]) -> None:
    """Write each garment's name on its frame, where no other name is if there is such a place."""
    import cv2

    taken: list[Box] = []
    for answer, frame in frames:
        (width, height), below = cv2.getTextSize(in_words(answer), cv2.FONT_HERSHEY_SIMPLEX, _LETTERS, 1)
        w, h = width + 8, height + below + 6
        most = panel.shape[1] - w, panel.shape[0] - h
        places = [(*_inside(place, most), w, h) for place in _places(frame, w, h)]
        taken.append(next((place for place in places if not any(_meet(place, one) for one in taken)), places[0]))
    for (answer, _), (x, y, w, h) in reversed(list(zip(frames, taken, strict=True))):
        cv2.rectangle(panel, (x, y), (x + w, y + h), _colour(answer), -1)
        where = x + 4, y + h - 6
        cv2.putText(panel, in_words(answer), where, cv2.FONT_HERSHEY_SIMPLEX, _LETTERS, _RIM, 1, cv2.LINE_AA)


def _places(frame: Box, w: int, h: int) -> list[tuple[int, int]]:
    """Where on a frame a name of that size may stand, the best place first."""
    x, y, width, height = frame
    right, bottom = x + width - w, y + height
    return [(x, y), (x, bottom - h), (right, y), (right, bottom - h), (x, bottom), (x, y + height // 2), (x, y + h)]


def _inside(place: tuple[int, int], most: tuple[int, int]) -> tuple[int, int]:
    return min(max(0, place[0]), most[0]), min(max(_TITLE_PX, place[1]), most[1])


def _meet(one: Box, other: Box) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


def _answer(seen: Prediction) -> NDArray[np.uint8]:
    """The main garment's answer and its likeliest labels, and what else is in view."""
    import cv2

    panel, colour = _blank(), _colour(seen.answer)

    def write(text: str, y: int, scale: float, ink: tuple[int, int, int]) -> None:
        width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]
        scale *= min(1.0, (PANEL_PX - _MARGIN) / width)
        cv2.putText(panel, text, (_MARGIN, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)

    if seen.answer is None:
        write("No garment in view", 80, 0.9, colour)
        return panel
    write(in_words(seen.answer), 80, 1.1, colour)
    others = seen.garments[1:]
    bottom_px = panel.shape[0] - _MARGIN - (_LINE_PX * (min(len(others), _MOST_OTHERS) + 1) if others else 0)
    row_px = min(_ROW_PX, (bottom_px - 110) // len(seen.answer.top))
    for place, (label, p) in enumerate(seen.answer.top):
        y = 110 + row_px * place + row_px * 3 // 7
        write(f"{label}  {p:.1%}", y, max(0.42, 0.65 * min(1.0, row_px / 50)), _INK)
        bar = y + row_px // 7, y + row_px * 2 // 5
        cv2.rectangle(panel, (_MARGIN, bar[0]), (_MARGIN + round(p * (PANEL_PX - _MARGIN)), bar[1]), colour, -1)
    if others:
        write("Also in view", bottom_px + _LINE_PX, 0.5, palette.bgr(palette.GREY))
    for place, garment in enumerate(others[:_MOST_OTHERS]):
        said = f"{in_words(garment.answer)}  {garment.answer.confidence:.1%}"
        write(said, bottom_px + _LINE_PX * (place + 2), 0.55, _colour(garment.answer))
    return panel
