"""What calibrates INT8, what chooses and what gates it: what was asked for, or else it is told, and never nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.photos import put

from edgefashion.bundles.bundle import Bundle
from edgefashion.bundles.resolve import resolve
from edgefashion.conversion import accuracy_control
from edgefashion.conversion.calibration_sets import of_fashion_mnist, of_photos
from edgefashion.conversion.quantize import quantize
from edgefashion.data import photo_folders, splits
from edgefashion.errors import BadInputError

BROKEN = b"\xff\xd8\xff\xe0broken"


def shipped(name: str) -> Bundle:
    found = resolve(name).bundle
    assert found is not None
    return found


def parted(folder: Path) -> tuple[list[Path], list[Path]]:
    """Photos of two labels by four senders: those that may calibrate and those that gate."""
    put(folder, *(f"{label}/{sender}-{n}.png" for label in ("Coat", "Dress") for sender in "abcd" for n in range(2)))
    fit, held_out = splits.for_calibration(photo_folders.scan(folder).photos)
    return [photo.path for photo in fit], [photo.path for photo in held_out]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (
            "calibrates",
            r"none of the 8 photos that are to calibrate INT8 can be read\. The first: .*-0\.png is not a whole",
        ),
        ("gates", r"none of the 8 photos that are to gate INT8 can be read\. The first: .*-0\.png is not a whole"),
        ("both", "that are to calibrate INT8"),
    ],
)
def test_photos_of_which_none_can_be_read(broken: str, says: str, tmp_path: Path) -> None:
    """INT8 of a photo network is refused where no photo is left that calibrates or none that gates it."""
    calibrates, gates = parted(tmp_path)
    for path in {"calibrates": calibrates, "gates": gates, "both": calibrates + gates}[broken]:
        path.write_bytes(BROKEN)
    with pytest.raises(BadInputError, match=says):
        of_photos(shipped("kiosk"), 300, [tmp_path])


@pytest.mark.parametrize(
    ("asked", "broken", "calibrate", "choose"),
    [
        (300, 0, 8, 8),  # few photos: all do both
        (300, 7, 1, 1),
        (3, 0, 3, 8),
        (3, None, 3, 3),  # those that calibrate can be read, and no others
    ],
)
def test_what_is_left_calibrates_and_is_told(
    asked: int, broken: int | None, calibrate: int, choose: int, tmp_path: Path
) -> None:
    """It is told how many photos calibrate, and which folders and files were left out; something is always left for
    accuracy control to choose on."""
    calibrates, gates = parted(tmp_path)
    put(tmp_path, "Mantel/a-1.png")
    chosen = {
        photo.path for photo in splits.evenly(splits.for_calibration(photo_folders.scan(tmp_path).photos)[0], asked)
    }
    spoilt = [path for path in calibrates if path not in chosen] if broken is None else calibrates[:broken]
    for path in spoilt:
        path.write_bytes(BROKEN)
    of = of_photos(shipped("kiosk"), asked, [tmp_path])
    of_fashion = max(1, asked // 3)
    plural = "s" if calibrate > 1 else ""
    assert of.notes == (f"INT8 is calibrated on {calibrate} photo{plural} and {of_fashion} of Fashion-MNIST's images",)
    assert (len(of.calibrate), of.gate_images) == (calibrate + of_fashion, len(gates))
    assert of.skipped[0].startswith(f"{tmp_path / 'Mantel'}: no label is named so")
    assert len(of.skipped) == 1 + (broken or 0)
    selection = of.selection()
    assert len(selection.images) == choose
    assert selection.right(np.zeros((choose, 12), np.float32), np.arange(choose)).shape == (choose,)


@pytest.mark.parametrize(
    ("asked", "calibrate", "both", "told"),
    [
        (300, 300, 0, False),
        (49_000, 49_000, 0, False),
        (50_000, 50_000, 1000, False),
        (53_999, 53_999, 4999, False),
        (54_000, 54_000, 5000, False),
        (60_000, 54_000, 5000, True),
    ],
)
def test_accuracy_control_has_its_images_whatever_calibrates(asked: int, calibrate: int, both: int, told: bool) -> None:
    """However many images calibrate, 5,000 that do not gate are left to choose on; only where there are too few do some
    of them calibrate too. Where fewer calibrate than were asked for, one sentence says so."""
    of = of_fashion_mnist(shipped("edge"), asked)
    chooses = [image.tobytes() for image in of.selection().images]
    assert len(of.calibrate) == calibrate
    assert of.notes == (
        (f"INT8 is calibrated on all {calibrate:,} images that do not gate it: there are no {asked:,}",) if told else ()
    )
    assert len(chooses) == accuracy_control.IMAGES
    calibrates = {image.tobytes() for image in of.calibrate}
    # Fashion-MNIST holds a few pictures twice.
    assert both <= sum(image in calibrates for image in chooses) <= both + 10


def test_photos_are_not_for_every_network(tmp_path: Path) -> None:
    """Photos for a network that takes none are refused, and not left unused."""
    with pytest.raises(BadInputError, match=r"edge is no photo network\. Leave --photos out"):
        quantize(shipped("edge"), photo_folders=[tmp_path])
