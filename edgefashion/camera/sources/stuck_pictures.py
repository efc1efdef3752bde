"""Pictures that arrive and are not of now: the same one again and again, or black ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.system.backoff import Backoff

if TYPE_CHECKING:
    from numpy.typing import NDArray

FROZEN_S: Final = 10.0
"""From how long on the same picture, to the last bit, is a frozen one. Even of a still scene a sensor's noise, or the
next whole picture of a compressed stream, changes some pixels earlier."""

BLACK_S: Final = 2.0
"""From how long on black pictures are a covered lens or a dead sensor, not a hand before it. However slow the camera
is: from the first black picture on."""

BLACK_LEVEL: Final = 12
"""Grey level that no looked-at pixel of a black picture exceeds, but for :data:`HOT_SHARE` of them."""

HOT_SHARE: Final = 0.001
REOPEN_S: Final = (5.0, 600.0)
"""How long a picture has to stay frozen until the source is opened anew, at first and at most."""

_STEP: Final = 8
"""Every eighth pixel of every eighth row is looked at."""


class PictureWatch:
    """Looks at every frame of a live source and says what is wrong with the pictures."""

    def __init__(self) -> None:
        self._last: NDArray[np.uint8] | None = None
        self._same_since_s = 0.0
        self._dark_s: float | None = None
        """When the first of the black pictures was; None after a light one."""
        self._black = False
        self._backoff = Backoff(*REOPEN_S, spread=(1, 1))
        self._reopen_s = self._backoff.next_s()
        self._reopen_due_s = 0.0

    def look(self, image: NDArray[np.uint8], time_s: float) -> str:
        """Take the frame of ``time_s`` seconds; returns what is wrong as a phrase, empty if nothing is."""
        seen = image[::_STEP, ::_STEP]
        if self._last is None or self._last.shape != seen.shape or not np.array_equal(seen, self._last):
            if self._last is not None and time_s - self._same_since_s < FROZEN_S:
                self._backoff.reset()
                self._reopen_s = self._backoff.next_s()
            self._last = seen.copy()  # a view would keep the whole frame
            self._same_since_s = time_s
            self._reopen_due_s = time_s + FROZEN_S + self._reopen_s
        if np.count_nonzero(seen > BLACK_LEVEL) > HOT_SHARE * seen.size:
            self._dark_s = None
        elif self._dark_s is None:
            self._dark_s = time_s
        self._black = self._dark_s is not None and time_s - self._dark_s >= BLACK_S
        # Black first: a lens cap gives the same picture too, and is the reason that helps.
        if self._black:
            return "the picture is black: is the lens covered, or the light off?"
        if time_s - self._same_since_s >= FROZEN_S:
            return "the picture is frozen: the same again and again"
        return ""

    def lost(self) -> None:
        """The source is lost: black pictures are counted anew, as the first ones of a camera are often dark. Those that
        were told of are so until a light one comes."""
        if not self._black:
            self._dark_s = None

    def to_reopen(self, time_s: float) -> bool:
        """Whether it is time to open the source anew because its picture stays frozen."""
        if self._last is None or time_s - self._same_since_s < FROZEN_S or time_s < self._reopen_due_s:
            return False
        self._reopen_s = self._backoff.next_s()
        self._reopen_due_s = time_s + self._reopen_s
        return True
