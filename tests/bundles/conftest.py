"""What the tests of bundles share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the test's own to run in, so that ``./models`` is its alone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
