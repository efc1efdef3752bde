"""What a person sees of a moment: the answer, what is waited for, what is kept, the keys."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from helpers.camera import blank
from helpers.drawing import GREEN, RED, WHITE, count, draw

from edgefashion.camera import demo_clip, wording
from edgefashion.camera.events.event import CONDITIONS
from edgefashion.camera.moment import Health, Kept, Moment
from edgefashion.camera.outputs import lettering, overlay
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from helpers.camera import Picture
    from helpers.types import Arrays


def bar_of(picture: Picture) -> Picture:
    return picture[picture.shape[0] - round(overlay.BAR * min(picture.shape[:2]) / 720) :]


SIZES = [(1280, 720), (640, 480), (720, 1280), (160, 120), (1920, 1080), (480, 480)]


@pytest.mark.parametrize("size_wh", SIZES)
@pytest.mark.parametrize("label", ["Bag", "T-shirt/top", "A label of another model"])
def test_words_have_room(size_wh: tuple[int, int], label: str) -> None:
    """On a frame of any usual size the words are large enough to read, inside the picture, apart
    from one another, and nothing is drawn through them."""
    bar = bar_of(draw(np.zeros((size_wh[1], size_wh[0], 3), np.uint8), "garment", label=label))
    width = bar.shape[1]
    # The answer is in colour, the figures in grey; faint pixels belong to the letters' smooth edges.
    coloured = np.ptp(bar, axis=2) > 20
    answer = np.argwhere(coloured & (bar.max(2) > 60))
    figures = np.argwhere(~coloured & (bar.max(2) > 60))
    (top, left), (bottom, right) = answer.min(0), answer.max(0)
    assert left > 0
    assert top > 0
    assert bottom < len(bar) - 1
    assert bottom - top >= 10  # pixels: the least a capital letter needs to be read
    assert right < figures[:, 1].min()
    assert figures[:, 1].max() < width - 1
    assert np.ptp(figures[:, 0]) >= 14  # two lines
    # What lies over the words and between them is the bar alone.
    assert not bar[: min(top, figures[:, 0].min()) - 2].any()
    assert not bar[:, right + 2 : figures[:, 1].min() - 2].any()


@pytest.mark.parametrize("condition", [condition for condition in CONDITIONS if condition != "live"])
@pytest.mark.parametrize("size_wh", SIZES)
def test_notices_have_room(size_wh: tuple[int, int], condition: str) -> None:
    """What is said while there is no frame fits into a picture of any usual size."""
    picture = draw(np.zeros((size_wh[1], size_wh[0], 3), np.uint8), condition=condition)
    rows, columns = np.nonzero(picture.any(2))
    assert np.ptp(rows) >= 10
    assert columns.min() > 0
    assert columns.max() < picture.shape[1] - 1


@pytest.mark.parametrize("condition", ["stale", "reconnecting", "starting", "ended"])
def test_no_old_answer(condition: str, test_set: Arrays) -> None:
    """Unless frames come, nothing of an answer is to be seen: the picture is the same as if there had been
    none, and dark."""
    scene = demo_clip.scene_of(test_set[0][0])
    shown = draw(
        scene, "garment", condition=condition, label="Bag", box=(400, 100, 300, 400), pixels=scene[:28, :28, :1]
    )
    np.testing.assert_array_equal(shown, draw(scene, condition=condition))
    assert count(shown, GREEN) == 0
    assert np.median(shown) <= lettering.GROUND
    loud = condition in ("stale", "reconnecting")
    assert count(shown, RED if loud else WHITE) > 1000


def test_dark_picture_is_made_once() -> None:
    """While the same last frame is shown it is darkened once, and what is drawn on it stays off it."""
    frame = blank()
    first, second = (draw(frame, condition="stale", note=note) for note in ("m", ""))
    assert (first != second).any()
    np.testing.assert_array_equal(second, draw(frame, condition="stale"))
    assert overlay._darkened(frame, False) is overlay._darkened(frame, False)
    assert overlay._darkened(frame, False) is not overlay._darkened(frame.copy(), False)


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (720, 1280), (160, 120)])
def test_what_is_kept_is_always_said(size_wh: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence of what is stored stands in the upper left corner in every condition, red while
    anything is, and clear of what the model saw."""
    frame = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    pixels = np.full((28, 28, 1), 128, np.uint8)
    for condition in CONDITIONS:
        for kept in (Kept(), Kept("edgefashion-20261123T053359Z.mp4"), Kept(recordings=("run.mp4",))):
            picture = draw(frame, condition=condition, kept=kept, pixels=pixels, guide=None)
            top = picture[: picture.shape[0] // 6]
            reddish = (top[..., 2].astype(int) - top[..., 0] > 60).any()
            assert reddish == bool(kept.files)
            with monkeypatch.context() as silent:
                silent.setattr(wording, "kept", lambda _: "")
                unsaid = draw(frame, condition=condition, kept=kept, pixels=pixels, guide=None)
            assert (picture != unsaid).any()
            inset = (top == 128).all(2).sum(0) > 20
            if condition == "live":
                ground = (top.max(2) <= lettering.GROUND).any(0)
                assert np.flatnonzero(ground).max() < np.flatnonzero(inset).min() - 2


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (720, 1280), (480, 480)])
def test_help_lists_the_keys(size_wh: tuple[int, int]) -> None:
    """With help a panel in the middle lists every key, inside the picture, and hides nothing of the answer."""
    frame = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    without, shown = (draw(frame, "garment", label="Bag", help=on) for on in (False, True))
    rows, columns = np.nonzero((shown != without).any(2))
    assert rows.min() > 0
    assert rows.max() < shown.shape[0] - len(bar_of(shown))
    assert columns.min() > 0
    assert columns.max() < shown.shape[1] - 1
    panel = shown[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    # A key's green, line by line.
    lines = (panel == np.array(GREEN, np.uint8)).all(2).any(1)
    assert np.count_nonzero(np.diff(lines.astype(int)) == 1) == 8


def test_notes_come_and_go() -> None:
    """A note stands over the bar while there is one, however long it is."""
    for note in ("Mirrored", "m" * 200):
        plain, noted = draw(blank(), note=""), draw(blank(), note=note)
        rows, columns = np.nonzero((plain != noted).any(2))
        assert rows.max() < noted.shape[0] - len(bar_of(noted))
        assert columns.min() > 0
        assert columns.max() < noted.shape[1] - 1


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (160, 120), (75, 1000)])
@pytest.mark.parametrize("condition", ["live", "stale"])
def test_mirror(size_wh: tuple[int, int], condition: str) -> None:
    """Mirrored, the picture, guide and box are flipped, and the words and the inset are not."""
    width, height = size_wh
    frame = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    box = (width // 8, height // 8, width // 3, height // 4)
    x, y, w, h = preprocess.guide_box(width, height)
    drawn: dict[str, Any] = {
        "state": "garment",
        "condition": condition,
        "label": "Bag",
        "pixels": frame[:28, :28, :1],
        "note": "n",
    }
    mirrored = draw(frame, box=box, mirror=True, **drawn)
    flipped: dict[str, Any] = {"box": (width - box[0] - box[2], *box[1:]), "guide": (width - x - w, y, w, h)}
    np.testing.assert_array_equal(mirrored, draw(np.ascontiguousarray(frame[:, ::-1]), **flipped, **drawn))
    assert (mirrored != draw(frame, box=box, **drawn)).any()


@pytest.mark.parametrize(
    ("size_wh", "expected_wh"),
    [((1280, 720), (1280, 720)), ((640, 480), (640, 480)), ((160, 120), (480, 360)), ((1, 1), (360, 360))],
)
def test_drawn_size(size_wh: tuple[int, int], expected_wh: tuple[int, int]) -> None:
    """The drawn frame is as large as the frame; a tiny one is enlarged until words can be read."""
    for condition in ("live", "stale"):
        assert draw(blank(size_wh), condition=condition).shape == (expected_wh[1], expected_wh[0], 3)


@pytest.mark.parametrize("size_wh", [(3000, 4), (4, 3000), (2, 2)])
@pytest.mark.parametrize("condition", ["live", "stale"])
def test_odd_shapes(size_wh: tuple[int, int], condition: str) -> None:
    """A strip of a picture, or a speck of one, can be drawn and not drawn over."""
    frame = blank(size_wh)
    changes: dict[str, Any] = {"note": "a note", "help": True, "kept": Kept("x.mp4")}
    pixels = np.zeros((28, 28, 1), np.uint8)
    assert draw(frame, "garment", condition=condition, box=(0, 0, *size_wh), pixels=pixels, **changes).size
    np.testing.assert_array_equal(frame, blank(size_wh))


def test_drawn_once() -> None:
    """A moment is drawn once however many want it, and another moment of the same frame anew."""
    moment = Moment(0.0, Health("live"), image=blank())
    assert overlay.drawn(moment) is overlay.drawn(moment)
    another = replace(moment, mirror=True, note="Mirrored")
    assert (overlay.drawn(another) != overlay.drawn(moment)).any()


def test_a_drawn_picture_goes_with_its_moment() -> None:
    """The picture of a moment that nobody holds any more is let go of: a camera runs for months."""
    moment = Moment(0.0, Health("live"), image=blank())
    picture = weakref.ref(overlay.drawn(moment))
    assert picture() is not None
    del moment
    gc.collect()
    assert picture() is None


def test_drawn_with_opencv_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenCV without fonts of its own draws the words with strokes."""
    lettering.drawn.cache_clear()
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    shown = draw(np.zeros((720, 1280, 3), np.uint8), "garment", label="Ankle boot")
    lettering.drawn.cache_clear()
    assert count(shown, GREEN) > 1000
