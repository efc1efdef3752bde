"""Who sent a photo: told by folders, cameras, days and names, never by what a phone calls its files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from edgefashion.data import collected, senders
from edgefashion.data.senders import CAMERA, DAY, FOLDER, NAME, NO_DAY, UNKNOWN_DAY

LABEL = Path("/photos/Polo")


@pytest.mark.parametrize(
    ("name", "sender", "by"),
    [
        ("anna/1.jpg", "anna", FOLDER),
        ("2026-11-27/IMG_0001.jpg", "2026-11-27", FOLDER),
        ("mainstreet-001.jpg", "mainstreet", NAME),
        ("station_1.jpg", "station", NAME),
        ("148-ea7b6656-3f84-4eb3-9099-23e623fc1018.jpg", "148", NAME),
        ("sender1-03.jpg", "sender1", NAME),
        ("shirt.jpg", "shirt", NAME),
        ("1163.jpg", "1163", NAME),
        ("front-2026-01-02.jpg", "front", NAME),
        ("20261127-101112-0123456789abcdef.jpg", "2026-11-27", CAMERA),
        ("20261127-101112-0123456789abcdef-2.jpg", "2026-11-27", CAMERA),
        ("IMG_20260102_101112.jpg", "2026-01-02", DAY),
        ("PXL_20260102_101112345.jpg", "2026-01-02", DAY),
        ("IMG-20260102-WA0003.jpg", "2026-01-02", DAY),
        ("WhatsApp Image 2026-01-02 at 10.11.12.jpeg", "2026-01-02", DAY),
        ("photo_2026-01-02_10-11-12.jpg", "2026-01-02", DAY),
        ("Screenshot_2026-01-02.png", "2026-01-02", DAY),
        ("20260102_101112.jpg", "2026-01-02", DAY),
        *((name, UNKNOWN_DAY, NO_DAY) for name in (
            "IMG_0001.jpg", "IMG_E1234.jpg", "DSC00001.JPG", "DSC_0001.JPG", "P1010001.JPG", "100_0001.JPG",
            "image.jpg", "image (3).jpg", "ea7b6656-3f84-4eb3-9099-23e623fc1018.jpg", "WhatsApp Image.jpeg",
        )),
    ],
)  # fmt: skip
def test_what_names_tell(name: str, sender: str, by: str) -> None:
    """A sub-folder tells the sender, else a camera's or a phone's day, else the beginning of the name; a name that a
    device gives and that tells no day is no sender."""
    assert senders.sender_of(LABEL / name, LABEL) == (sender, by)


def test_what_pictures_tell(tmp_path: Path) -> None:
    """A phone's file without a day in its name has the day of its EXIF; a collected one the camera of its facts; a
    broken one tells nothing."""
    exif = Image.Exif()
    exif[0x0132] = "2026:03:04 10:11:12"
    for name in ("IMG_0001.jpg", "0002.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, exif=exif)
        assert senders.sender_of(tmp_path / name, tmp_path) == ("2026-03-04", DAY)
    (tmp_path / "IMG_0003.jpg").write_bytes((tmp_path / "IMG_0001.jpg").read_bytes()[:40])
    assert senders.sender_of(tmp_path / "IMG_0003.jpg", tmp_path) == (UNKNOWN_DAY, NO_DAY)
    jpeg = io.BytesIO()
    Image.new("RGB", (8, 8)).save(jpeg, "JPEG")
    facts = collected.Facts(time="2026-11-27T10:11:12+00:00", camera="front")
    found = collected.write(tmp_path, jpeg.getvalue(), facts, 7)
    moved = collected.move(found, "Polo")
    assert moved is not None
    assert senders.sender_of(moved.after.path, tmp_path / "Polo") == ("front 2026-11-27", CAMERA)
