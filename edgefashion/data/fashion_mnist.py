"""Fashion-MNIST: find it, verify it, load it, split it. Raw uint8 out.

Fashion-MNIST: Xiao, Rasul and Vollgraf, 2017 (MIT licence, Zalando). 60,000 training and 10,000
test images, 28x28 grey, the garment bright on a background of 0.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.errors import BadInputError, MissingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE_PX: Final = 28


@dataclass(frozen=True)
class IdxFile:
    """One of the four files. The hash is of the decompressed bytes: Debian recompresses them."""

    name: str
    sha256: str
    header_bytes: int
    shape: tuple[int, ...]


FILES: Final = {
    ("train", "images"): IdxFile(
        "train-images-idx3-ubyte",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        16,
        (60_000, SIDE_PX, SIDE_PX, 1),
    ),
    ("train", "labels"): IdxFile(
        "train-labels-idx1-ubyte",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        8,
        (60_000,),
    ),
    ("test", "images"): IdxFile(
        "t10k-images-idx3-ubyte",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        16,
        (10_000, SIDE_PX, SIDE_PX, 1),
    ),
    ("test", "labels"): IdxFile(
        "t10k-labels-idx1-ubyte",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        8,
        (10_000,),
    ),
}
SHA256: Final = {file.name: file.sha256 for file in FILES.values()}


# --- Fashion-MNIST on disk -------------------------------------------------------------------


def cache_dir() -> Path:
    """Where :mod:`edgefashion.data.download` puts the files: ``EDGEFASHION_DATA``, else the user's cache."""
    if given := os.environ.get("EDGEFASHION_DATA"):
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("edgefashion", appauthor=False) / "fashion-mnist"


def candidates() -> list[Path]:
    """The folders searched, in order. ``EDGEFASHION_DATA``, when set, is the only one."""
    if os.environ.get("EDGEFASHION_DATA"):
        return [cache_dir()]
    return [
        Path("data/fashion-mnist"),
        cache_dir(),
        Path.home() / ".keras/datasets/fashion-mnist",
        Path("/usr/share/datasets/fashion-mnist"),  # Debian's package dataset-fashion-mnist
    ]


def on_disk(folder: Path, file: IdxFile) -> Path | None:
    """Where ``file`` lies in ``folder``, packed or not; None where it is missing."""
    for path in (folder / f"{file.name}.gz", folder / file.name):
        if path.is_file():
            return path
    return None


def find() -> Path:
    """The first folder holding all four files; raises :class:`MissingError` if there is none."""
    for folder in candidates():
        if all(on_disk(folder, file) for file in FILES.values()):
            return folder
    searched = ", ".join(str(folder) for folder in candidates())
    raise MissingError(
        f"Fashion-MNIST was not found in: {searched}. Run: edgefashion data fetch "
        "(or on Debian: apt-get install dataset-fashion-mnist)"
    )


def read_verified(path: Path, file: IdxFile) -> bytes:
    """The unpacked bytes of ``file`` at ``path``. Raises :class:`BadInputError` unless they are Fashion-MNIST's."""
    longest = file.header_bytes + math.prod(file.shape) + 1  # a few bytes may unpack to gigabytes
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            raw = stream.read(longest)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path} cannot be read ({error}). Delete it and run: edgefashion data fetch") from error
    if hashlib.sha256(raw).hexdigest() != file.sha256:
        raise BadInputError(
            f"{path} is not Fashion-MNIST's {file.name}: its SHA-256 differs. Delete it and run: edgefashion data fetch"
        )
    return raw


def verify(folder: Path | None = None) -> Path:
    """Check the SHA-256 of all four files' decompressed bytes; returns the folder."""
    folder = folder or find()
    for file in FILES.values():
        path = on_disk(folder, file)
        if path is None:
            raise MissingError(f"{folder} has no {file.name}(.gz). Run: edgefashion data fetch")
        read_verified(path, file)
    return folder


def load(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read and verify ``"train"`` or ``"test"``.

    Returns images, uint8 (n, 28, 28, 1), garment bright on 0, and labels, int64 (n,).
    Raises :class:`MissingError` if the files are absent, :class:`BadInputError` if altered.
    """
    folder = find()
    arrays = []
    for kind in ("images", "labels"):
        file = FILES[part, kind]
        path = on_disk(folder, file)
        assert path is not None  # find() has just seen it
        raw = read_verified(path, file)
        arrays.append(np.frombuffer(raw, np.uint8, offset=file.header_bytes).reshape(file.shape))
    return arrays[0], arrays[1].astype(np.int64)


# --- data preview ----------------------------------------------------------------------------


def contact_sheet(
    images: NDArray[np.uint8], labels: NDArray[np.int64], names: tuple[str, ...], per_class: int = 12
) -> NDArray[np.uint8]:
    """One row of ``per_class`` examples a class, its name in front: uint8 (height, width)."""
    import cv2

    scale, name_width = 2, 150
    cell = SIDE_PX * scale
    sheet = np.zeros((cell * len(names), name_width + cell * per_class), np.uint8)
    for row, name in enumerate(names):
        top = row * cell
        cv2.putText(sheet, name, (8, top + cell // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 255, 1, cv2.LINE_AA)
        for column, image in enumerate(images[labels == row][:per_class]):
            left = name_width + column * cell
            big = cv2.resize(image[..., 0], (cell, cell), interpolation=cv2.INTER_NEAREST)
            sheet[top : top + cell, left : left + cell] = big
    return sheet
