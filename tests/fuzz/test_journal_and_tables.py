"""Any bytes in place of a tagging run's journal, table or notes are read whole or refused."""

from __future__ import annotations

import io
import json
from typing import Any

from helpers.fuzzing import as_json, check_refusal, fuzz, json_mutations, json_values, mutations, scratch
from hypothesis import example, given
from hypothesis import strategies as st

from edgefashion.errors import BadInputError
from edgefashion.tagging import formats, journal, parquet
from edgefashion.tagging.row import Garment, Row
from edgefashion.tagging.text_set import TextSet

FOLDER = scratch()
MADE_WITH = {"model": "edge", "precision": "int8"}
BOX = (3, 4, 50, 60)
ROWS = [
    Row("a.jpg", "Coat", 0.5, (("Coat", 0.5), ("Shirt", 0.25)), True, BOX, 640, 480, "00ff" * 4, None),
    Row('odd\udcff\\u005c\n,";.jpg', error="a.jpg cannot be read: gone", try_again=True),
    Row(
        *("b.jpg", "Bag", 1.0, (("Bag", 1.0),), False, BOX, 9, 9, None, None, False),
        (Garment("Bag", 1.0, False, BOX), Garment("Coat", 0.0, True, BOX)),
    ),
]
WORDS = [
    b"\n",
    b"\r",
    b"\0",
    b'"',
    b'""',
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"true",
    b"NaN",
    b"1e999",
    b"\\ud800",
    b"\xff",
]


def sound(row: Row) -> None:
    """Fail unless it is a row as tagging makes them."""
    assert isinstance(row.path, str)
    for label in (row.label, row.phash, row.error):
        assert label is None or isinstance(label, str)
    for share in (row.confidence, *(p for _, p in row.top), *(garment.confidence for garment in row.garments)):
        assert 0 <= share < 1.001
    for box in (row.box, *(garment.box for garment in row.garments)):
        assert box is None or (len(box) == 4 and all(type(edge) is int for edge in box))


# --- The journal -----------------------------------------------------------------------------

JOURNAL = FOLDER / "t.csv.partial"
HEAD = journal._line({"made_with": dict(sorted(MADE_WITH.items()))})
LINES = [as_json(formats.to_record(row)) for row in ROWS]


@fuzz(60)
@given(st.binary() | mutations([HEAD, HEAD + b"\n".join(LINES) + b"\n"], WORDS))
@example(HEAD)
@example(HEAD + b"{}")
@example(b'{"made_with": {"model": 5}}\n')
def test_any_journal(raw: bytes) -> None:
    """It is refused and left as it was, or gone on with: its whole rows are read, and rows added are behind them."""
    JOURNAL.write_bytes(raw)
    try:
        opened = journal.Journal(JOURNAL, MADE_WITH)
    except BadInputError as error:
        check_refusal(error)
        assert JOURNAL.read_bytes().startswith(raw[: raw.rfind(b"\n") + 1]), "what was refused was altered"
        return
    try:
        before = list(opened.rows())
        opened.add(ROWS)
        after = list(opened.rows())
    finally:
        opened.close()
    for row in before:
        sound(row)
    assert after == before + ROWS


@fuzz(100)
@given(json_mutations([json.loads(line) for line in LINES]) | json_values)
def test_any_record(told: Any) -> None:
    """A line of a journal is a row, which is the same after it was written and read again, or it is none."""
    try:
        row = formats.from_record(json.loads(as_json(told)))
    except formats.NO_ROW:
        return
    sound(row)
    assert formats.from_record(json.loads(as_json(formats.to_record(row)))) == row
    for suffix in formats.SUFFIXES:  # a journal that was taken up can become a table
        formats.write_rows(io.BytesIO(), suffix, [row], MADE_WITH, TextSet())


# --- Tables ----------------------------------------------------------------------------------


def _table(suffix: str) -> bytes:
    file = io.BytesIO()
    marks = TextSet()
    marks.add(formats.mark(ROWS[1].path, ROWS[1].error or ""))
    formats.write_rows(file, suffix, ROWS, MADE_WITH, marks)
    return file.getvalue()


def _other_parquet() -> bytes:
    """A table by another hand: of the right columns, one answer of its ``top`` is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file, columns = io.BytesIO(), parquet.schema(MADE_WITH)
    fields = {**formats.to_json(ROWS[1]), "top": [None], "box": None, "garments": []}
    with pq.ParquetWriter(file, columns) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([fields], schema=columns))
    return file.getvalue()


TABLES = {suffix: _table(suffix) for suffix in formats.SUFFIXES}
NOTES = as_json({**MADE_WITH, "try_again": TextSet().as_base64()})


def read(suffix: str, raw: bytes, notes: bytes = NOTES) -> None:
    """Read a table to its end, whole and its paths alone; both say the same."""
    out = FOLDER / f"table{suffix}"
    out.write_bytes(raw)
    formats.notes_path(out).write_bytes(notes)
    rows: list[Row] | None
    try:
        rows = list(formats.read_rows(out))
    except BadInputError as error:
        check_refusal(error)
        rows = None
    try:
        paths = list(formats.read_paths(out))
    except BadInputError:
        assert rows is None
        return
    for row in rows or ():
        sound(row)
    if rows is not None:
        assert paths == [(row.path, row.error, row.try_again) for row in rows]


@fuzz(50)
@given(st.binary() | mutations([TABLES[".csv"]], WORDS))
def test_any_csv(raw: bytes) -> None:
    """A CSV table is read whole or refused."""
    read(".csv", raw)


@fuzz(50)
@given(st.binary() | mutations([TABLES[".jsonl"]], WORDS))
def test_any_jsonl(raw: bytes) -> None:
    """A table of JSON Lines is read whole or refused."""
    read(".jsonl", raw)


@fuzz(50)
@given(st.binary() | mutations([TABLES[".parquet"]], [b"PAR1", b"\0", b"\xff\xff\xff\x7f"]))
@example(_other_parquet())
def test_any_parquet(raw: bytes) -> None:
    """A Parquet table is read whole or refused."""
    read(".parquet", raw)


@fuzz(50)
@given(st.binary() | mutations([NOTES], WORDS) | (json_mutations([json.loads(NOTES)]) | json_values).map(as_json))
def test_any_notes(notes: bytes) -> None:
    """Whatever the notes beside a table say, its rows are read."""
    out = FOLDER / "table.jsonl"
    out.write_bytes(TABLES[".jsonl"])
    formats.notes_path(out).write_bytes(notes)
    assert [row.path for row in formats.read_rows(out)] == [row.path for row in ROWS]
