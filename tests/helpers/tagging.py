"""Rows, and tables of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.tagging.row import Garment, Row
from edgefashion.tagging.run import Summary, TagOptions, tag
from edgefashion.tagging.table import Ledger, read_rows

SUFFIXES = (".parquet", ".csv", ".jsonl")
EDGE = {"model": "edge", "sha256": "00ff"}
KIOSK = {"model": "kiosk", "sha256": "00ff"}
GARMENTS = (Garment("Coat", 0.5, True, (1, 2, 3, 4)), Garment('\udcff, "Bag"', 0.25, False, (5, 6, 7, 8)))
ROWS = (
    Row(
        "a\n,\"'\r.jpg",
        "Coat",
        0.5,
        (("Coat", 0.5), ("Bag", 0.25)),
        True,
        (1, 2, 3, 4),
        10,
        20,
        "00ff00ff00ff00ff",
        garments=GARMENTS,
    ),
    Row("b\udcff\\udcff\\u005c é😀 C:\\users", error="broken\nline, \udc80"),
    Row("", "T-shirt/top", 0.125, (("T-shirt/top", 0.125),), False, None, 1, 1, "0000000000000012"),
)
MANY = 300

_PROGRAM = f"""
import os, signal, sys, tempfile, threading
from pathlib import Path
from edgefashion.tagging import formats
from edgefashion.tagging.table import Ledger, read_rows
from edgefashion.tagging.row import Row
EDGE = {EDGE!r}
"""


def program(code: str, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _PROGRAM + code, *map(str, arguments)], text=True, **options)


def tagged(count: int, start: int = 0) -> list[Row]:
    """Rows as they are: a picture each, every fiftieth unreadable."""
    top = (("Coat", 0.5), ("Shirt", 0.25), ("Dress", 0.125))
    return [
        Row(f"shop/{n:07}.jpg", error="is no picture")
        if n % 50 == 0
        else Row(f"shop/{n:07}.jpg", "Coat", 0.5, top, True, (1, 2, 30, 40), 640, 480, f"{n:016x}")
        for n in range(start, start + count)
    ]


def finished(out: Path, rows: Any = ROWS, made_with: dict[str, str] = EDGE) -> Path:
    with Ledger(out, made_with) as ledger:
        ledger.add(rows)
        ledger.finish()
    return out


def refusal(out: Path, made_with: dict[str, str] = EDGE) -> str:
    """What a table is refused with: in one line, and what lies there is as it was."""

    def there() -> dict[Path, bytes]:
        found = out.parent.iterdir() if out.parent.is_dir() else ()
        return {path: path.read_bytes() for path in found if path.is_file()}

    before = there()
    with pytest.raises(BadInputError) as refused:
        Ledger(out, made_with)
    assert there() == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def tag_here(classifier: Classifier, out: Path, *paths: str | Path) -> tuple[dict[str, Row], Summary]:
    """Tag in this process; the rows by path, each of which is there once."""
    summary = tag(classifier, [str(path) for path in paths], out, TagOptions(workers=1))
    rows = list(read_rows(out))
    by_path = {row.path: row for row in rows}
    assert len(by_path) == len(rows) == summary.pictures
    return by_path, summary
