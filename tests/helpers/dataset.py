"""Fashion-MNIST's files, and folders filled with some of them."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from edgefashion.data import fashion_mnist

TRAIN_LABELS = "train-labels-idx1-ubyte"


def raw_bytes(folder: Path, name: str) -> bytes:
    """One of the four files, decompressed."""
    packed = folder / f"{name}.gz"
    return gzip.decompress(packed.read_bytes()) if packed.is_file() else (folder / name).read_bytes()


def place(real: Path, folder: Path, *left_out: str) -> Path:
    """Fill ``folder`` with Fashion-MNIST less the files ``left_out``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in fashion_mnist.SHA256:
        for file in (f"{name}.gz", name):
            if name in left_out or not (real / file).is_file():
                continue
            try:
                (folder / file).symlink_to(real / file)
            except OSError:  # Windows allows links to administrators only
                shutil.copyfile(real / file, folder / file)
            break
    return folder


def altered(folder: Path, name: str) -> None:
    """Write one of the files with a bit changed."""
    raw = bytearray(raw_bytes(folder, name))
    raw[1000] ^= 1
    (folder / f"{name}.gz").write_bytes(gzip.compress(raw))
