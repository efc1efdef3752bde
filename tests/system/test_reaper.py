"""Nothing that a command started outlives it, or the program that asked for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from helpers.reaper import LIMIT_S, kept

pytestmark = [
    pytest.mark.linux_only("orphans are adopted by Linux's means"),
    pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted by Linux's means"),
]


def wait_until(is_so: Callable[[], object]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.05)


def test_program_that_asked_is_gone(tmp_path: Path) -> None:
    """What a command started, in sessions of its own and without a parent, ends when the one who asked is gone."""
    pids = tmp_path / "pids"
    folder = tmp_path / "folder"
    folder.mkdir()
    script = f"setsid sh -c 'echo $$ >> {pids}; exec sleep 1000' & echo $$ >> {pids}; sleep 1000"
    with kept(["sh", "-c", script], str(folder)):
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        left = [psutil.Process(int(pid)) for pid in pids.read_text().split()]
    assert not any(process.is_running() for process in left)
    assert not folder.exists()


def test_exit_code(tmp_path: Path) -> None:
    """A command that ends of itself has its exit code told, and its folder removed."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with kept(["sh", "-c", "exit 7"], str(folder)) as process:
        assert process.wait(LIMIT_S) == 7
    assert not folder.exists()
