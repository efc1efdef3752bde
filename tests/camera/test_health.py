"""What the loop counts and times."""

from __future__ import annotations

import types

import pytest

from edgefashion.camera import health
from edgefashion.camera.health import RECENT, HealthMeter
from edgefashion.camera.moment import Health


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """The clock that the meter reads, set by the test."""
    now = types.SimpleNamespace(s=1000.0)
    monkeypatch.setattr(health, "time", types.SimpleNamespace(monotonic=lambda: now.s))
    return now


def of(meter: HealthMeter, taken_s: float | None = None) -> Health:
    return meter.health(condition="live", reason="", taken_s=taken_s, reconnects=2, faults=3)


def test_before_the_first_answer(clock: types.SimpleNamespace) -> None:
    """Before the first answer there are no figures but the uptime and what others count."""
    meter = HealthMeter()
    clock.s += 5
    assert of(meter) == Health("live", uptime_s=5, reconnects=2, faults=3)


def test_figures(clock: types.SimpleNamespace) -> None:
    """The rate is that of the latest answers, the latency their median, the age that of the newest frame."""
    meter = HealthMeter()
    for number in range(2 * RECENT):
        clock.s += 0.5 if number < RECENT else 0.1
        meter.count(1000 if number < RECENT else number - RECENT)
    clock.s += 0.3
    seen = of(meter, taken_s=clock.s - 0.4)
    assert seen.frames == 2 * RECENT
    assert seen.fps == pytest.approx(10)
    assert seen.latency_ms == (RECENT - 1) / 2
    assert seen.frame_age_s == pytest.approx(0.4)
    assert seen.uptime_s == pytest.approx(RECENT * 0.6 + 0.3)


def test_a_lost_source_has_no_rate(clock: types.SimpleNamespace) -> None:
    """After a loss the rate is counted anew: the gap is no answer's time. The count goes on."""
    meter = HealthMeter()
    for _ in range(5):
        clock.s += 0.1
        meter.count(4)
    meter.forget_rate()
    assert of(meter).fps == 0
    clock.s += 60
    for _ in range(3):
        clock.s += 0.2
        meter.count(4)
    assert of(meter).fps == pytest.approx(5)
    assert of(meter).frames == 8
