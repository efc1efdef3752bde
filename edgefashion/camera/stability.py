"""From one answer a frame to one that stays: smoothing, confirming, holding."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.camera.standing import Doubt
    from edgefashion.inference.decision import Answer


SMOOTHING: Final = 0.3
"""Weight of the newest frame while the same garment stays in view (about 6 frames of memory)."""

GLANCE_PX: Final = 14
"""Edge of the small picture by which two frames are told apart: means over areas, which noise hardly moves."""

_GLANCED_PX: Final = 140

SCENE_CHANGE: Final = 9.0
"""Mean absolute difference of two :func:`glance` pictures without their mean brightness, in grey levels, from which
the garment is another one. Noise of 30 levels a pixel and light that flickers by 3 % stay under 4; of Fashion-MNIST
test images one after the other, drawn as a camera sees them, and of photos all of 80 differ by more than 15."""

CONFIRM_S: Final = 0.2
"""An answer has to be given for this long before it stands."""

CONFIRM_FRAMES: Final = 3
"""An answer has to be given in this many frames before it stands, however slow the camera is."""

_EPSILON_S: Final = 1e-6
"""Times are compared with this tolerance: a video's frame times are rounded."""

CONFIRM_SHARE: Final = 0.7
"""Share of the frames of :data:`CONFIRM_S` that have to give it."""

HOLD_S: Final = (0.4, 1.0)
"""An answer stands for this long at least: the first where another garment has come into view, the second where the
picture is the same."""


def glance(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture or model input (h, w, c), small enough to compare: (14, 14, c)."""
    import cv2

    every = max(1, min(picture.shape[:2]) // _GLANCED_PX)  # of a photo some pixels tell enough
    seen = np.ascontiguousarray(picture[::every, ::every])
    return np.asarray(cv2.resize(seen, (GLANCE_PX, GLANCE_PX), interpolation=cv2.INTER_AREA), np.float32)


def another(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two :func:`glance` pictures show different garments."""
    if one.shape != other.shape:
        return True
    # Light that flickers, or a camera that adapts to it, makes no other garment.
    return float(np.abs((one - one.mean()) - (other - other.mean())).mean()) >= SCENE_CHANGE


class Smoother:
    """Exponential average of a garment's probabilities, forgotten when the garment changes."""

    def __init__(self, weight: float = SMOOTHING) -> None:
        self._weight = weight
        self._average: NDArray[np.float32] | None = None
        self._seen: NDArray[np.float32] | None = None

    def __call__(self, picture: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take what was looked at in a frame (h, w, c) and its probabilities (classes,); return the smoothed ones."""
        seen = glance(picture)
        if self._average is None or self._seen is None or another(seen, self._seen):
            # A copy: a caller may write the next frame's answer into the same array.
            self._average = np.array(probabilities, np.float32)
        else:
            self._average = self._average + self._weight * (probabilities - self._average)
        self._seen = seen
        return self._average

    def reset(self) -> None:
        """Forget the garment, as when none is in view."""
        self._average = self._seen = None


class Said(NamedTuple):
    """What is said of a garment, as far as it is shown: what differs in nothing of this is the same answer."""

    state: str
    """One of :data:`edgefashion.camera.events.event.ANSWERS`."""
    label: str | None = None
    """In the state ``garment``; an unknown garment has none."""
    doubt: Doubt | None = None
    """The two labels that an unknown garment may be, where two share."""


def said_of(answer: Answer | None) -> Said:
    """What a network's answer says; None is that there is no garment."""
    if answer is None:
        return Said("none")
    if answer.accepted:
        return Said("garment", answer.label)
    if answer.doubt is None:
        return Said("unknown")
    first, second = sorted((answer.label, answer.doubt))
    return Said("unknown", doubt=(first, second))


class Steady:
    """The answer that stands while single frames say this and that.

    One takes over when it has been given for :data:`CONFIRM_S`, by most frames, and the one before has stood for
    :data:`HOLD_S`. Times are the frames' own: a video's come from its frame rate.
    """

    def __init__(self) -> None:
        self.stands: Said | None = None
        """None until the first answer is confirmed."""
        self._since_s = 0.0
        self._named = False
        """Whether a name has stood so far."""
        self._then: NDArray[np.float32] | None = None
        self._given: collections.deque[tuple[float, Said]] = collections.deque()

    def __call__(self, time_s: float, said: Said, picture: NDArray[np.uint8] | None = None) -> Said | None:
        """Take what a frame at ``time_s`` seconds said, and what was looked at in it (h, w, c); return what stands.

        Without a ``picture`` it is known to be the same garment: its name stands for the longer time, and gives way
        to nothing sooner. Where none was accepted so far, a name is welcome after the shorter one.
        """
        given = self._given
        given.append((time_s, said))
        long_s = CONFIRM_S - _EPSILON_S
        while len(given) > CONFIRM_FRAMES and time_s - given[1][0] >= long_s:
            given.popleft()
        if said == self.stands or len(given) < CONFIRM_FRAMES or time_s - given[0][0] < long_s:
            return self.stands
        if sum(one == said for _, one in given) < CONFIRM_SHARE * len(given):
            return self.stands
        seen = None if picture is None else glance(picture)
        if self.stands is not None:
            if seen is None:
                same = self._named or said.state != "garment"
            else:
                same = self._then is not None and not another(seen, self._then)
            if time_s - self._since_s < HOLD_S[same] - _EPSILON_S:
                return self.stands
        self.stands, self._since_s, self._then = said, time_s, seen
        self._named = self._named or said.state == "garment"
        return said

    def reset(self) -> None:
        """Forget everything, as when the source is lost."""
        self.stands = self._then = None
        self._named = False
        self._given.clear()
