"""A row is read back as it was written, in every format, and by others too."""

from __future__ import annotations

import csv
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import pytest
from helpers.tagging import EDGE, ROWS, SUFFIXES, finished

from edgefashion.errors import MissingError
from edgefashion.inference.predict import Prediction
from edgefashion.tagging import formats
from edgefashion.tagging.row import FIELDS, Row
from edgefashion.tagging.table import Ledger, read_rows


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_name(suffix: str, tmp_path: Path) -> None:
    """Any name a system allows is read back as it was: bytes that are no text, quotes, commas, line ends, escapes."""
    rng = random.Random(0)
    pieces = [
        *"\n\r\x1b\x9b\",'\\;|\t \ufeffé😀\u2028a=0",
        *map(chr, range(0xDC80, 0xDD00)),
        "\\u",
        "\\udc80",
        "\\u005c",
        "\\u000a",
        "\ud83d",
    ]
    names = dict.fromkeys("".join(rng.choices(pieces, k=rng.randrange(9))) for _ in range(400))
    rows = [Row(name, error=name or None) for name in names]
    table = finished(tmp_path / f"t{suffix}", rows)
    assert list(read_rows(table)) == rows
    if suffix != ".parquet":  # each row is one line of what a terminal can show
        lines = table.read_text("utf-8").removesuffix("\n").split("\n")
        assert len(lines) == len(rows) + (suffix == ".csv")
    if suffix == ".csv":
        assert not any(category(letter) == "Cc" for line in lines for letter in line)


def test_json_lines_are_predicts(tmp_path: Path) -> None:
    """A line has the fields that predict prints, and the picture's own."""
    first, *_ = finished(tmp_path / "t.jsonl").read_text("utf-8").splitlines()
    assert json.loads(first) == {
        "path": ROWS[0].path,
        "label": "Coat",
        "confidence": 0.5,
        "top": [["Coat", 0.5], ["Bag", 0.25]],
        "accepted": True,
        "box": [1, 2, 3, 4],
        "width": 10,
        "height": 20,
        "phash": "00ff00ff00ff00ff",
        "error": None,
        "garments": [
            {"label": "Coat", "confidence": 0.5, "accepted": True, "box": [1, 2, 3, 4]},
            {"label": '\\udcff, "Bag"', "confidence": 0.25, "accepted": False, "box": [5, 6, 7, 8]},
        ],
    }
    assert Prediction(None, None).as_json("").keys() - {"source"} <= set(FIELDS)


def test_pandas_reads_the_csv(tmp_path: Path) -> None:
    """Pandas reads the CSV, what is nested as JSON text."""
    pandas = pytest.importorskip("pandas")
    rows = [row for row in ROWS if row.path]
    table = pandas.read_csv(finished(tmp_path / "t.csv", rows), dtype={"phash": str})
    assert list(table.path) == ["a\\u000a,\"'\\u000d.jpg", formats.as_text(rows[1].path)]
    assert table.confidence.sum() == 0.5
    assert list(table.accepted) == [True, False]
    assert json.loads(table.box[0]) == [1, 2, 3, 4]
    assert json.loads(table.top[0]) == [["Coat", 0.5], ["Bag", 0.25]]
    assert [garment["label"] for garment in json.loads(table.garments[0])] == ["Coat", '\\udcff, "Bag"']


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV and JSON Lines need no pyarrow; Parquet without it is refused with the line that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for suffix in (".csv", ".jsonl"):
        assert tuple(read_rows(finished(tmp_path / f"t{suffix}"))) == ROWS
    with pytest.raises(MissingError, match=r'pip install "edgefashion\[tag\]"'):
        Ledger(tmp_path / "t.parquet", EDGE)
    assert not (tmp_path / "t.parquet.partial").exists()


def test_long_error(tmp_path: Path) -> None:
    """A cell of any length is read back."""
    rows = [Row("a.jpg", error="x" * 200_000)]
    assert list(read_rows(finished(tmp_path / "t.csv", rows))) == rows


def _cells(path: Path) -> Iterator[list[str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        yield from csv.reader(lines)


def test_csv_has_one_header(tmp_path: Path) -> None:
    """However often a CSV is added to, it has one header and as many cells a row."""
    out = finished(finished(tmp_path / "t.csv", ROWS[:1]))
    rows = list(_cells(out))
    assert [tuple(row) == FIELDS for row in rows] == [True, False, False, False]
    assert {len(row) for row in rows} == {11}
