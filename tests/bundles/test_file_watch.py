"""A network's files are looked at now and then, and read again once they have changed and settled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgefashion.bundles.file_watch import LOOK_S, SETTLE_S, FileWatch, stamp


@pytest.fixture
def ir(tmp_path: Path) -> Path:
    """An IR's two files."""
    for suffix in (".xml", ".bin"):
        (tmp_path / "int8").with_suffix(suffix).write_text("x")
    return tmp_path / "int8.xml"


def looks(watch: FileWatch, from_s: float, count: int) -> list[bool]:
    """What so many looks in a row say, each as soon as one is due."""
    return [watch.is_replaced(from_s + number * LOOK_S) for number in range(count)]


def test_files_that_stay(ir: Path) -> None:
    """Files that nobody touches are never told of."""
    assert looks(FileWatch(ir), 1e9, 5) == [False] * 5


def test_changed_and_settled(ir: Path) -> None:
    """A change is told once, when the files have been left alone for a while; a further change starts that anew."""
    watch = FileWatch(ir)
    assert SETTLE_S <= LOOK_S
    ir.with_suffix(".bin").write_text("yy")
    assert not watch.is_replaced(1e9)
    ir.with_suffix(".bin").write_text("zzz")
    assert not watch.is_replaced(1e9 + LOOK_S)
    assert looks(watch, 1e9 + 2 * LOOK_S, 3) == [True, False, False]
    ir.write_text("another")
    assert looks(watch, 1e9 + 9 * LOOK_S, 3) == [False, True, False]


def test_put_back(ir: Path) -> None:
    """Files that are as they were before they settled are no news."""
    watch = FileWatch(ir)
    before = ir.stat()
    os.utime(ir, (1, 1))
    assert not watch.is_replaced(1e9)
    os.utime(ir, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert looks(watch, 1e9 + LOOK_S, 3) == [False] * 3


def test_nothing_is_looked_at_too_often(ir: Path) -> None:
    """Between two looks the files are not asked for."""
    watch = FileWatch(ir)
    assert not watch.is_replaced(1e9)
    ir.unlink()
    assert not watch.is_replaced(1e9 + LOOK_S / 2)
    assert looks(watch, 1e9 + LOOK_S, 2) == [False, True]


def test_a_served_network_has_no_files() -> None:
    """Of a network on a server nothing is watched."""
    assert stamp(None) == ()
    assert looks(FileWatch(None), 1e9, 3) == [False] * 3
