"""One picture shows an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.types import Run
from numpy.typing import NDArray

from edgefashion.data.images import read_image
from edgefashion.inference.decision import Answer
from edgefashion.inference.explain import draw
from edgefashion.inference.predict import Prediction, SeenGarment
from edgefashion.inference.preprocess import Garment, view
from edgefashion.system import palette


def test_explain(run: Run, tmp_path: Path, photo_folder: Path) -> None:
    """``--explain`` writes one readable picture for one photo, by either kind of model, and refuses many."""
    photo = next((photo_folder / "Coat").iterdir())
    widths = []
    for model in ("kiosk", "edge"):
        done = run("predict", model, photo, "--explain", f"{model}.png")
        assert done.returncode == 0, done.stderr
        widths.append(read_image(tmp_path / f"{model}.png").shape[1])
    assert widths[0] >= widths[1] > 800
    refused = run("predict", photo_folder / "Coat", "--explain", "x.png")
    assert refused.returncode == 2
    assert "draws one picture" in refused.stderr


COAT = Answer("Coat", 0.5, False, (("Coat", 0.5), ("Pullover", 0.4)), "Pullover")
TROUSER = Answer("Trouser", 0.9, True, (("Trouser", 0.9), ("Dress", 0.1)))
BOXES = (42, 42, 210, 126), (84, 210, 84, 126)


def _drawn(*answers: Answer) -> NDArray[np.uint8]:
    """A photo of 420 pixels, as large as it is drawn, whose first garments have these answers."""
    photo = np.zeros((420, 420, 3), np.uint8)
    garments = tuple(
        SeenGarment(answer, box, np.zeros(12, np.float32), 0.9, 0.1)
        for answer, box in zip(answers, BOXES, strict=False)
    )
    main = Garment(view(photo, BOXES[0]), BOXES[0], within=BOXES[0])
    return draw(photo, Prediction(answers[0], main, garments))


def _frame_px(drawn: NDArray[np.uint8], box: tuple[int, int, int, int], colour: palette.Colour) -> int:
    """How thick the right edge of a box is drawn in this colour, half way down."""
    x, y, w, h = box
    there = drawn[34 + y + h // 2, 16 + x + w - 8 : 16 + x + w + 8]
    return int((there == palette.bgr(colour)).all(-1).sum())


def test_every_garment() -> None:
    """Each garment has a frame in the colour of its answer, the main one's the thickest; each has a name, and what is
    in view beside the main one is listed."""
    both, alone = _drawn(COAT, TROUSER), _drawn(COAT)
    assert both.shape == alone.shape
    assert _frame_px(both, BOXES[0], palette.UNSURE) > _frame_px(both, BOXES[1], palette.GARMENT) > 0
    assert _frame_px(alone, BOXES[1], palette.GARMENT) == 0
    listed = (both != alone).any(-1)[:, -420:]
    assert listed.any(), "the list beside the photo"
    inside = (slice(34 + 210 + 6, 34 + 210 + 20), slice(16 + 84 + 6, 16 + 84 + 60))
    assert both[inside].any(), "its name"
    assert not alone[inside].any()


@pytest.mark.parametrize("count", [1, 10])
def test_all_that_is_asked_for(count: int) -> None:
    """However many labels are to be named, each has its bar."""
    shares = [0.5**place for place in range(1, count + 1)]
    top = tuple((f"label {place}", share) for place, share in enumerate(shares))
    drawn = _drawn(Answer("label 0", 0.5, True, top))
    in_colour = (drawn[100:, -420] == palette.bgr(palette.GARMENT)).all(-1)  # the column where the bars begin
    assert int((in_colour[1:] & ~in_colour[:-1]).sum()) == count
