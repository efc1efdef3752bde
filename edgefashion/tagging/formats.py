r"""A table of tagged pictures as a file: Parquet, CSV or JSON Lines, written and read one row at a time.

A name that is no valid Unicode (Linux allows any bytes, Windows unpaired surrogates) is held in Python with surrogates.
In all three formats each of them is written out in letters, a byte 80 to ff as ``\udc80`` to ``\udcff``, and the
backslash of a name that has such letters in it already as ``\u005c``. CSV has so its controls too, a line break as
``\u000a``: a row is a line there, whatever a name holds. (JSON has an escape of its own for them.) :func:`read_rows`
undoes all of it.

What is known of a table beside its columns are its :class:`Notes`. Parquet keeps them in the file's metadata. CSV and
JSON Lines have no place for them, so they lie in a file beside the table, ``OUT.made_with``.
"""

from __future__ import annotations

import csv
import json
import operator
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from edgefashion.errors import BadInputError
from edgefashion.system.extras import need
from edgefashion.system.text import reason_of
from edgefashion.tagging import old_tables, parquet
from edgefashion.tagging.parquet import NoTableError
from edgefashion.tagging.row import FIELDS, Garment, Row
from edgefashion.tagging.text_set import TextSet

if TYPE_CHECKING:
    from edgefashion.inference.preprocess import Box

SUFFIXES: Final = (".parquet", ".csv", ".jsonl")

NO_ROW: Final = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What :func:`from_json`, and ``json.loads`` before it, raise for anything else than a row."""

_TRY_AGAIN: Final = "try_again"

_CELL_CHARS: Final = 1 << 30
"""The longest cell that is read. The csv module's own limit, 131,072, is shorter than an error may be."""

_NESTED: Final = ("top", "accepted", "box", "garments")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_ESCAPED: Final = re.compile(
    r"\\u(005c|00[01][0-9a-f]|007f|00[89][0-9a-f]|061c|200[ef]|202[89a-e]|206[6-9]|d[89a-f][0-9a-f]{2})"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def check_suffix(out: Path) -> str:
    """The suffix of a table's file. Raises :class:`BadInputError` for another, and
    :class:`~edgefashion.errors.MissingError` for Parquet without pyarrow."""
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInputError(f"{out} has an unknown suffix. Choose one of {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        need("pyarrow", "for a Parquet file (.csv and .jsonl do without)")
    return suffix


# --- Notes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Notes:
    """What is kept with a table beside its columns."""

    made_with: Any
    """The model and what else its rows depend on, as :class:`~edgefashion.tagging.table.Ledger` was given it. None
    where nothing is said."""
    try_again: TextSet | None
    """:func:`mark` of every row with :attr:`~edgefashion.tagging.row.Row.try_again`. Marks of rows that are no more in
    the table may be in it. None for a table of a version that did not keep them."""


def mark(path: str, error: str) -> str:
    """What an error row is known by in :attr:`Notes.try_again`."""
    return f"{path}\0{error}"


def notes_path(out: Path) -> Path:
    """The file of a CSV or JSON Lines table's notes, beside the file that ``out`` leads to."""
    real = Path(os.path.realpath(out))
    return real.with_name(f"{real.name}.made_with")


def write_notes(file: BinaryIO, made_with: Mapping[str, str], try_again: TextSet) -> None:
    """Write a notes file."""
    file.write(json.dumps({**made_with, _TRY_AGAIN: try_again.as_base64()}).encode() + b"\n")


def notes_of(out: Path) -> Notes:
    """The notes of a finished table. Raises :class:`BadInputError` for a Parquet file that is none."""
    if check_suffix(out) == ".parquet":
        try:
            return Notes(*parquet.notes_of(out))
        except (OSError, NoTableError, *NO_ROW) as error:
            raise _unreadable(out, reason_of(error)) from error
    try:
        made_with = json.loads(notes_path(out).read_bytes())
        marks = made_with.pop(_TRY_AGAIN, None)
        return Notes(made_with, None if marks is None else TextSet.from_base64(marks))
    except (FileNotFoundError, *NO_ROW):
        return Notes(None, None)


def _try_again(path: str, error: str, notes: Notes) -> bool:
    if notes.try_again is None:
        return old_tables.try_again(error)
    return mark(path, error) in notes.try_again


# --- Tables ----------------------------------------------------------------------------------


def write_rows(
    file: BinaryIO, suffix: str, rows: Iterable[Row], made_with: Mapping[str, str], try_again: TextSet
) -> None:
    """Write a whole table. A Parquet file holds its notes; ``try_again`` is looked at after the last row."""
    if suffix == ".parquet":
        parquet.write_rows(file, map(to_json, rows), made_with, try_again)
    else:
        (_write_csv if suffix == ".csv" else _write_jsonl)(file, rows)


def read_rows(out: Path) -> Iterator[Row]:
    """The rows of a finished table, one at a time. Raises :class:`BadInputError` for what is none."""
    suffix = check_suffix(out)
    try:
        notes = notes_of(out)
        if suffix == ".parquet":
            rows: Iterator[Row] = map(_row, parquet.read_rows(out))
        else:
            rows = (_read_csv if suffix == ".csv" else _read_jsonl)(out)
        for row in rows:
            if row.error is not None and _try_again(row.path, row.error, notes):
                yield replace(row, try_again=True)
            else:
                yield row
    except (OSError, NoTableError) as error:
        raise _unreadable(out, reason_of(error)) from error


def read_paths(out: Path) -> Iterator[tuple[str, str | None, bool]]:
    """``path``, ``error`` and ``try_again`` of what :func:`read_rows` gives, sooner. Every byte of the file is looked
    at all the same."""
    if check_suffix(out) == ".parquet":
        notes = notes_of(out)
        try:
            for escaped, error in parquet.read_paths(out):
                path, said = _unescape(escaped), _optional(_unescape, error)
                yield path, said, said is not None and _try_again(path, said, notes)
        except (OSError, NoTableError) as error:
            raise _unreadable(out, reason_of(error)) from error
    else:
        yield from ((row.path, row.error, row.try_again) for row in read_rows(out))


def _unreadable(out: Path, reason: str) -> BadInputError:
    return BadInputError(f"{out} is no table of edgefashion tag: {reason}. Move it away, or choose another --out")


# --- A row as JSON ---------------------------------------------------------------------------


def to_record(row: Row) -> dict[str, Any]:
    """All of a row, as the journal keeps it and as one process hands it to another."""
    fields = to_json(row)
    return fields if row.error is None else {**fields, _TRY_AGAIN: row.try_again}


def from_record(fields: Any) -> Row:
    """The row :func:`to_record` was given. Raises one of ``NO_ROW`` for anything else."""
    try_again = fields.pop(_TRY_AGAIN, None)
    row = from_json(fields)
    if row.error is None:
        return row
    return replace(row, try_again=old_tables.try_again(row.error) if try_again is None else bool(try_again))


def to_json(row: Row) -> dict[str, Any]:
    """A row's columns, in their order; those that ``predict --json`` prints too have its names, but for ``path``."""
    return {
        "path": as_text(row.path),
        "label": None if row.label is None else as_text(row.label),
        "confidence": float(row.confidence),
        "top": [[as_text(label), float(p)] for label, p in row.top],
        "accepted": bool(row.accepted),
        "box": None if row.box is None else [int(edge) for edge in row.box],
        "width": None if row.width is None else int(row.width),
        "height": None if row.height is None else int(row.height),
        "phash": row.phash,
        "error": None if row.error is None else as_text(row.error),
        "garments": [
            {
                "label": as_text(garment.label),
                "confidence": float(garment.confidence),
                "accepted": bool(garment.accepted),
                "box": [int(edge) for edge in garment.box],
            }
            for garment in row.garments
        ],
    }


def from_json(fields: Any) -> Row:
    """The row :func:`to_json` was given, or an older edgefashion wrote. Raises one of ``NO_ROW`` for anything else."""
    if fields.keys() == set(old_tables.COLUMNS):
        fields = {**fields, "garments": old_tables.garments(fields)}
    if fields.keys() != set(FIELDS):
        raise ValueError("it has other fields")
    return Row(
        path=_unescape(fields["path"]),
        label=_optional(_unescape, fields["label"]),
        confidence=_share(fields["confidence"]),
        top=tuple((_unescape(label), _share(p)) for label, p in fields["top"]),
        accepted=_truth(fields["accepted"]),
        box=_optional(_box, fields["box"]),
        width=_optional(_pixels, fields["width"]),
        height=_optional(_pixels, fields["height"]),
        phash=_optional(_unescape, fields["phash"]),
        error=_optional(_unescape, fields["error"]),
        garments=tuple(map(_garment, fields["garments"])),
    )


def _garment(fields: Any) -> Garment:
    label, confidence = _unescape(fields["label"]), _share(fields["confidence"])
    return Garment(label, confidence, _truth(fields["accepted"]), _box(fields["box"]))


def _box(edges: Any) -> Box:
    x, y, width, height = map(_pixels, edges)
    return x, y, width, height


def _pixels(value: Any) -> int:
    if isinstance(value, bool) or not -(2**31) <= operator.index(value) < 2**31:
        raise ValueError("it has a number that is out of range")
    return operator.index(value)


def _share(value: Any) -> float:
    """A probability. One that a network gave in float32 may be a little more than 1."""
    if isinstance(value, bool) or not 0 <= float(value) < 1.001:
        raise ValueError("it has a probability that is none")
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("its fields are of other types")
    return value


def _row(fields: Any) -> Row:
    try:
        return from_json(fields)
    except NO_ROW as error:
        raise NoTableError(f"one of its rows is none ({error})") from error


def _optional(convert: Any, value: Any) -> Any:
    return None if value is None else convert(value)


def as_text(text: str) -> str:
    """A name as valid Unicode: see the module."""
    if "\\u" in text:
        text = _ESCAPED.sub(lambda found: "\\u005c" + found[0][1:], text)
    if not text.isascii():
        text = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


# --- JSON Lines and CSV ----------------------------------------------------------------------


def _in_letters(text: str) -> str:
    """``text`` without controls, which a terminal would obey: each is written as JSON does, in CSV too."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _write_jsonl(file: BinaryIO, rows: Iterable[Row]) -> None:
    for row in rows:
        file.write(_in_letters(json.dumps(to_json(row), ensure_ascii=False)).encode() + b"\n")


def _read_jsonl(out: Path) -> Iterator[Row]:
    with out.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = from_json(json.loads(line))
            except NO_ROW as error:
                raise _unreadable(out, f"line {number:,} is no row") from error
            yield row


class _Lines:
    """What the csv module writes its rows to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        # The csv module puts a text in quotes only if it holds a letter of the line ending. So it is told CR and LF,
        # and the file gets LF alone.
        return self._file.write(text.removesuffix("\r\n").encode() + b"\n")


def _write_csv(file: BinaryIO, rows: Iterable[Row]) -> None:
    writer = csv.writer(_Lines(file), lineterminator="\r\n")
    writer.writerow(FIELDS)
    for row in rows:
        fields = to_json(row)
        for name in _NESTED:
            fields[name] = None if fields[name] is None else json.dumps(fields[name], ensure_ascii=False)
        writer.writerow(_in_letters(value) if isinstance(value, str) else value for value in fields.values())


def _read_csv(out: Path) -> Iterator[Row]:
    csv.field_size_limit(_CELL_CHARS)
    with out.open(newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        try:
            header = tuple(next(reader, ()))
            if header not in (FIELDS, old_tables.COLUMNS):
                raise _unreadable(out, "its first line is another header")
            for cells in reader:
                fields: dict[str, Any] = dict(zip(header, cells, strict=True))
                # An empty cell is None, but for the path: that may be an empty text.
                fields = {name: cell if name == "path" else cell or None for name, cell in fields.items()}
                for name in {*_NESTED, "width", "height"} & fields.keys():
                    fields[name] = _optional(json.loads, fields[name])
                yield from_json(fields)
        except (*NO_ROW, csv.Error) as error:
            raise _unreadable(out, f"line {reader.line_num:,} is no row") from error
