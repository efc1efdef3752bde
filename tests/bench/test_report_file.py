"""A report is read back as it was printed, and nothing else is taken for one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.bench_reports import STEADY, made, report

from edgefashion.bench import baseline
from edgefashion.bench.report import Report
from edgefashion.bench.report_file import read
from edgefashion.errors import BadInputError

GARBAGE: list[tuple[str, bytes | Callable[[Report], object]]] = [
    ("is no JSON", b""),
    ("is no JSON", b"\x89PNG\r\n\x1a\n\xff\xfe"),
    ("is no JSON", b"p50,p90\n1,2\n"),
    ("is no JSON", b"[" * 100_000),
    ("not one JSON object", b"[1, 2]"),
    ("model is missing", b"{}"),
    ("rows cannot be", lambda r: r.update(rows=[])),
    ("rows cannot be", lambda r: r.update(rows=["x"])),
    ("machine cannot be", lambda r: r.update(machine="AMD")),
    ("notes cannot be", lambda r: r.update(notes="x")),
    ("row 1: accuracy is missing", lambda r: r["rows"][0].pop("accuracy")),
    ("row 1: accuracy cannot be 94.6", lambda r: r["rows"][0].update(accuracy=94.6)),
    ("row 1: accuracy cannot be NaN", lambda r: r["rows"][0].update(accuracy=float("nan"))),
    ("row 1: threads cannot be true", lambda r: r["rows"][0].update(threads=True)),
    ("row 1: latency_us cannot be", lambda r: r["rows"][0].update(latency_us={"p50": "fast"})),
    ("row 1: latency_p50_rounds_us cannot be", lambda r: r["rows"][0].update(latency_p50_rounds_us=[])),
    ("row 1: latency_p50_rounds_us cannot be", lambda r: r["rows"][0].update(latency_p50_rounds_us=[0])),
    ("row 1: throughput_rounds_fps cannot be", lambda r: r["rows"][0].update(throughput_rounds_fps=[-1.0])),
    ("row 1: latency_percentiles_us cannot be", lambda r: r["rows"][0].update(latency_percentiles_us=[1.0, 2.0])),
    ("row 1: operations cannot be", lambda r: r["rows"][0].update(operations=[{"name": "x"}])),
    ("row 1: throughput_by_batch_fps cannot be", lambda r: r["rows"][0].update(throughput_by_batch_fps={"a": 1})),
    ("row 1: isa cannot be", lambda r: r["rows"][0].update(isa=2)),
]


@pytest.mark.parametrize(("says", "what"), GARBAGE)
def test_garbage_is_refused(says: str, what: bytes | Callable[[Report], object], tmp_path: Path) -> None:
    """A file that is no bench report is refused with the field that is wrong, whatever is in it."""
    path = tmp_path / "base.json"
    if isinstance(what, bytes):
        path.write_bytes(what)
    else:
        changed = report(made(STEADY))
        what(changed)
        path.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(BadInputError, match=re.escape(says)) as raised:
        read(path)
    assert "base.json" in str(raised.value)


def test_what_bench_prints_is_read_back(short_report: Report, tmp_path: Path) -> None:
    """Every report bench makes is a baseline, for itself without a change."""
    path = tmp_path / "base.json"
    calm = {**short_report, "machine": {**short_report["machine"], "others_cpu_share": 0.0}}
    path.write_text(json.dumps(calm), encoding="utf-8")
    changes = baseline.compare(calm, read(path))
    assert {c.verdict for c in changes} == {"same"}
    assert len(changes) == 4 * len(short_report["rows"])
