"""How a bundle is named on a command line so that it is found, and no other of its name."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from edgefashion.bundles import places, resolve
from edgefashion.bundles.places import as_argument, model_dirs


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped `edge`, from a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return model_dirs()[-1].absolute() / "edge"


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("models/m1", "m1"),
        ("models/m 1", "'m 1'"),
        ("models/-m", "models/-m"),
        ("made/m1", "made/m1"),
        ("m1", "./m1"),
        ("-m", "./-m"),
    ],
)
def test_a_bundle_is_found_by_what_it_is_called(path: str, named: str, shipped: Path, tmp_path: Path) -> None:
    """What a bundle is called leads back to it, also where one of the same name lies in ./models."""
    shutil.copytree(shipped, path)
    assert as_argument(Path(path)) == named
    if "models" not in path:
        shutil.copytree(shipped, Path("models") / Path(path).name)
    found = resolve.resolve(shlex.split(as_argument(Path(path)))[0])
    assert found.path.absolute() == tmp_path / path


def test_a_path_of_one_word_beside_a_bundle_of_that_name(shipped: Path, tmp_path: Path) -> None:
    """Where ./models has a bundle of the same name, the whole path is told: "./m1" would find that one."""
    shutil.copytree(shipped, "m1")
    shutil.copytree(shipped, "models/m1")
    assert as_argument(Path("m1")) == str(tmp_path / "m1")


def test_a_shipped_bundle_is_called_by_its_name_where_that_finds_it(shipped: Path) -> None:
    """A shipped bundle's name is enough until the user has a bundle of that name; then it is called by its path."""
    assert as_argument(shipped) == "edge"
    shutil.copytree(shipped, "models/edge")
    assert as_argument(shipped) == str(shipped)
    assert as_argument(Path("models/edge")) == "edge"
    assert places.shipped("edge") == str(shipped)
