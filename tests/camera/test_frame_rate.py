"""How often a frame is taken and answered."""

from __future__ import annotations

import threading
import types
from typing import Any

import pytest

from edgefashion.camera import frame_rate
from edgefashion.camera.frame_rate import EARLY, FrameRate, RateLimiter


def taken(limiter: RateLimiter, times_s: list[float]) -> int:
    """How many of the offers at ``times_s`` a limiter lets through."""
    count = 0
    for now_s in times_s:
        if limiter.due_in_s(now_s) <= 0:
            limiter.took(now_s)
            count += 1
    return count


@pytest.mark.parametrize(("offered", "rate", "expected"), [(30, 15, 150), (30, 10, 100), (15, 15, 150), (10, 15, 100)])
def test_rate_on_average(offered: float, rate: float, expected: int) -> None:
    """Of what is offered at an even pace as many are taken in ten seconds as the rate allows, or all of them."""
    times_s = [number / offered for number in range(10 * int(offered))]
    assert abs(taken(RateLimiter(rate, EARLY), times_s) - expected) <= 1


def test_jitter_costs_no_frame() -> None:
    """A camera at the very rate loses no frame to a jitter of a fifth of its distance; without leave to be early it
    does."""
    times_s = [(number + (0.2 if number % 2 else 0.0)) / 15 for number in range(150)]
    assert taken(RateLimiter(15, EARLY), times_s) == 150
    assert taken(RateLimiter(15), times_s) < 150


def test_lost_time_is_not_made_up_for() -> None:
    """After a pause the rate is what it was: nothing comes in a burst."""
    limiter = RateLimiter(10)
    limiter.took(0.0)
    limiter.took(60.0)
    assert limiter.due_in_s(60.0) == pytest.approx(0.1)


def rate_of(monkeypatch: pytest.MonkeyPatch, *, live: bool, real_time: bool = False, **rates: float) -> Any:
    """What a second of frames at 30 a second is taken for: seconds waited, and which frames are to be answered."""
    clock = {"s": 100.0}
    monkeypatch.setattr(frame_rate, "time", types.SimpleNamespace(monotonic=lambda: clock["s"]))
    stop = threading.Event()
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        clock["s"] += seconds
        return False

    monkeypatch.setattr(stop, "wait", wait)
    source: Any = types.SimpleNamespace(live=live, fps=0.0 if live else 30.0)
    rate = FrameRate(source, **{"highest_fps": 30.0, "answers_fps": 15.0, **rates}, real_time=real_time)
    answered = []
    for number in range(30):
        rate.wait_for_frame(stop)
        if rate.answer_is_due():
            answered.append(number)
    return sum(waited), answered


def test_a_live_source_is_answered_at_its_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a live source shown at 30 a second every other frame is answered; at one rate for both, every one."""
    waited_s, answered = rate_of(monkeypatch, live=True)
    assert waited_s == pytest.approx(29 / 30, abs=0.02)
    assert answered == list(range(0, 30, 2))
    waited_s, answered = rate_of(monkeypatch, live=True, highest_fps=15.0)
    assert waited_s == pytest.approx(29 / 15, abs=0.04)
    assert answered == list(range(30))


def test_a_file_is_answered_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file every frame is answered, at once, or at its own speed where somebody looks."""
    assert rate_of(monkeypatch, live=False) == (0, list(range(30)))
    waited_s, answered = rate_of(monkeypatch, live=False, real_time=True)
    assert waited_s == pytest.approx(29 / 30)
    assert answered == list(range(30))
