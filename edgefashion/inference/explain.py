"""One picture that shows an answer: the garment's box, its mask, what the model saw, the likeliest labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.system import palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.predict import Prediction

PANEL_PX: Final = 420
_MARGIN: Final = 16
_TITLE_PX: Final = 34
_GROUND: Final = (32, 32, 32)
_INK: Final = palette.bgr(palette.WHITE)


def draw(picture: NDArray[np.uint8], seen: Prediction) -> NDArray[np.uint8]:
    """Draw a BGR (h, w, 3) picture and its answer: BGR uint8, about 1,700 by 500 pixels."""
    import cv2

    found, answer = seen.garment, seen.answer
    shown = palette.GREY if answer is None else palette.GARMENT if answer.accepted else palette.UNSURE
    colour = palette.bgr(shown)
    boxed, covered = picture.copy(), picture.copy()
    if found is not None and answer is not None:
        x, y, w, h = found.box
        cv2.rectangle(boxed, (x, y), (x + w, y + h), colour, max(2, max(picture.shape) // 150))
    panels = [("photo, garment's box", boxed)]
    if found is not None and found.mask is not None:
        mask = cv2.resize(found.mask, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)[..., None]
        covered = (picture * (0.25 + 0.75 * mask)).astype(np.uint8)
        panels.append(("mask: dark is background", covered))
    if found is not None:
        pixels = found.pixels
        model_saw = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR if pixels.shape[-1] == 1 else cv2.COLOR_RGB2BGR)
        panels.append((f"what the model saw: {pixels.shape[1]}x{pixels.shape[0]}", model_saw))
    columns = [_panel(title, image) for title, image in panels]
    return np.hstack([*columns, _answer(seen, colour)])


def _panel(title: str, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    scale = PANEL_PX / max(image.shape[:2])
    size_wh = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    sharp = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    panel = np.full((PANEL_PX + _TITLE_PX + _MARGIN, PANEL_PX + _MARGIN, 3), _GROUND, np.uint8)
    x = _MARGIN + (PANEL_PX - size_wh[0]) // 2
    panel[_TITLE_PX : _TITLE_PX + size_wh[1], x : x + size_wh[0]] = cv2.resize(image, size_wh, interpolation=sharp)
    cv2.putText(panel, title, (_MARGIN, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _INK, 1, cv2.LINE_AA)
    return panel


def _answer(seen: Prediction, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    import cv2

    panel = np.full((PANEL_PX + _TITLE_PX + _MARGIN, PANEL_PX + _MARGIN, 3), _GROUND, np.uint8)

    def write(text: str, y: int, scale: float, ink: tuple[int, int, int]) -> None:
        cv2.putText(panel, text, (_MARGIN, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)

    if seen.answer is None:
        write("No garment in view", 80, 0.9, colour)
        return panel
    write(seen.answer.label if seen.answer.accepted else "Not sure", 80, 1.1, colour)
    for place, (label, p) in enumerate(seen.answer.top):
        y = 140 + 70 * place
        write(f"{label}  {p:.1%}", y, 0.65, _INK)
        cv2.rectangle(panel, (_MARGIN, y + 10), (_MARGIN + round(p * (PANEL_PX - _MARGIN)), y + 28), colour, -1)
    return panel
