"""Nobody is recognised: what is outside the garment's box is gone but for its coarse cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgefashion.camera import privacy

if TYPE_CHECKING:
    from helpers.camera import Picture

    from edgefashion.inference.preprocess import Box

SIZES = [(1280, 720), (640, 480), (720, 1280), (1001, 563), (75, 1000), (3, 2), (1, 1)]


def scene(size_wh: tuple[int, int], words: str, smile: bool = True) -> Picture:
    """A wall with a face and a name on it, which together are what nobody shall know."""
    picture = np.full((720, 1280, 3), 210, np.uint8)
    cv2.circle(picture, (1060, 300), 130, (150, 180, 230), cv2.FILLED)
    for x in (1010, 1110):
        cv2.circle(picture, (x, 270), 12, (20, 20, 20), cv2.FILLED)
    cv2.ellipse(picture, (1060, 350), (50, 20), 0, 0 if smile else 180, 180 if smile else 360, (40, 40, 160), 8)
    cv2.putText(picture, words, (40, 120), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 3)
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("size_wh", SIZES)
@pytest.mark.parametrize("box", [None, (400, 100, 300, 400), (-50, -20, 200, 100), (60, 60, 9000, 9000), (5, 5, 0, 0)])
def test_garment_stays(size_wh: tuple[int, int], box: Box | None) -> None:
    """What is in the box stays as it is, whatever of it lies outside the picture; the rest is changed, the
    given picture never."""
    image = np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3)).astype(np.uint8)
    before = image.copy()
    hidden = privacy.hide(image, [box] if box else [])
    np.testing.assert_array_equal(image, before)
    assert hidden.shape == image.shape
    assert not np.shares_memory(hidden, image)
    inside = np.zeros(image.shape[:2], bool)
    if box:
        x, y, w, h = box
        inside[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)] = True
    np.testing.assert_array_equal(hidden[inside], image[inside])
    if min(size_wh) > 4 * privacy.CELLS and (~inside).sum() > 1000:
        assert np.abs(hidden[~inside].astype(int) - image[~inside]).mean() > 20


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 360), (720, 1280)])
def test_nothing_is_left_but_the_cells(size_wh: tuple[int, int]) -> None:
    """Two pictures whose cells have the same averages become the very same picture: no method, however
    clever, tells from it which of the two it was."""
    image = scene(size_wh, "JANE DOE 4711")
    cell = min(size_wh) // privacy.CELLS
    rows, columns = size_wh[1] // cell, size_wh[0] // cell
    cells = image.reshape(rows, cell, columns, cell, 3).astype(int)
    # Every pixel of a cell somewhere else in it: no face, no word, the same average.
    shuffled = cells.transpose(0, 2, 1, 3, 4).reshape(rows, columns, cell * cell, 3).copy()
    np.random.default_rng(0).shuffle(shuffled, axis=2)
    other = shuffled.reshape(rows, columns, cell, cell, 3).transpose(0, 2, 1, 3, 4).reshape(image.shape)
    assert np.abs(other - image).max() > 100
    difference = np.abs(privacy.hide(other.astype(np.uint8), []).astype(int) - privacy.hide(image, []))
    assert difference.max() <= 4  # levels, by which halving rounds
    smallest = cv2.resize(privacy.hide(image, []), (columns, rows), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(smallest, cells.mean((1, 3)), atol=45)  # the cells are what it shows


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (1001, 563)])
def test_faces_and_words_are_gone(size_wh: tuple[int, int]) -> None:
    """Who smiles and who does not, and one name and another, differ by next to nothing, where the pictures
    themselves differ by all there is."""
    first, second = scene(size_wh, "JANE DOE 4711"), scene(size_wh, "JOHN ROE 4177", smile=False)
    assert np.abs(first.astype(int) - second).max() > 120
    hidden = [privacy.hide(picture, [(100, 200, 200, 100)]).astype(int) for picture in (first, second)]
    assert np.abs(hidden[0] - hidden[1]).max() < 30
    # Of the letters' strokes no edge is left.
    assert max(int(np.abs(np.diff(hidden[0][:40], axis=1)).max()), 0) <= 8
