"""From a frame to the answer that stands: the network is asked, smoothed over frames, and confirmed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgefashion.camera.several import Several, at_once
from edgefashion.camera.stability import Said, Smoother, Steady, said_of
from edgefashion.camera.standing import StandingAnswer, StandingGarment
from edgefashion.inference import preprocess
from edgefashion.inference.predict import Prediction, predict

if TYPE_CHECKING:
    from edgefashion.camera.networks import Networks
    from edgefashion.camera.sources.source import Frame, Source
    from edgefashion.inference.classifier import Classifier


class Answers:
    """Asks the network in use about frames, and says which answer stands.

    A network with a finder is asked for every garment of the whole frame; another one, or with ``single``, for the one
    in the guide's square.
    """

    def __init__(self, networks: Networks, source: Source, *, single: bool = False) -> None:
        self._networks, self._source, self._single = networks, source, single
        self._smoother, self._steady = Smoother(), Steady()
        self._several = Several()
        self._asked: Classifier | None = None
        self._confidence: float | None = None

    def see(self, frame: Frame) -> Prediction:
        """What this one frame says; of one garment, its probabilities averaged with those of the frames before.

        Raises whatever the network raises.
        """
        before_s = time.perf_counter()
        seen = self._networks.ask(lambda classifier: self._look(frame, classifier))
        self._networks.took((time.perf_counter() - before_s) * 1000)
        return seen

    def _look(self, frame: Frame, classifier: Classifier) -> Prediction:
        if classifier is not self._asked:  # what another network said of the frames before is no help
            if self._asked is not None and self._finds_several(classifier) != self._finds_several(self._asked):
                self.forget()
            self.another_network()
            self._asked = classifier
        if self._finds_several(classifier):
            return predict(classifier, frame.image)
        seen = predict(classifier, frame.image, within=guide_of(frame), smooth=self._smoother, single=True)
        if seen.garment is None:
            self._smoother.reset()
        return seen

    def _finds_several(self, classifier: Classifier) -> bool:
        return not self._single and classifier.finder is not None

    @property
    def asked(self) -> str:
        """The name of the network that was asked last; before the first frame, words for it."""
        return self._asked.name if self._asked else "the network"

    def decide(self, frame: Frame, seen: Prediction) -> StandingAnswer:
        """Which answer stands after a ``frame`` that said ``seen``."""
        if self._asked is None or not self._finds_several(self._asked):
            return self._decide_on_one(frame, seen)
        frame_wh = frame.image.shape[1], frame.image.shape[0]
        if self._source.apart:
            return at_once(seen, frame_wh)
        return self._several(self._time_s(frame), seen, frame_wh, self._asked)

    def _decide_on_one(self, frame: Frame, seen: Prediction) -> StandingAnswer:
        said = said_of(seen.answer)
        before = self._steady.stands
        if self._source.apart:
            self._smoother.reset()
            stands: Said | None = said
        else:
            stands = self._steady(self._time_s(frame), said, preprocess.part(frame.image, guide_of(frame)))
        # While the next garment is not yet confirmed, its frames say nothing of the one that stands.
        if said == stands:
            self._confidence = _confidence(seen, stands)
        new = stands is not None and (self._source.apart or stands != before)
        return _answer_of_one(stands or Said("none"), seen, self._confidence, new)

    def _time_s(self, frame: Frame) -> float:
        return time_of(frame, self._source)

    def another_network(self) -> None:
        """The network in use has changed: what it says is averaged anew."""
        self._smoother.reset()
        self._several.another_network()

    def forget(self) -> None:
        """The source is lost: what was seen before is no ground for an answer any more."""
        self._smoother.reset()
        self._steady.reset()
        self._several.reset()
        self._confidence = None


def time_of(frame: Frame, source: Source) -> float:
    """When a frame was, in seconds: of a live source by the clock, of a file by its own speed."""
    return frame.time_s if source.live else frame.number / source.fps


def guide_of(frame: Frame) -> preprocess.Box:
    """Where in a frame one garment is looked for."""
    height, width = frame.image.shape[:2]
    return preprocess.guide_box(width, height)


def _answer_of_one(stands: Said, seen: Prediction, confidence: float | None, new: bool) -> StandingAnswer:
    """The answer in which one garment at most is in view."""
    likeliest = seen.answer.label if seen.answer and stands.state == "unknown" else None
    label = stands.label or likeliest
    box = seen.garment.box if seen.garment and seen.answer else None
    garments: tuple[StandingGarment, ...] = ()
    if label is not None and box is not None:
        accepted = stands.state == "garment"
        garments = (StandingGarment(label, confidence or 0.0, accepted, box, doubt=stands.doubt, in_frame=box),)
    return StandingAnswer(
        stands.state, stands.label, confidence, new, doubt=stands.doubt, likeliest=likeliest, garments=garments
    )


def _confidence(seen: Prediction, stands: Said | None) -> float | None:
    """How sure the frame is of the answer that stands; None where it is not among its likeliest."""
    if stands is None or seen.answer is None or stands.state == "none":
        return None
    if stands.state == "unknown":
        return seen.answer.confidence
    return dict(seen.answer.top).get(stands.label or "")
