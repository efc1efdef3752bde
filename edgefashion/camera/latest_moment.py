"""The newest moment of the loop: made of a frame and its answer, or of what there is while none comes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from edgefashion.camera.answers import StandingAnswer, guide_of
from edgefashion.camera.moment import Health, Kept, Moment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.keys import Keys
    from edgefashion.camera.sources.source import Frame
    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.predict import Prediction
    from edgefashion.inference.preprocess import Box


class LatestMoment:
    """Holds the newest :class:`~edgefashion.camera.moment.Moment`, and makes the next one of it."""

    def __init__(self, *, privacy: bool) -> None:
        """``privacy``: nothing but the garment's box is shown and kept."""
        self.moment = Moment(time.monotonic(), Health())
        self._privacy = privacy

    def answered(
        self,
        frame: Frame,
        seen: Prediction,
        answer: StandingAnswer,
        latency_ms: float,
        classifier: Classifier,
        health: Health,
    ) -> None:
        """``classifier`` has answered ``frame`` with ``seen``, after which ``answer`` stands."""
        box = seen.garment.box if seen.garment and seen.answer else None
        self.moment = Moment(
            time.monotonic(),
            health,
            state=answer.state,
            label=answer.label,
            confidence=answer.confidence,
            latency_ms=latency_ms,
            image=self._showable(frame.image, box),
            taken_s=frame.time_s,
            guide=guide_of(frame),
            box=box,
            pixels=seen.garment.pixels if seen.garment and not self._privacy else None,
            model=classifier.name,
            precision=classifier.precision,
        )

    def unanswered(self, frame: Frame | None, health: Health) -> None:
        """There is no new answer: show the picture there is, and how things are."""
        moment = replace(self.moment, time_s=time.monotonic(), health=health)
        if not health.well:
            moment = replace(moment, state="none", label=None, confidence=None, box=None, pixels=None, latency_ms=None)
        # With privacy a frame is shown with its own box only: in another's place may be a face by now.
        if frame is not None and not (self._privacy and moment.box):
            moment = replace(moment, image=self._showable(frame.image, None), taken_s=frame.time_s)
        self.moment = moment

    def add_screen(self, keys: Keys, kept: Kept) -> None:
        """Add what the keys have changed on the screen, and what is stored."""
        self.moment = replace(self.moment, note=keys.note, kept=kept, help=keys.help, mirror=keys.mirror)

    def _showable(self, image: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
        """What of a frame may be shown and kept."""
        if not self._privacy:
            return image
        from edgefashion.camera.privacy import hide

        return hide(image, box)
