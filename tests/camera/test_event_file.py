"""Events reach a file as whole lines in order, none lost or doubled, whatever becomes of the disk."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.camera import PATIENCE_S, wait_until
from helpers.events import event, fill, frames, parse, program, settle, small_disk, tell

from edgefashion.camera.events.event import Event
from edgefashion.camera.events.file import SYNC_S, open_file
from edgefashion.camera.events.open import open_sink
from edgefashion.camera.events.sink import line
from edgefashion.errors import BadInputError

POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX systems only")

# --- A file ----------------------------------------------------------------------------------


def test_appended(tmp_path: Path) -> None:
    """A file gets one line an event, its fields in order, behind what stands in it; numpy's numbers are numbers,
    and one that is none is null, however deep it lies."""
    path = tmp_path / "events.jsonl"
    for start in (0, 3):
        sink = open_sink(str(path))
        tell(sink, range(start, start + 2))
        garments = [{"confidence": float("inf"), "box": (np.int64(1), np.float32("nan")), "worn": None, "held": True}]
        sink.tell(Event("t", start + 2, "none", None, np.float32(0.5), float("nan"), garments=garments))  # type: ignore[arg-type]
        sink.close()
        sink.close()
        assert sink.lost == 0
        sink.tell(event(99))  # closed: nobody is there to write it
    assert frames(path) == list(range(6))
    last = parse(path.read_bytes())[-1]
    assert last["confidence"] == 0.5
    assert last["latency_ms"] is None
    assert last["garments"] == [{"confidence": None, "box": [1, None], "worn": None, "held": True}]


def test_half_a_line(tmp_path: Path) -> None:
    """A last line that a crash left half written is ended, and spoils no other."""
    path = tmp_path / "events.jsonl"
    whole = line(event(0))
    path.write_text(f'{whole}\n{{"time": "2026')
    sink = open_sink(str(path))
    tell(sink, range(1, 3))
    sink.close()
    first, torn, *rest = path.read_text().splitlines()
    assert (first, torn) == (whole, '{"time": "2026')
    assert [e["frame"] for e in parse("".join(f"{line}\n" for line in rest))] == [1, 2]


def test_rotation(tmp_path: Path) -> None:
    """A file never outgrows its size, as many old ones are kept as asked, and of the lines in them none is lost,
    doubled or out of order."""
    path = tmp_path / "events.jsonl"
    for start in (0, 300):
        sink = open_file(str(path), max_bytes=20_000, keep=3)
        tell(sink, range(start, start + 300))
        sink.close()
    kept = frames(path, 3)
    assert kept == list(range(kept[0], 600))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "events.jsonl",
        *(f"events.jsonl.{n}" for n in (1, 2, 3)),
    ]
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert max(sizes) <= 20_000
    assert sorted(sizes)[1] > 19_000


def test_killed_while_rotating(tmp_path: Path) -> None:
    """A process killed at any moment, rotations included, leaves every line it had written, once and in order."""
    path = tmp_path / "events.jsonl"
    code = f"""
from edgefashion.camera.events.file import open_file
import itertools, time
sink = open_file({str(path)!r}, max_bytes=1000, keep=5000)
for number in itertools.count(START):
    sink.tell(event(number))
    time.sleep(0.0003)
"""
    number = 0
    for lines in (30, 40, 50):
        with program(code.replace("START", str(number))) as process:
            wait_until(lambda: len(list(tmp_path.iterdir())) > (number + lines) // 8, "some rotations")  # noqa: B023
            process.kill()
        files = sorted(tmp_path.iterdir(), key=lambda file: -int("0" + file.suffix.removeprefix(".jsonl")[1:]))
        text = b"".join(file.read_bytes() for file in files).decode()
        whole = [int(found) for found in re.findall(r'^\{"time": "[^"]*", "frame": (\d+), .*\}$', text, re.MULTILINE)]
        assert whole == list(range(len(whole)))
        assert len(text.splitlines()) <= len(whole) + 3  # a torn line at most for each kill
        number = len(whole)
    assert len(files) > 10


def test_interrupted_rotation(tmp_path: Path) -> None:
    """A rotation that was cut short leaves one place free; the next one fills it, and drops nothing for it."""
    path = tmp_path / "events.jsonl"
    for n in (2, 3):
        path.with_name(f"{path.name}.{n}").write_text(f"old {n}\n")
    path.write_text("x" * 999 + "\n")
    sink = open_file(str(path), max_bytes=1000, keep=3)
    sink.tell(event(1))
    sink.close()
    assert [path.with_name(f"{path.name}.{n}").read_text()[:5] for n in (1, 2, 3)] == ["xxxxx", "old 2", "old 3"]
    assert frames(path) == [1]


def test_no_rotation_possible(tmp_path: Path) -> None:
    """Where rotating fails the file grows on, and that is told as a fault."""
    path = tmp_path / "events.jsonl"
    path.with_name(f"{path.name}.1").mkdir()
    (path.with_name(f"{path.name}.1") / "in the way").touch()
    sink = open_file(str(path), max_bytes=1000, keep=1)
    tell(sink, range(30))
    settle(sink)
    wait_until(lambda: "cannot be rotated" in (sink.fault() or ""), "the fault")
    sink.close()
    assert frames(path) == list(range(30))


@POSIX
@pytest.mark.parametrize("how", ["renamed", "deleted", "copied and truncated"])
@pytest.mark.linux_only("an open file is renamed and deleted, which Windows refuses")
def test_taken_away(tmp_path: Path, how: str) -> None:
    """Another process (logrotate) may rename, delete or truncate the file: the next event is in a file of its name."""
    path, old = tmp_path / "events.jsonl", tmp_path / "old"
    sink = open_sink(str(path))
    tell(sink, range(5))
    settle(sink)
    if how == "renamed":
        path.rename(old)
    elif how == "deleted":
        old.write_bytes(path.read_bytes())
        path.unlink()
    else:
        old.write_bytes(path.read_bytes())
        os.truncate(path, 0)
    tell(sink, range(5, 9))
    sink.close()
    assert frames(old) == list(range(5))
    assert frames(path) == list(range(5, 9))


@POSIX
@pytest.mark.linux_only("the folder of an open file is renamed, which Windows refuses")
def test_folder_goes_and_comes(tmp_path: Path) -> None:
    """A folder that goes away (a share, a stick) is a fault; its events are written once it is back."""
    folder = tmp_path / "share"
    folder.mkdir()
    sink = open_sink(str(folder / "events.jsonl"))
    tell(sink, range(3))
    settle(sink)
    folder.rename(tmp_path / "away")
    tell(sink, range(3, 6))
    wait_until(lambda: sink.fault() == "No such file or directory", "the fault")
    (tmp_path / "away").rename(folder)
    settle(sink)
    wait_until(lambda: sink.fault() is None, "the fault's end")
    sink.close()
    assert frames(folder / "events.jsonl") == list(range(6))


def test_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is synced to the disk soon after an event, no oftener than stated, and when it is closed."""
    synced: list[float] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            synced.append(time.monotonic())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    sink = open_sink(str(tmp_path / "events.jsonl"))
    tell(sink, range(1))
    wait_until(lambda: synced, "the first sync")
    for number in range(1, 200):
        sink.tell(event(number))
        time.sleep(0.01)
    tell(sink, range(200, 201))
    before = len(synced)
    sink.close()
    assert len(synced) > before
    apart = np.diff(synced[:-1])
    assert len(apart) >= 1
    assert apart.min() >= SYNC_S


# --- Full disks ------------------------------------------------------------------------------


@pytest.mark.linux_only("a small file system is mounted")
def test_disk_full(tmp_path: Path) -> None:
    """On a full disk every line stays whole and the fault names it; what is told meanwhile waits, and with each
    bit of space more of it is there, once and in order."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        path = disk / "events.jsonl"
        sink = open_sink(str(path))
        tell(sink, range(5))
        settle(sink)
        ballast = fill(disk)
        tell(sink, range(5, 200))
        wait_until(lambda: sink.fault() == "No space left on device", "the fault")
        few = frames(path)
        tell(sink, range(200, 300))
        os.truncate(ballast, ballast.stat().st_size - 8192)
        wait_until(lambda: path.stat().st_size > 8192, "more events")
        wait_until(lambda: sink.fault() == "No space left on device", "the fault")
        more = frames(path)
        assert 5 < len(few) < len(more) < 300
        ballast.unlink()
        settle(sink)
        wait_until(lambda: sink.fault() is None, "the fault's end")
        sink.close()
        assert sink.lost == 0
        assert frames(path) == list(range(300))
        assert few == list(range(len(few)))
        assert more == list(range(len(more)))


@pytest.mark.linux_only("a small file system is mounted")
def test_disk_full_at_start_and_end(tmp_path: Path) -> None:
    """A disk that is full from the start is no reason to refuse; one that is full at the end costs what it has no
    space for, which is counted."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        path = disk / "events.jsonl"
        path.write_bytes(b"x" * 4096)  # half a line that fills its block: not even its end can be written
        ballast = fill(disk)
        sink = open_sink(str(path))
        assert sink.fault() == "No space left on device"
        tell(sink, range(40))
        ballast.unlink()
        settle(sink)
        fill(disk)
        tell(sink, range(40, 200))
        sink.close()
        written = [e["frame"] for e in parse(path.read_bytes().split(b"\n", 1)[1])]
        assert written == list(range(len(written)))
        assert 40 <= len(written) < 200
        assert sink.lost == 200 - len(written)


@POSIX
@pytest.mark.linux_only("RLIMIT_FSIZE is POSIX's")
def test_file_size_limit(tmp_path: Path) -> None:
    """A limit on a file's size is met as a full disk is: a fault, whole lines, and everything once it is lifted."""
    path = tmp_path / "events.jsonl"
    code = f"""
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
sink = open_sink({str(path)!r})
tell(sink, range(30))
input()
print(sink.fault(), flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
settle(sink)
sink.close()
"""
    with program(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        wait_until(lambda: path.exists() and path.stat().st_size > 800, "the first events")
        wait_until(lambda: len(frames(path)) == 1000 // len(line(event(0)) + " "), "no more events")
        time.sleep(0.3)
        out, _ = process.communicate("\n", PATIENCE_S)
    assert out.strip() == "File too large"
    assert frames(path) == list(range(30))


@pytest.mark.linux_only("a small file system is mounted")
def test_overflow(tmp_path: Path) -> None:
    """Where more events wait than may, the oldest go, and one fault event in their place says how many."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        path = disk / "events.jsonl"
        path.write_bytes(b"x" * 4095 + b"\n")
        ballast = fill(disk)
        sink = open_sink(str(path), capacity=50)
        tell(sink, range(1))
        wait_until(lambda: sink.fault() and sink._unwritten() == 1, "the first event to be tried")
        tell(sink, range(1, 120))
        ballast.unlink()
        settle(sink)
        sink.close()
        first, note, *rest = parse(path.read_bytes().split(b"\n", 1)[1])
        assert first["frame"] == 0
        assert (note["state"], note["frame"], note["label"]) == ("fault", 69, None)
        assert note["reason"] == "69 events dropped: more than 50 were waiting to be written"
        assert [e["frame"] for e in rest] == list(range(70, 120))


# --- What is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "the empty name cannot be written"),
        ("folder", "Is a directory"),
        ("missing/events.jsonl", "No such file or directory"),
        ("file/events.jsonl", "Not a directory"),
        ("pipe", "no ordinary file. Give - "),
        ("nul\0", "cannot be written: embedded null"),
        ("x" * 300, "File name too long"),
        ("ftp://host/x", "no file and no broker"),
        ("https:host/x", "no file and no broker"),
        ("mqtt:host/topic", "no file and no broker"),
    ],
)
@POSIX
@pytest.mark.linux_only("POSIX's errors in POSIX's words, a named pipe")
def test_unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, words: str) -> None:
    """A place that can never be written to is refused in one line before anything starts, and nothing is left."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    os.mkfifo("pipe")
    with pytest.raises(BadInputError, match=re.escape(words)) as caught:
        open_sink(spec)
    assert str(caught.value).startswith("--events ")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "pipe"]
