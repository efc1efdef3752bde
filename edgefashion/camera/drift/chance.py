"""The two tests by which a day departs from what is expected, or does not."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def two_proportions(hits: int, of: int, expected_hits: int, expected_of: int) -> float:
    """The two-sided p-value of the pooled two-proportion z-test: may both shares be the same one?"""
    pooled = (hits + expected_hits) / (of + expected_of)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / expected_of))
    if not spread:
        return 1.0
    return math.erfc(abs(hits / of - expected_hits / expected_of) / spread / math.sqrt(2))


def one_more(value: float, before: Sequence[float], least_spread: float) -> float:
    """The two-sided p-value of Student's t-test of one new observation: may ``value`` be one more of those ``before``?

    The standard deviation counts as ``least_spread`` at least. ``before`` has two values or more. Days are the
    observations, so it does not matter how much the pictures of one day depend on each other, and what differs from day
    to day by itself is allowed for.
    """
    spread = max(statistics.stdev(before), least_spread) * math.sqrt(1 + 1 / len(before))
    return student_t((value - statistics.fmean(before)) / spread, len(before) - 1)


def student_t(t: float, degrees: int) -> float:
    """The two-sided p-value of ``t`` with a whole number of degrees of freedom: the finite series of Abramowitz and
    Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(abs(t) / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for n in range(2 + odd, degrees, 2):
        term *= cosine**2 * (n - 1) / n
        total += term
    within = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return min(1.0, max(0.0, 1 - within))
