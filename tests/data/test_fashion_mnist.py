"""Fashion-MNIST found, verified, loaded and split."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.dataset import TRAIN_LABELS, altered, place, raw_bytes
from helpers.types import Arrays
from numpy.typing import NDArray

from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError, EdgeFashionError, MissingError
from edgefashion.labels import LABELS

Picture = NDArray[np.uint8]

TEST_LABELS = "t10k-labels-idx1-ubyte"


@pytest.mark.linux_only("the user's folders cannot be set aside on Windows")
@pytest.mark.skipif(sys.platform == "win32", reason="the user's folders cannot be set aside there")
def test_find_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``./data`` comes before our cache, our cache before Keras's, and a folder that lacks a file does not count."""
    monkeypatch.delenv("EDGEFASHION_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    # Least preferred first, so that each one found replaces the one before.
    for folder in (
        Path.home() / ".keras/datasets/fashion-mnist",
        fashion_mnist.cache_dir(),
        Path("data/fashion-mnist"),
    ):
        folder.mkdir(parents=True)
        first, *others = fashion_mnist.SHA256
        for name in others:
            (folder / name).touch()
        (folder / f"{first}.gz").touch()
        assert fashion_mnist.find() == folder
    (folder / TEST_LABELS).unlink()
    assert fashion_mnist.find() == fashion_mnist.cache_dir()


def test_only_the_named_folder_is_searched(tmp_path: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``EDGEFASHION_DATA`` set to a folder without the files nothing else is looked at, and the error says
    where it looked and what to run."""
    place(real, tmp_path / "data/fashion-mnist")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEFASHION_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(MissingError) as caught:
        fashion_mnist.find()
    assert caught.value.exit_code == 3
    assert str(tmp_path / "elsewhere") in str(caught.value)
    assert str(Path("data/fashion-mnist")) not in str(caught.value)
    assert "edgefashion data fetch" in str(caught.value)
    monkeypatch.delenv("EDGEFASHION_DATA")
    assert fashion_mnist.find() == Path("data/fashion-mnist")


def _recompressed(folder: Path, name: str) -> None:
    (folder / f"{name}.gz").write_bytes(gzip.compress(raw_bytes(folder, name), 1, mtime=1))


def _raw(folder: Path, name: str) -> None:
    (folder / name).write_bytes(raw_bytes(folder, name))
    (folder / f"{name}.gz").unlink()


def _truncated(folder: Path, name: str) -> None:
    whole = (folder / f"{name}.gz").read_bytes()
    (folder / f"{name}.gz").write_bytes(whole[:-100])


def _no_gzip(folder: Path, name: str) -> None:
    (folder / f"{name}.gz").write_bytes(b"<html>Please log in</html>")


def _gone(folder: Path, name: str) -> None:
    (folder / f"{name}.gz").unlink()


@pytest.mark.parametrize(
    ("change", "exception", "message"),
    [
        (_recompressed, None, ""),
        (_raw, None, ""),
        (altered, BadInputError, "SHA-256 differs"),
        (_truncated, BadInputError, "cannot be read"),
        (_no_gzip, BadInputError, "cannot be read"),
        (_gone, MissingError, "has no"),
    ],
)
def test_verify(
    change: Callable[[Path, str], None],
    exception: type[EdgeFashionError] | None,
    message: str,
    tmp_path: Path,
    real: Path,
) -> None:
    """The decompressed bytes decide, however they are packed; anything but Fashion-MNIST's own is refused by name
    with the command that mends it."""
    folder = place(real, tmp_path, TRAIN_LABELS)
    (folder / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(raw_bytes(real, TRAIN_LABELS)))
    assert fashion_mnist.verify(folder) == folder
    change(folder, TRAIN_LABELS)
    if exception is None:
        assert fashion_mnist.verify(folder) == folder
        return
    with pytest.raises(exception, match=message) as caught:
        fashion_mnist.verify(folder)
    assert TRAIN_LABELS in str(caught.value)
    assert "edgefashion data fetch" in str(caught.value)


def test_load_refuses_altered(tmp_path: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading checks the hash too: an altered file never becomes an array."""
    raw = bytearray(raw_bytes(real, TEST_LABELS))
    raw[-1] ^= 1
    (place(real, tmp_path, TEST_LABELS) / TEST_LABELS).write_bytes(raw)
    monkeypatch.setenv("EDGEFASHION_DATA", str(tmp_path))
    with pytest.raises(BadInputError, match="SHA-256 differs"):
        fashion_mnist.load("test")


@pytest.mark.parametrize(("part", "count"), [("train", 60_000), ("test", 10_000)])
def test_load(part: str, count: int) -> None:
    """Images come as uint8 NHWC over the full range, labels as int64 with the ten classes in equal numbers."""
    images, labels = fashion_mnist.load(part)
    assert images.dtype == np.uint8
    assert images.shape == (count, 28, 28, 1)
    assert labels.dtype == np.int64
    assert labels.shape == (count,)
    assert (images.min(), images.max()) == (0, 255)
    assert np.bincount(labels).tolist() == [count // 10] * 10
    # The convention everything rests on: the garment bright, the background 0.
    assert np.median(images[:, 0, 0]) == 0
    assert images[:, 14, 14].mean() > 100


def test_contact_sheet(train_set: Arrays) -> None:
    """The sheet shows each class's first pictures at twice their size in the class's row, its name in front."""
    images, labels = train_set
    sheet = fashion_mnist.contact_sheet(images, labels, LABELS, per_class=3)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (560, 150 + 3 * 56)
    for row in range(10):
        band = sheet[row * 56 : (row + 1) * 56]
        assert band[:, :150].any(), f"no name in front of row {row}"
        for column, image in enumerate(images[labels == row][:3]):
            cell = band[:, 150 + column * 56 : 150 + (column + 1) * 56]
            assert np.array_equal(cell, image[..., 0].repeat(2, 0).repeat(2, 1))


def test_contact_sheet_of_few() -> None:
    """A class with fewer pictures than columns leaves its cells black."""
    sheet = fashion_mnist.contact_sheet(
        np.full((1, 28, 28, 1), 9, np.uint8), np.array([1]), ("none", "one"), per_class=2
    )
    assert not sheet[:56, 150:].any()
    assert (sheet[56:, 150:206] == 9).all()
    assert not sheet[56:, 206:].any()
