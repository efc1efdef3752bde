"""Is a new revision worse than the one before it? By how much, and beyond what chance alone does.

Chance alone takes a revision back in fewer than one of a hundred probations: each of the looks, of which there are
seven at most in ten minutes, has one false alarm in a thousand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgefashion.camera.conduct import Conduct

CHANCE: Final = 0.001
"""A difference that chance alone gives more seldom than this is one."""
LEAST_FAULTS: Final = 3
MOST_SILENT: Final = 30
"""Frames in a row without an answer: two seconds."""
LEAST_BLOCKS: Final = 12
"""A minute's figures of how long a frame takes."""
LEAST_S: Final = 60.0
"""Of the one before: less is no ground to compare on."""
_SLOWER_MS: Final = 2.0
"""Less is not felt by anybody, whatever share of a short time it is."""


@dataclass(frozen=True)
class Bounds:
    """By how much a new revision may be worse."""

    slower: float = 0.5
    """Share by which a frame may take longer."""
    unsure: float = 0.15
    """By which the share of garments that are never named may rise, from 0 to 1."""


def worse(new: Conduct, old: Conduct | None, bounds: Bounds, *, at_end: bool) -> str:
    """What is worse, as a phrase; empty where nothing is, or nobody can tell.

    ``at_end``: the probation is over, and how long frames take is looked at: at any earlier time the computer may just
    have had other work.
    """
    if new.silent >= MOST_SILENT:
        return f"it gave no answer to {new.silent} frames in a row"
    if old is None or old.seconds < LEAST_S:
        return ""
    found = _faults(new, old) or _unsure(new, old, bounds.unsure, at_end=at_end)
    return found or (_slower(new, old, bounds.slower) if at_end else "")


def _faults(new: Conduct, old: Conduct) -> str:
    count = int(new.faults)
    if count < LEAST_FAULTS:
        return ""
    # If both fail as often, each fault is the new one's with the chance of its part of the time.
    p = binomial_tail(count, count + math.ceil(old.faults), new.seconds / (new.seconds + old.seconds))
    return f"{count} faults in {new.seconds / 60:.0f} minutes, before {old.faults:.0f} in {old.seconds / 60:.0f}" * (
        p < CHANCE
    )


def _unsure(new: Conduct, old: Conduct, bound: float, *, at_end: bool) -> str:
    if not old.garments or not new.garments or not (at_end or new.garments >= new.next_look):
        return ""
    share, before = sum(new.unsure) / new.garments, sum(old.unsure) / old.garments
    if share - before < bound or hypergeometric_tail(sum(new.unsure), new.garments, sum(old.unsure), old.garments) >= (
        CHANCE
    ):
        return ""
    return (
        f"not sure of {share:.0%} of {new.garments} garments, before of {before:.0%} of {old.garments} "
        f"(Fisher's exact test: p < {CHANCE:g})"
    )


def _slower(new: Conduct, old: Conduct, bound: float) -> str:
    if len(new.blocks_ms) < LEAST_BLOCKS or len(old.blocks_ms) < LEAST_BLOCKS:
        return ""
    before_ms, now_ms = old.frame_ms or 0.0, new.frame_ms or 0.0
    limit_ms = max(before_ms * (1 + bound), before_ms + _SLOWER_MS)
    # Three quarters of the time: a while of other work on the computer is none of the network's.
    slow = sum(ms > limit_ms for ms in new.blocks_ms)
    return f"a frame took {now_ms:.1f} ms, before {before_ms:.1f} ms" if slow >= 0.75 * len(new.blocks_ms) else ""


def binomial_tail(at_least: int, n: int, share: float) -> float:
    """The probability that ``n`` trials with this ``share`` of successes have so many or more."""
    if not 0 < share < 1:
        return float(at_least <= n * share)
    # By logarithms: of more than a thousand trials the number of ways is no float.
    ways = (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(at_least, n + 1))
    odds = (k * math.log(share) + (n - k) * math.log1p(-share) for k in range(at_least, n + 1))
    return math.fsum(math.exp(way + odd) for way, odd in zip(ways, odds, strict=True))


def hypergeometric_tail(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Fisher's exact test (1935), one-sided: the probability that of all hits so many or more fall among the ``n``, if
    they fall on these and the ``other_n`` alike."""
    every, total = hits + other_hits, n + other_n
    ways = sum(math.comb(n, k) * math.comb(other_n, every - k) for k in range(hits, min(n, every) + 1))
    return ways / math.comb(total, every)
