"""Tables and journals that say only in words which pictures are tried again are gone on with as before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.tagging import EDGE, SUFFIXES, finished

from edgefashion.tagging.row import Row
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
