"""From a frame to the answer that stands: the network is asked, smoothed over frames, and confirmed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgefashion.camera.stability import Said, Smoother, Steady
from edgefashion.inference import preprocess
from edgefashion.inference.predict import Prediction, predict

if TYPE_CHECKING:
    from edgefashion.camera.networks import Networks
    from edgefashion.camera.sources.source import Frame, Source
    from edgefashion.inference.classifier import Classifier


@dataclass(frozen=True)
class StandingAnswer:
    """The answer in force after a frame."""

    state: str
    """One of :data:`edgefashion.camera.events.event.ANSWERS`."""
    label: str | None
    """The garment's, in the state ``garment``."""
    confidence: float | None
    """How sure the newest frame that gave this answer was of it."""
    new: bool
    """True if it is to be told as an event: this frame confirmed it, or is a picture of its own."""


class Answers:
    """Asks the network in use about frames, and says which answer stands."""

    def __init__(self, networks: Networks, source: Source) -> None:
        self._networks, self._source = networks, source
        self._smoother, self._steady = Smoother(), Steady()
        self._asked: Classifier | None = None
        self._confidence: float | None = None

    def see(self, frame: Frame) -> Prediction:
        """What this one frame says, its probabilities averaged with those of the same garment before.

        Raises whatever the network raises.
        """
        guide = guide_of(frame)
        before_s = time.perf_counter()

        def look(classifier: Classifier) -> Prediction:
            if classifier is not self._asked:  # what another network said of the frames before is no help
                self._smoother.reset()
                self._asked = classifier
            seen = predict(classifier, frame.image, within=guide, smooth=self._smoother)
            if seen.garment is None:
                self._smoother.reset()
            return seen

        seen = self._networks.ask(look)
        self._networks.took((time.perf_counter() - before_s) * 1000)
        return seen

    @property
    def asked(self) -> str:
        """The name of the network that was asked last; before the first frame, words for it."""
        return self._asked.name if self._asked else "the network"

    def decide(self, frame: Frame, seen: Prediction) -> StandingAnswer:
        """Which answer stands after a ``frame`` that said ``seen``."""
        said = said_of(seen)
        before = self._steady.stands
        if self._source.apart:
            self._smoother.reset()
            stands: Said | None = said
        else:
            time_s = frame.time_s if self._source.live else frame.number / self._source.fps
            stands = self._steady(time_s, said, preprocess.part(frame.image, guide_of(frame)))
        # While the next garment is not yet confirmed, its frames say nothing of the one that stands.
        if said == stands:
            self._confidence = _confidence(seen, stands)
        state, label = stands or ("none", None)
        new = stands is not None and (self._source.apart or stands != before)
        return StandingAnswer(state, label, self._confidence, new)

    def another_network(self) -> None:
        """The network in use has changed: what it says is averaged anew."""
        self._smoother.reset()

    def forget(self) -> None:
        """The source is lost: what was seen before is no ground for an answer any more."""
        self._smoother.reset()
        self._steady.reset()
        self._confidence = None


def guide_of(frame: Frame) -> preprocess.Box:
    """Where in a frame the garment is looked for."""
    height, width = frame.image.shape[:2]
    return preprocess.guide_box(width, height)


def said_of(seen: Prediction) -> Said:
    """What a frame's prediction says: the state, and the label of a garment."""
    if seen.answer is None:
        return "none", None
    return ("garment", seen.answer.label) if seen.answer.accepted else ("unknown", None)


def _confidence(seen: Prediction, stands: Said | None) -> float | None:
    """How sure the frame is of the answer that stands; None where it is not among its likeliest."""
    if stands is None or seen.answer is None or stands[0] == "none":
        return None
    if stands[0] == "unknown":
        return seen.answer.confidence
    return dict(seen.answer.top).get(stands[1] or "")
