"""What the tests of tagging share: a network, and a shop's pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.types import Arrays
from PIL import Image

from edgefashion import load
from edgefashion.inference import preprocess
from edgefashion.inference.classifier import Classifier


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    # Without its finder: it goes the way of batches. Several garments are in tests/commands/test_garments.py.
    return replace(load("kiosk", purpose="throughput"), finder=None)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    """A folder with garments in pictures of several sizes and kinds, and with files that are none."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "more").mkdir()
    images = preprocess.as_photos(test_set[0][:12])
    for number, image in enumerate(images):
        place = folder / "more" if number % 3 else folder
        size_wh = (200 + 10 * number, 300)
        Image.fromarray(image).resize(size_wh).save(place / f"{number:02}.{('jpg', 'png', 'webp')[number % 3]}")
    whole = (folder / "00.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no picture")
    (folder / "notes.txt").write_text("no picture either")
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    (folder / "bomb.png").write_bytes(header + b"\x00" * 64)
    return folder
