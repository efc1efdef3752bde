"""Pictures that are not of now: frozen and black ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.camera.sources.stuck_pictures import FROZEN_S, PictureWatch

RNG = np.random.default_rng(0)
STILL = RNG.integers(40, 200, (240, 320, 3)).astype(np.uint8)


def noisy(levels: float) -> NDArray[np.uint8]:
    return np.clip(STILL + RNG.normal(0, levels, STILL.shape), 0, 255).astype(np.uint8)


def test_frozen_picture() -> None:
    """The same picture for ten seconds is frozen; the first other one ends that."""
    watch = PictureWatch()
    said = [watch.look(STILL, n / 10) for n in range(120)]
    assert not any(said[: round(FROZEN_S * 10)])
    assert all("frozen" in one for one in said[round(FROZEN_S * 10) :])
    assert watch.look(noisy(1), 12.1) == ""


def test_still_scene_is_not_frozen() -> None:
    """A still scene with a sensor's noise never counts as frozen."""
    watch = PictureWatch()
    assert not any(watch.look(noisy(1), n / 10) for n in range(300))


def test_slow_noise() -> None:
    """A picture whose pixels change every few seconds only, as of a compressed stream, is not frozen."""
    watch = PictureWatch()
    pictures = [noisy(1) for _ in range(10)]
    assert not any(watch.look(pictures[n // 50], n / 10) for n in range(500))


@pytest.mark.parametrize("noise", [0, 2])
@pytest.mark.parametrize(("step_s", "first"), [(0.1, 20), (0.25, 8), (1.5, 2), (5.0, 1)])
def test_black_picture(noise: float, step_s: float, first: int) -> None:
    """Black pictures, with a dark sensor's noise or without, are told of after two seconds, however few come; light
    ends that."""
    watch = PictureWatch()
    black = [np.clip(RNG.normal(3, noise, STILL.shape), 0, 255).astype(np.uint8) for _ in range(first + 3)]
    said = [watch.look(picture, n * step_s) for n, picture in enumerate(black)]
    assert [n for n, one in enumerate(said) if "black" in one] == [first, first + 1, first + 2]
    assert watch.look(STILL, (first + 3) * step_s) == ""


def test_dark_scene_is_not_black() -> None:
    """A dark room in which a lamp's reflection is seen is not black."""
    dark = np.full_like(STILL, 5)
    dark[100:130, 100:130] = 90
    watch = PictureWatch()
    assert not any("black" in watch.look(dark + np.uint8(n % 2), n / 10) for n in range(60))


def test_frozen_source_is_opened_anew() -> None:
    """A picture that stays frozen asks for the source to be opened anew, ever more seldom."""
    watch = PictureWatch()
    due = []
    for n in range(3000):
        watch.look(STILL, n / 10)
        if watch.to_reopen(n / 10):
            due.append(n / 10)
    assert due[0] >= FROZEN_S
    gaps = np.diff(due)
    assert len(gaps) >= 3
    assert np.all(gaps[1:] >= 1.9 * gaps[:-1])
