"""A bench with its chart, its page and its baseline as one function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgefashion.bench import run
from edgefashion.bench.benchmark import Benchmark, benchmark
from edgefashion.bench.report import BenchReport
from edgefashion.errors import BadInputError, EdgeFashionError, GateError, MissingError
from edgefashion.system import machine


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, short_report: dict[str, Any]) -> list[dict[str, Any]]:
    """Instead of measuring: the options, and always the same report."""
    calls: list[dict[str, Any]] = []

    class Report(BenchReport):
        def as_json(self) -> dict[str, Any]:
            return short_report

    def bench(model: str, **options: Any) -> BenchReport:
        calls.append(options)
        return Report(model, {}, {}, [])

    monkeypatch.setattr(run, "bench", bench)
    return calls


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"html": "page.pdf"}, BadInputError, "only HTML pages are written"),
        ({"html": "nowhere/page.html"}, BadInputError, "its folder does not exist"),
        ({"chart": "chart.jpg"}, BadInputError, "only PNG pictures are written"),
        ({"baseline": "none.json"}, BadInputError, r"Make it with: edgefashion bench mine --json > \S+none.json"),
        ({"baseline": "other.json"}, BadInputError, "was measured on another CPU"),
    ],
)
def test_refused_before_the_minutes(
    options: dict[str, str],
    error: type[EdgeFashionError],
    says: str,
    tmp_path: Path,
    short_report: dict[str, Any],
    measured: list[dict[str, Any]],
) -> None:
    """What cannot be written or compared is refused before anything is measured."""
    other = short_report | {"machine": short_report["machine"] | {"cpu": "another"}}
    (tmp_path / "other.json").write_text(json.dumps(other), encoding="utf-8")
    given: dict[str, Any] = {name: tmp_path / path for name, path in options.items()}
    with pytest.raises(error, match=says):
        benchmark("mine", **given)
    assert measured == []


def test_a_chart_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: list[dict[str, Any]]
) -> None:
    """Without matplotlib a chart is refused before anything is measured, with the line that installs it."""
    monkeypatch.setattr("edgefashion.system.extras.installed", lambda name: name != "matplotlib")
    with pytest.raises(MissingError, match=r'pip install "edgefashion\[bench\]"'):
        benchmark("edge", chart=tmp_path / "chart.png")
    assert measured == []


def test_options_go_through(measured: list[dict[str, Any]], tmp_path: Path) -> None:
    """Rounds, seconds and the rest are those of the measurement; without a baseline nothing has changed."""
    done = benchmark("edge", vs=(), threads=1, isa=("avx2",), photos=(tmp_path,), rounds=3, seconds=0.02)
    (options,) = measured
    assert (options["vs"], options["threads"], options["isa"], options["photos"]) == ((), 1, ("avx2",), (tmp_path,))
    assert (options["options"].rounds, options["options"].seconds) == (3, 0.02)
    assert done.changes == ()
    done.raise_if_worse()


def test_a_regression_is_told_and_raised_when_asked(
    measured: list[dict[str, Any]], short_report: dict[str, Any], tmp_path: Path
) -> None:
    """What is worse than the baseline is among the changes, and is an error once it is asked for: not before the report
    could be printed."""
    calm = {**short_report, "machine": {**machine.describe(), "others_cpu_share": 0.0}}
    better = calm | {"rows": [row | {"accuracy": 1.0} for row in calm["rows"]]}
    (tmp_path / "base.json").write_text(json.dumps(better), encoding="utf-8")
    done = benchmark("edge", baseline=tmp_path / "base.json", html=tmp_path / "page.html")
    assert isinstance(done, Benchmark)
    assert {change.quantity for change in done.changes if change.verdict == "worse"} == {"accuracy"}
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!")
    with pytest.raises(GateError, match=r"worse than the baseline: .*accuracy"):
        done.raise_if_worse()
