"""The answer of a network that finds every garment in view: all of them followed, one of them the main one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgefashion.camera.main_garment import MainGarment, by_rank
from edgefashion.camera.stability import CONFIRM_FRAMES, CONFIRM_S, Said, Steady, said_of
from edgefashion.camera.standing import StandingAnswer, StandingGarment
from edgefashion.camera.tracker import Tracker, is_held

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.predict import Prediction

TOLD_S: Final = 0.3
"""Least time between two events: each name is steady, but of many garments one or the other always changes."""

_SOMEBODY: Final = Said("somebody")
_NOBODY: Final = Said("nobody")
_SLACK_S: Final = 1e-6
"""Times are compared with this tolerance: a video's frame times are rounded."""

_Told = tuple[object, ...]


class Several:
    """What stands while garments come, go and cross."""

    def __init__(self) -> None:
        self._tracker, self._main = Tracker(), MainGarment()
        self._people = Steady()
        self._begun_s: float | None = None
        self._frames = 0
        self._told: _Told | None = None
        self._told_s = 0.0

    def __call__(
        self, time_s: float, seen: Prediction, frame_wh: tuple[int, int], classifier: Classifier
    ) -> StandingAnswer:
        """What stands after a frame at ``time_s`` seconds of which ``classifier`` said ``seen``."""
        self._begun_s = time_s if self._begun_s is None else self._begun_s
        self._frames += 1
        tracked = self._tracker(time_s, seen.garments, classifier.labels, classifier.rule)
        garments = self._main(time_s, tracked, frame_wh)
        people = self._people(time_s, _SOMEBODY if seen.people else _NOBODY) == _SOMEBODY
        answer = answer_with(garments, people, new=False)
        told = answer.state, answer.label, answer.doubt, tuple(sorted(str(garment.name) for garment in garments))
        # Before a garment can have been confirmed, that there is none is no news.
        early = self._frames < CONFIRM_FRAMES or time_s - self._begun_s < CONFIRM_S - _SLACK_S
        if told == self._told or (early and not garments):
            return answer
        if self._told is not None and time_s - self._told_s < TOLD_S - _SLACK_S:
            return answer
        self._told, self._told_s = told, time_s
        return answer_with(garments, people, new=True)

    def another_network(self) -> None:
        """The network in use has changed: what it says is averaged anew."""
        self._tracker.another_network()

    def reset(self) -> None:
        """Forget everything, as when the source is lost."""
        self._tracker.reset()
        self._main.reset()
        self._people.reset()
        self._begun_s, self._frames, self._told = None, 0, None


def at_once(seen: Prediction, frame_wh: tuple[int, int]) -> StandingAnswer:
    """The answer to a picture of its own, in which nothing is followed."""
    garments = []
    for each in seen.garments:
        said = said_of(each.answer)
        garments.append(
            StandingGarment(
                label=each.answer.label,
                confidence=each.answer.confidence,
                accepted=each.answer.accepted,
                box=each.box,
                worn=each.worn,
                held=is_held(each.worn),
                doubt=said.doubt,
                in_frame=each.box,
            )
        )
    return answer_with(tuple(by_rank(garments, frame_wh)), bool(seen.people), new=True)


def answer_with(garments: tuple[StandingGarment, ...], people: bool, *, new: bool) -> StandingAnswer:
    """The answer where ``garments`` stand, the main one first."""
    if not garments:
        return StandingAnswer("none", None, None, new, people=people, several=True)
    main = garments[0]
    return StandingAnswer(
        state="garment" if main.accepted else "unknown",
        label=main.label if main.accepted else None,
        confidence=main.confidence,
        new=new,
        doubt=main.doubt,
        likeliest=None if main.accepted else main.label,
        garments=garments,
        people=people,
        several=True,
    )
