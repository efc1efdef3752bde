"""The tables that tagging writes lose nothing and double nothing, whatever happens to the run."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.events import fill, small_disk

from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference.predict import Prediction
from edgefashion.tagging import formats
from edgefashion.tagging import parquet as tag_parquet
from edgefashion.tagging import table as tag_files
from edgefashion.tagging.row import Row
from edgefashion.tagging.table import Ledger, Paths, read_rows

SUFFIXES = (".parquet", ".csv", ".jsonl")
EDGE = {"model": "edge", "sha256": "00ff"}
KIOSK = {"model": "kiosk", "sha256": "00ff"}
ROWS = (
    Row("a\n,\"'\r.jpg", "Coat", 0.5, (("Coat", 0.5), ("Bag", 0.25)), True, (1, 2, 3, 4), 10, 20, "00ff00ff00ff00ff"),
    Row("b\udcff\\udcff\\u005c é😀 C:\\users", error="broken\nline, \udc80"),
    Row("", "T-shirt/top", 0.125, (("T-shirt/top", 0.125),), False, None, 1, 1, "0000000000000012"),
)
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")

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


# --- Formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_resumed(suffix: str, tmp_path: Path) -> None:
    """A run that ended early goes on where it was, and one that had finished takes further pictures."""
    out = tmp_path / f"tags{suffix}"
    with Ledger(out, EDGE) as ledger:
        ledger.add(ROWS[:1])
    with Ledger(out, EDGE) as ledger:
        assert ledger.done == 1
        assert [ledger.has(row.path) for row in ROWS] == [True, False, False]
        ledger.add(ROWS[:2])
        ledger.finish()
    assert tuple(read_rows(out)) == ROWS[:2]
    with Ledger(out, EDGE) as ledger:
        assert ledger.done == 2
        ledger.add([*ROWS, ROWS[2]])
        assert ledger.has(ROWS[2].path)
        ledger.finish()
    assert tuple(read_rows(out)) == ROWS
    beside = set() if suffix == ".parquet" else {out.with_name(f"{out.name}.made_with")}
    assert set(tmp_path.iterdir()) == {out, *beside}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_name(suffix: str, tmp_path: Path) -> None:
    """Any name a system allows is read back as it was: bytes that are no text, quotes, commas, line ends, escapes."""
    rng = random.Random(0)
    pieces = [
        *"\n\r\",'\\;|\t \ufeffé😀\u2028a=0",
        *map(chr, range(0xDC80, 0xDD00)),
        "\\u",
        "\\udc80",
        "\\u005c",
        "\ud83d",
    ]
    names = dict.fromkeys("".join(rng.choices(pieces, k=rng.randrange(9))) for _ in range(400))
    rows = [Row(name, error=name or None) for name in names]
    assert list(read_rows(finished(tmp_path / f"t{suffix}", rows))) == rows


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
    }
    assert Prediction(None, None).as_json("").keys() - {"source"} <= set(formats.FIELDS)


def test_pandas_reads_the_csv(tmp_path: Path) -> None:
    """Pandas reads the CSV, what is nested as JSON text."""
    pandas = pytest.importorskip("pandas")
    rows = [row for row in ROWS if row.path]
    table = pandas.read_csv(finished(tmp_path / "t.csv", rows), dtype={"phash": str})
    assert list(table.path) == [formats.as_text(row.path) for row in rows]
    assert table.confidence.sum() == 0.5
    assert list(table.accepted) == [True, False]
    assert json.loads(table.box[0]) == [1, 2, 3, 4]
    assert json.loads(table.top[0]) == [["Coat", 0.5], ["Bag", 0.25]]


def test_parquet_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reader finds typed columns, several row groups, and what the rows are made with."""
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(tag_parquet, "GROUP_ROWS", 100)
    rows = tagged(150)
    file = parquet.ParquetFile(finished(tmp_path / "t.parquet", rows))
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types["path"] == types["label"] == types["phash"] == types["error"] == "string"
    assert types["confidence"] == "float"
    assert types["accepted"] == "bool"
    assert types["width"] == "int32"
    assert types["box"].count("int32") == 4
    assert not file.schema_arrow.field("path").nullable
    assert json.loads(file.schema_arrow.metadata[b"edgefashion.made_with"]) == EDGE
    assert file.metadata.num_row_groups == 2
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert list(read_rows(tmp_path / "t.parquet")) == rows


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV and JSON Lines need no pyarrow; Parquet without it is refused with the line that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for suffix in (".csv", ".jsonl"):
        assert tuple(read_rows(finished(tmp_path / f"t{suffix}"))) == ROWS
    with pytest.raises(MissingError, match=r'pip install "edgefashion\[tag\]"'):
        Ledger(tmp_path / "t.parquet", EDGE)
    assert not (tmp_path / "t.parquet.partial").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are not kept in memory: neither where a journal is gone on with, nor in finishing, nor in reading."""
    monkeypatch.setattr(tag_parquet, "GROUP_ROWS", 20)
    monkeypatch.setattr(tag_files, "_RECENT", 20)
    out, rows = tmp_path / f"t{suffix}", 1500
    with Ledger(out, EDGE) as ledger:
        ledger.add(tagged(rows))
    (tmp_path / "few").mkdir()
    finished(tmp_path / "few" / out.name)  # what is imported is imported
    tracemalloc.start()
    try:
        with Ledger(out, EDGE) as ledger:
            ledger.finish()
        assert sum(1 for _ in read_rows(out)) == rows
        row_bytes = tracemalloc.get_traced_memory()[1] / rows
    finally:
        tracemalloc.stop()
    assert row_bytes < 500, "a row takes over 1,000"


def test_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was added is there, once, and nothing else, over several sortings."""
    monkeypatch.setattr(tag_files, "_RECENT", 1000)
    paths, count = Paths(), 5500
    assert all(paths.add(f"{n}.jpg") for n in range(count))
    assert not any(paths.add(f"{n}.jpg") for n in range(0, count, 10))
    assert len(paths) == count
    assert all(f"{n}.jpg" in paths for n in range(count))
    assert not any(f"{n}.jpg" in paths for n in range(count, count + 1000))
    assert paths._sorted.dtype == np.uint64, "8 bytes each"


# --- Crashes ---------------------------------------------------------------------------------

_KILLED = """
folder, suffix = Path(sys.argv[1]), sys.argv[2]
rows = [Row(f"{n}.jpg", "Coat", 0.5, (("Coat", 0.5),), True, (1, 2, 3, 4), 5, 6, "0" * 16) for n in range(6)]
out, added = folder / f"tags{suffix}", folder / "added"

def run(between=lambda: None):
    for part in (rows[:2], rows[2:]):  # a run that finishes, and one that adds to what it wrote
        with Ledger(out, EDGE) as ledger:
            for at in (part[: len(part) // 2], part[len(part) // 2 :]):
                ledger.add(at)
                between(len(at))
            ledger.finish()

def dying(at):
    main, left = threading.main_thread(), at
    def counted(real):
        def step(*arguments, **options):
            nonlocal left
            if threading.current_thread() is main and os.getpid() == me:
                left -= 1
                if not left:
                    os.kill(me, signal.SIGKILL)
            return real(*arguments, **options)
        return step
    write, sure, me = os.write, os.open(added, os.O_WRONLY | os.O_CREAT | os.O_APPEND), os.getpid()
    for name in ("open", "write", "fsync", "ftruncate", "replace", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    formats.to_json = counted(formats.to_json)
    run(lambda count: write(sure, b"x" * count))

def mended():
    sure = added.stat().st_size if added.exists() else 0
    with Ledger(out, EDGE) as ledger:
        assert all(ledger.has(row.path) for row in rows[:sure]), sure
    run(lambda count: None)
    assert sorted(row.path for row in read_rows(out)) == [row.path for row in rows]
    assert list(read_rows(out))[0] in rows
    assert {path.name for path in folder.iterdir()} <= {out.name, f"{out.name}.made_with", "added"}
    for path in folder.iterdir():
        path.unlink()

def forked(work):
    if not (child := os.fork()):
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]

with tempfile.TemporaryDirectory() as elsewhere:  # what is imported is imported, for all that are forked
    with Ledger(Path(elsewhere) / out.name, EDGE) as ledger:
        ledger.add(rows)
        ledger.finish()

deaths = 0
while (status := forked(lambda: dying(deaths + 1))):
    assert os.WTERMSIG(status) == signal.SIGKILL, deaths
    deaths += 1
    assert forked(mended) == 0, deaths
print(deaths)
"""


@POSIX
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_killed_between_any_two_steps(suffix: str, tmp_path: Path) -> None:
    """Killed by SIGKILL before any of the steps of two runs, the next start has every row that was added, and each
    picture ends up in the table once, with nothing of the run left beside it."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    with program(_KILLED, tmp_path, suffix, stdout=subprocess.PIPE) as process:
        deaths = int(process.communicate(timeout=120)[0] or 0)
    assert process.returncode == 0
    assert deaths > 25


@pytest.mark.parametrize(
    "tail", [b'{"path": "c.jpg", "lab', b"\0" * 5000, b'{"pa\0\0\0\0', b"\xff", b'{"path": "c.jpg"}']
)
def test_torn_end(tail: bytes, tmp_path: Path) -> None:
    """What a crash or a power cut leaves half written at the journal's end is cut off, and the rows before it count."""
    out, journal = tmp_path / "t.csv", tmp_path / "t.csv.partial"
    with Ledger(out, EDGE) as ledger:
        ledger.add(ROWS[:2])
    whole = journal.read_bytes()
    journal.write_bytes(whole + tail)
    with Ledger(out, EDGE) as ledger:
        assert ledger.done == 2
        assert journal.read_bytes() == whole
        ledger.add(ROWS)
        ledger.finish()
    assert tuple(read_rows(out)) == ROWS


def test_torn_anywhere(tmp_path: Path) -> None:
    """A journal that ends after any of its bytes is gone on with, and has the rows that are whole."""
    out, journal = tmp_path / "t.jsonl", tmp_path / "t.jsonl.partial"
    with Ledger(out, EDGE) as ledger:
        ledger.add(ROWS[:2])
    whole = journal.read_bytes()
    for end in range(0, len(whole), 5):
        for zeros in (0, 7):
            journal.write_bytes(whole[:end] + bytes(zeros))
            with Ledger(out, EDGE) as ledger:
                assert ledger.done == max(0, whole[:end].count(b"\n") - 1)
                ledger.add(ROWS)
            assert journal.read_bytes().startswith(b'{"made_with": ' + json.dumps(EDGE).encode() + b"}\n")
            assert journal.read_bytes().count(b"\n") == 4


def test_spoilt_in_the_middle(tmp_path: Path) -> None:
    """A line that a power cut left as zeros is passed over: its picture is tagged again, the others are not."""
    out, journal = tmp_path / "t.jsonl", tmp_path / "t.jsonl.partial"
    with Ledger(out, EDGE) as ledger:
        ledger.add(ROWS)
    head, first, second, third = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(head + first + bytes(len(second) - 1) + b"\n" + third)
    with Ledger(out, EDGE) as ledger:
        assert [ledger.has(row.path) for row in ROWS] == [True, False, True]
        ledger.add(ROWS)
        ledger.finish()
    assert sorted(read_rows(out), key=ROWS.index) == list(ROWS)


def test_synced_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is synced to the disk without another one coming, and rows that come fast are not synced one by one."""
    import threading

    real, synced, calls = os.fsync, threading.Event(), itertools.count()

    def fsync(descriptor: int) -> None:
        real(descriptor)
        next(calls)
        if threading.current_thread() is not threading.main_thread():
            synced.set()

    with Ledger(tmp_path / "t.csv", EDGE) as ledger:
        monkeypatch.setattr(os, "fsync", fsync)
        ledger.add(ROWS[:1])
        assert synced.wait(30)
        for row in tagged(500):
            ledger.add([row])
    assert next(calls) < 100


# --- Two at a time ---------------------------------------------------------------------------


@POSIX
def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second process is refused while the first lives; once that is killed it goes on, though a child of it lives."""
    out = tmp_path / "t.csv"
    code = """
ledger = Ledger(Path(sys.argv[1]), EDGE)
ledger.add([Row("a.jpg")])
if not (child := os.fork()):
    signal.pause()
print(child, flush=True)
signal.pause()
"""
    with program(code, out, stdout=subprocess.PIPE) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        try:
            assert "is being written by another process" in refusal(out)
            process.kill()
            process.wait(60)
            with Ledger(out, EDGE) as ledger:
                assert ledger.done == 1
        finally:
            os.kill(child, signal.SIGKILL)


# --- The disk --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_disk_full(suffix: str, tmp_path: Path) -> None:
    """On a full disk adding and finishing are refused in one line that names the file; what was kept is kept, nothing
    is half written, and with space again it goes on."""
    rows = tagged(4000)
    with small_disk(tmp_path / "disk", "3m") as disk:
        out, journal = disk / f"t{suffix}", disk / f"t{suffix}.partial"
        finished(out, rows[:10])
        before = out.read_bytes()
        with Ledger(out, EDGE) as ledger:
            ledger.add(rows[10:20])
            ballast = fill(disk)
            with pytest.raises(
                BadInputError, match=r"partial cannot be written: No space left on device\. Mend"
            ) as full:
                _add_all(ledger, rows[20:])
            assert "\n" not in str(full.value)
            assert journal.read_bytes().endswith(b"\n")
            with pytest.raises(BadInputError, match=f"t{suffix} cannot be written: No space left on device") as full:
                ledger.finish()
            assert "\n" not in str(full.value)
        beside = f"{out.name}.made_with"
        assert {path.name for path in disk.iterdir()} - {beside} == {out.name, journal.name, "ballast"}
        assert out.read_bytes() == before
        ballast.unlink()
        finished(out, rows)
        assert list(read_rows(out)) == rows


def _add_all(ledger: Ledger, rows: list[Row]) -> None:
    for start in range(0, len(rows), 20):
        ledger.add(rows[start : start + 20])


def test_disk_full_at_the_start(tmp_path: Path) -> None:
    """A disk with no space for a first line is refused, and nothing is left on it."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk)
        assert "cannot be written: No space left on device" in refusal(disk / "t.csv")


def test_read_only_disk(tmp_path: Path) -> None:
    """A folder that cannot be written to is refused."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert "cannot be written: Read-only file system" in refusal(disk / "t.csv")


# --- What is no table ------------------------------------------------------------------------


def _foreign(out: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"path": ["a"], "label": ["b"]}), out)


def _no_metadata(out: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(finished(out)).replace_schema_metadata(None), out)


def _cut(out: Path) -> None:
    out.write_bytes(finished(out, tagged(500)).read_bytes()[:-100])


def _flipped(out: Path) -> None:
    whole = bytearray(finished(out, tagged(500)).read_bytes())
    whole[len(whole) // 8] ^= 1
    out.write_bytes(whole)


def _text(text: str) -> Callable[[Path], object]:
    return lambda out: out.write_bytes(text.encode("utf-8", "surrogateescape"))


def _appended(text: str) -> Callable[[Path], object]:
    return lambda out: out.write_bytes(finished(out).read_bytes() + text.encode())


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("t.parquet", _foreign, "does not say what its rows are made with"),
        ("t.parquet", _no_metadata, "does not say what its rows are made with"),
        ("t.parquet", _cut, "is no table of edgefashion tag: Parquet"),
        ("t.parquet", _flipped, "is no table of edgefashion tag: "),
        ("t.parquet", _text(""), "is no table of edgefashion tag: "),
        ("t.csv", _text("path,label\na,b\n"), "its first line is another header"),
        ("t.csv", _text(""), "its first line is another header"),
        ("t.csv", _text("\udcff\udcfe"), "is no row"),
        ("t.csv", _appended("a,b\n"), "line 8 is no row"),
        ("t.csv", _appended('a,,0.0,"[",false,,,,,\n'), "line 8 is no row"),
        ("t.jsonl", _text('{"path": "a"}\n'), "line 1 is no row"),
        ("t.jsonl", _text("[" * 100_000), "line 1 is no row"),
        ("t.jsonl", _appended("null\n"), "line 4 is no row"),
        ("t.jsonl", _cut, "line 500 is no row"),
        ("t.JSONL", _text("[]\n"), "line 1 is no row"),
        ("t.csv", lambda out: out.mkdir(), "is a folder"),
        ("t.csv", lambda out: os.mkfifo(out), "is no ordinary file"),
        ("t.xlsx", lambda _: None, r"has an unknown suffix. Choose one of .parquet, .csv, .jsonl"),
        ("none/t.csv", lambda _: None, "is no folder. Make it first"),
        ("n" * 250 + ".csv", lambda _: None, "File name too long"),
        ("t\0.csv", lambda _: None, "null"),
    ],
)
def test_refused(name: str, make: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    """What is no table of ours, or no place for one, is refused in a line before any work, and left as it is."""
    make(tmp_path / name)
    assert says in refusal(tmp_path / name)


def test_another_model(tmp_path: Path) -> None:
    """Rows that another model made are not gone on with, in the journal nor in a table of any kind."""
    out, journal = tmp_path / "t.csv", tmp_path / "t.csv.partial"
    with Ledger(out, EDGE) as ledger:
        ledger.add(ROWS)
    said = refusal(out, KIOSK)
    assert f"{journal} holds rows made with something else (model edge, now kiosk). Delete {journal}" in said
    journal.unlink()
    with Ledger(out, EDGE):
        pass
    assert not journal.exists(), "a run that tagged nothing leaves nothing"
    for suffix in SUFFIXES:
        said = refusal(finished(tmp_path / f"t{suffix}"), KIOSK)
        assert f"t{suffix} holds rows made with something else (model edge, now kiosk). Delete it, or choose" in said
    (tmp_path / "t.csv.made_with").unlink()
    assert "t.csv does not say what its rows are made with" in refusal(out)
    out.unlink()
    finished(out, made_with=KIOSK)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tried_again(suffix: str, tmp_path: Path) -> None:
    """A picture whose file could not be had is tried again by every further run, until it has another row, which
    then is its only one; one that is broken is not, and what is tried in vain writes nothing anew."""
    out, lost = tmp_path / f"t{suffix}", [Row(f"{n}.jpg", error=f"{n}.jpg cannot be read: Gone.") for n in range(3)]
    finished(out, [ROWS[0], *lost, Row("b.jpg", error="b.jpg is no BMP")])
    number = out.stat().st_ino
    with Ledger(out, EDGE) as ledger:
        assert [ledger.has(row.path) for row in (ROWS[0], *lost)] == [True, False, False, False]
        assert ledger.has("b.jpg")
        ledger.add(lost)
        assert all(ledger.has(row.path) for row in lost)
        ledger.finish()
    assert out.stat().st_ino == number
    found = [Row(row.path, "Coat", 0.5) for row in lost]
    with Ledger(out, EDGE) as ledger:  # killed
        ledger.add([found[0], lost[1]])
    with Ledger(out, EDGE) as ledger:
        assert [ledger.has(row.path) for row in lost] == [True, False, False]
        ledger.add([found[0], found[1], lost[2]])
        ledger.finish()
    rows = list(read_rows(out))
    assert len(rows) == 5
    assert {found[0], found[1], lost[2]} < set(rows)


def test_no_password(tmp_path: Path) -> None:
    """An account is neither in the table nor in its journal, and the picture is known with it and without."""
    url = "zip://logo@2x.jpg::ftp://me:secret@shop/a.zip"
    with Ledger(tmp_path / "t.csv", EDGE) as ledger:
        ledger.add([Row(url, "Coat", 0.5), Row("folder//a:b@c.jpg", "Coat", 0.5)])
        assert b"secret" not in (tmp_path / "t.csv.partial").read_bytes()
        assert ledger.has(url)
        ledger.finish()
    there = {row.path for row in read_rows(tmp_path / "t.csv")}
    assert there == {"zip://logo@2x.jpg::ftp://...@shop/a.zip", "folder//a:b@c.jpg"}


def test_long_error(tmp_path: Path) -> None:
    """A cell of any length is read back."""
    rows = [Row("a.jpg", error="x" * 200_000)]
    assert list(read_rows(finished(tmp_path / "t.csv", rows))) == rows


@pytest.mark.parametrize("there", [b"not ours\n", b"\x89PNG", b"[]\n", b'{"made": 1}\n', b"x" * 2_000_000])
def test_foreign_journal(there: bytes, tmp_path: Path) -> None:
    """A file of the journal's name that is none is refused and left."""
    (tmp_path / "t.csv.partial").write_bytes(there)
    assert "t.csv.partial is no journal of edgefashion tag. Move it away" in refusal(tmp_path / "t.csv")


@POSIX
def test_link(tmp_path: Path) -> None:
    """A symbolic link stays one: the file it leads to is replaced."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "t.csv"
    link.symlink_to(tmp_path / "real" / "tags.csv")
    finished(link, ROWS[:1])
    finished(link)
    assert link.is_symlink()
    assert tuple(read_rows(tmp_path / "real" / "tags.csv")) == ROWS


def test_nothing_new(tmp_path: Path) -> None:
    """A finished table to which nothing is added is not written anew; of no pictures at all there is an empty one."""
    out = finished(tmp_path / "t.csv", ())
    assert out.read_text() == ",".join(formats.FIELDS) + "\n"
    number = out.stat().st_ino
    left = tmp_path / ".t.csv.part"
    left.write_text("left by a run that was killed")
    finished(out, ())
    assert out.stat().st_ino == number
    assert not left.exists()


def test_changed_meanwhile(tmp_path: Path) -> None:
    """A table from which somebody takes rows during the run is left as he made it, and the new rows are kept."""
    out = finished(tmp_path / "t.jsonl", ROWS[:2])
    with Ledger(out, EDGE) as ledger:
        ledger.add(ROWS[2:])
        out.write_bytes(changed := out.read_bytes().splitlines(keepends=True)[0])
        with pytest.raises(BadInputError, match="was changed meanwhile"):
            ledger.finish()
    assert out.read_bytes() == changed
    finished(out)
    assert set(read_rows(out)) == set(ROWS)


def _cells(path: Path) -> Iterator[list[str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        yield from csv.reader(lines)


def test_csv_has_one_header(tmp_path: Path) -> None:
    """However often a CSV is added to, it has one header and as many cells a row."""
    out = finished(finished(tmp_path / "t.csv", ROWS[:1]))
    rows = list(_cells(out))
    assert [tuple(row) == formats.FIELDS for row in rows] == [True, False, False, False]
    assert {len(row) for row in rows} == {10}
