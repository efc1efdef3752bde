"""What the page is told: the newest moment in words, the last answers, and whether all is well."""

from __future__ import annotations

import collections
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera import wording
from edgefashion.camera.events.event import ANSWERS, now
from edgefashion.system.addresses import HIDDEN, without_secrets

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment
    from edgefashion.camera.standing import StandingGarment

FRESH_S: Final = 3.0
"""A frame older than this, or a loop that has handed on nothing for so long, is not well."""

ANSWERS_KEPT: Final = 6


@dataclass
class Answer:
    """A stable answer, as the list of the last ones shows it."""

    number: int
    time: str
    """UTC, ISO 8601: when it was first given."""
    label: str | None
    """The garment's; None where the network was not sure."""
    confidence: float | None
    """As long as it is in force, the newest."""
    name: str
    """What is shown of it."""


class Board:
    """The newest moment and the last answers.

    The loop's thread writes, the server's reads: every attribute is replaced whole, so no lock is needed.
    """

    def __init__(self) -> None:
        self.moment: Moment | None = None
        self.handed_s: float | None = None
        """``time.monotonic()`` when the last moment came."""
        self.answers: tuple[Answer, ...] = ()
        """The newest first."""
        self.counts: collections.Counter[str | None] = collections.Counter()
        """Answers given so far, by label; None for those that were not sure."""
        self._in_force: tuple[str, str] | None = None
        self._given = 0

    def take(self, moment: Moment) -> None:
        """Note ``moment``, and its answer where that is new."""
        # What is worn and not held up is no answer: nobody has asked for it.
        answer = (moment.shows, wording.answer(moment).headline)
        if not moment.health.well or moment.shows not in ("garment", "unknown"):
            self._in_force = None
        elif answer != self._in_force:
            self._in_force = answer
            self._given += 1
            label = moment.label if moment.shows == "garment" else None
            self.counts[label] += 1
            newest = Answer(self._given, now(), label, moment.confidence if label else None, answer[1])
            self.answers = (newest, *self.answers[: ANSWERS_KEPT - 1])
        elif moment.shows == "garment":
            self.answers[0].confidence = moment.confidence
        self.moment = moment
        self.handed_s = time.monotonic()

    def frame_age_s(self) -> float | None:
        """Seconds since the newest frame left its source; None before the first."""
        if self.moment is None or self.moment.taken_s is None:
            return None
        return max(0.0, time.monotonic() - self.moment.taken_s)

    def why_not_well(self) -> str | None:
        """What keeps answers from being of now, in words; None while they are."""
        if self.moment is None or self.handed_s is None:
            return "no picture has come yet"
        silent_s = time.monotonic() - self.handed_s
        if silent_s > FRESH_S:
            return f"the loop has handed on nothing for {silent_s:.0f} s"
        health = self.moment.health
        if not health.well:
            return f"{health.condition}: {_public(health.reason)}" if health.reason else health.condition
        age_s = self.frame_age_s()
        # A slow camera's newest frame is older: three of its intervals, as its source has it. At the first one frame
        # no interval is known, and the source judges alone.
        fresh_s = max(FRESH_S, 3 / health.fps) if health.fps else None
        if age_s is not None and fresh_s is not None and age_s > fresh_s:
            return f"the newest frame is {age_s:.0f} s old"
        return None

    def health(self) -> dict[str, Any]:
        """``/healthz``: whether all is well, why not, and the figures behind it."""
        why = self.why_not_well()
        facts: dict[str, Any] = {"healthy": why is None, "why": why}
        if self.moment is not None and self.handed_s is not None:
            facts |= asdict(self.moment.health) | {"reason": _public(self.moment.health.reason)}
            facts["moment_age_s"] = round(time.monotonic() - self.handed_s, 3)
            facts |= asdict(self.moment.running)
        age_s = self.frame_age_s()
        facts["frame_age_s"] = None if age_s is None else round(age_s, 3)
        return facts

    def shown(self) -> dict[str, Any]:
        """What the page shows, ready for JSON; ``show`` is a state of an answer, a condition, or ``stopped``."""
        moment = self.moment
        show, reason = self._show()
        answered = moment if show in ANSWERS else None
        words = wording.answer(answered) if answered else wording.words(show)
        named = moment if show == "garment" else None
        return {
            "show": show,
            "condition": words.short,
            "headline": words.headline,
            "detail": words.detail if answered else wording.detail(show, _public(reason)),
            "confidence": named.confidence if named else None,
            "answers": [_listed(answer) for answer in self.answers],
            "health": self.health(),
            "model": moment.model if moment else "",
            "precision": moment.precision if moment else "",
            "revision": wording.revision(moment.running) if moment else "",
            "kept": wording.kept(moment.kept) if moment else "",
            "note": moment.note if moment else "",
            "today": moment.figures.line if moment and moment.figures else "",
            "garments": [_shown(each, answered) for each in answered.garments] if answered else [],
            "details": bool(moment and moment.details),
        }

    def _show(self) -> tuple[str, str]:
        """What is shown: a key of :data:`edgefashion.camera.wording.WORDS` or ``garment``; and the reason for it."""
        moment, why = self.moment, self.why_not_well()
        if moment is None or self.handed_s is None:
            return "starting", ""
        if time.monotonic() - self.handed_s > FRESH_S:
            return "stopped", why or ""
        if not moment.health.well:
            return moment.health.condition, moment.health.reason
        return (moment.shows, "") if why is None else ("stale", why)


def _listed(answer: Answer) -> dict[str, Any]:
    """An answer for the page's list, where every answer has a name."""
    fields = asdict(answer)
    return fields | {"label": fields.pop("name")}


def _shown(garment: StandingGarment, moment: Moment) -> dict[str, Any]:
    """A garment for the page, under the name that is shown."""
    return garment.as_json() | {"label": wording.tag(garment, moment.labels), "held": garment.held}


def _public(reason: str) -> str:
    """A reason without a trace of the account in a camera's address: a shop's visitors read it too."""
    return without_secrets(reason).replace(f"//{HIDDEN}@", "//")
