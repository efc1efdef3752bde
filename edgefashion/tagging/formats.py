r"""A table of tagged pictures as a file: Parquet, CSV or JSON Lines, written and read one row at a time.

A name that is no valid Unicode (Linux allows any bytes, Windows unpaired surrogates) is held in Python with surrogates.
In all three formats each of them is written out in letters, a byte 80 to ff as ``\udc80`` to ``\udcff``, and the
backslash of a name that has such letters in it already as ``\u005c``. :func:`read_rows` undoes both.
"""

from __future__ import annotations

import csv
import json
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from edgefashion.errors import BadInputError
from edgefashion.system.extras import need
from edgefashion.tagging import parquet
from edgefashion.tagging.parquet import NoTableError
from edgefashion.tagging.row import Row

if TYPE_CHECKING:
    from edgefashion.inference.preprocess import Box

FIELDS: Final = ("path", "label", "confidence", "top", "accepted", "box", "width", "height", "phash", "error")
SUFFIXES: Final = (".parquet", ".csv", ".jsonl")

NO_ROW: Final = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What :func:`from_json`, and ``json.loads`` before it, raise for anything else than a row."""

_CELL_CHARS: Final = 1 << 30
"""Whatever was written is read: the csv module's own limit is 131,072."""

_NESTED: Final = ("top", "accepted", "box")
_ESCAPED: Final = re.compile(r"\\u(005c|d[89a-f][0-9a-f]{2})")
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


def write_rows(file: BinaryIO, suffix: str, rows: Iterable[Row], made_with: Mapping[str, str]) -> None:
    """Write a whole table; a Parquet file says in its metadata what the rows are made with."""
    if suffix == ".parquet":
        parquet.write_rows(file, map(to_json, rows), made_with)
    else:
        (_write_csv if suffix == ".csv" else _write_jsonl)(file, rows)


def read_rows(out: Path) -> Iterator[Row]:
    """The rows of a finished table, one at a time. Raises :class:`BadInputError` for what is none."""
    suffix = check_suffix(out)
    try:
        if suffix == ".parquet":
            yield from map(_row, parquet.read_rows(out))
        else:
            yield from (_read_csv if suffix == ".csv" else _read_jsonl)(out)
    except (OSError, NoTableError) as error:
        raise _unreadable(out, reason_of(error)) from error


def read_paths(out: Path) -> Iterator[tuple[str, bool]]:
    """The paths of :func:`read_rows` and whether their errors may pass, sooner; every byte of the file is looked at
    all the same."""
    if check_suffix(out) == ".parquet":
        try:
            for path, error in parquet.read_paths(out):
                name = _unescape(path)
                yield name, error is not None and Row(name, error=error).may_pass
        except (OSError, NoTableError) as error:
            raise _unreadable(out, reason_of(error)) from error
    else:
        yield from ((row.path, row.may_pass) for row in read_rows(out))


def made_with_of(out: Path) -> Any:
    """What a Parquet table's rows are made with; None where it does not say, or for the other formats."""
    if check_suffix(out) != ".parquet":
        return None
    try:
        return parquet.made_with_of(out)
    except (OSError, NoTableError) as error:
        raise _unreadable(out, reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """An error in a few words, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def _unreadable(out: Path, reason: str) -> BadInputError:
    return BadInputError(f"{out} is no table of edgefashion tag: {reason}. Move it away, or choose another --out")


# --- A row as JSON ---------------------------------------------------------------------------


def to_json(row: Row) -> dict[str, Any]:
    """A row's fields, in their order; those that ``predict --json`` prints too have its names, but for ``path``."""
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
    }


def from_json(fields: Any) -> Row:
    """The row :func:`to_json` was given. Raises one of ``NO_ROW`` for anything else."""
    if fields.keys() != set(FIELDS):
        raise ValueError("it has other fields")
    accepted, box = fields["accepted"], fields["box"]
    if not isinstance(accepted, bool) or (box is not None and len(box) != 4):
        raise ValueError("its fields are of other types")
    return Row(
        path=_unescape(fields["path"]),
        label=_optional(_unescape, fields["label"]),
        confidence=float(fields["confidence"]),
        top=tuple((_unescape(label), float(p)) for label, p in fields["top"]),
        accepted=accepted,
        box=None if box is None else cast("Box", tuple(map(operator.index, box))),
        width=_optional(operator.index, fields["width"]),
        height=_optional(operator.index, fields["height"]),
        phash=_optional(_unescape, fields["phash"]),
        error=_optional(_unescape, fields["error"]),
    )


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


def _write_jsonl(file: BinaryIO, rows: Iterable[Row]) -> None:
    for row in rows:
        file.write(json.dumps(to_json(row), ensure_ascii=False).encode() + b"\n")


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
        # It quotes a text for the letters of its line ending only: CR and LF for it, LF alone for the file.
        return self._file.write(text.removesuffix("\r\n").encode() + b"\n")


def _write_csv(file: BinaryIO, rows: Iterable[Row]) -> None:
    writer = csv.writer(_Lines(file), lineterminator="\r\n")
    writer.writerow(FIELDS)
    for row in rows:
        fields = to_json(row)
        for name in _NESTED:
            fields[name] = None if fields[name] is None else json.dumps(fields[name], ensure_ascii=False)
        writer.writerow(fields.values())


def _read_csv(out: Path) -> Iterator[Row]:
    csv.field_size_limit(_CELL_CHARS)
    with out.open(newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        try:
            if tuple(next(reader, ())) != FIELDS:
                raise _unreadable(out, "its first line is another header")
            for cells in reader:
                fields: dict[str, Any] = dict(zip(FIELDS, cells, strict=True))
                # A path may be empty text, the others are nothing then.
                fields = {name: cell if name == "path" else cell or None for name, cell in fields.items()}
                for name in (*_NESTED, "width", "height"):
                    fields[name] = _optional(json.loads, fields[name])
                yield from_json(fields)
        except (*NO_ROW, csv.Error) as error:
            raise _unreadable(out, f"line {reader.line_num:,} is no row") from error
