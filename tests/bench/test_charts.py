"""The page's numbers are readable, and its axes hold them."""

from __future__ import annotations

import pytest

from edgefashion.bench.page.charts import Axis, figures, time_us


@pytest.mark.parametrize(
    ("value_us", "text"),
    [
        (0.074, "0.0740 µs"),
        (7.4, "7.40 µs"),
        (99.97, "100 µs"),
        (999.7, "1.00 ms"),
        (62_697, "62.7 ms"),
        (2e6, "2.00 s"),
    ],
)
def test_times_are_readable(value_us: float, text: str) -> None:
    """A time has three significant figures and the unit that suits it."""
    assert time_us(value_us) == text


def test_figures_are_grouped() -> None:
    """Thousands are parted, and nothing is shown more exactly than three figures but whole thousands."""
    assert [figures(v) for v in (0, 12.34, 123.4, 31_940.4)] == ["0", "12.3", "123", "31,940"]


@pytest.mark.parametrize("values", [[70.0, 75.0], [0.5, 3e6], [100.0], [1.0, 1000.0]])
def test_axes_hold_their_values(values: list[float]) -> None:
    """Every value lies on its axis, which has two to seven round numbers where it spans more than a little."""
    for log in (True, False):
        axis = Axis.around(values, "µs", log=log)
        assert all(0 <= axis.at(value) <= 100 for value in (*values, *axis.ticks))
        assert len(axis.ticks) <= 8
    assert len(Axis.around(values, "", log=False).ticks) >= 2
