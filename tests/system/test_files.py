"""The file helpers."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.damaged import DAMAGED

from edgefashion.errors import BadInputError
from edgefashion.system import files


def test_sha256(tmp_path: Path) -> None:
    """The hash is SHA-256 as everyone writes it (FIPS 180-2, appendix B.1)."""
    (tmp_path / "abc").write_text("abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256(tmp_path / "abc") == expected


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("chart.jpg", "chart.jpg: only PNG pictures are written. Give a name ending in .png"),
        ("folder.png", "folder.png: only PNG pictures are written"),
        ("nowhere/chart.png", "cannot be written: its folder does not exist or is read-only"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(name: str, says: str, tmp_path: Path) -> None:
    """Another kind of file, a folder and a missing folder are refused; a new file and one to replace are not."""
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadInputError, match=re.escape(says)):
        files.check_output(tmp_path / name, (".png",), "only PNG pictures")
    (tmp_path / "old.PNG").touch()
    for good in ("new.png", "old.PNG"):
        files.check_output(tmp_path / good, (".png",), "only PNG pictures")
    assert not (tmp_path / "new.png").exists()


NO_ARRAY = {name: content for name, content in DAMAGED.items() if name != "one array"}


@pytest.mark.parametrize("content", [*NO_ARRAY.values(), None], ids=[*NO_ARRAY, "cut short"])
def test_a_damaged_array_is_computed_again(content: bytes | None, tmp_path: Path) -> None:
    """What a power cut has left of a kept array is computed and written anew; what is whole is not."""
    path, asked = tmp_path / "kept" / "features.npy", []

    def compute() -> Any:
        asked.append(1)
        return np.arange(1000)

    files.cached_array(path, compute)
    path.write_bytes(path.read_bytes()[:300] if content is None else content)
    for _ in range(2):
        assert (files.cached_array(path, compute) == np.arange(1000)).all()
    assert len(asked) == 2


_AS_NOBODY = """
import os, shutil, sys
from pathlib import Path
from edgefashion.system import files
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for name in ("first", "second"):
    files.copy_folder(Path("theirs"), Path(name))
    files.sync(Path(name))
files.copy_folder(Path("first"), Path("third"))
files.sync(Path("theirs"))
(Path("third") / "deep/new").write_text("new")
shutil.rmtree("second")
"""


@pytest.mark.linux_only("modes, and an account without rights")
def test_a_folder_that_may_only_be_read() -> None:
    """What somebody may only read is copied as files and folders of their own: flushed, added to and removed by an
    account without rights. Links are followed."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o777)
        (folder / "theirs/deep").mkdir(parents=True)
        (folder / "theirs/a.pb").write_text("a")
        (folder / "theirs/deep/b").write_text("b")
        (folder / "theirs/link").symlink_to("deep")
        for path in (folder / "theirs").rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        (folder / "theirs").chmod(0o555)
        done = subprocess.run([sys.executable, "-c", _AS_NOBODY, place], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        found = {path.relative_to(folder / "third").as_posix() for path in (folder / "third").rglob("*")}
        assert found == {"a.pb", "deep", "deep/b", "deep/new", "link", "link/b"}
        assert not (folder / "second").exists()
        for path in (folder / "third").rglob("*"):
            assert path.stat().st_mode & stat.S_IWUSR
