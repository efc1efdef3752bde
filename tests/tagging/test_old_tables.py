"""Tables and journals of older versions are read and gone on with as before."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.tagging import EDGE, SUFFIXES, finished

from edgefashion.tagging.old_tables import COLUMNS
from edgefashion.tagging.row import Garment, Row
from edgefashion.tagging.table import Ledger, read_rows

LOST = (
    Row("a.jpg", error="a.jpg cannot be read: No such file or directory. Check the path and its permissions"),
    Row("b\udcff.jpg", error="b\udcff.jpg took longer than 60 s to read. Replace it or leave it out"),
)
BROKEN = (
    Row("c.jpg", error="c.jpg is not a whole, readable picture. Replace it or leave it out"),
    Row("d.jpg", error="d.jpg ended the process that read it (SIGSEGV). Replace it or leave it out"),
)
FOUND = Row("e.jpg", "Coat", 0.5, (("Coat", 0.5),), True, (1, 2, 3, 4), 5, 6, "0" * 16)
EMPTY = Row("f.jpg", width=5, height=6, phash="0" * 16)
SEVERAL = replace(
    FOUND, path="g.jpg", garments=(Garment("Coat", 0.5, True, (1, 2, 3, 4)), Garment("Bag", 0.25, False, (0, 0, 9, 9)))
)


def _without_notes_of_rows(out: Path) -> None:
    """The table as it was written before such notes were kept."""
    if out.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        made_with = {"edgefashion.made_with": json.dumps(EDGE)}
        parquet.write_table(parquet.read_table(out).replace_schema_metadata(made_with), out)
    else:
        out.with_name(f"{out.name}.made_with").write_text(json.dumps(EDGE))


def _old_journal(out: Path) -> None:
    """The journal of a run that was killed."""
    journal = out.with_name(f"{out.name}.partial")
    with Ledger(out, EDGE) as ledger:
        ledger.add([*LOST, *BROKEN, FOUND])
    head, *lines = journal.read_text().splitlines()
    fields = [json.loads(line) for line in lines]
    for one in fields:
        one.pop("try_again", None)
    journal.write_text("\n".join([head, *map(json.dumps, fields), ""]))


def _without_garments(out: Path) -> None:
    """The table, or its journal, as it was written before a picture could have several garments."""
    journal = out.with_name(f"{out.name}.partial")
    if journal.exists() or out.suffix == ".jsonl":
        file = journal if journal.exists() else out
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for one in lines:
            one.pop("garments", None)
        file.write_text("".join(json.dumps(one) + "\n" for one in lines))
    elif out.suffix == ".csv":
        with out.open(newline="") as table:
            rows = [{name: row[name] for name in COLUMNS} for row in csv.DictReader(table)]
        with out.open("w", newline="") as table:
            writer = csv.DictWriter(table, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(parquet.read_table(out).drop_columns(["garments"]), out)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("was_finished", [True, False], ids=["table", "journal"])
def test_one_garment_each(was_finished: bool, suffix: str, tmp_path: Path) -> None:
    """A table without the column for garments is read as one whose pictures show one each, or none, and is gone on
    with; what is added may show several."""
    out = tmp_path / f"t{suffix}"
    with Ledger(out, EDGE) as ledger:
        ledger.add([BROKEN[0], FOUND, EMPTY])
        if was_finished:
            ledger.finish()
    _without_garments(out)
    with Ledger(out, EDGE) as ledger:
        assert ledger.done == 3
        ledger.add([SEVERAL])
        ledger.finish()
    known = replace(FOUND, garments=(Garment("Coat", 0.5, True, (1, 2, 3, 4)),))
    assert list(read_rows(out)) == [BROKEN[0], known, EMPTY, SEVERAL]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("was_finished", [True, False], ids=["table", "journal"])
def test_gone_on_with(was_finished: bool, suffix: str, tmp_path: Path) -> None:
    """Files that could not be had are tried again, broken ones are not, and then the table says so itself."""
    out = tmp_path / f"t{suffix}"
    if was_finished:
        _without_notes_of_rows(finished(out, [*LOST, *BROKEN, FOUND]))
    else:
        _old_journal(out)
    mended = Row(LOST[0].path, "Shirt", 0.75)
    for _ in range(2):
        with Ledger(out, EDGE) as ledger:
            assert [ledger.has(row.path) for row in (LOST[1], *BROKEN, FOUND)] == [False, True, True, True]
            ledger.add([mended])
            ledger.finish()
    rows = {row.path: row for row in read_rows(out)}
    assert len(rows) == 5
    assert rows[mended.path] == mended
    assert [rows[row.path].try_again for row in (LOST[1], *BROKEN, FOUND)] == [True, False, False, False]
