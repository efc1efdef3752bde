"""How long a bench will take is told before it begins, in its rows and rounds."""

from __future__ import annotations

from edgefashion.bench import candidates, estimate
from edgefashion.bench.report import BenchOptions


def test_more_work_takes_longer() -> None:
    """More rounds, longer measurements, more rows and a photo network take longer."""
    irs, _ = candidates.of_model("edge", (), threads=1)
    peers, _ = candidates.of_model("edge", ("litert",), threads=1)

    def seconds(rows: list[candidates.Candidate] = irs, *, photo: bool = False, **options: float) -> float:
        return estimate.of(rows, BenchOptions(**options), photo=photo)[0]  # type: ignore[arg-type]

    assert 0 < seconds() < seconds(rounds=6) < seconds(rounds=6, seconds=2.0)
    assert seconds() < seconds(peers)
    assert seconds() < seconds(photo=True)


def test_what_is_measured_is_counted() -> None:
    """The phrase has the rows and the rounds in it, one of them in the singular."""
    rows, _ = candidates.of_model("edge", (), threads=1)
    assert estimate.of(rows[:2], BenchOptions(), photo=False)[1] == "2 rows, 5 rounds of 0.5 s"
    assert estimate.of(rows[:1], BenchOptions(rounds=1), photo=False)[1] == "1 row, 1 round of 0.5 s"
