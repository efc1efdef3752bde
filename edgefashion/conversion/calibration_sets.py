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


def of_fashion_mnist(made: bundle.Bundle, calibration: int) -> CalibrationSets:
    """For a Fashion-MNIST network, which is calibrated on ``calibration`` training images."""
    images, labels = fashion_mnist.load("train")
    # A network trained on everything, or elsewhere, has no held-out part. The default split stands in.
    share, seed = made.facts.validation_split or splits.VALIDATION_SPLIT, made.facts.seed or 0
    fit_at, gate_at = splits.split(labels, share, made.facts.validation_seed)
    calibrate_at = fit_at[splits.calibration_indices(labels[fit_at], calibration, seed)]

    def selection() -> accuracy_control.SelectionSet:
        rest = np.setdiff1d(fit_at, calibrate_at)
        at = rest[splits.calibration_indices(labels[rest], accuracy_control.IMAGES, seed)]
        return accuracy_control.SelectionSet(
            list(images[at]), lambda answers, numbers: decision.likeliest(answers) == labels[at[numbers]]
        )

    return CalibrationSets(
        calibrate=list(images[calibrate_at]),
        gate=lambda classifier: share_right(classifier(images[gate_at]), labels[gate_at]),
        gate_images=len(gate_at),
        held_out=bool(made.facts.validation_split),
        selection=selection,
    )


def of_photos(
    made: bundle.Bundle, calibration: int, folders: Sequence[Path], listed: Sequence[Photo] = ()
) -> CalibrationSets:
    """For a photo network, which is calibrated on ``calibration`` photos of ``folders``, and on Fashion-MNIST's images.

    ``listed``: the photos, in the place of all that the folders hold.

    Raises :class:`BadInputError` where too few photos can be read.
    """
    skipped: list[str] = []
    if not listed:
        check_calibration(made, folders)
        listed = photo_folders.scan(*folders, of=made.labels).photos
    fit, held_out = splits.for_calibration(listed)
    chosen = splits.evenly(fit, calibration)
    calibrate = [preprocess.view(picture) for _, picture in photo_folders.read(chosen, skipped)]
    # Fashion-MNIST's images too, at their own size: photos alone would give ranges in which these do not fit.
    images, classes = fashion_mnist.load("train")
    fashion_at, _ = splits.split(classes, splits.VALIDATION_SPLIT, 0)
    some = fashion_at[splits.calibration_indices(classes[fashion_at], max(1, calibration // 3), seed=0)]
    calibrate += list(preprocess.as_photos(images[some]))
    gate = [(photo, preprocess.view(picture)) for photo, picture in photo_folders.read(held_out, skipped)]
    if not gate:
        where = ", ".join(map(str, folders or sorted({photo.path.parent for photo in listed})))
        raise BadInputError(f"too few readable photos in {where}. {' '.join(skipped[:1])}")
    views = np.stack([view for _, view in gate])

    def right_of_photos(classifier: Classifier) -> float:
        answers = decision.best(classifier(views), classifier.labels)
        return float(np.mean(photo_folders.right(answers, [photo.label for photo, _ in gate], classifier.labels)))

    def selection() -> accuracy_control.SelectionSet:
        calibrates = {photo.path for photo in chosen}
        rest = [photo for photo in fit if photo.path not in calibrates]
        rest += chosen[: max(0, accuracy_control.PHOTOS - len(rest))]  # few photos have to do both
        read = list(photo_folders.read(splits.evenly(rest, accuracy_control.PHOTOS), skipped))

        def right(answers: NDArray[np.float32], numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
            labels = [read[number][0].label for number in numbers]
            return photo_folders.right(decision.best(answers, made.labels), labels, made.labels)

        return accuracy_control.SelectionSet([preprocess.view(picture) for _, picture in read], right)

    return CalibrationSets(calibrate, right_of_photos, len(gate), held_out=False, selection=selection)


def check_calibration(made: bundle.Bundle, folders: Sequence[Path]) -> None:
    """Raise :class:`BadInputError` for a photo network without photos to calibrate it on."""
    if made.takes_photos and not folders:
        raise BadInputError(
            f"{made.name} is a photo network: INT8 has to be calibrated on photos. Give a folder with --photos"
        )


def share_right(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Share of Fashion-MNIST's images whose ``probabilities`` (n, classes) name their ``labels`` (n,)."""
    return float(np.mean(decision.likeliest(probabilities) == labels))
