"""What is remembered of the days with one network: today by hour, the first days, and what has departed from them."""

from __future__ import annotations

import datetime
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from edgefashion.camera.drift import chance
from edgefashion.camera.figures import MEASURES, Counts, counts_of, shown

FIRST_DAYS: Final = 14
"""Days, two whole weeks, that the later ones are held against where the model's report says nothing."""

DAY_P: Final = 0.05 / (len(MEASURES) * 30)
"""A day departs where so little chance is left. Four figures are looked at once a day: by Bonferroni's correction, in a
month in which nothing has changed, the odds of one false event are at most 5 in 100."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Expected:
    """What the model's report says of pictures held out from training."""

    pictures: int
    not_sure: int
    """Of these: how many it was not sure of."""

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.not_sure / self.pictures


@dataclass(frozen=True)
class Departure:
    """A day's figure that departs from what is expected, or does so no more."""

    measure: str
    day: str
    value: float
    expected: float
    test: str
    p: float
    departs: bool

    def as_json(self) -> dict[str, Any]:
        """The field ``drift`` of an event."""
        return asdict(self) | {"value": round(self.value, 4), "expected": round(self.expected, 4)}

    @property
    def reason(self) -> str:
        """A sentence for people."""
        what = f"{self.day}: {MEASURES[self.measure].words}"
        was, should = (shown(self.measure, value) for value in (self.value, self.expected))
        if not self.departs:
            return f"{what} {was}, again as expected ({should})"
        return f"{what} {was}, where {should} is expected: beyond chance ({self.test}, p = {self.p:.1g})"


@dataclass
class Days:
    """The days with one network."""

    date: str = ""
    """Today's, as in 2026-11-27, of this machine's own clock; empty before the first."""
    hours: dict[int, Counts] = field(default_factory=dict)
    """Today's counts by the hour of the clock, 0 to 23."""
    first: list[dict[str, float]] = field(default_factory=list)
    """The figures of the first days, each as far as the day had enough."""
    departing: list[str] = field(default_factory=list)
    """The measures of which the last day that had enough departed."""

    def hour(self, hour: int) -> Counts:
        """The counts to add to."""
        return self.hours.setdefault(hour, Counts())

    @property
    def today(self) -> Counts:
        """The sum of the hours."""
        total = Counts()
        for counts in self.hours.values():
            total.add(counts)
        return total

    def expected(self, report: Expected | None) -> dict[str, float]:
        """What is expected of a day, by measure: what the report says, else the mean of the first days."""
        means = {name: self._before(name) for name in MEASURES}
        found = {name: sum(values) / len(values) for name, values in means.items() if len(values) >= FIRST_DAYS}
        return found if report is None else found | {"not_sure": report.share}

    def end(self, date: str, report: Expected | None) -> list[Departure]:
        """Begin the day ``date``; what has changed with the one before."""
        changes = []
        figures = self.today.figures()
        for measure, value in figures.items():
            judged = self._judge(measure, value, report)
            if judged is not None and judged.departs != (measure in self.departing):
                changes.append(judged)
        for change in changes:
            (self.departing.append if change.departs else self.departing.remove)(change.measure)
        if figures and any(len(self._before(name)) < FIRST_DAYS for name in figures):
            self.first.append({n: value for n, value in figures.items() if len(self._before(n)) < FIRST_DAYS})
        self.date, self.hours = date, {}
        return changes

    def _before(self, measure: str) -> list[float]:
        return [day[measure] for day in self.first if measure in day]

    def _judge(self, measure: str, value: float, report: Expected | None) -> Departure | None:
        """Whether the day departs; None while there is nothing to hold it against."""
        if measure == "not_sure" and report is not None:
            today = self.today
            p = chance.two_proportions(today.unsure, today.visits, report.not_sure, report.pictures)
            test = (
                f"two-proportion z-test of {today.visits} garments against the {report.pictures} of the model's report"
            )
            return Departure(measure, self.date, value, report.share, test, p, p < DAY_P)
        before = self._before(measure)
        if len(before) < FIRST_DAYS:
            return None
        p = chance.one_more(value, before, MEASURES[measure].least_spread)
        test = f"t-test of the day against the first {len(before)} days"
        return Departure(measure, self.date, value, sum(before) / len(before), test, p, p < DAY_P)

    def as_json(self) -> dict[str, Any]:
        """What the file holds of it."""
        return asdict(self)


def days_of(fields: Any) -> Days:
    """Days from a file's JSON. Raises :class:`ValueError` for what are none."""
    if not isinstance(fields, dict) or fields.keys() != asdict(Days()).keys():
        raise ValueError("no days")
    date, hours, first, departing = (fields[name] for name in ("date", "hours", "first", "departing"))
    if not isinstance(date, str) or (date and not (_DATE.fullmatch(date) and datetime.date.fromisoformat(date))):
        raise ValueError("no date")
    if not isinstance(hours, dict) or any(not re.fullmatch(r"1?\d|2[0-3]", hour) for hour in hours):
        raise ValueError("no hours")
    if not isinstance(first, list) or not all(_are_figures(day) for day in first):
        raise ValueError("no figures")
    if not isinstance(departing, list) or any(name not in MEASURES for name in departing):
        raise ValueError("no measures")
    named = list(dict.fromkeys(departing))
    return Days(date, {int(hour): counts_of(counts) for hour, counts in hours.items()}, first, named)


def _are_figures(day: Any) -> bool:
    return isinstance(day, dict) and all(
        name in MEASURES and type(value) in (int, float) and 0 <= value <= 255 for name, value in day.items()
    )
