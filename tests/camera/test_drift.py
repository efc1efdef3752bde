"""A day that departs beyond chance is told of, by the test that is named, once, over restarts too; others are not."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.camera import wait_until
from helpers.events import fill, small_disk
from scipy import stats  # type: ignore[import-untyped]

from edgefashion.camera.drift import chance, store
from edgefashion.camera.drift import watch as module
from edgefashion.camera.drift.days import DAY_P, FIRST_DAYS, Days, Departure, Expected
from edgefashion.camera.drift.expected import expected_of
from edgefashion.camera.drift.visits import Visit, Visits
from edgefashion.camera.drift.watch import DayWatch, identity
from edgefashion.camera.events.event import Event, now
from edgefashion.camera.events.sink import line
from edgefashion.camera.figures import Counts, Figures
from edgefashion.camera.moment import Health, Moment
from edgefashion.inference.decision import Rule
from edgefashion.inference.load import load

LIVE = Health("live")

# --- The two tests ---------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [*range(1, 15), 29, 30])
def test_student_t(degrees: int) -> None:
    """The p-values are SciPy's."""
    for t in (0.0, 0.3, -1.0, 2.5, -6.0, 12.0):
        assert chance.student_t(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=1e-12)


@pytest.mark.parametrize(
    "counts", [(30, 100, 200, 600), (55, 100, 179, 606), (0, 100, 179, 606), (0, 20, 0, 606), (20, 20, 606, 606)]
)
def test_two_proportions(counts: tuple[int, int, int, int]) -> None:
    """The p-value is that of Pearson's chi-squared test without continuity correction, which is the same
    test; where all answers are the same, nothing departs."""
    hits, of, expected_hits, expected_of = counts
    table = [[hits, of - hits], [expected_hits, expected_of - expected_hits]]
    known = np.any(np.sum(table, axis=0) == 0) or stats.chi2_contingency(table, correction=False).pvalue
    assert chance.two_proportions(*counts) == pytest.approx(float(known))


def test_one_more() -> None:
    """A value like those before is one more of them; equal values before do not make every other one a departure."""
    before = [0.30, 0.31, 0.29, 0.32, 0.28]
    assert chance.one_more(0.31, before, 0.01) > 0.5
    assert chance.one_more(0.60, before, 0.01) < 0.001
    assert chance.one_more(0.31, [0.3] * 5, 0.02) > 0.5


# --- Visits ----------------------------------------------------------------------------------


def moments(*spans: tuple[str, float, float], step_s: float = 0.1) -> Iterator[Moment]:
    """Moments of (state, seconds, confidence), one after the other; the state ``away`` is a source that is lost."""
    time_s = 0.0
    for state, seconds, confidence in spans:
        for _ in range(round(seconds / step_s)):
            time_s += step_s
            health = Health("reconnecting") if state == "away" else LIVE
            shown = "none" if state == "away" else state
            yield Moment(time_s, health, shown, "Coat" if shown == "garment" else None, confidence)


@pytest.mark.parametrize(
    ("spans", "visits"),
    [
        ([("none", 5, 0)], []),
        ([("garment", 3, 0.9), ("none", 5, 0)], [Visit(True, 0.9)]),
        ([("unknown", 1, 0.4), ("garment", 3, 0.9), ("none", 5, 0)], [Visit(True, 0.9)]),
        ([("unknown", 3, 0.4), ("garment", 1, 0.9), ("none", 5, 0)], [Visit(False, 0.4)]),
        ([("garment", 3, 0.8), ("none", 1, 0), ("garment", 3, 0.6), ("none", 5, 0)], [Visit(True, 0.7)]),
        (
            [("garment", 2, 0.8), ("none", 3, 0), ("unknown", 2, 0.3), ("none", 3, 0)],
            [Visit(True, 0.8), Visit(False, 0.3)],
        ),
        (
            [("garment", 2, 0.8), ("away", 0.2, 0), ("garment", 2, 0.6), ("none", 3, 0)],
            [Visit(True, 0.8), Visit(True, 0.6)],
        ),
        ([("garment", 600, 0.8), ("none", 3, 0)], [Visit(True, 0.8)]),
    ],
)
def test_visits(spans: list[tuple[str, float, float]], visits: list[Visit]) -> None:
    """A garment is one visit, however long it stays and whatever it is called in between; its answer is the one that
    stood longest."""
    watched = Visits()
    found = [visit for moment in moments(*spans) if (visit := watched.take(moment))]
    assert [visit.sure for visit in found] == [visit.sure for visit in visits]
    assert [visit.confidence for visit in found] == pytest.approx([visit.confidence for visit in visits], abs=0.02)


# --- Days ------------------------------------------------------------------------------------


def day(
    unsure: float = 0.3, empty: float = 0.9, confidence: float = 0.8, light: float = 120, visits: int = 100
) -> Counts:
    """A day's sums; the figures differ a little from day to day, as they do."""
    dice = random.Random(f"{unsure}{empty}{confidence}{light}{visits}")
    share = sum(dice.random() < unsure for _ in range(visits))
    return Counts(visits, share, confidence * visits, 600, round(600 * empty), light * 600)


def live_through(days: Days, counts: list[Counts], report: Expected | None = None) -> list[list[Departure]]:
    """The changes at the end of each day."""
    begun = datetime(2026, 3, 1)
    told = []
    for number, of in enumerate(counts):
        days.date = (begun + timedelta(days=number)).date().isoformat()
        days.hours = {10: of}
        told.append(days.end((begun + timedelta(days=number + 1)).date().isoformat(), report))
    return told


QUIET = [day(light=120 + n % 5, empty=0.9 + n % 3 / 100, confidence=0.8 + n % 4 / 100) for n in range(FIRST_DAYS)]


@pytest.mark.parametrize(
    ("departing", "measure", "expected"),
    [
        (day(light=60), "brightness", 121.9),
        (day(empty=0.4), "no_garment", 0.91),
        (day(confidence=0.5), "confidence", 0.814),
        (day(unsure=0.9), "not_sure", 0.3),
        (day(light=130, empty=0.93, confidence=0.78), None, 0),
        (day(unsure=0.9, visits=19), None, 0),
        (Counts(), None, 0),
    ],
)
def test_departs_from_the_first_days(departing: Counts, measure: str | None, expected: float) -> None:
    """Without a word of the report a day is held against the first fourteen: one that departs is told of once, and when
    it is over; one that differs as days do, or has too little to say, is not."""
    days = Days()
    told = live_through(days, [*QUIET, QUIET[0], departing, departing, QUIET[1]])
    if measure is None:
        assert not any(told)
        return
    assert [len(changes) for changes in told] == [0] * 15 + [1, 0, 1]
    (begins,), (ends,) = told[15], told[17]
    assert (begins.measure, begins.departs, begins.day) == (measure, True, "2026-03-16")
    assert begins.expected == pytest.approx(expected, abs=0.05)
    assert begins.p < DAY_P < ends.p
    assert not ends.departs
    assert "t-test of the day against the first 14 days" in begins.reason
    assert "again as expected" in ends.reason


@pytest.mark.parametrize(
    ("counts", "departs"), [(day(0.3), False), (day(0.4, visits=40), False), (day(0.6), True), (day(0.05), True)]
)
def test_departs_from_the_report(counts: Counts, departs: bool) -> None:
    """Where the report says how often the network is not sure, the very first day is held against that."""
    ((*changes,),) = live_through(Days(), [counts], Expected(606, 179))
    assert [change.measure for change in changes] == ["not_sure"] * departs
    for change in changes:
        assert "two-proportion z-test of 100 garments against the 606 of the model's report" in change.reason
        assert "where 30 % is expected" in change.reason


def test_seldom_false() -> None:
    """In four hundred months of days that are all alike, chance makes fewer than one in ten tell of a drift."""
    dice = np.random.default_rng(0)
    report = Expected(606, 179)
    false = 0
    for _ in range(400):
        shares = dice.binomial(100, report.share, 30)
        false += any(chance.two_proportions(int(n), 100, report.not_sure, report.pictures) < DAY_P for n in shares)
    assert false < 40


def test_event_line() -> None:
    """A drift event's line has what it decides by in a field of its own; the lines of others have no such field."""
    change = Departure("not_sure", "2026-03-01", 0.61234, 0.3, "a test", 1e-6, True)
    told = json.loads(line(Event(now(), 1, "drift", reason=change.reason, drift=change.as_json())))
    assert told["drift"]["value"] == 0.6123
    assert (told["drift"]["measure"], told["drift"]["departs"], told["label"]) == ("not_sure", True, None)
    assert "drift" not in json.loads(line(Event(now(), 1, "live")))


# --- The watch -------------------------------------------------------------------------------


def classifier(name: str = "kiosk", threshold: float = 0.5) -> Any:
    """As much of a network as is looked at."""
    return SimpleNamespace(name=name, labels=("Coat", "Bag"), rule=Rule(threshold), source=None)


class Clock:
    """A clock to be set."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 10)

    def __call__(self) -> datetime:
        return self.time


def pass_a_day(watch: DayWatch, clock: Clock, of: Any, *, light: int, time_s: float) -> list[Departure]:
    """A day of sixty looks and twenty garments, one a minute."""
    image = np.full((80, 80, 3), light, np.uint8)
    told: list[Departure] = []
    for minute in range(60):
        for second, state in ((0, "garment" if minute < 20 else "none"), (1, "none"), (5, "none")):
            moment = Moment(time_s + 61 * minute + second, LIVE, state, "Coat", 0.75, image=image)
            told += watch.take(moment, of)
    clock.time += timedelta(days=1)
    return told


def test_outlives_restarts(tmp_path: Path) -> None:
    """Counts, first days and what has departed outlive a restart, a day is judged at the start after it, and another
    network, or other thresholds, begin anew."""
    clock, path, of = Clock(), tmp_path / "state" / "days.json", classifier()
    told: list[list[Departure]] = []
    for number in range(FIRST_DAYS + 3):
        watch = DayWatch(path, lambda _: None, clock)
        light = 60 if number == FIRST_DAYS else 120
        told.append(pass_a_day(watch, clock, of, light=light, time_s=1e6 * number))
        watch.close()
        watch.close()
    assert [[(c.measure, c.departs) for c in changes] for changes in told[-2:]] == [
        [("brightness", True)],
        [("brightness", False)],
    ]
    assert not any(told[:-2])
    watch = DayWatch(path, lambda _: Expected(606, 179), clock)
    clock.time -= timedelta(days=1)
    watch.take(Moment(0, LIVE, "none", image=np.zeros((8, 8, 3), np.uint8)), of)
    assert (watch.figures.day.visits, watch.figures.day.looks) == (20, 61)
    assert watch.figures.expected == pytest.approx(
        {"not_sure": 0.295, "no_garment": 2 / 3, "confidence": 0.75, "brightness": 120}, abs=0.01
    )
    assert watch.figures.line == "20 garments, 0 % not sure, 30 % is expected"
    for another in (classifier("shop"), classifier(threshold=0.6)):
        watch._told_s = float("-inf")
        watch.take(Moment(100, LIVE, "none"), another)
        assert watch.figures.day.visits == 0
        assert watch.figures.expected == pytest.approx({"not_sure": 0.295}, abs=0.01)
    watch.close()
    networks = store.read(path)
    assert len(networks) == 3
    assert max(len(days.first) for days in networks.values()) == FIRST_DAYS


MORNING = datetime(2026, 11, 27, 9)
BEHIND, AHEAD = datetime(2026, 1, 1), datetime(2030, 1, 1)


@pytest.mark.parametrize(
    ("clock", "date", "garments", "judged"),
    [
        ([(0, MORNING)], "2026-11-27", 40, 0),
        ([(0, BEHIND), (30, MORNING)], "2026-11-27", 40, 0),
        ([(0, BEHIND), (3600, BEHIND), (7000, MORNING)], "2026-11-27", 40, 0),
        ([(0, BEHIND), (7000, MORNING), (7010, BEHIND), (14_000, MORNING)], "2026-11-27", 40, 0),
        ([(0, BEHIND), (30, MORNING + timedelta(days=1))], "2026-11-28", 0, 1),
        ([(0, MORNING + timedelta(hours=15)), (1800, MORNING + timedelta(hours=14, minutes=30))], "2026-11-28", 0, 1),
        ([(0, BEHIND), (7300, BEHIND + timedelta(hours=2))], "2026-01-01", 40, 0),
        ([(0, BEHIND), (7300, BEHIND), (90_000, BEHIND + timedelta(days=1))], "2026-01-02", 0, 1),
        ([(0, AHEAD), (30, MORNING)], "2030-01-01", 0, 1),
        ([(0, AHEAD), (30, MORNING), (7300, MORNING + timedelta(hours=2))], "2026-11-27", 0, 1),
        ([(0, AHEAD), (30, MORNING), (7300, MORNING), (86_400, MORNING + timedelta(days=1))], "2026-11-28", 0, 1),
    ],
)
def test_a_clock_that_is_set(
    tmp_path: Path, clock: list[tuple[float, datetime]], date: str, garments: int, judged: int
) -> None:
    """A start with a date long past leaves the day as it is until the clock is set; a clock that was ahead and is set
    back counts its days again within hours; no day is judged but one that is over, once."""
    path, of = tmp_path / "days.json", classifier()
    day = Days("2026-11-27", {8: Counts(40, 4, 32.0, 70, 35, 8400.0)}, [{"brightness": 200.0}] * FIRST_DAYS)
    store.write(path, store.text_of({identity(of): day}))
    watch = DayWatch(path, lambda _: None, iter([at for _, at in clock]).__next__)
    told = []
    for time_s, _ in clock:
        told += watch.take(Moment(time_s, LIVE), of)
    watch.close()
    (days,) = store.read(path).values()
    assert (days.date, days.today.visits, len(told)) == (date, garments, judged)


def test_a_visit_that_goes_on_counts_when_the_camera_ends(tmp_path: Path) -> None:
    """The garment in view when the camera is stopped is counted."""
    watch = DayWatch(tmp_path / "d.json", lambda _: None)
    watch.take(Moment(0, LIVE, "unknown", None, 0.4), classifier())
    watch.close()
    (days,) = store.read(tmp_path / "d.json").values()
    assert (days.today.visits, days.today.unsure) == (1, 1)


def test_remembers_nothing_without_a_file() -> None:
    """Where nothing can be kept, today is counted all the same."""
    watch = DayWatch(None, lambda _: None)
    watch.take(Moment(0, LIVE, "none", image=np.zeros((8, 8, 3), np.uint8)), classifier())
    watch.close()
    assert watch.figures.day.looks == 1


GOOD: dict[str, Any] = {
    "date": "2026-03-01",
    "hours": {"9": dataclasses.asdict(Counts(2, 1, 1.5))},
    "first": [{"not_sure": 0.5}],
    "departing": ["not_sure"],
}


_WRONG: tuple[dict[str, Any], ...] = (
    {"date": "1.3.2026"},
    {"date": 5},
    {"hours": {"24": GOOD["hours"]}},
    {"hours": {"9": {}}},
    {"hours": {"9": dataclasses.asdict(Counts(1, 2))}},
    {"hours": {"9": dataclasses.asdict(Counts(-1))}},
    {"hours": {"9": dataclasses.asdict(Counts()) | {"looks": 1.5}}},
    {"first": [{"height": 1}]},
    {"first": [{"not_sure": "many"}]},
    {"departing": ["height"]},
    {"more": 1},
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"format": 2, "networks": {}}',
        '{"format": 1, "networks": []}',
        '{"format": 1, "networks": {"a": {}}}',
        *(json.dumps({"format": 1, "networks": {"a": GOOD | wrong}}) for wrong in _WRONG),
        '{"format": 1, "networks": {"a": NaN}}',
        "x" * 2_000_000,
    ],
)
def test_damaged_file(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that holds what are no days is put aside, which is told, and the camera begins anew."""
    path = tmp_path / "days.json"
    path.write_text(json.dumps({"format": 1, "networks": {"a": GOOD}}))
    assert store.read(path)["a"].today.visits == 2
    path.write_text(text)
    assert store.read(path) == {}
    assert "was damaged, and is kept as days.json.damaged" in capsys.readouterr().err
    assert store.read(path) == {}


@pytest.mark.linux_only("a small file system is mounted")
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs no frame: it is a fault until there is room again."""
    monkeypatch.setattr(module, "SAVE_S", 0.0)
    monkeypatch.setattr(module, "TOLD_S", 0.0)
    with small_disk(tmp_path / "disk", "64k") as disk:
        watch = DayWatch(disk / "days.json", lambda _: None)
        ballast = fill(disk)

        def take() -> str:
            watch.take(Moment(0, LIVE), classifier())
            return watch.fault

        wait_until(lambda: "No space left" in take(), "the fault")
        ballast.unlink()
        wait_until(lambda: not take(), "the fault's end")
        watch.close()
        assert len(store.read(disk / "days.json")) == 1


def test_shipped_report() -> None:
    """The shipped photo network's report says how often it is not sure, of how many pictures; another's says
    nothing."""
    found = expected_of(load("kiosk"))
    assert found is not None
    assert found.pictures > 500
    assert 0.1 < found.share < 0.5
    assert expected_of(load("edge")) is None
    assert expected_of(classifier()) is None


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        (Figures(), "No garment so far"),
        (Figures(day=Counts(1, 1)), "1 garment, 100 % not sure"),
        (Figures(day=Counts(1200, 300)), "1,200 garments, 25 % not sure"),
        (
            Figures(day=Counts(4, 1), expected={"not_sure": 0.3}, departing=("confidence",)),
            "4 garments, 25 % not sure, 30 % is expected. The last day was not as expected: mean confidence",
        ),
    ],
)
def test_line(figures: Figures, text: str) -> None:
    """The page's line says how many garments, how many not sure, what is expected, and what yesterday was not."""
    assert figures.line == text
