"""A bench report compared with an earlier one: what changed by more than the noise of the two measurements.

Latency and throughput are called worse only if all of this holds:

- The median of the rounds is worse by more than ``LEAST_CHANGE``. Even on a quiet machine two processes differ by that
  much, because their memory is laid out differently (Mytkowicz et al., ASPLOS 2009).
- The best of the rounds is worse by as much. Other programs can only slow a round down, so that the best round is the
  least disturbed one (Chen and Revels, "Robust benchmarking in noisy environments", 2016).
- The rounds as a whole are worse at ``SIGNIFICANCE`` by Mann and Whitney's rank test (1947), exact and one-sided. Three
  rounds on each side are just enough for that.
- All three still hold once the machine's own drift is taken out: the median change of the same files in other engines
  whose versions have not changed, where there are any. A machine that runs everything at half speed is no regression.

Where other programs used more than ``machine.BUSY`` of the CPU during either measurement, times are shown but not
judged. How much they use changes from run to run, and the rounds of a single run do not show it.

Accuracy is measured on the same images both times, so that only rounding can change it. A drop of more than
``ACCURACY_DROP``, and of more than one image, is a regression. So is a file that is larger by more than
``SIZE_GROWTH``.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from edgefashion.bench.pictures import FASHION, FASHION_IMAGES
from edgefashion.bench.report import Report, key, titles
from edgefashion.bench.report_file import check
from edgefashion.errors import BadInputError, GateError
from edgefashion.system.machine import BUSY
from edgefashion.system.text import quoted

LEAST_CHANGE: Final = 0.05
SIGNIFICANCE: Final = 0.05
FEWEST_ROUNDS: Final = 3
EXACT_PAIRS: Final = 400
ACCURACY_DROP: Final = 0.001
"""10 of the 10,000 test images. Of fewer pictures one may differ."""
SIZE_GROWTH: Final = 0.01
"""The metadata of an IR and of a SavedModel change by less."""

_FAMILIES: Final = {"keras": "tensorflow", "keras-predict": "tensorflow"}
"""Engines that compute with the same library as another one. Neither is a control for the other."""

_PACKAGES: Final = {
    "tensorflow": ("tensorflow", "keras"),
    "onnxruntime": ("onnxruntime",),
    "litert": ("ai-edge-litert",),
    "openvino": ("openvino",),
}
"""The packages that the time of a control depends on, by engine."""


@dataclass(frozen=True)
class Change:
    """One quantity of one row, before and after; or a note on the two reports."""

    row: str
    """The row's title; empty for a note."""
    quantity: str
    """latency p50, throughput, accuracy, size or note."""
    verdict: str
    """worse, better, same or unknown; empty for a note."""
    text: str
    """Both values and the difference, or the note."""

    def __str__(self) -> str:
        return f"{self.row}: {self.quantity} {self.text}" if self.row else self.text


def same_machine(machine: dict[str, Any], baseline: Report) -> None:
    """Raise :class:`BadInputError` if ``baseline`` was measured on another CPU: its times cannot be compared."""
    then = baseline["machine"]
    for name, what in (("cpu", "CPU"), ("cores", "number of cores"), ("isa", "instruction sets")):
        if name in then and name in machine and then[name] != machine[name]:
            measure = f"edgefashion bench {quoted(baseline['model'])} --json > FILE"
            raise BadInputError(
                f"--baseline was measured on another {what} ({_words(then[name])}; here {_words(machine[name])}): "
                f"times cannot be compared. Measure one here: {measure}"
            )


def compare(report: Report, baseline: Report) -> list[Change]:
    """Every quantity of every row that both reports have, and notes on what else differs.

    Takes both in their JSON form; rows are matched by name, threads and instruction-set cap. Raises
    :class:`BadInputError` for what is no report, another CPU's, or one with no row in common.
    """
    check(report)
    check(baseline)
    same_machine(report["machine"], baseline)
    busy = max(float(each["machine"].get("others_cpu_share", 0.0)) for each in (report, baseline))
    before = {key(row): row for row in baseline["rows"]}
    pairs = {key(row): (before[key(row)], row) for row in report["rows"] if key(row) in before}
    if not pairs:
        raise BadInputError("--baseline has no row in common with this measurement. Measure the same model and options")
    named = dict(zip(map(key, report["rows"]), titles(report["rows"]), strict=True))
    pictures = [_pictures(each["settings"]) for each in (baseline, report)]
    changes = []
    for known_by, (old, new) in pairs.items():
        for quantity, rounds, worse_is_more in (
            ("latency p50", "latency_p50_rounds_us", True),
            ("throughput", "throughput_rounds_fps", False),
        ):
            drift = _drift(new, list(pairs.values()), rounds, worse_is_more, report, baseline)
            change = _timed(named[known_by], quantity, old.get(rounds), new.get(rounds), worse_is_more, drift)
            if busy > BUSY:
                change = replace(change, verdict="unknown")
            changes.append(change)
        changes.append(_accuracy(named[known_by], old["accuracy"], new["accuracy"], *pictures))
        changes.append(_size(named[known_by], old["size_bytes"], new["size_bytes"]))
    return changes + _notes(report, baseline, set(before), named)


def gate(changes: list[Change]) -> None:
    """Raise :class:`GateError` if anything got worse, naming each row and by how much."""
    worse = [change for change in changes if change.verdict == "worse"]
    if worse:
        more = f"; and {len(worse) - 3} more, listed above" if len(worse) > 3 else ""
        raise GateError(
            f"worse than the baseline: {'; '.join(map(str, worse[:3]))}{more}. Measure again on an idle machine; if "
            "it stays, look for what changed, or make this the new baseline"
        )


# --- Times -----------------------------------------------------------------------------------


def _timed(
    row: str,
    quantity: str,
    old: list[float] | None,
    new: list[float] | None,
    worse_is_more: bool,
    drift: float | None,
) -> Change:
    if not old or not new:
        return Change(row, quantity, "unknown", "not compared: the baseline has no rounds of it")
    unit = "us" if worse_is_more else "images/s"
    was, now = statistics.median(old), statistics.median(new)
    share = now / was - 1
    text = f"{_figure(was)} to {_figure(now)} {unit} ({share:+.1%})"
    if min(len(old), len(new)) < FEWEST_ROUNDS:
        return Change(row, quantity, "unknown", f"{text}: too few rounds to tell, measure {FEWEST_ROUNDS} or more")
    # The reciprocal of a throughput is a cost, as a latency is: more is worse.
    old_costs, new_costs = (values if worse_is_more else [1 / v for v in values] for values in (old, new))
    if beyond_noise(old_costs, new_costs):
        if drift is None or drift <= 1:
            return Change(row, quantity, "worse", text)
        if beyond_noise(old_costs, [cost / drift for cost in new_costs]):
            return Change(row, quantity, "worse", f"{text}, the other engines {drift - 1:.0%} slower")
        return Change(row, quantity, "same", f"{text}, but so are the other engines ({drift - 1:.0%} slower)")
    if beyond_noise(new_costs, old_costs):
        return Change(row, quantity, "better", text)
    return Change(row, quantity, "same", f"{text}, within the noise")


def beyond_noise(old: list[float], new: list[float]) -> bool:
    """True if rounds that cost ``new`` are worse than rounds that cost ``old``: the first three conditions above."""
    worse_by = min(of(new) / of(old) for of in (statistics.median, min))
    return worse_by > 1 + LEAST_CHANGE and rank_test(old, new) <= SIGNIFICANCE


def rank_test(low: list[float], high: list[float]) -> float:
    """One-sided p-value of Mann and Whitney's test that ``high`` is above ``low``; ties count half.

    The chance that as many pairs or more would be in that order if both came from one distribution: exact, or
    beyond ``EXACT_PAIRS`` pairs by the normal approximation.
    """
    n, m = len(low), len(high)
    above = sum((h > a) + (h == a) / 2 for h in high for a in low)
    if n * m > EXACT_PAIRS:
        spread = math.sqrt(n * m * (n + m + 1) / 12)
        return 1 - statistics.NormalDist(n * m / 2, spread).cdf(above - 0.5)
    return sum(_arrangements(n, m, u) for u in range(math.floor(above), n * m + 1)) / math.comb(n + m, n)


@cache
def _arrangements(n: int, m: int, u: int) -> int:
    """In how many orders of ``n`` and ``m`` values exactly ``u`` pairs have the second's above the first's."""
    if u < 0:
        return 0
    if n == 0 or m == 0:
        return int(u == 0)
    # The largest value of all is either one of the m, and then it is above all n, or one of the n.
    return _arrangements(n, m - 1, u - n) + _arrangements(n - 1, m, u)


def _drift(
    row: dict[str, Any],
    pairs: list[tuple[dict[str, Any], dict[str, Any]]],
    rounds: str,
    worse_is_more: bool,
    report: Report,
    baseline: Report,
) -> float | None:
    """How many times slower the machine itself is: the median over the row's controls, None without one.

    A control is the same file in an engine of another family whose version has not changed.
    """
    ratios = []
    for old, new in pairs:
        family = _family(new)
        if family == _family(row) or not old.get(rounds) or not new.get(rounds):
            continue
        packages = _PACKAGES.get(family, ())
        changed = any(_version(report, package) != _version(baseline, package) for package in packages)
        if changed or abs(new["size_bytes"] - old["size_bytes"]) > SIZE_GROWTH * old["size_bytes"]:
            continue
        ratio = statistics.median(new[rounds]) / statistics.median(old[rounds])
        ratios.append(ratio if worse_is_more else 1 / ratio)
    return statistics.median(ratios) if ratios else None


def _family(row: dict[str, Any]) -> str:
    engine = str(row["engine"])
    return _FAMILIES.get(engine, engine)


# --- Accuracy, size, notes -------------------------------------------------------------------


def _pictures(settings: dict[str, Any]) -> tuple[str, int]:
    """What a report's accuracy was measured on, and how many pictures these are. An older report does not say it:
    there was only one set."""
    images = settings.get("accuracy_images")
    count = images if isinstance(images, int) and images > 0 else FASHION_IMAGES
    return str(settings.get("accuracy_on", FASHION)), count


def _accuracy(row: str, old: float, new: float, before: tuple[str, int], now: tuple[str, int]) -> Change:
    points = (new - old) * 100
    text = f"{old:.2%} to {new:.2%} ({points:+.2f} points)"
    if before != now:
        return Change(row, "accuracy", "unknown", f"{text}: not compared, on {before[0]} before and on {now[0]} now")
    beyond = abs(new - old) > max(ACCURACY_DROP, 1 / now[1]) + 1e-9  # floats are rounded
    return Change(row, "accuracy", ("worse" if new < old else "better") if beyond else "same", text)


def _size(row: str, old: int, new: int) -> Change:
    share = new / old - 1 if old else 0.0
    text = f"{old:,} to {new:,} bytes ({share:+.1%})"
    verdict = "worse" if share > SIZE_GROWTH else "better" if share < -SIZE_GROWTH else "same"
    return Change(row, "size", verdict, text)


def _notes(report: Report, baseline: Report, before: set[Any], named: dict[Any, str]) -> list[Change]:
    found = []
    for each, which in ((report, "this measurement"), (baseline, "the baseline")):
        if (share := each["machine"].get("others_cpu_share", 0.0)) > BUSY:
            found.append(f"Others used {share:.0%} of the CPU during {which}: times are not judged.")
    if report["model"] != baseline["model"]:
        found.append(f"The baseline is of the model {baseline['model']}, this is {report['model']}.")
    now, then = (each["machine"].get("versions", {}) for each in (report, baseline))
    found += [
        f"{name} was {then[name]}, is {now[name]}." for name in sorted(now) if then.get(name, now[name]) != now[name]
    ]
    old_titles = dict(zip(map(key, baseline["rows"]), titles(baseline["rows"]), strict=True))
    found += [f"{old_titles[one]} is in the baseline alone: not compared." for one in old_titles if one not in named]
    found += [f"{title} is not in the baseline: not compared." for one, title in named.items() if one not in before]
    return [Change("", "note", "", text) for text in found]


def _version(report: Report, package: str) -> Any:
    return report["machine"].get("versions", {}).get(package)


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
