"""What the tests of event sinks share: events, what was written of them, and a disk that can be filled."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers.camera import wait_until

from edgefashion.camera.events.event import Event, now

if TYPE_CHECKING:
    from edgefashion.camera.events.sink import Sink

FIELDS = ("time", "frame", "state", "label", "confidence", "latency_ms", "reason", "garments", "network")


def event(number: int, label: str = "Coat") -> Event:
    """An answer whose frame is ``number``."""
    return Event(now(), number, "garment", label, 0.9, 2.5)


class Heard:
    """An event sink that keeps what it is told."""

    lost = 0

    def __init__(self, *, gone: bool = False, failing: str | None = None) -> None:
        self.gone = gone
        self.failing = failing
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def fault(self) -> str | None:
        return self.failing

    def close(self) -> None:
        pass


def tell(sink: Sink, numbers: range) -> None:
    """Tell ``sink`` an event for each of ``numbers``."""
    for number in numbers:
        sink.tell(event(number))


def settle(sink: Sink) -> None:
    """Return once everything told is written."""
    wait_until(lambda: not sink._waiting and not sink._unwritten(), "the events to be written")


def parse(lines: str | bytes) -> list[dict[str, Any]]:
    """The events in JSON Lines; every one whole, with exactly the promised fields in their order."""
    text = lines.decode() if isinstance(lines, bytes) else lines
    assert not text or text.endswith("\n")
    events = [json.loads(line) for line in text.splitlines()]
    assert all(tuple(event) == FIELDS for event in events)
    return events


def frames(path: Path, kept: int = 0) -> list[int]:
    """The frames told in ``path`` and its ``kept`` older files, oldest first."""
    old = [path.with_name(f"{path.name}.{n}") for n in range(kept, 0, -1)]
    return [event["frame"] for file in [*old, path] if file.exists() for event in parse(file.read_bytes())]


_PROGRAM = """
import time
from edgefashion.camera.events import event as events
from edgefashion.camera.events.open import open_sink

def event(number):
    return events.Event(events.now(), number, "garment", "Coat", 0.9, 2.5)

def tell(sink, numbers):
    for number in numbers:
        sink.tell(event(number))

def settle(sink):
    while sink._waiting or sink._unwritten():
        time.sleep(0.01)
"""


def program(code: str, **options: Any) -> subprocess.Popen[str]:
    """A Python process that runs ``code`` with what is above at hand; it starts sooner without OpenCV and pytest."""
    return subprocess.Popen([sys.executable, "-c", _PROGRAM + code], text=True, **options)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A real file system of ``size`` (``64k``), to be filled. Skips where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system may be mounted here (it takes root on Linux)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the space that is left on ``disk`` with one file; returns it."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert os.statvfs(disk).f_bavail == 0
    return ballast
