"""Which images calibrate INT8, which choose what goes back to floating point, and which gate it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.bundles import bundle
from edgefashion.conversion import accuracy_control
from edgefashion.data import fashion_mnist, photo_folders, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.inference import decision, preprocess
from edgefashion.inference.classifier import Classifier

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class CalibrationSets:
    """The images that a network is calibrated on, and those that gate it."""

    calibrate: Sequence[NDArray[np.uint8]]
    gate: Callable[[Classifier], float]
    """A classifier's accuracy on what calibration has not seen."""
    gate_images: int
    """Number of the images behind ``gate``."""
    held_out: bool
    """True if the network had not seen the gate's images in training either."""
    selection: Callable[[], accuracy_control.SelectionSet]
    """Reads the images on which accuracy control chooses operations. None of them is the gate's."""
    notes: tuple[str, ...] = ()
    """What calibrates, where that is not what was asked for in so many words, each as a sentence."""
    skipped: tuple[str, ...] = ()
    """A line for each folder or file that is left out, and why."""


def of_fashion_mnist(made: bundle.Bundle, calibration: int) -> CalibrationSets:
    """For a Fashion-MNIST network, which is calibrated on ``calibration`` training images, or on all there are."""
    images, labels = fashion_mnist.load("train")
    # A network trained on everything, or elsewhere, has no held-out part. The default split stands in.
    share, seed = made.facts.validation_split or splits.VALIDATION_SPLIT, made.facts.seed or 0
    fit_at, gate_at = splits.split(labels, share, made.facts.validation_seed)
    calibrate_at = fit_at[splits.calibration_indices(labels[fit_at], calibration, seed)]

    n = len(calibrate_at)

    def selection() -> accuracy_control.SelectionSet:
        rest = np.setdiff1d(fit_at, calibrate_at)
        at = rest[splits.calibration_indices(labels[rest], accuracy_control.IMAGES, seed)]
        missing = accuracy_control.IMAGES - len(at)  # where nearly all calibrate, some have to do both
        both = calibrate_at[splits.calibration_indices(labels[calibrate_at], missing, seed)]
        at = np.sort(np.concatenate([at, both]))
        return accuracy_control.SelectionSet(
            list(images[at]), lambda answers, numbers: decision.likeliest(answers) == labels[at[numbers]]
        )

    return CalibrationSets(
        calibrate=list(images[calibrate_at]),
        gate=lambda classifier: share_right(classifier(images[gate_at]), labels[gate_at]),
        gate_images=len(gate_at),
        held_out=bool(made.facts.validation_split),
        selection=selection,
        notes=(f"INT8 is calibrated on all {n:,} images that do not gate it: there are no {calibration:,}",)
        if n < calibration
        else (),
    )


def of_photos(
    made: bundle.Bundle, calibration: int, folders: Sequence[Path], listed: Sequence[Photo] = ()
) -> CalibrationSets:
    """For a photo network, which is calibrated on ``calibration`` photos of ``folders``, and on Fashion-MNIST's images.

    ``listed``: the photos, in the place of all that the folders hold.

    Raises :class:`BadInputError` where no photo to calibrate on, or none to gate with, can be read.
    """
    left_out: tuple[str, ...] = ()
    if not listed:
        found = photo_folders.scan(*folders, of=made.labels)
        listed, left_out = found.photos, found.skipped
    fit, held_out = splits.for_calibration(listed)
    chosen, unread = splits.evenly(fit, calibration), list[str]()
    calibrating = _views(chosen, "calibrate", unread)
    gate = _views(held_out, "gate", unread)
    # Fashion-MNIST's images too, at their own size: photos alone would give ranges in which these do not fit.
    images, classes = fashion_mnist.load("train")
    fashion_at, _ = splits.split(classes, splits.VALIDATION_SPLIT, 0)
    some = fashion_at[splits.calibration_indices(classes[fashion_at], max(1, calibration // 3), seed=0)]
    views = np.stack([view for _, view in gate])

    def right_of_photos(classifier: Classifier) -> float:
        answers = decision.best(classifier(views), classifier.labels)
        return float(np.mean(photo_folders.right(answers, [photo.label for photo, _ in gate], classifier.labels)))

    def selection() -> accuracy_control.SelectionSet:
        calibrates = {photo.path for photo in chosen}
        rest = [photo for photo in fit if photo.path not in calibrates]
        chooses = splits.evenly(rest, accuracy_control.PHOTOS)
        read = [(photo, preprocess.view(picture)) for photo, picture in photo_folders.read(chooses, [])]
        both = splits.evenly([photo for photo, _ in calibrating], accuracy_control.PHOTOS - len(read))
        read += [(photo, view) for photo, view in calibrating if photo in both]  # few photos have to do both

        def right(answers: NDArray[np.float32], numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
            labels = [read[number][0].label for number in numbers]
            return photo_folders.right(decision.best(answers, made.labels), labels, made.labels)

        return accuracy_control.SelectionSet([view for _, view in read], right)

    n = len(calibrating)
    return CalibrationSets(
        calibrate=[*(view for _, view in calibrating), *preprocess.as_photos(images[some])],
        gate=right_of_photos,
        gate_images=len(gate),
        held_out=False,
        selection=selection,
        notes=(f"INT8 is calibrated on {n:,} photo{'s' * (n != 1)} and {len(some):,} of Fashion-MNIST's images",),
        skipped=(*left_out, *unread),
    )


def _views(photos: Sequence[Photo], purpose: str, unread: list[str]) -> list[tuple[Photo, NDArray[np.uint8]]]:
    """The photos that can be read, with what a photo network sees of each, uint8 (160, 160, 3). ``unread`` gets a line
    for each that cannot. Raises :class:`BadInputError` where none can."""
    before = len(unread)
    read = [(photo, preprocess.view(picture)) for photo, picture in photo_folders.read(photos, unread)]
    if not read:
        raise BadInputError(
            f"none of the {len(photos):,} photos that are to {purpose} INT8 can be read. The first: {unread[before]}"
        )
    return read


def check_calibration(made: bundle.Bundle, folders: Sequence[Path]) -> None:
    """Raise :class:`BadInputError` for photos of a network that takes none, for a photo network without photos to
    calibrate it on, and for what :func:`of_photos` would refuse, as far as that is seen without reading a picture."""
    if not made.takes_photos and folders:
        raise takes_no_photos(made.name)
    if made.takes_photos and not folders:
        raise BadInputError(
            f"{made.name} is a photo network: INT8 has to be calibrated on photos. Give a folder with --photos"
        )
    if folders:
        splits.for_calibration(photo_folders.scan(*folders, of=made.labels).photos)


def takes_no_photos(name: str) -> BadInputError:
    """What is said of photos for the network ``name``, which takes none."""
    return BadInputError(f"{name} is no photo network. Leave --photos out")


def share_right(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Share of Fashion-MNIST's images whose ``probabilities`` (n, classes) name their ``labels`` (n,)."""
    return float(np.mean(decision.likeliest(probabilities) == labels))
