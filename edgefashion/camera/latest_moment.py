"""The newest moment of the loop: made of a frame and its answer, or of what there is while none comes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from edgefashion.camera.answers import guide_of
from edgefashion.camera.moment import Health, Kept, Moment
from edgefashion.camera.privacy import Hider

if TYPE_CHECKING:
    from edgefashion.bundles.running import Running
    from edgefashion.camera.figures import Figures
    from edgefashion.camera.keys import Keys
    from edgefashion.camera.sources.source import Frame
    from edgefashion.camera.standing import StandingAnswer
    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.predict import Prediction


class LatestMoment:
    """Holds the newest :class:`~edgefashion.camera.moment.Moment`, and makes the next one of it."""

    def __init__(self, *, privacy: bool, details: bool = False, labels: Mapping[str, str] | None = None) -> None:
        """``privacy``: nothing but the garments' boxes is shown and kept. ``details`` and ``labels`` are as a
        :class:`~edgefashion.camera.moment.Moment` has them."""
        self.moment = Moment(time.monotonic(), Health(), details=details, labels=labels or {})
        self._hider = Hider() if privacy else None
        self._details = details

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
        if answer.several:
            box = answer.garments[0].box if answer.garments else None
        with_pixels = self._details and not self._hider
        self.moment = replace(
            self.moment,
            time_s=time.monotonic(),
            health=health,
            state=answer.state,
            label=answer.label,
            confidence=answer.confidence,
            latency_ms=latency_ms,
            image=self._hider.answered(frame, seen, answer) if self._hider else frame.image,
            taken_s=frame.time_s,
            guide=None if answer.several else guide_of(frame),
            box=box,
            pixels=seen.garment.pixels if seen.garment and with_pixels else None,
            model=classifier.name,
            precision=classifier.precision,
            garments=answer.garments,
            doubt=answer.doubt,
            people=answer.people,
            several=answer.several,
        )

    def unanswered(self, frame: Frame | None, health: Health) -> None:
        """There is no new answer: show the picture there is, and how things are."""
        moment = replace(self.moment, time_s=time.monotonic(), health=health)
        if not health.well:
            moment = replace(moment, state="none", label=None, confidence=None, box=None, pixels=None, latency_ms=None)
            moment = replace(moment, garments=(), doubt=None, people=False)
        # With privacy a frame is shown with its own boxes only: in another's place may be a face by now.
        if frame is not None and not (self._hider and (moment.box or moment.garments)):
            image = self._hider.unanswered(frame) if self._hider else frame.image
            moment = replace(moment, image=image, taken_s=frame.time_s)
        self.moment = moment

    def add_figures(self, figures: Figures) -> None:
        """Add today's figures."""
        self.moment = replace(self.moment, figures=figures)

    def add_screen(self, keys: Keys, kept: Kept, running: Running | None = None) -> None:
        """Add what the keys have changed on the screen, what is stored, and which revision of the model runs."""
        self.moment = replace(self.moment, note=keys.note, kept=kept, help=keys.help, mirror=keys.mirror)
        if running is not None:
            self.moment = replace(self.moment, running=running)
