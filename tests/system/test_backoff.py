"""The one rule by which everything that failed is tried again."""

from __future__ import annotations

import pytest

from edgefashion.system.backoff import Backoff


def test_doubles_up_to_the_longest_and_begins_again() -> None:
    """Each wait is twice the one before, none is above the longest, and a reset begins with the first."""
    backoff = Backoff(0.25, 1.5, spread=(1.0, 1.0))
    assert [backoff.next_s() for _ in range(5)] == [0.25, 0.5, 1.0, 1.5, 1.5]
    backoff.reset()
    assert backoff.next_s() == 0.25


@pytest.mark.parametrize("spread", [(0.75, 1.25), (0.5, 1.0)])
def test_is_drawn_from_its_spread(spread: tuple[float, float]) -> None:
    """Two machines that fail together do not try again together: waits differ, within the spread."""
    waits_s = [Backoff(1.0, 8.0, spread).next_s() for _ in range(200)]
    assert spread[0] <= min(waits_s) < max(waits_s) <= spread[1]
    assert len(set(waits_s)) > 190
