"""The tables that tagging writes lose nothing and double nothing, whatever happens to the run."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.events import fill, small_disk
from helpers.tagging import EDGE, KIOSK, ROWS, SUFFIXES, finished, program, refusal, tagged

from edgefashion.errors import BadInputError
from edgefashion.tagging import parquet, text_set
from edgefashion.tagging.row import FIELDS, Row
from edgefashion.tagging.table import Ledger, read_rows

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


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
def test_memory(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are not kept in memory: neither where a journal is gone on with, nor in finishing, nor in reading."""
    monkeypatch.setattr(parquet, "GROUP_ROWS", 20)
    monkeypatch.setattr(text_set, "_RECENT", 20)
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


@pytest.mark.linux_only("needs fork and SIGKILL")
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


# --- The disk --------------------------------------------------------------------------------


@pytest.mark.linux_only("a small file system is mounted")
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


@pytest.mark.linux_only("a small file system is mounted")
def test_disk_full_at_the_start(tmp_path: Path) -> None:
    """A disk with no space for a first line is refused, and nothing is left on it."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk)
        assert "cannot be written: No space left on device" in refusal(disk / "t.csv")


@pytest.mark.linux_only("a small file system is mounted")
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
        ("t.csv", _appended("a,b\n"), "line 5 is no row"),
        ("t.csv", _appended('a,,0.0,"[",false,,,,,\n'), "line 5 is no row"),
        ("t.jsonl", _text('{"path": "a"}\n'), "line 1 is no row"),
        ("t.jsonl", _text("[" * 100_000), "line 1 is no row"),
        ("t.jsonl", _appended("null\n"), "line 4 is no row"),
        ("t.jsonl", _cut, "line 500 is no row"),
        ("t.JSONL", _text("[]\n"), "line 1 is no row"),
        ("t.csv", lambda out: out.mkdir(), "is a folder"),
        pytest.param(
            "t.csv",
            lambda out: os.mkfifo(out),
            "is no ordinary file",
            marks=pytest.mark.linux_only("a named pipe in a folder is POSIX's"),
        ),
        ("t.xlsx", lambda _: None, r"has an unknown suffix. Choose one of .parquet, .csv, .jsonl"),
        ("none/t.csv", lambda _: None, "is no folder. Make it first"),
        pytest.param(
            "n" * 250 + ".csv", lambda _: None, "File name too long", marks=pytest.mark.linux_only("POSIX's words")
        ),
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
    then is its only one; one that is broken is not, and what is tried in vain writes nothing anew. What the errors
    say does not matter."""
    out = tmp_path / f"t{suffix}"
    lost = [Row(f"{n}.jpg", error="whatever it says", try_again=True) for n in range(3)]
    finished(out, [ROWS[0], *lost, Row("b.jpg", error="b.jpg cannot be read: it took longer than ever")])
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


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_killed_between_the_renames(suffix: str, tmp_path: Path) -> None:
    """Where a run died after its table's notes were renamed and before the table was, the notes hold for the table
    that is there: a row that may be replaced is replaced."""
    out, journal = tmp_path / f"t{suffix}", tmp_path / f"t{suffix}.partial"
    lost, found = Row("a.jpg", error="gone", try_again=True), Row("a.jpg", "Coat", 0.5)
    before = finished(out, [lost, ROWS[0]]).read_bytes()
    with Ledger(out, EDGE) as ledger:
        ledger.add([found])
        added = journal.read_bytes()
        ledger.finish()
    assert set(read_rows(out)) == {found, ROWS[0]}
    out.write_bytes(before)
    journal.write_bytes(added)
    with Ledger(out, EDGE) as ledger:
        assert ledger.has("a.jpg")
        ledger.finish()
    assert set(read_rows(out)) == {found, ROWS[0]}


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


@pytest.mark.linux_only("Windows allows links to administrators only")
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
    assert out.read_text() == ",".join(FIELDS) + "\n"
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
