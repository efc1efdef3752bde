"""Rows, in their JSON form, as a Parquet file: written and read a group at a time, whatever their number."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from edgefashion.tagging import old_tables
from edgefashion.tagging.text_set import TextSet

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS: Final = 1 << 13
"""Rows of a row group, and in memory at a time."""

_MADE_WITH: Final = b"edgefashion.made_with"
_TRY_AGAIN: Final = b"edgefashion.try_again"
_BOX: Final = ("x", "y", "width", "height")


class NoTableError(Exception):
    """It is no Parquet file, or one of other columns."""


def schema(made_with: Mapping[str, str]) -> pa.Schema:
    """The columns; the file's metadata say what the rows are made with."""
    import pyarrow as pa

    answer = pa.struct([pa.field("label", pa.string(), nullable=False), pa.field("confidence", pa.float32())])
    box = pa.struct([pa.field(name, pa.int32(), nullable=False) for name in _BOX])
    named = [pa.field("confidence", pa.float32(), nullable=False), pa.field("accepted", pa.bool_(), nullable=False)]
    garment = pa.struct([pa.field("label", pa.string(), nullable=False), *named, pa.field("box", box, nullable=False)])
    fields = [
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("top", pa.list_(answer), nullable=False),
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("box", box),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("phash", pa.string()),
        pa.field("error", pa.string()),
        pa.field("garments", pa.list_(garment), nullable=False),
    ]
    return pa.schema(fields, {_MADE_WITH: json.dumps(dict(sorted(made_with.items()))).encode()})


def write_rows(
    file: BinaryIO, rows: Iterable[dict[str, Any]], made_with: Mapping[str, str], try_again: TextSet
) -> None:
    """Write a whole file; ``file`` stays open. ``try_again`` is looked at after the last row. Raises the OSError that
    writing it raises."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema(made_with)
    writer = pq.ParquetWriter(file, columns, compression="zstd", write_page_checksum=True)
    group: list[dict[str, Any]] = []

    def write() -> None:
        writer.write_batch(pa.RecordBatch.from_pylist(group, schema=columns))
        group.clear()

    try:
        for row in rows:
            top = [{"label": label, "confidence": p} for label, p in row["top"]]
            box = None if row["box"] is None else _boxed(row["box"])
            garments = [{**garment, "box": _boxed(garment["box"])} for garment in row["garments"]]
            group.append({**row, "top": top, "box": box, "garments": garments})
            if len(group) == GROUP_ROWS:
                write()
        if group:
            write()
        writer.add_key_value_metadata({_TRY_AGAIN: try_again.as_base64().encode()})
    except BaseException:
        with contextlib.suppress(Exception):  # it writes the end of a file that nobody wants
            writer.close()
        raise
    writer.close()


def read_rows(out: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file. Raises :class:`NoTableError`, or OSError."""
    for batch in _batches(out):
        for row in _plain(batch):
            try:
                row["top"] = [tuple(answer.values()) for answer in row["top"]]
                row["box"] = None if row["box"] is None else tuple(row["box"].values())
                for garment in row.get("garments", ()):
                    garment["box"] = tuple(garment["box"].values())
            except AttributeError as error:
                raise NoTableError("one of its rows lacks an answer") from error
            yield row


def _boxed(box: Sequence[int]) -> dict[str, int]:
    return dict(zip(_BOX, box, strict=True))


def read_paths(out: Path) -> Iterator[tuple[str, str | None]]:
    """The paths and errors of a file, of which all else is read too. Raises :class:`NoTableError`, or OSError."""
    for batch in _batches(out):
        yield from zip(_plain(batch.column("path")), _plain(batch.column("error")), strict=True)


def _plain(of: Any) -> list[Any]:
    """The Python values of a batch or a column. Only now a text shows whether it is UTF-8."""
    try:
        values: list[Any] = of.to_pylist()
    except ValueError as error:
        raise NoTableError(str(error)) from error
    return values


def notes_of(out: Path) -> tuple[Any, TextSet | None]:
    """What the rows are made with and which are tried again, each None where the file does not say.

    Raises :class:`NoTableError`, ValueError or OSError.
    """
    with _opened(out) as file:
        said = file.metadata.metadata or {}
        made_with = json.loads((file.schema_arrow.metadata or {}).get(_MADE_WITH, b"null"))
        marks = said.get(_TRY_AGAIN)
        return made_with, None if marks is None else TextSet.from_base64(marks.decode())


def _batches(out: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    columns = schema({})
    known = columns, pa.schema(columns.field(name) for name in old_tables.COLUMNS)
    with _opened(out) as file:
        if not any(map(file.schema_arrow.equals, known)):
            raise NoTableError("its columns are others")
        yield from file.iter_batches(GROUP_ROWS)


@contextlib.contextmanager
def _opened(out: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(out, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, ValueError) as error:
        raise NoTableError(str(error)) from error
