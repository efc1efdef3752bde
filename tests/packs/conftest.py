"""What the tests of packs share."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.packs import edge, packed, pinned


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the test's own to run in, so that ``./models`` is its alone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def arrays() -> dict[str, np.ndarray]:
    """Pinned pictures."""
    return pinned()


@pytest.fixture(scope="session")
def made_packs(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray]) -> Path:
    """``first.edgepack`` and ``second.edgepack`` of a model ``shop``, and ``bare.edgepack`` without pictures."""
    folder = tmp_path_factory.mktemp("packs")
    for number, name in enumerate(("first", "second", "bare")):
        made = edge(folder / name / "shop", number + 1, None if name == "bare" else arrays)
        packed(made, out=folder / f"{name}.edgepack")
    return folder


@pytest.fixture
def packs(made_packs: Path, work: Path) -> None:
    """These three packs in the current folder."""
    for path in made_packs.glob("*.edgepack"):
        shutil.copy(path, work)
