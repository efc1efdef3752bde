"""What tests of sources share."""

from __future__ import annotations

import threading

import psutil
from helpers.camera import read_frame, wait_until

from edgefashion.camera.sources.source import Source


def capture_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("capture")]


def children() -> list[psutil.Process]:
    """The processes that read sources."""
    found = psutil.Process().children()
    return [child for child in found if "edgefashion.camera.sources.capture_worker" in child.cmdline()]


def read_on(source: Source) -> None:
    """Read until it is known how fast frames come. A loss shows in seconds then, and after a third of a minute
    before."""
    for _ in range(10):
        read_frame(source)


def wait_for(source: Source, state: str) -> None:
    wait_until(lambda: source.read(0.1) is None and source.state == state, f"the source to be {state}")
