"""The photos that calibrate the peers' INT8 and those that measure accuracy are never the same, nor of one sender."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgefashion.bench import pictures
from edgefashion.bundles import resolve
from edgefashion.data import photo_folders, splits
from edgefashion.errors import BadInputError
from edgefashion.evaluation import photos
from edgefashion.inference import preprocess
from edgefashion.inference.load import load

if TYPE_CHECKING:
    from helpers.types import Arrays


def views_of(found: list[photo_folders.Photo]) -> set[bytes]:
    """What a network sees of each photo."""
    return {preprocess.view(picture).tobytes() for _, picture in photo_folders.read(found, [])}


def test_photos_are_parted_by_sender(photo_folder: Path, tmp_path: Path) -> None:
    """What calibrates is by some senders and what measures by the others, and both are photos of known garments."""
    made = pictures.of_photos([photo_folder], tmp_path, calibrates=True)
    known = [photo for photo in photo_folders.scan(photo_folder).photos if photo.known]
    by_sender = {
        sender: views_of([p for p in known if p.sender == sender]) for sender in {photo.sender for photo in known}
    }
    assert made.photos is not None
    assert made.calibration is not None
    with np.load(made.photos) as stored:
        measures, labels = {view.tobytes() for view in stored["views"]}, stored["labels"]
    calibrates = {view.tobytes() for view in np.load(made.calibration)}
    assert calibrates
    assert measures | calibrates == set.union(*by_sender.values())
    assert not [sender for sender, views in by_sender.items() if views & calibrates and views & measures]
    assert set(labels) == {photo.label for photo in known}
    assert made.images == len(labels)


def test_what_was_measured_on_is_said(photo_folder: Path, tmp_path: Path) -> None:
    """The notes and the settings say how many photos calibrate, how many measure, and of how many senders."""
    made = pictures.of_photos([photo_folder], tmp_path, calibrates=True)
    assert made.calibration is not None
    assert made.notes == (
        f"The peers' INT8 is calibrated on {len(np.load(made.calibration))} photos in {photo_folder}.",
        (
            f"Accuracy is measured on {made.images} photos in {photo_folder} by 2 other senders, which calibrated no "
            "peer. The network itself may have been trained on them."
        ),
    )
    assert made.as_settings() == {
        "photos": [str(photo_folder)],
        "accuracy_on": f"{made.images} photos in {photo_folder}",
        "accuracy_images": made.images,
    }


def test_nothing_is_calibrated_without_need(photo_folder: Path, tmp_path: Path) -> None:
    """Without an INT8 peer the same photos measure, and nothing is said of a calibration."""
    without = pictures.of_photos([photo_folder], tmp_path, calibrates=False)
    assert without.calibration is None
    assert len(without.notes) == 1
    (tmp_path / "again").mkdir()
    assert without.images == pictures.of_photos([photo_folder], tmp_path / "again", calibrates=True).images


def test_right_answers_are_those_of_evaluate(photo_folder: Path, tmp_path: Path) -> None:
    """A network has as many right answers as `evaluate --photos` counts of the same photos."""
    made = pictures.of_photos([photo_folder], tmp_path, calibrates=False)
    assert made.photos is not None
    classifier = load("kiosk", precision="int8")
    right, n = pictures.count_right(classifier, made.photos)
    _, held_out = splits.for_calibration(photo_folders.scan(photo_folder).photos)
    names = {photo.path for photo in held_out}
    seen = [one for one in photos.evaluate_photos(classifier, photo_folder).seen if one.photo.path in names]
    assert (right, n) == (sum(one.right for one in seen), len(seen))


def test_few_photos_are_timed_again_and_again(photo_folder: Path, tmp_path: Path) -> None:
    """There are as many pictures to time as are asked for."""
    made = pictures.of_photos([photo_folder], tmp_path, calibrates=False)
    assert made.photos is not None
    timed = pictures.to_time(made.photos, 256)
    assert timed.shape == (256, 160, 160, 3)
    np.testing.assert_array_equal(timed[0], timed[made.images])


def test_broken_photos_are_left_out(photo_folder: Path, tmp_path: Path) -> None:
    """A file that is no picture is left out and said; where none can be read there is an error."""
    broken = tmp_path / "photos" / "Dress"
    broken.mkdir(parents=True)
    for sender in ("a", "b"):
        (broken / f"{sender}-1.jpg").write_bytes(b"no picture")
    with pytest.raises(BadInputError, match="too few readable photos in"):
        pictures.of_photos([broken.parent], tmp_path, calibrates=True)
    made = pictures.of_photos([photo_folder, broken.parent], tmp_path, calibrates=True)
    assert made.notes[-1].startswith(("1 photos cannot be read", "2 photos cannot be read"))
    assert "is no BMP, JPEG" in made.notes[-1]


def test_photos_of_one_sender_are_refused(tmp_path: Path) -> None:
    """Photos of a single sender cannot be parted: the error says what to do."""
    (tmp_path / "Dress").mkdir()
    for number in range(3):
        (tmp_path / "Dress" / f"a-{number}.jpg").touch()
    with pytest.raises(BadInputError, match="all 3 photos are by one sender"):
        pictures.of_photos([tmp_path], tmp_path, calibrates=False)


def test_fashion_calibrates_with_what_the_network_was_fitted_on(tmp_path: Path, train_set: Arrays) -> None:
    """Without photos training images calibrate, none of those that the network's facts say were held out."""
    made = resolve.resolve("edge").bundle
    assert made is not None
    facts = made.facts._replace(validation_split=0.9)
    chosen = pictures.of_fashion(facts, tmp_path, calibrates=True, enlarged=False)
    assert chosen.calibration is not None
    images, labels = train_set
    images_of = {image.tobytes() for image in np.load(chosen.calibration)}
    _, held_out = splits.split(labels, 0.9, facts.validation_seed)
    assert not images_of & {image.tobytes() for image in images[held_out]}
    assert len(images_of) == pictures.CALIBRATION
    assert chosen.notes == ()


def test_fashion_measures_with_all_test_images(tmp_path: Path) -> None:
    """Without photos accuracy is that on all the 10,000 test images, and the settings say so."""
    for enlarged in (False, True):
        settings = pictures.of_fashion(None, tmp_path, calibrates=False, enlarged=enlarged).as_settings()
        assert settings == {"photos": None, "accuracy_on": "10,000 test images", "accuracy_images": 10_000}
