"""A contact sheet of the scenes that a model did worst on, the mistakes drawn in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.data import images
from edgefashion.evaluation.scene_match import SeenScene
from edgefashion.evaluation.scenes import SceneEvaluation

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EDGE: Final = 300
_LINES: Final = 5
_COLUMNS: Final = 6
_MISSED: Final = (80, 80, 255)
_WRONG: Final = (60, 190, 255)
_FALSE: Final = (255, 120, 220)


@dataclass(frozen=True)
class _Mistake:
    words: str
    box: tuple[float, float, float, float]
    colour: tuple[int, int, int]
    weight: float
    """How bad it is, 0 to 1: a sure wrong answer is worse than an unsure one."""


def worst_scenes(evaluation: SceneEvaluation, count: int = 24) -> NDArray[np.uint8]:
    """A contact sheet, BGR, of the scenes with the most and the surest mistakes: what was not found in red, what was
    named wrong in yellow, accepted answers where no garment with a name is in pink."""
    told = [(s, _mistakes(s)) for s in evaluation.seen]
    worst = sorted((each for each in told if each[1]), key=lambda each: -sum(m.weight for m in each[1]))[:count]
    tile = _EDGE + 17 * _LINES + 6
    rows = max(1, -(-len(worst) // _COLUMNS))
    sheet = np.full((rows * tile, _COLUMNS * _EDGE, 3), 32, np.uint8)
    for place, (seen, mistakes) in enumerate(worst):
        y, x = place // _COLUMNS * tile, place % _COLUMNS * _EDGE
        sheet[y : y + tile, x : x + _EDGE] = _tile(seen, mistakes, tile)
    return sheet


def _mistakes(seen: SeenScene) -> list[_Mistake]:
    found = []
    for thing in seen.things:
        if thing.garment is None:
            found.append(_Mistake(f"{thing.label} not found", thing.thing.box, _MISSED, 0.7))
        elif not (thing.right or thing.thing.unclear):
            answer = thing.garment.answer
            words = f"{thing.label}: said {answer.label} {answer.confidence:.0%}{'' if answer.accepted else ', unsure'}"
            weight = answer.confidence if answer.accepted else 0.3
            found.append(_Mistake(words, thing.garment.box, _WRONG, weight))
    for garment, role in seen.garments:
        if role in ("unknown", "nothing") and garment.answer.accepted:
            answer, what = garment.answer, "Unknown" if role == "unknown" else "nothing"
            words = f"{what}: said {answer.label} {answer.confidence:.0%}"
            found.append(_Mistake(words, garment.box, _FALSE, answer.confidence))
    return sorted(found, key=lambda mistake: -mistake.weight)


def _tile(seen: SeenScene, mistakes: list[_Mistake], height: int) -> NDArray[np.uint8]:
    import cv2

    picture = images.read_image(seen.scene.path)
    shrink = _EDGE / max(picture.shape[:2])
    size_wh = max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink))
    tile = np.full((height, _EDGE, 3), 32, np.uint8)
    tile[: size_wh[1], : size_wh[0]] = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)
    for line, mistake in enumerate(mistakes):
        x, y, w, h = (round(edge * shrink) for edge in mistake.box)
        cv2.rectangle(tile, (x, y), (min(x + w, _EDGE - 1), min(y + h, _EDGE - 1)), mistake.colour, 2)
        if line < _LINES:
            more = len(mistakes) - _LINES if line == _LINES - 1 else 0
            words = mistake.words if more <= 0 else f"{mistake.words} (+{more})"
            at = 4, _EDGE + 15 + 17 * line
            cv2.putText(tile, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, mistake.colour, 1, cv2.LINE_AA)
    return tile
