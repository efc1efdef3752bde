"""The finder's answer to a frame, cell by cell, as things with boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import finding
from numpy.typing import NDArray

from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError
from edgefashion.inference.finder import CHANNELS, FINDER_PX, KINDS, Region, regions
from edgefashion.inference.load import load

CELLS = 32


def cells(*things: tuple[str, tuple[float, float, float, float], float, float]) -> NDArray[np.float32]:
    """An answer in which each of the things (kind, box x0 y0 x1 y1 as shares, score, worn) peaks at its centre, with a
    lower heat around it."""
    made = np.zeros((CELLS, CELLS, CHANNELS), np.float32)
    for kind, box, score, worn in things:
        channel = KINDS.index(kind)
        x0, y0, x1, y1 = (edge * CELLS for edge in box)
        row, column = int((y0 + y1) / 2), int((x0 + x1) / 2)
        around = made[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2, channel]
        np.maximum(around, score * 0.8, out=around)
        made[row, column, channel] = score
        made[row, column, len(KINDS)] = worn
        at = len(KINDS) + 1 + 4 * channel
        made[row, column, at : at + 4] = column + 0.5 - x0, row + 0.5 - y0, x1 - column - 0.5, y1 - row - 0.5
    return made


SHIRT = ("upper", (0.25, 0.25, 0.5, 0.5), 0.9, 0.1)
COAT_OVER_IT = ("outer", (0.2, 0.2, 0.6, 0.7), 0.8, 0.1)
SAME_SHIRT = ("upper", (0.32, 0.25, 0.57, 0.5), 0.6, 0.1)
OTHER_SHIRT = ("upper", (0.7, 0.25, 0.95, 0.5), 0.7, 0.1)
SHIRT_AS_DRESS = ("whole", (0.25, 0.26, 0.5, 0.52), 0.5, 0.1)
PERSON_IN_IT = ("person", (0.25, 0.25, 0.5, 0.5), 0.5, 0.1)
FAINT = ("bag", (0.1, 0.8, 0.2, 0.9), 0.2, 0.1)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((), ()),
        ((SHIRT,), ("upper",)),
        ((SHIRT, SAME_SHIRT), ("upper",)),
        ((SHIRT, OTHER_SHIRT), ("upper", "upper")),
        ((SHIRT, COAT_OVER_IT), ("upper", "outer")),
        ((SHIRT, SHIRT_AS_DRESS), ("upper",)),
        ((SHIRT, PERSON_IN_IT), ("upper", "person")),
        ((FAINT, SHIRT), ("upper",)),
    ],
    ids=["nothing", "one", "twice", "two", "a coat over it", "by two kinds", "somebody in it", "faint"],
)
def test_each_thing_is_found_once(given: tuple[tuple[str, ...], ...], found: tuple[str, ...]) -> None:
    """A thing is found once, whatever heat lies around it; two that overlap as clothes do are two, the surest first."""
    assert tuple(region.kind for region in regions(cells(*given), 0.3)) == found  # type: ignore[arg-type]


def test_boxes_come_back() -> None:
    """A box, its score and whether it is worn are what the cells say, also at the frame's rim."""
    at_the_rim = ("footwear", (0.0, 0.875, 0.25, 1.0), 0.7, 0.9)
    shirt, shoes = regions(cells(SHIRT, at_the_rim), 0.3)
    assert shirt.box == pytest.approx((0.25, 0.25, 0.25, 0.25))
    assert shoes.box == pytest.approx((0, 0.875, 0.25, 0.125))
    assert [shoes.score, shoes.worn] == pytest.approx([0.7, 0.9])


@pytest.mark.parametrize(
    ("within", "box"),
    [((0, 0, 400, 200), (100, 50, 100, 50)), ((40, 20, 400, 200), (140, 70, 100, 50)), ((0, 0, 1, 1), (0, 0, 1, 1))],
)
def test_pixels(within: tuple[int, int, int, int], box: tuple[int, int, int, int]) -> None:
    """A box is in the pixels of the picture, wherever in it the finder looked, and never empty."""
    assert Region("upper", (0.25, 0.25, 0.25, 0.25), 0.9, 0.1).in_pixels(within) == box


def test_an_edge_beyond_the_frame_ends_at_it() -> None:
    """A box that the cells say goes beyond the frame ends at its rim."""
    made = cells(SHIRT)
    made[..., len(KINDS) + 1 :] *= 10
    (found,) = regions(made, 0.3)
    assert found.box == (0, 0, 1, 1)


def test_another_network_is_refused() -> None:
    """An IR that is no finder is refused in a sentence, not run."""
    from edgefashion.inference.openvino_finder import OpenVinoFinder

    photo_network = resolve.resolve("kiosk").bundle
    assert photo_network is not None
    with pytest.raises(BadInputError, match="no finder"):
        OpenVinoFinder(photo_network.verified("int8"), "fp32", 1)


def test_a_finder_of_another_size_is_refused(tmp_path: Path) -> None:
    """A finder that looks at larger pictures than this version's says so, and what to do."""
    import openvino as ov
    from openvino import opset13 as op

    from edgefashion.inference.openvino_finder import OpenVinoFinder

    frame = op.parameter([1, 2 * FINDER_PX, 2 * FINDER_PX, 3], np.uint8)
    mean = op.reduce_mean(op.convert(frame, "f32"), op.constant([1, 2, 3]), keep_dims=False)
    answer = op.multiply(mean, op.constant(np.zeros((1, 9, 9, CHANNELS), np.float32)))
    ov.save_model(ov.Model([answer], [frame], "finder"), tmp_path / "finder.xml")
    with pytest.raises(BadInputError, match=rf"of {2 * FINDER_PX} pixels, .* {FINDER_PX}\. Train it anew"):
        OpenVinoFinder(tmp_path / "finder.xml", "fp32", 1)


def test_a_finder_is_no_classifier(tmp_path: Path) -> None:
    """A finder's IR given as a MODEL is refused in one sentence, be it a user's or the shipped one."""
    ir = finding.bundle_with_finder(tmp_path) / "finder_fp16.xml"
    with pytest.raises(BadInputError, match=r"not one row of probabilities|no classifier"):
        load(ir)
    shipped = resolve.resolve("kiosk").path / "finder_int8.xml"
    with pytest.raises(BadInputError, match="no classifier"):
        load(shipped)


def test_a_finder_that_did_not_ship_is_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finder of a user's own bundle passes the guard, which tries it in a process of its own, and is then asked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = finding.bundle_with_finder(tmp_path, vouch=False)
    classifier = load(made)
    assert classifier.finder is not None
    found = classifier.finder.find(np.zeros((40, 60, 3), np.uint8))
    assert [region.kind for region in found] == ["upper", "lower"]
