"""How long a bench will about take, told before it begins. Taken from runs on two idle cores."""

from __future__ import annotations

from typing import Final, NamedTuple

from edgefashion.bench.candidates import Candidate
from edgefashion.bench.report import BenchOptions


class _Pace(NamedTuple):
    """How long an engine takes for what does not depend on ``--rounds`` and ``--seconds``, in seconds."""

    open_s: float
    """From the start of its process to its first answer."""
    stack_s: float
    """To answer once all the pictures that throughput is measured with. A measurement takes no less."""
    accuracy_s: float
    """For all the pictures that accuracy is measured on, and for the times of its operations."""


_FASHION: Final = _Pace(open_s=0.7, stack_s=0.2, accuracy_s=2)
_FASHION_ORIGINAL: Final = _Pace(open_s=5, stack_s=0.5, accuracy_s=3)
_PHOTO: Final = _Pace(open_s=0.7, stack_s=0.7, accuracy_s=8)
_PHOTO_ORIGINAL: Final = _Pace(open_s=5, stack_s=4, accuracy_s=40)

_CONVERSION_S: Final = {"onnxruntime": 20, "litert": 15}
"""For all files of a peer."""
_PHOTO_CONVERSION_S: Final = {"onnxruntime": 50, "litert": 25}


def of(chosen: list[Candidate], options: BenchOptions, *, photo: bool) -> tuple[float, str]:
    """The seconds that measuring ``chosen`` will about take, and what it is, as a phrase."""
    conversion_s = _PHOTO_CONVERSION_S if photo else _CONVERSION_S
    seconds = float(sum(conversion_s[peer] for peer in {c.engine for c in chosen if c.converted}))
    seconds += sum(_row_s(c, options, photo=photo) for c in chosen)
    rounds = f"{options.rounds} round{'s' * (options.rounds != 1)}"
    return seconds, f"{len(chosen)} row{'s' * (len(chosen) != 1)}, {rounds} of {options.seconds:g} s"


def _row_s(candidate: Candidate, options: BenchOptions, *, photo: bool) -> float:
    if candidate.engine.startswith(("tensorflow", "keras")):
        pace = _PHOTO_ORIGINAL if photo else _FASHION_ORIGINAL
    else:
        pace = _PHOTO if photo else _FASHION
    stacks = 2 if candidate.engine in ("openvino", "remote") else 1  # these are measured in their queue too
    round_s = options.seconds + stacks * max(options.seconds, pace.stack_s)
    warm_up_s = 3 * pace.stack_s
    return pace.open_s * (1 + options.cold_starts) + warm_up_s + options.rounds * round_s + pace.accuracy_s
