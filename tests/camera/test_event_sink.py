"""Events on stdout, and what is left of any sink."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers.camera import PATIENCE_S, wait_until
from helpers.events import event, parse, program

from edgefashion.camera.events.open import open_sink

POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX systems only")


@POSIX
@pytest.mark.linux_only("a pipe's lines end as POSIX ends them")
def test_reader_stays() -> None:
    """On stdout there is each event as a line, the moment it is told and nothing else."""
    code = "sink = open_sink('-')\ntell(sink, range(3))\ninput()\ntell(sink, range(3, 6))\nsink.close()"
    with program(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        first = "".join(process.stdout.readline() for _ in range(3))
        process.stdin.write("\n")
        process.stdin.close()
        rest = process.stdout.read()
    assert [e["frame"] for e in parse(first + rest)] == list(range(6))


@POSIX
@pytest.mark.linux_only("a pipe that nobody reads is noticed with poll()")
def test_reader_leaves() -> None:
    """A reader that leaves (``| head -1``) is noticed without another event, and nothing is said on stderr."""
    code = """
import time
sink = open_sink('-')
tell(sink, range(3))
while not sink.gone: time.sleep(0.01)
tell(sink, range(5))
sink.close()
raise SystemExit(40 + (sink.fault() == "whoever read the events has left"))
"""
    with program(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 41
        assert process.stderr.read() == ""


@POSIX
@pytest.mark.linux_only("a full pipe is told of as POSIX does")
def test_reader_sleeps() -> None:
    """A reader that does not read holds nobody up: events are taken, closing ends, the process too, and it is told."""
    code = """
import edgefashion.camera.events.sink as module
import time
module.STUCK_S, module.CLOSE_S = 0.2, 0.2
sink = open_sink('-', capacity=10_000)
tell(sink, range(2000))
while not (sink.fault() or '').startswith('writing is stuck'): time.sleep(0.01)
tell(sink, range(50_000))
sink.close()
raise SystemExit(40 + (50_000 < sink.lost < 52_000))
"""
    with program(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert process.wait(PATIENCE_S) == 41
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.linux_only("/dev/full is Linux's")
def test_device() -> None:
    """A device is written to as it is, and what it says is the fault."""
    sink = open_sink("/dev/full")
    sink.tell(event(0))
    wait_until(lambda: sink.fault() == "No space left on device", "the fault")
    sink.close()
    assert sink.lost == 1
    sink = open_sink(os.devnull)
    sink.tell(event(0))
    sink.close()
    assert (sink.lost, sink.fault()) == (0, None)


def test_nothing_left_behind(tmp_path: Path) -> None:
    """A closed sink has no thread and no open file."""
    before = threading.active_count(), _descriptors()
    for n in range(5):
        sink = open_sink(str(tmp_path / f"{n}.jsonl"))
        sink.tell(event(n))
        sink.close()
    assert (threading.active_count(), _descriptors()) == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
