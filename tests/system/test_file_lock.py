"""A file is held by one at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgefashion.errors import BadInputError
from edgefashion.system import file_lock


def test_one_at_a_time(tmp_path: Path) -> None:
    """A file that is held is refused to a second, and is to be had again once it is let go, also after a removal."""
    path = tmp_path / "a file"
    first = file_lock.hold(path)
    os.write(first, b"written")
    with pytest.raises(BadInputError, match="is being written by another process"):
        file_lock.hold(path)
    assert path.read_bytes() == b"written"
    file_lock.let_go(first)
    file_lock.let_go(file_lock.hold(path))
    assert [found.name for found in tmp_path.iterdir()] == ["a file"]
    path.unlink()
    file_lock.let_go(file_lock.hold(path))
    assert path.read_bytes() == b""
