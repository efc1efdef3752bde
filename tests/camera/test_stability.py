"""From one answer a frame to one that stays: the smoother's memory of a garment, and the answer that stands."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.camera.stability import SCENE_CHANGE, SMOOTHING, Said, Smoother, Steady


def of(*probabilities: float) -> NDArray[np.float32]:
    return np.array(probabilities, np.float32)


# --- The smoother -----------------------------------------------------------------------------


def picture(level: int = 100) -> NDArray[np.uint8]:
    return np.full((28, 28, 1), level, np.uint8)


def test_smoother_weights() -> None:
    """The first frame counts whole, each later one of the same garment with the given weight."""
    smooth = Smoother(weight=0.25)
    assert smooth(picture(), of(1, 0)).tolist() == [1, 0]
    assert smooth(picture(), of(0, 1)).tolist() == [0.75, 0.25]
    assert smooth(picture(), of(0, 1)).tolist() == [0.5625, 0.4375]


def test_smoother_averages_noise() -> None:
    """Over frames of one garment the answer wavers less than half as much as the frames' own, around the truth."""
    rng = np.random.default_rng(0)
    truth = np.full(10, 0.1)
    frames = np.clip(truth + rng.normal(0, 0.03, (400, 10)), 0, 1).astype(np.float32)
    smooth = Smoother()
    # Camera noise in the pixels must not be taken for another garment.
    shots = np.clip(rng.normal(100, 5, (400, 28, 28, 1)), 0, 255).astype(np.uint8)
    smoothed = np.array([smooth(shot, frame) for shot, frame in zip(shots, frames, strict=True)])[20:]
    # An exponential average leaves w / (2 - w) of the variance: at 0.3 a standard deviation of 0.42.
    left = (SMOOTHING / (2 - SMOOTHING)) ** 0.5
    assert left < 0.5
    assert smoothed.std(0).mean() / frames.std(0).mean() == pytest.approx(left, abs=0.06)
    assert np.abs(smoothed.mean(0) - truth).max() < 0.01


@pytest.mark.parametrize(
    ("step", "kept"), [(0, True), (SCENE_CHANGE - 1, True), (SCENE_CHANGE, False), (90, False), (-90, False)]
)
def test_smoother_forgets_another_garment(step: float, kept: bool) -> None:
    """From a mean change of the pixels by the limit on the garment is another one and starts afresh."""
    smooth = Smoother()
    smooth(picture(100), of(1, 0))
    other = picture(100)
    other[:, :14] += np.uint8(step % 256)
    other[:, 14:] -= np.uint8(step % 256)
    after = smooth(other, of(0, 1))
    assert after.tolist() == (pytest.approx([1 - SMOOTHING, SMOOTHING]) if kept else [0, 1])


@pytest.mark.parametrize("step", [60, -60])
def test_smoother_through_a_change_of_light(step: int) -> None:
    """A garment in more light, or less, is the same one."""
    smooth = Smoother()
    smooth(picture(100), of(1, 0))
    assert smooth(picture(100 + step), of(0, 1)).tolist() == pytest.approx([1 - SMOOTHING, SMOOTHING])


def test_smoother_forgets_on_reset() -> None:
    """After a reset the same garment starts afresh."""
    smooth = Smoother()
    smooth(picture(), of(1, 0))
    smooth.reset()
    assert smooth(picture(), of(0, 1)).tolist() == [0, 1]


def test_smoother_keeps_its_own_copy() -> None:
    """A caller that writes each frame's answer into one array, or changes what it was given, spoils nothing."""
    smooth, buffer = Smoother(), of(1, 0)
    smooth(picture(), buffer)
    buffer[:] = 0, 1
    after = smooth(picture(), buffer)
    assert after.tolist() == pytest.approx([1 - SMOOTHING, SMOOTHING])


@pytest.mark.parametrize("side", [160, 648])
def test_smoother_through_noise(side: int) -> None:
    """Noise of 20 grey levels on every pixel does not make a still garment another one."""
    rng = np.random.default_rng(0)
    still = rng.integers(60, 200, (side, side, 1))
    smoother = Smoother(weight=0.5)
    for n in range(20):
        noisy = np.clip(still + rng.normal(0, 20, still.shape), 0, 255).astype(np.uint8)
        smoothed = smoother(noisy, np.array([n % 2, 1 - n % 2], np.float32))
    assert 0.2 < smoothed[0] < 0.8


# --- The answer that stands -------------------------------------------------------------------

FRAME_S = 1 / 30
BOOT = Said("garment", "Ankle boot")
SHIRT = Said("garment", "Shirt")
NONE = Said("none")
ONE, OTHER = np.zeros((28, 28, 1), np.uint8), np.zeros((28, 28, 1), np.uint8)
OTHER[:14] = 100


def _stand(steady: Steady, frames: Iterable[tuple[Said, NDArray[np.uint8]]], from_s: float = 0.0) -> list[Said | None]:
    """What stands after each frame, at 30 a second."""
    return [steady(from_s + n * FRAME_S, said, pixels) for n, (said, pixels) in enumerate(frames)]


def test_steady_first_answer() -> None:
    """A new answer stands 0.2 s after the first frame that gives it, not before and not much later."""
    stands = _stand(Steady(), [(BOOT, ONE)] * 30)
    assert stands == [None] * 6 + [BOOT] * 24


def test_steady_another_garment() -> None:
    """Another garment's answer stands half a second at most after it came into view."""
    steady = Steady()
    _stand(steady, [(BOOT, ONE)] * 60)
    stands = _stand(steady, [(SHIRT, OTHER)] * 15, from_s=2.0)
    assert set(stands) == {BOOT, SHIRT}
    assert stands[-1] == SHIRT


@pytest.mark.parametrize("period", [1, 2, 3, 5, 8, 15])
def test_steady_does_not_flicker(period: int) -> None:
    """On a still picture whose answer changes every few frames, what stands changes once a second at most."""
    steady = Steady()
    stands = _stand(steady, [((BOOT, SHIRT)[n // period % 2], ONE) for n in range(600)])
    changes = [n for n in range(1, 600) if stands[n] != stands[n - 1]]
    assert all(later - earlier >= 30 for earlier, later in itertools.pairwise(changes[1:]))


def test_steady_single_frames() -> None:
    """A frame that says something else now and then changes nothing."""
    steady = Steady()
    stands = _stand(steady, [(SHIRT if n % 6 == 5 else BOOT, ONE) for n in range(120)])
    assert set(stands[10:]) == {BOOT}


def test_steady_garment_leaves() -> None:
    """When the garment leaves, none stands half a second later at most, and the same garment comes back."""
    steady = Steady()
    _stand(steady, [(BOOT, ONE)] * 60)
    assert _stand(steady, [(NONE, OTHER)] * 15, from_s=2.0)[-1] == NONE
    assert _stand(steady, [(BOOT, ONE)] * 15, from_s=3.0)[-1] == BOOT


@pytest.mark.parametrize("fps", [15, 24, 29.97, 30])
def test_steady_at_any_rate(fps: float) -> None:
    """Whatever the frame rate, a new answer stands within 0.3 s of the first frame that gives it, each time."""
    steady = Steady()
    time_s = 0.0
    for turn in range(20):
        said, shown = ((BOOT, ONE), (SHIRT, OTHER))[turn % 2]
        first_s = time_s
        while steady(time_s, said, shown) != said:
            time_s += 1 / fps
            assert time_s - first_s < 0.3
        for _ in range(round(fps)):
            time_s += 1 / fps
            assert steady(time_s, said, shown) == said


def test_steady_slow_camera() -> None:
    """A camera of two frames a second gets its answer from three frames."""
    steady = Steady()
    assert [steady(n / 2, BOOT, ONE) for n in range(4)] == [None, None, BOOT, BOOT]


def test_steady_reset() -> None:
    """After a loss of the source nothing stands until an answer is confirmed anew."""
    steady = Steady()
    _stand(steady, [(BOOT, ONE)] * 30)
    steady.reset()
    assert _stand(steady, [(BOOT, ONE)] * 30, from_s=5.0) == [None] * 6 + [BOOT] * 24
