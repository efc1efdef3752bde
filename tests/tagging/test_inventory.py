"""Every picture that the paths lead to comes once, and a path that leads to none is refused."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import fsspec
import pytest
from helpers.tagging import tag_here

from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference.classifier import Classifier
from edgefashion.tagging.run import tag


@pytest.mark.linux_only("links, and a name of bytes that are no text")
def test_each_once(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """Whichever ways lead to a picture it has one row; links that lead in a circle end, and a name may be no text."""
    (tmp_path / "shop").mkdir()
    for name in ("a.jpg", "b.JPG"):
        (tmp_path / "shop" / name).hardlink_to(shop / "00.jpg")
    strange = os.fsencode(tmp_path / "shop" / "c") + b"\xff[1].jpg"
    os.link(shop / "00.jpg", strange)
    (tmp_path / "shop" / "circle").symlink_to(tmp_path)
    (tmp_path / "shop" / "self.jpg").symlink_to(tmp_path / "shop" / "self.jpg")
    given = tmp_path / "shop"
    paths = (given, given / "a.jpg", given / "." / "*.jpg", f"{given}/../shop/**/*", f"{given}/", os.fsdecode(strange))
    rows, _ = tag_here(classifier, tmp_path / "tags.parquet", *paths)
    assert {os.path.basename(path) for path in rows} == {"a.jpg", "b.JPG", os.fsdecode(b"c\xff[1].jpg")}  # noqa: PTH119
    assert not any(row.error for row in rows.values())


@pytest.mark.linux_only("a link, and POSIX's words for a missing file")
def test_named_outright(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """A file named on the command line is tried whatever its suffix, and one that is gone by then has a row."""
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    rows, _ = tag_here(classifier, tmp_path / "tags.csv", shop / "notes.txt", tmp_path / "gone.jpg")
    assert "is no BMP" in (rows[str(shop / "notes.txt")].error or "")
    assert "No such file" in (rows[str(tmp_path / "gone.jpg")].error or "")


@pytest.mark.parametrize(
    ("path", "error", "told"),
    [
        ("nowhere.jpg", BadInputError, "does not exist"),
        ("*.jpg", BadInputError, "holds no picture"),
        (".", BadInputError, "holds no picture"),
        ("memory://nothing/*.jpg", BadInputError, "holds no picture"),
        ("zip://*.jpg::nowhere.zip", BadInputError, "cannot be listed"),
        ("nonsense://user:secret@host/a.jpg", BadInputError, "//...@host"),
        ("s3://shop/", MissingError, r"pip install 'fsspec\[s3\]'"),
    ],
)
def test_path_to_nothing(
    path: str,
    error: type[Exception],
    told: str,
    classifier: Classifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A path that leads to no picture is refused before any work, in one line, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=told) as refused:
        tag(classifier, [path], Path("tags.csv"))
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.linux_only("file:// URLs are made of POSIX's paths")
def test_urls(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """Pictures in archives and behind URLs are tagged like files, those in this process's memory too."""
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        for name in ("00.jpg", "more/01.png", "cut.jpg"):
            archive.write(shop / name, name)
    fsspec.filesystem("memory").pipe("/tag-test/00.jpg", (shop / "00.jpg").read_bytes())
    whole = f"zip://::{tmp_path}/shop.zip"
    paths = (whole, f"zip://*.jpg::{tmp_path}/shop.zip", "memory://tag-test", f"file://{shop}/more/01.png")
    rows, _ = tag_here(classifier, tmp_path / "tags.jsonl", *paths)
    inside = {f"zip://{name}::{tmp_path}/shop.zip" for name in ("00.jpg", "more/01.png", "cut.jpg")}
    assert set(rows) == inside | {"memory://tag-test/00.jpg", f"file://{shop}/more/01.png"}
    here, _ = tag_here(classifier, tmp_path / "here.jsonl", shop / "00.jpg")
    expected = vars(here[str(shop / "00.jpg")])
    for url in (f"zip://00.jpg::{tmp_path}/shop.zip", "memory://tag-test/00.jpg"):
        assert vars(rows[url]) == expected | {"path": url}
    assert [path for path, row in rows.items() if row.error] == [f"zip://cut.jpg::{tmp_path}/shop.zip"]
