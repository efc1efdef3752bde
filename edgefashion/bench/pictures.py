"""The pictures of a bench: those that the peers' INT8 is calibrated on, and those that accuracy is measured on.

Both are written into files once, by the parent; the processes that convert and measure read them there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import fashion_mnist, photo_folders, splits
from edgefashion.errors import BadInputError
from edgefashion.inference import decision, preprocess
from edgefashion.labels import PHOTO_LABELS
from edgefashion.system.files import check_not_read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.bundles.facts import Facts
    from edgefashion.inference.classifier import Classifier

CALIBRATION: Final = 300
"""Images INT8 is calibrated on: as many as our own by default, and of Fashion-MNIST the same ones."""

MOST_PHOTOS: Final = 2000
"""Photos that accuracy is measured on: more of a large folder would take minutes a row."""

TIMED_PHOTOS: Final = 256
"""Photos that times are taken with."""

FASHION: Final = "10,000 test images"
"""What accuracy is measured on without photos."""

FASHION_IMAGES: Final = 10_000


@dataclass(frozen=True)
class Pictures:
    """What a bench is measured on."""

    accuracy_on: str = FASHION
    """What accuracy is measured on, as a phrase."""
    images: int = FASHION_IMAGES
    """How many these are."""
    photos: Path | None = None
    """The file of labelled photos that accuracy is measured on; None for the first ``images`` of Fashion-MNIST's test
    images."""
    calibration: Path | None = None
    """The file of uint8 images (n, height, width, channels) that the peers' INT8 is calibrated on; None where there is
    no such row."""
    folders: tuple[str, ...] = ()
    """Where the photos come from."""
    notes: tuple[str, ...] = ()

    def as_settings(self) -> dict[str, Any]:
        """What a report's settings say of it."""
        return {
            "photos": list(self.folders) or None,
            "accuracy_on": self.accuracy_on,
            "accuracy_images": self.images,
        }


FASHION_MNIST: Final = Pictures()
"""All of Fashion-MNIST's test images."""


def of_fashion(facts: Facts | None, folder: Path, *, calibrates: bool, enlarged: bool) -> Pictures:
    """Fashion-MNIST: the 10,000 test images measure, and ``CALIBRATION`` training images calibrate.

    ``facts``: the network's, which may say what it was fitted on. ``calibrates``: whether anything is calibrated;
    the images are written into ``folder``. ``enlarged``: a photo network gets each image enlarged, see
    :func:`edgefashion.inference.preprocess.as_photos`. Raises :class:`MissingError` without the data set.
    """
    notes = []
    if enlarged:
        notes.append("Accuracy is measured on Fashion-MNIST's test images, enlarged. For photos give --photos DIR.")
    path = folder / "calibration.npy" if calibrates else None
    if path:
        images, labels = fashion_mnist.load("train")
        share, split_seed, seed = splits.VALIDATION_SPLIT, splits.SPLIT_SEED, 0
        if facts is not None:
            share, split_seed, seed = facts.validation_split or share, facts.validation_seed, facts.seed or seed
        fit_at, _ = splits.split(labels, share, split_seed)
        np.save(path, images[fit_at[splits.calibration_indices(labels[fit_at], CALIBRATION, seed)]])
        if enlarged:
            notes.append(
                f"The peers' INT8 is calibrated on {CALIBRATION} Fashion-MNIST training images, enlarged. That tells "
                "their speed, but not how right they are on photos: for that give --photos DIR."
            )
    return Pictures(f"{FASHION_IMAGES:,} test images", FASHION_IMAGES, calibration=path, notes=tuple(notes))


def check(folders: Sequence[Path], of: tuple[str, ...] = PHOTO_LABELS, writes: Path | None = None) -> None:
    """Raise what :func:`of_photos` raises, as far as that is seen without reading a picture; and
    :class:`BadInputError` where the file ``writes`` is one of the photos."""
    photos = photo_folders.scan(*folders, of=of).photos
    splits.for_calibration(photos)
    if writes:
        check_not_read(writes, (photo.path for photo in photos))


def of_photos(
    folders: Sequence[Path], folder: Path, *, calibrates: bool, of: tuple[str, ...] = PHOTO_LABELS
) -> Pictures:
    """Labelled photos of ``folders``, parted by sender: one part measures, and of the other ``CALIBRATION`` calibrate.

    They are written into ``folder`` as a photo network sees them. Raises :class:`BadInputError` for a folder without
    photos of known garments, photos of a single sender, or where none can be read.
    """
    named, skipped = ", ".join(map(str, folders)), list[str]()
    fit, held_out = splits.for_calibration(photo_folders.scan(*folders, of=of).photos)
    notes = []
    calibration = folder / "calibration.npy" if calibrates else None
    if calibration:
        views, _ = _read(splits.evenly(fit, CALIBRATION), named, skipped)
        np.save(calibration, views)
        notes.append(f"The peers' INT8 is calibrated on {len(views):,} photos in {named}.")
    views, labels = _read(splits.evenly(held_out, MOST_PHOTOS), named, skipped)
    photos = folder / "photos.npz"
    np.savez(photos, views=views, labels=labels, timed=views[:TIMED_PHOTOS])
    accuracy_on = f"{len(views):,} photos in {named}"
    notes.append(
        f"Accuracy is measured on {accuracy_on} by {len({photo.sender for photo in held_out}):,} other senders, which "
        "calibrated no peer. The network itself may have been trained on them."
    )
    if skipped:
        notes.append(f"{len(skipped):,} photos cannot be read and are left out. The first: {skipped[0]}")
    return Pictures(accuracy_on, len(views), photos, calibration, tuple(map(str, folders)), tuple(notes))


def _read(
    photos: Sequence[photo_folders.Photo], named: str, skipped: list[str]
) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """What a photo network sees of ``photos``, uint8 (n, 160, 160, 3), and their labels (n,)."""
    read = [(preprocess.view(picture), photo.label) for photo, picture in photo_folders.read(photos, skipped)]
    if not read:
        raise BadInputError(f"too few readable photos in {named}. {' '.join(skipped[:1])}")
    return np.stack([view for view, _ in read]), np.array([label for _, label in read])


def to_time(photos: Path, count: int) -> NDArray[np.uint8]:
    """``count`` of the photos in a file of :func:`of_photos`, again and again where there are fewer:
    uint8 (count, 160, 160, 3). The others are not read: they would count as the engine's memory."""
    with np.load(photos, allow_pickle=False) as stored:
        views: NDArray[np.uint8] = stored["timed"]
    return views if len(views) == count else np.resize(views, (count, *views.shape[1:]))


def count_right(classifier: Classifier, photos: Path) -> tuple[int, int]:
    """How many of the photos in a file of :func:`of_photos` ``classifier`` names right with nothing rejected, and how
    many there are. Raises :class:`BadInputError` for a network that takes no photos."""
    with np.load(photos, allow_pickle=False) as stored:
        views, labels = stored["views"], stored["labels"]
    answers = decision.best(classifier(views), classifier.labels)
    return int(photo_folders.right(answers, labels.tolist(), classifier.labels).sum()), len(labels)
