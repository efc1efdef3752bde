"""The journal has every row that was added, whatever a crash left of its end."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from helpers.tagging import EDGE, ROWS, program, refusal, tagged

from edgefashion.tagging.table import Ledger, read_rows


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


@pytest.mark.linux_only("needs fork and SIGKILL")
@pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")
def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second process is refused while the first lives; once that is killed it goes on, though a child of it lives."""
    out = tmp_path / "t.csv"
    code = """
ledger = Ledger(Path(sys.argv[1]), EDGE)
ledger.add([Row("a.jpg")])
if not os.fork():
    print(os.getpid(), flush=True)  # by the child: it has let the journal go by then
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


@pytest.mark.parametrize("there", [b"not ours\n", b"\x89PNG", b"[]\n", b'{"made": 1}\n', b"x" * 2_000_000])
def test_foreign_journal(there: bytes, tmp_path: Path) -> None:
    """A file of the journal's name that is none is refused and left."""
    (tmp_path / "t.csv.partial").write_bytes(there)
    assert "t.csv.partial is no journal of edgefashion tag. Move it away" in refusal(tmp_path / "t.csv")
