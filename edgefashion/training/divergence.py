"""A training that runs away is told in one line, and not by whatever is the first to fail on what is no number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class DivergedError(BadInputError):
    """A loss, a weight or an answer of a network in training is no number any more."""


def refuse_diverged(
    when: str,
    measured: Mapping[str, float],
    arrays: Iterable[NDArray[Any]],
    rate: float,
    rate_name: str = "learning_rate",
) -> None:
    """Raise :class:`DivergedError` unless all that was ``measured`` and all of the ``arrays``, a network's weights or
    answers, are finite.

    ``when``: what is over, like ``epoch 3``. ``rate``: how fast it has learned, ``rate_name``: what that is called.
    """
    broken = [f"{name} {value}" for name, value in measured.items() if not math.isfinite(value)]
    if not broken and not all(np.isfinite(each).all() for each in arrays):
        broken = ["numbers beyond all bounds"]
    if broken:
        raise DivergedError(
            f"the training diverged in {when} ({', '.join(broken)}). Give a smaller {rate_name} than {rate:g}"
        )
