"""Every picture that the paths lead to comes once, and a path that leads to none is refused."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import fsspec
import pytest
from helpers import collecting
from helpers.photos import put
from helpers.tagging import tag_here

from edgefashion import load
from edgefashion.data.picture_walk import LeftOut
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference.classifier import Classifier
from edgefashion.tagging import inventory
from edgefashion.tagging.collecting import CollectOptions
from edgefashion.tagging.run import TagOptions, tag
from edgefashion.tagging.table import read_rows


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


@pytest.mark.parametrize(
    ("given", "come"),
    [
        ([""], ["a.jpg"]),
        (["**/*.jpg"], ["a.jpg"]),
        (["kept/to review/*/*.jpg", "a.jpg"], ["a.jpg"]),
        (["kept/Coat", "a.jpg"], ["a.jpg"]),
        (["{crop}"], ["{crop}"]),
        (["", "{crop}", "a.jpg"], ["a.jpg", "{crop}"]),
        (["file://", "file://{crop}"], ["file://a.jpg", "file://{crop}"]),
    ],
)
def test_what_was_collected_is_left_out(given: list[str], come: list[str], tmp_path: Path) -> None:
    """Pictures that were collected for teaching, decided or not, are cut out of others: a folder or a pattern gives the
    others alone, and they are counted. One that is named outright comes."""
    put(tmp_path, "a.jpg")
    (tmp_path / "kept/Coat").mkdir(parents=True)
    crop = collecting.put(tmp_path / "kept").path
    shutil.copy(crop, tmp_path / "kept/Coat")

    def whole(name: str) -> str:
        scheme, name = ("file://", name[7:]) if name.startswith("file://") else ("", name)
        return f"{scheme}{tmp_path}/{name}".replace("{crop}", f"kept/Coat/{crop.name}").rstrip("/")

    left_out = LeftOut()
    assert list(inventory.walk([whole(name) for name in given], left_out)) == [whole(name) for name in come]
    assert ("collected for teaching" in left_out.told()) == (given != ["{crop}"])


def test_a_folder_of_what_was_collected_alone(tmp_path: Path) -> None:
    """A folder that holds nothing else is refused, with the reason."""
    collecting.put(tmp_path)
    with pytest.raises(BadInputError, match=r"no picture \(left out: 1 picture that was collected for teaching\)"):
        inventory.check([str(tmp_path)])


def test_collected_into_the_folder_that_is_tagged(shop: Path, tmp_path: Path) -> None:
    """A run that collects into a folder below its PATH, and one after it, write a row for each of the user's pictures
    and for none that was collected."""
    photos, out = tmp_path / "photos", tmp_path / "tags.csv"
    (photos / "more").mkdir(parents=True)
    for name in ("00.jpg", "more/01.png"):
        shutil.copy(shop / name, photos / name)
    options = TagOptions(workers=1, collect=CollectOptions(photos / "kept", rate=1))
    kiosk = load("kiosk", purpose="throughput")
    assert tag(kiosk, [str(photos)], out, options).collected > 0
    done = tag(kiosk, [str(photos)], out, TagOptions(workers=1))
    assert (done.pictures, done.done_before) == (2, 2)
    assert done.left_out["collected"] > 0
    assert {Path(row.path).name for row in read_rows(out)} == {"00.jpg", "01.png"}
