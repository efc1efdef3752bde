"""Every garment's box with its name on it, in the window and on the page."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from helpers.drawing import GREEN, count
from helpers.hand_made import moment, standing

from edgefashion.camera.moment import Health, Kept
from edgefashion.camera.outputs import garments, lettering, overlay
from edgefashion.camera.page import picture as page_picture
from edgefashion.system import palette

if TYPE_CHECKING:
    from helpers.camera import Picture

    from edgefashion.camera.moment import Moment
    from edgefashion.inference.preprocess import Box

AMBER = palette.bgr(palette.UNSURE)
COAT, BAG, SHIRT = (430, 120, 380, 420), (900, 330, 200, 210), (80, 140, 260, 400)
LONG = {"Coat": "Wintermantel mit Kapuze und Fellkragen", "Bag": "Umhängetasche mit Schulterriemen"}


def grey(size_wh: tuple[int, int] = (1280, 720), level: int = 120) -> Picture:
    return np.full((size_wh[1], size_wh[0], 3), level, np.uint8)


def on_page(shown: Moment) -> Picture:
    """The page's picture of a moment, without what JPEG does to it."""
    jpeg = np.frombuffer(page_picture.encode(shown), np.uint8)
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def line_px(picture: Picture, box: Box, colour: tuple[int, int, int]) -> int:
    """How thick the box's left edge is drawn in ``colour``, in the middle of its height."""
    x, y, _, h = box
    across = picture[y + h // 2, max(0, x - 20) : x + 20].astype(int)
    return int((np.abs(across - colour).max(1) < 60).sum())


@pytest.mark.parametrize("draw", [overlay.draw, on_page], ids=["window", "page"])
def test_each_garment_has_its_box(draw: Callable[[Moment], Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each garment's box is drawn, green where its name is accepted and amber where not, the main one's thicker; its
    name stands on its upper edge."""
    written: list[str] = []
    real = lettering.drawn

    def noted(text: str, *more: Any) -> Picture:
        written.append(text)
        return real(text, *more)

    monkeypatch.setattr(lettering, "drawn", noted)
    shown = moment(grey(), standing("Coat", COAT), standing("Bag", BAG), standing("Shirt", SHIRT, accepted=False))
    picture = draw(shown)
    assert line_px(picture, COAT, GREEN) > line_px(picture, BAG, GREEN) >= 2
    assert line_px(picture, SHIRT, AMBER) >= 2
    assert {"Coat", "Bag", "Not sure"} <= set(written)
    for box, colour in ((COAT, GREEN), (BAG, GREEN), (SHIRT, AMBER)):
        x, y, w, _ = box
        strip = picture[y - 34 : y - 8, x : x + w].astype(int)
        assert (np.abs(strip - colour).max(2) < 60).sum() > 40, "the letters"
        assert (strip.max(2) <= lettering.GROUND).any(), "their ground"


def test_without_the_answer_s_name_nobody_is_main() -> None:
    """Where all that is in view is worn, no box is thicker than another, and the bar tells what is worn."""
    worn = [standing("Coat", COAT, held=False), standing("Bag", BAG, held=False)]
    picture = overlay.draw(moment(grey(), *worn, people=True))
    assert line_px(picture, COAT, GREEN) == line_px(picture, BAG, GREEN)
    assert count(picture[-overlay.BAR :], GREEN) == 0
    assert count(picture[-overlay.BAR :], (255, 255, 255)) > 1000


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (720, 1280), (160, 120), (1920, 1080)])
@pytest.mark.parametrize("labels", [{}, LONG], ids=["short", "long"])
def test_names_have_room(size_wh: tuple[int, int], labels: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """However many garments there are and however long their names, each name is whole, inside the picture and off the
    bar, and lies over no other name and not over the line that says what is kept."""
    places: list[garments.Place] = []
    real = garments._draw_name

    def noted(*arguments: object) -> garments.Place:
        places.append(real(*arguments))  # type: ignore[arg-type]
        return places[-1]

    monkeypatch.setattr(garments, "_draw_name", noted)
    width, height = size_wh
    rng = np.random.default_rng(0)
    found = [standing("Coat", (0, 0, width // 3, height // 2))]
    for number in range(5):
        x, y = int(rng.integers(0, width * 7 // 10)), int(rng.integers(0, height * 8 // 10))
        found.append(standing("Bag" if number % 2 else "Coat", (x, y, width // 4, height // 4), accepted=number != 3))
    shown = moment(grey(size_wh), *found, labels=labels, kept=Kept(recordings=("run.mp4",)))
    picture = overlay.draw(shown)
    bar_top = picture.shape[0] - round(overlay.BAR * min(picture.shape[:2]) / 720)
    assert len(places) == 6
    for left, top, right, bottom in places:
        assert 0 <= left < right <= picture.shape[1]
        assert 0 <= top < bottom <= bar_top + 1
    kept = overlay._kept_place(overlay._Sheet(picture), shown)
    assert max(garments._shared(one, other) for one, other in itertools.combinations([*places, kept], 2)) == 0


def test_mirrored() -> None:
    """Mirrored, the boxes are flipped with the picture and the names are not."""
    for draw in (overlay.draw, on_page):
        here = draw(moment(grey(), standing("Coat", COAT), mirror=True))
        there = draw(moment(grey(), standing("Coat", (1280 - 430 - 380, *COAT[1:]))))
        np.testing.assert_array_equal(here, there)


def test_a_customer_sees_no_technician_s_words() -> None:
    """Without details there are no milliseconds, no network and no precision: what these are makes no difference to the
    picture, live or lost. With details it does."""
    for condition in ("live", "stale"):
        pictures = []
        for details, model, precision, latency_ms in (
            (False, "kiosk", "int8", 23.4),
            (False, "edge", "fp32", 1.0),
            (True, "kiosk", "int8", 23.4),
        ):
            shown = moment(grey(), standing("Coat", COAT), details=details, model=model, precision=precision)
            health = Health(condition, latency_ms=latency_ms)
            pictures.append(overlay.draw(replace(shown, health=health)))
        np.testing.assert_array_equal(pictures[0], pictures[1])
        assert (pictures[0] != pictures[2]).any()


def test_no_old_garments() -> None:
    """Of a lost source no garment is drawn, neither in the window nor on the page."""
    shown = moment(grey(), standing("Coat", COAT))
    lost = replace(shown, health=Health("stale"))
    assert count(overlay.draw(lost), GREEN) == 0
    assert line_px(on_page(lost), COAT, GREEN) == 0
