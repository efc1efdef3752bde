"""A report against an earlier one: equal runs pass, and a slowdown beyond the noise is named."""

from __future__ import annotations

import copy
import random
import re
from itertools import combinations
from typing import Any

import pytest
from helpers.bench_reports import STEADY, made, report

from edgefashion.bench import baseline
from edgefashion.bench.pictures import FASHION
from edgefashion.bench.report import Report
from edgefashion.errors import BadInputError, GateError


def worse(new: Report, old: Report) -> list[str]:
    """The rows' quantities that got worse."""
    return [f"{c.row}: {c.quantity}" for c in baseline.compare(new, old) if c.verdict == "worse"]


def slower(old: Report, by: float, engine: str = "openvino") -> Report:
    """The same report, one engine's every time multiplied."""
    new = copy.deepcopy(old)
    for row in new["rows"]:
        if row["engine"] == engine:
            row["latency_p50_rounds_us"] = [v * by for v in row["latency_p50_rounds_us"]]
            row["throughput_rounds_fps"] = [v / by for v in row.get("throughput_rounds_fps", [])]
    return new


TWICE = {
    "TensorFlow SavedModel": (
        [1123.17, 1091.59, 1111.76, 2948.2, 1898.49],
        [1103.64, 3228.71, 1121.44, 1098.41, 2042.59],
    ),
    "OpenVINO FP32": (
        [209.21, 231.5, 332.85, 505.47, 229.98],
        [208.11, 224.11, 271.27, 184.97, 278.85],
    ),
    "OpenVINO BF16": (
        [176.93, 189.36, 242.98, 459.96, 114.85],
        [124.56, 115.6, 120.34, 140.61, 141.12],
    ),
    "OpenVINO INT8": (
        [74.56, 81.52, 118.16, 153.32, 127.35],
        [104.6, 75.66, 74.87, 128.71, 77.13],
    ),
}
"""Real rounds, p50 in microseconds: one bench, run twice within minutes on two cores that also trained networks."""

MEASURED = {
    "OpenVINO FP32": [365.84, 184.33, 236.57, 225.36, 187.89],
    "OpenVINO BF16": [109.86, 111.43, 111.96, 110.35, 137.09],
    "OpenVINO INT8": [73.97, 73.85, 73.55, 103.2, 78.54],
}
"""Real rounds of a calmer hour; of the first row they differ by a factor of two all the same."""

RESTLESS = [70.0, 95.0, 68.0, 120.0, 74.0]


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        pytest.param(STEADY, STEADY, "same", id="the same"),
        pytest.param(STEADY, STEADY[::-1], "same", id="another order"),
        pytest.param(STEADY, [v * 1.2 for v in STEADY], "worse", id="a fifth slower"),
        pytest.param(STEADY, [v / 1.2 for v in STEADY], "better", id="a fifth faster"),
        pytest.param(STEADY, [v * 1.04 for v in STEADY], "same", id="surely slower, but by less than 5 %"),
        pytest.param(RESTLESS, [v * 1.2 for v in RESTLESS], "same", id="less than the rounds' own spread"),
        pytest.param(RESTLESS, [v * 2 for v in RESTLESS], "worse", id="more than the rounds' own spread"),
        pytest.param(STEADY, [*[v * 1.2 for v in STEADY[:4]], 69.0], "same", id="one round as quick as ever"),
        pytest.param(
            [74.0, 73.9, 73.6, 103.2, 78.5], [88.8, 88.6, 88.3, 123.8, 94.2], "worse", id="one disturbed round"
        ),
        pytest.param(STEADY[:3], [v * 1.2 for v in STEADY[:3]], "worse", id="three rounds, all slower"),
        pytest.param(STEADY[:3], [60.0, 90.0, 91.0], "same", id="three rounds, not all slower"),
        pytest.param(STEADY[:2], [900.0, 900.0], "unknown", id="two rounds tell nothing"),
        pytest.param([70.0] * 60, [84.0] * 60, "worse", id="sixty rounds"),
        pytest.param([70.0] * 5, [70.0] * 5, "same", id="all ties"),
    ],
)
def test_latency_rule(old: list[float], new: list[float], verdict: str) -> None:
    """A row is slower if its rounds are, by a rank test, and their median by more than 5 %; faster likewise."""
    found = [c for c in baseline.compare(report(made(new)), report(made(old))) if c.quantity == "latency p50"]
    assert [c.verdict for c in found] == [verdict]


def test_throughput_rule() -> None:
    """Of throughput less is worse, by the same rule."""
    old = report(made(STEADY, [5000.0, 5010.0, 4990.0, 5005.0, 5001.0]))
    assert worse(slower(old, 1.25), old) == ["openvino row: latency p50", "openvino row: throughput"]
    assert worse(old, slower(old, 1.25)) == []


def test_rank_test_is_mann_whitneys() -> None:
    """The p-value is SciPy's exact one, and its normal approximation's beyond."""
    from scipy.stats import mannwhitneyu  # type: ignore[import-untyped]

    rng = random.Random(0)
    for n, m in ((3, 3), (5, 5), (4, 7), (20, 20), (25, 30)):
        for shift in (0.0, 0.5, 2.0):
            low = [rng.gauss(0, 1) for _ in range(n)]
            high = [rng.gauss(shift, 1) for _ in range(m)]
            method = "exact" if n * m <= baseline.EXACT_PAIRS else "asymptotic"
            theirs = mannwhitneyu(high, low, alternative="greater", method=method).pvalue
            assert baseline.rank_test(low, high) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("noise", "once_in"), [(0.01, 10_000), (0.03, 200), (0.1, 20)])
def test_chance_alone_seldom_trips_it(noise: float, once_in: int) -> None:
    """Of pairs of equal runs of five rounds few are called slower: at a noise of 10 % 1 in 20, at 3 % 1 in 200."""
    rng = random.Random(1)
    runs = [[rng.lognormvariate(0, noise) for _ in range(5)] for _ in range(4000)]
    assert sum(baseline.beyond_noise(a, b) for a, b in zip(runs[::2], runs[1::2], strict=True)) <= 2000 / once_in


def test_disturbance_trips_it_never_and_hides_little() -> None:
    """Where three rounds in ten are slowed down by something else, equal runs pass and four fifths of the runs a
    fifth slower are found."""
    rng = random.Random(1)

    def rounds(times: float) -> list[float]:
        return [times * rng.lognormvariate(0, 0.01) * (1 + (rng.random() < 0.3) * rng.expovariate(10)) for _ in "12345"]

    assert not any(baseline.beyond_noise(rounds(1), rounds(1)) for _ in range(1000))
    assert sum(baseline.beyond_noise(rounds(1), rounds(1.2)) for _ in range(1000)) > 800


def test_real_equal_runs_pass() -> None:
    """Of two real runs of one bench neither is slower than the other in any row, however much their rounds differ."""
    for first, second in TWICE.values():
        assert not baseline.beyond_noise(first, second)
        assert not baseline.beyond_noise(second, first)


def test_real_rounds_dealt_anew_pass() -> None:
    """Of all 252 ways to deal ten real rounds of a row into two runs of five, at most 1 in 20 is called slower."""
    for first, second in TWICE.values():
        rounds = first + second
        deals = [set(deal) for deal in combinations(range(10), 5)]
        called = sum(
            baseline.beyond_noise(
                [rounds[i] for i in range(10) if i in deal], [rounds[i] for i in range(10) if i not in deal]
            )
            for deal in deals
        )
        assert called <= len(deals) / 20


def test_a_fifth_is_found_in_real_rounds() -> None:
    """A fifth on top of real rounds is found, one of them disturbed or not, but not where they differ by a factor of
    two; there the double is."""

    def found(times: float) -> list[str]:
        return [name for name, old in MEASURED.items() if baseline.beyond_noise(old, [us * times for us in old])]

    assert found(1.0) == []
    assert found(1.2) == ["OpenVINO BF16", "OpenVINO INT8"]
    assert found(2.0) == list(MEASURED)


def test_times_of_a_busy_machine_are_not_judged() -> None:
    """Where others used the CPU in either measurement, times are shown and noted, not judged; accuracy is."""
    calm = report(made(STEADY))
    for old, new in (
        (calm, report(made(STEADY), others_cpu_share=0.4)),
        (report(made(STEADY), others_cpu_share=0.4), calm),
    ):
        changed = slower(new, 2.0)
        changed["rows"][0]["accuracy"] = 0.9
        changes = baseline.compare(changed, old)
        assert [c.quantity for c in changes if c.verdict == "worse"] == ["accuracy"]
        assert [c.verdict for c in changes if c.quantity == "latency p50"] == ["unknown"]
        assert any("Others used 40% of the CPU" in str(c) for c in changes)


CONTROL = [1100.0, 1110.0, 1105.0, 1098.0, 1101.0]


def test_a_slower_machine_is_no_regression() -> None:
    """Where another engine with the same file became as much slower, it is the machine; said, not called worse."""
    old = report(made(STEADY), made(CONTROL, engine="tensorflow"))
    both = slower(slower(old, 1.3), 1.3, "tensorflow")
    assert worse(both, old) == []
    assert any("so are the other engines (30% slower)" in str(c) for c in baseline.compare(both, old))
    assert worse(slower(slower(old, 1.6), 1.3, "tensorflow"), old) == [
        "openvino row: latency p50",
        "openvino row: throughput",
    ]


@pytest.mark.parametrize(
    ("old_machine", "control"),
    [
        pytest.param({"versions": {"openvino": "2026.4.1", "tensorflow": "2.20"}}, {}, id="of another version"),
        pytest.param({}, {"size_bytes": 900_000}, id="with another file"),
        pytest.param({}, {"engine": "openvino", "name": "openvino other"}, id="of the same engine"),
    ],
)
def test_what_changed_itself_is_no_control(old_machine: Report, control: Report) -> None:
    """An engine of another version, with another network, or the same engine in another row excuses nothing."""
    versions = {"versions": {"openvino": "2026.4.1", "tensorflow": "2.21"}}
    old = report(made(STEADY), made(CONTROL, engine="tensorflow"), **old_machine)
    new = report(made(STEADY), made(CONTROL, engine="tensorflow"), **versions)
    new["rows"][1] |= control
    if "name" in control:
        old["rows"][1] |= control
    new = slower(slower(new, 1.3), 1.3, "tensorflow")
    assert "openvino row: latency p50" in worse(new, old)


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [(0.9457, "same"), (0.9447, "same"), (0.9446, "worse"), (0.9467, "same"), (0.9480, "better")],
)
def test_accuracy_rule(accuracy: float, verdict: str) -> None:
    """Over the same images 10 in 10,000 may differ; an eleventh lost is a regression."""
    changes = baseline.compare(report(made(STEADY, accuracy=accuracy)), report(made(STEADY)))
    assert [c.verdict for c in changes if c.quantity == "accuracy"] == [verdict]


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.93, "same"), (0.929, "worse")])
def test_accuracy_on_few_photos(accuracy: float, verdict: str) -> None:
    """Of few photos a single one may differ; a second one lost is a regression."""
    photos = {"accuracy_on": "700 photos in shop", "accuracy_images": 700}
    old, new = ({**report(made(STEADY, accuracy=each)), "settings": photos} for each in (0.9314, accuracy))
    changes = baseline.compare(new, old)
    assert [c.verdict for c in changes if c.quantity == "accuracy"] == [verdict]


@pytest.mark.parametrize("photos", [{"accuracy_on": "700 photos in shop"}, {"accuracy_images": 700}])
def test_accuracy_on_other_pictures_is_not_compared(photos: dict[str, Any]) -> None:
    """Accuracy on other pictures, or on more of them, is shown and not judged; an older report is of
    Fashion-MNIST's test images."""
    new = {**report(made(STEADY, accuracy=0.5)), "settings": photos}
    (change,) = (c for c in baseline.compare(new, report(made(STEADY))) if c.quantity == "accuracy")
    assert change.verdict == "unknown"
    assert "not compared" in change.text
    same = {**report(made(STEADY, accuracy=0.5)), "settings": {"accuracy_on": FASHION, "accuracy_images": 10_000}}
    assert "openvino row: accuracy" in worse(same, report(made(STEADY)))


@pytest.mark.parametrize(("size_bytes", "verdict"), [(763_000, "same"), (764_000, "worse"), (300_000, "better")])
def test_size_rule(size_bytes: int, verdict: str) -> None:
    """A file more than 1 % larger is a regression."""
    changes = baseline.compare(report(made(STEADY, size_bytes=size_bytes)), report(made(STEADY)))
    assert [c.verdict for c in changes if c.quantity == "size"] == [verdict]


def test_the_gate_names_row_and_amount() -> None:
    """The gate's one line says which row got worse, in what, and by how much; without a regression it is silent."""
    old = report(made(STEADY))
    changes = baseline.compare(slower(old, 1.2), old)
    with pytest.raises(GateError, match=re.escape("openvino row: latency p50 70.4 to 84.5 us (+20.0%)")) as raised:
        baseline.gate(changes)
    assert raised.value.exit_code == 1
    assert "\n" not in str(raised.value)
    baseline.gate(baseline.compare(old, old))


def test_other_rows_and_versions_are_noted() -> None:
    """Rows that one report lacks, another model and other versions are notes, not regressions."""
    gone, new = made(STEADY, name="gone"), made(STEADY, name="new")
    old = report(made(STEADY), made(STEADY, isa="AVX2"), gone) | {"model": "other"}
    changes = baseline.compare(report(made(STEADY), new, versions={"openvino": "2026.5"}), old)
    assert [str(c) for c in changes if c.quantity == "note"] == [
        "The baseline is of the model other, this is edge.",
        "openvino was 2026.4.1, is 2026.5.",
        "openvino row, AVX2 is in the baseline alone: not compared.",
        "gone is in the baseline alone: not compared.",
        "new is not in the baseline: not compared.",
    ]
    assert {c.verdict for c in changes} == {"same", ""}


@pytest.mark.parametrize("other", [{"cpu": "Intel Xeon"}, {"cores": 4}, {"isa": ["avx2", "avx512f"]}])
def test_another_cpu_is_refused(other: dict[str, Any]) -> None:
    """Times of another CPU are not compared, and the error says what to do."""
    with pytest.raises(BadInputError, match="Measure one here: edgefashion bench edge --json"):
        baseline.compare(report(made(STEADY)), report(made(STEADY), **other))


def test_nothing_in_common_is_refused() -> None:
    """Two reports without a common row cannot be compared."""
    with pytest.raises(BadInputError, match="no row in common"):
        baseline.compare(report(made(STEADY)), report(made(STEADY, threads=0)))
