"""What the tests of a repository share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgefashion.conversion.ovms import served_ir
from edgefashion.conversion.ovms.repository import export
from edgefashion.conversion.ovms.served_ir import Reader
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.load import load


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both shipped models, exported. To be read only."""
    folder = tmp_path_factory.mktemp("export") / "served"
    export(["edge", "kiosk"], folder)
    return folder


@pytest.fixture(scope="module")
def readers(made: Path) -> dict[str, tuple[Reader, Classifier]]:
    return {name: (Reader(made / name / "1/model.xml"), load(name)) for name in ("edge", "kiosk")}


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(made, tmp_path / "served"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    """Models are not made anew but copied: for what is done with them then."""
    facts = json.loads((made / "edgefashion.json").read_text())["models"]

    def write_ir(model: str | Path, precision: str | None, path: Path) -> served_ir.Served:
        for suffix in (".xml", ".bin"):
            shutil.copyfile((made / str(model) / "1/model").with_suffix(suffix), path.with_suffix(suffix))
        return served_ir.Served(**facts[str(model)])

    monkeypatch.setattr("edgefashion.conversion.ovms.repository.write_ir", write_ir)
