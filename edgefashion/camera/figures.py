"""What is counted of an hour or a day, the four figures that come of it, and those of today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Measure:
    """One of the figures."""

    words: str
    """How it is called in a sentence."""
    least_visits: int
    least_looks: int
    """How much a day has to have before it says anything of it."""
    least_spread: float
    """A standard deviation from day to day is taken for this one at least: less is no matter to anybody."""
    is_share: bool = True


MEASURES: Final[Mapping[str, Measure]] = {
    "not_sure": Measure("garments not sure", 20, 0, 0.02),
    "no_garment": Measure("time with no garment in view", 0, 60, 0.02),
    "confidence": Measure("mean confidence", 20, 0, 0.02),
    "brightness": Measure("mean brightness", 0, 60, 4.0, is_share=False),
}
"""By the name that metrics, events and the file have for it.

The unit of ``not_sure`` and ``confidence`` is a visit, of the others a look, one a minute. Twenty visits are what the
normal approximation of a share of a quarter needs: five of each kind.
"""


@dataclass
class Counts:
    """Sums over an hour or a day."""

    visits: int = 0
    """Times a garment was held up to the camera, however long."""
    unsure: int = 0
    """Of these: those that the network was not sure of for the longest part."""
    confidence: float = 0.0
    """The sum of the visits' mean confidences, each 0 to 1."""
    looks: int = 0
    """Moments at which it was noted what is in view."""
    empty: int = 0
    """Of these: those with no garment in view that nobody wears."""
    light: float = 0.0
    """The sum of these pictures' mean brightness, each 0 to 255."""

    def add(self, other: Counts) -> None:
        """Add another hour's."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def value(self, measure: str) -> float | None:
        """A figure; None while nothing was counted for it."""
        total, of = {
            "not_sure": (self.unsure, self.visits),
            "no_garment": (self.empty, self.looks),
            "confidence": (self.confidence, self.visits),
            "brightness": (self.light, self.looks),
        }[measure]
        return total / of if of else None

    def figures(self) -> dict[str, float]:
        """The figures of a day, as far as it has enough to say anything of them."""
        return {
            name: value
            for name, measure in MEASURES.items()
            if self.visits >= measure.least_visits
            and self.looks >= measure.least_looks
            and (value := self.value(name)) is not None
        }


def counts_of(fields: Any) -> Counts:
    """Counts from a file's JSON. Raises :class:`ValueError` for what are none."""
    known = asdict(Counts())
    if not isinstance(fields, dict) or fields.keys() != known.keys():
        raise ValueError("no counts")
    for name, default in known.items():
        value = fields[name]
        if isinstance(value, bool) or not isinstance(value, int | type(default)) or not 0 <= value < 1e12:
            raise ValueError("no counts")
    made = Counts(**fields)
    if made.unsure > made.visits or made.empty > made.looks or made.confidence > made.visits + 0.01:
        raise ValueError("no counts")
    return made


def shown(measure: str, value: float) -> str:
    """A figure as people read it."""
    return f"{100 * value:.0f} %" if MEASURES[measure].is_share else f"{value:.0f} of 255"


@dataclass(frozen=True)
class Figures:
    """The figures of today, for page and metrics."""

    hour: Counts = field(default_factory=Counts)
    """This hour of the clock, as far as it has come."""
    day: Counts = field(default_factory=Counts)
    """Today, as far as it has come."""
    expected: dict[str, float] = field(default_factory=dict)
    """By measure; what nothing is expected of yet is missing."""
    departing: tuple[str, ...] = ()
    """The measures of which the last whole day departed."""

    @property
    def line(self) -> str:
        """One line for the page."""
        share = self.day.value("not_sure")
        should = self.expected.get("not_sure")
        if share is None:
            line = "No garment so far"
        else:
            number = f"{self.day.visits:,} garment{'' if self.day.visits == 1 else 's'}"
            usual = "" if should is None else f", {shown('not_sure', should)} is expected"
            line = f"{number}, {shown('not_sure', share)} not sure{usual}"
        departed = ", ".join(MEASURES[each].words for each in self.departing)
        return f"{line}. The last day was not as expected: {departed}" if departed else line
