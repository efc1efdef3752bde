"""What is said of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgefashion.system import machine


def test_others_load_is_seen() -> None:
    """A process that is not ours and works is seen in the share of the CPU that others use."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            load = machine.OthersLoad([os.getpid()])
            time.sleep(0.5)
            assert load.share() > 0.1 / (os.cpu_count() or 1)
        finally:
            other.kill()


@pytest.mark.parametrize("told", ["Name:\tpython\nVmRSS:\t  64 kB\n", ""])
def test_a_kernel_that_tells_no_peak(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel of a sandbox does not tell the most memory, what is held now is told in its place."""
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda _: told)
    assert machine.peak_rss_mb() > 10
