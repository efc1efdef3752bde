"""The garment found in a picture and brought into Fashion-MNIST's form."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.data import fashion_mnist
from edgefashion.inference import preprocess
from edgefashion.inference.preprocess import Box

Picture = NDArray[np.uint8]


def scene(
    size_wh: tuple[int, int], box: Box, background: int, level: int, noise: float = 0, bgr: bool = False
) -> Picture:
    """A rectangle of one grey ``level`` on a plain ``background``, under camera noise of that sigma."""
    width, height = size_wh
    picture = np.full((height, width, 3) if bgr else (height, width), background, float)
    x, y, box_width, box_height = box
    picture[y : y + box_height, x : x + box_width] = level
    if noise:
        picture += np.random.default_rng(0).normal(0, noise, picture.shape)
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def edges(box: Box) -> NDArray[np.int64]:
    x, y, width, height = box
    return np.array([x, y, x + width, y + height])


SCENES: list[tuple[tuple[int, int], Box]] = [
    ((100, 80), (31, 17, 40, 50)),
    ((200, 260), (50, 61, 81, 150)),
    ((512, 400), (101, 53, 307, 211)),
    ((400, 512), (0, 201, 133, 311)),  # two of its edges on the picture's own
    ((1400, 1000), (303, 207, 803, 401)),
]


@pytest.mark.parametrize(("size_wh", "box"), SCENES)
@pytest.mark.parametrize(
    ("background", "level"), [(240, 40), (20, 200), (240, 215), (30, 55)], ids=["dark", "light", "nearly white", "dim"]
)
@pytest.mark.parametrize("bgr", [False, True], ids=["grey", "BGR"])
def test_box(size_wh: tuple[int, int], box: Box, background: int, level: int, bgr: bool) -> None:
    """A garment darker or lighter than its background is found within 2 pixels in a grey or colour picture of up to
    512 pixels, within one pixel of the search in a larger one, and nothing that stands out is cut off."""
    found = preprocess.find(scene(size_wh, box, background, level, bgr=bgr))
    assert found is not None
    off = edges(found.box) - edges(box)
    search_px = max(1, max(size_wh) / preprocess.SEARCH_PX)
    assert np.abs(off).max() <= max(2, math.ceil(search_px))
    # A pixel of the search that the garment only grazes differs too little to be seen.
    cut = math.ceil(search_px * preprocess.TRIM_TOLERANCE / abs(background - level)) - 1
    assert (off[:2] <= cut).all()
    assert (off[2:] >= -cut).all()


@pytest.mark.parametrize(("size_wh", "box"), [*SCENES[2:], ((4000, 3000), (1001, 503, 1777, 2001))])
@pytest.mark.parametrize("noise", [3, 8])
def test_box_under_noise(size_wh: tuple[int, int], box: Box, noise: float) -> None:
    """Camera noise neither hides the garment nor stretches its box by more than a noisy pixel at its edge."""
    found = preprocess.find(scene(size_wh, box, 200, 60, noise))
    assert found is not None
    assert np.abs(edges(found.box) - edges(box)).max() <= 2 * math.ceil(max(size_wh) / preprocess.SEARCH_PX)


def test_box_despite_dust() -> None:
    """A few specks of dust on the background do not stretch the box."""
    picture = scene((400, 300), (100, 80, 120, 150), 230, 50)
    for x, y in ((5, 5), (390, 10), (20, 290), (380, 280)):
        picture[y : y + 2, x : x + 2] = 0
    found = preprocess.find(picture)
    assert found is not None
    assert np.abs(edges(found.box) - edges((100, 80, 120, 150))).max() <= 2


def test_box_despite_corner() -> None:
    """A thing in the corner, like a hand or a logo, does not pass for the background."""
    picture = scene((400, 300), (100, 80, 120, 150), 230, 50)
    picture[:40, :40] = 90
    found = preprocess.find(picture)
    assert found is not None
    assert np.abs(edges(found.box) - edges((0, 0, 220, 230))).max() <= 2


def test_box_of_a_pair() -> None:
    """What lies apart, like the other shoe of a pair, belongs to the garment."""
    picture = scene((400, 300), (40, 80, 120, 50), 230, 50)
    picture[200:240, 250:350] = 60
    found = preprocess.find(picture)
    assert found is not None
    assert np.abs(edges(found.box) - edges((40, 80, 310, 160))).max() <= 2


@pytest.mark.parametrize("level", [0, 127, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (300, 400), (300, 400, 3)])
def test_blank(shape: tuple[int, ...], level: int) -> None:
    """In a picture of one colour there is no garment."""
    assert preprocess.find(np.full(shape, level, np.uint8)) is None


@pytest.mark.parametrize("size_wh", [(512, 400), (640, 480), (1400, 1000)])
@pytest.mark.parametrize("noise", [3, 8])
@pytest.mark.parametrize("bgr", [False, True], ids=["grey", "BGR"])
def test_noise_only(size_wh: tuple[int, int], noise: float, bgr: bool) -> None:
    """Camera noise alone is no garment."""
    assert preprocess.find(scene(size_wh, (0, 0, 0, 0), 128, 0, noise, bgr)) is None


def test_speck_only() -> None:
    """A thing that covers less than the least share of the picture is no garment, one that covers more is."""
    side = math.sqrt(preprocess.MIN_AREA) * 256
    small, large = int(side) - 1, int(side) + 2
    assert preprocess.find(scene((256, 256), (100, 100, small, small), 255, 0)) is None
    assert preprocess.find(scene((256, 256), (100, 100, large, large), 255, 0)) is not None


# --- within ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        ((90, 70, 200, 200), (100, 80, 120, 150)),
        ((90, 70, 1000, 1000), (100, 80, 120, 150)),  # reaches past the picture
        ((-50, -50, 450, 400), (100, 80, 120, 150)),  # starts before it
        ((0, 0, 160, 300), (100, 80, 60, 150)),  # holds only a part of the garment
        ((0, 0, 90, 70), None),
        ((400, 300, 10, 10), None),
        ((-20, -20, 10, 10), None),
        ((50, 50, 0, 0), None),
    ],
)
@pytest.mark.parametrize("bgr", [False, True], ids=["grey", "BGR"])
def test_within(within: Box, expected: Box | None, bgr: bool) -> None:
    """Only what lies within the given box is seen, and it is found where it is in the whole picture."""
    found = preprocess.find(scene((400, 300), (100, 80, 120, 150), 230, 50, bgr=bgr), within)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert np.abs(edges(found.box) - edges(expected)).max() <= 2


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(640, 480, (104, 24, 432, 432)), (480, 640, (24, 104, 432, 432)), (10, 10, (0, 0, 9, 9)), (1, 1, (0, 0, 1, 1))],
)
def test_guide_box(width: int, height: int, expected: Box) -> None:
    """The guide is the centred square of nine tenths of the shorter edge, and never empty."""
    assert preprocess.guide_box(width, height) == expected


# --- The model's input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((50, 50, 280, 140), slice(7, 21), slice(0, 28)),
        ((50, 50, 140, 280), slice(0, 28), slice(7, 21)),
        ((50, 50, 200, 200), slice(0, 28), slice(0, 28)),
        ((50, 50, 280, 60), slice(11, 17), slice(0, 28)),
        ((5, 5, 8, 4), slice(7, 21), slice(0, 28)),  # a picture of few pixels is enlarged
    ],
)
@pytest.mark.parametrize(("background", "level", "expected"), [(240, 40, 212), (20, 200, 195)], ids=["dark", "light"])
def test_form(box: Box, rows: slice, columns: slice, background: int, level: int, expected: int) -> None:
    """The longest edge fills the 28 pixels, the other is centred, around it is 0, and the garment is as bright as it
    is far from the background on a scale to 255."""
    side = 400 if box[2] > 10 else 18
    found = preprocess.find(scene((side, side), box, background, level))
    assert found is not None
    assert found.pixels.dtype == np.uint8
    assert found.pixels.shape == (28, 28, 1)
    outside = np.ones((28, 28), bool)
    outside[rows, columns] = False
    assert not found.pixels[outside].any()
    # Away from the edges, at which sharpening swings and some background is mixed in.
    assert abs(int(found.pixels[14, 14, 0]) - expected) <= 2
    inside = found.pixels[rows, columns, 0]
    assert inside.any(0).all()
    assert inside.any(1).all()


def test_grey_and_bgr_agree() -> None:
    """A grey picture gives the same input however many channels it has, and is itself left as it was."""
    grey = scene((400, 300), (100, 80, 120, 150), 230, 50, noise=2)
    before = grey.copy()
    one, three = preprocess.find(grey), preprocess.find(np.dstack([grey] * 3))
    assert one is not None
    assert three is not None
    assert one.box == three.box
    assert np.array_equal(one.pixels, three.pixels)
    assert np.array_equal(grey, before)


@pytest.mark.parametrize(("scale", "sharpened"), [(10, True), (1, False)], ids=["shrunk", "as small as the input"])
def test_shrinking_is_made_up_for(scale: int, sharpened: bool) -> None:
    """Where a picture is shrunk, a step within the garment is sharpened beyond the two greys it lies between; where
    nothing was shrunk it stays as it is."""
    side = 28 * scale
    picture = np.full((2 * side, 2 * side), 255, np.uint8)
    picture[side // 2 : side // 2 + side, side // 2 : side // 2 + side] = 155
    picture[side // 2 : side // 2 + side, side : side // 2 + side] = 55
    found = preprocess.find(picture)
    assert found is not None
    row = found.pixels[14, 2:26, 0]
    assert bool(row.min() < 95) is sharpened
    assert bool(row.max() > 205) is sharpened


def test_fine_weave_is_averaged() -> None:
    """A weave finer than the input's pixels becomes its mean, not a random pattern."""
    picture = scene((400, 400), (60, 60, 280, 280), 255, 255)
    picture[60:340, 60:340] = 200 * (np.indices((280, 280)).sum(0) % 2)
    found = preprocess.find(picture)
    assert found is not None
    assert np.abs(found.pixels[2:26, 2:26].astype(int) - 155).max() <= 8


def test_sharpening_keeps_the_mean() -> None:
    """The sharpening kernel leaves flat areas and the mean as they are and widens the step at an edge."""
    kernel = preprocess.sharpening_kernel()
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert np.array_equal(kernel, kernel.T)
    # A bump well inside the frame, so that the border adds nothing to the mean.
    picture = np.zeros((20, 20), np.float32)
    picture[8:12, 8:12] = 100
    sharp = cv2.filter2D(picture, -1, kernel)
    assert sharp.mean() == pytest.approx(picture.mean(), rel=1e-5)
    assert sharp[9, 9] == pytest.approx(100, rel=1e-5)
    assert sharp[8, 9] > 110
    assert sharp[7, 9] < -10


@pytest.mark.parametrize("negate", [True, False], ids=["dark on light", "light on dark"])
def test_fashion_mnist_found_again(negate: bool) -> None:
    """Fashion-MNIST's images, drawn ten times as large on a page and found again, are close to themselves.

    The median difference is 14 of 255 levels, where two of the images differ by 74: they are
    sharpened a second time, and trimmed and centred anew by a pixel. So nearly each is nearer to
    its own original than to any other of the hundred; the few others are near twins of their class.
    """
    originals = fashion_mnist.load("test")[0][:100, ..., 0]
    found = []
    for image in originals:
        page = np.zeros((400, 400), np.uint8)
        page[60:340, 60:340] = cv2.resize(image, (280, 280), interpolation=cv2.INTER_CUBIC)
        seen = preprocess.find(255 - page if negate else page)
        assert seen is not None
        found.append(seen.pixels[..., 0])
    difference = np.abs(np.stack(found)[:, None].astype(int) - originals[None]).mean((2, 3))
    assert np.median(difference.diagonal()) < 16
    assert (difference.argmin(1) == np.arange(100)).sum() >= 95


# --- Extremes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (1, 4), (4, 1), (3, 3), (28, 28), (2000, 3), (3, 2000), (1, 5000), (5000, 1), (257, 1)]
)
@pytest.mark.parametrize("channels", [(), (3,)], ids=["grey", "BGR"])
@pytest.mark.parametrize("kind", ["random", "half", "one pixel"])
def test_extreme_shapes(shape: tuple[int, int], channels: tuple[int, ...], kind: str) -> None:
    """A picture of any shape gives either nothing or a whole input and a box inside the picture."""
    picture = np.zeros(shape + channels, np.uint8)
    if kind == "random":
        picture[:] = np.random.default_rng(0).integers(0, 256, picture.shape)
    elif kind == "half":
        picture[: (shape[0] + 1) // 2, : (shape[1] + 1) // 2] = 255
    else:
        picture[-1, -1] = 255
    found = preprocess.find(picture)
    if found is not None:
        assert found.pixels.shape == (28, 28, 1)
        x, y, width, height = found.box
        assert 0 <= x < x + width <= shape[1]
        assert 0 <= y < y + height <= shape[0]
    # Random pixels stand out from each other, if there is more than one.
    assert found is not None or kind != "random" or shape == (1, 1)


@pytest.mark.parametrize(
    "size_wh", [(1280, 720), (720, 1280), (256, 256), (100, 900), (3000, 400), (300, 31), (1, 1), (640, 480)]
)
def test_a_frame_is_squeezed_evenly(size_wh: tuple[int, int]) -> None:
    """Whatever the frame's shape, the finder sees all of it: each part of the square has the colour that part of the
    frame has, as averaging every pixel gives it."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 6, 3), np.uint8)
    frame = np.asarray(cv2.resize(coarse, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
    seen = preprocess.frame_view(frame, 256)
    assert seen.shape == (256, 256, 3)
    averaged = preprocess.squeezed(frame, 256)
    assert np.abs(seen.astype(int) - averaged).mean() < 3
