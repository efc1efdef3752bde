"""Which images calibrate INT8, which choose what goes back to floating point, and which gate it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.bundles import bundle
from edgefashion.conversion import accuracy_control
from edgefashion.data import fashion_mnist
from edgefashion.data import photo_folders as photos
from edgefashion.errors import BadInputError
from edgefashion.inference import decision, preprocess
from edgefashion.inference.classifier import Classifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

GATE_SHARE: Final = 0.5
"""Share of the photos, by sender, that gate a photo network and calibrate nothing."""


@dataclass(frozen=True)
class Material:
    """What a network is calibrated and gated on."""

    calibrate: Sequence[NDArray[np.uint8]]
    gate: Callable[[Classifier], float]
    """A classifier's accuracy on what calibration has not seen."""
    gate_images: int
    held_out: bool
    """True if the network had not seen the gate's images in training either."""
    chooser: Callable[[], accuracy_control.Chooser]
    """What accuracy control chooses on, read when first asked for; from the side that calibration is drawn from."""


def fashion(made: bundle.Bundle, calibration: int) -> Material:
    """For a Fashion-MNIST network, which is calibrated on so many training images."""
    images, labels = fashion_mnist.load("train")
    # A network trained on everything, or elsewhere, has no held-out part; the default split stands in.
    share = made.info["validation_split"] or fashion_mnist.VALIDATION_SPLIT
    fit_at, gate_at = fashion_mnist.split(labels, share, made.info.get("split_seed", made.info["seed"] or 0))
    calibrate_at = fit_at[fashion_mnist.calibration_indices(labels[fit_at], calibration, made.info["seed"] or 0)]

    def chooser() -> accuracy_control.Chooser:
        rest = np.setdiff1d(fit_at, calibrate_at)
        at = rest[fashion_mnist.calibration_indices(labels[rest], accuracy_control.IMAGES, made.info["seed"] or 0)]
        return accuracy_control.Chooser(
            list(images[at]), lambda answers, numbers: decision.likeliest(answers) == labels[at[numbers]]
        )

    return Material(
        calibrate=list(images[calibrate_at]),
        gate=lambda classifier: share_right(classifier(images[gate_at]), labels[gate_at]),
        gate_images=len(gate_at),
        held_out=bool(made.info["validation_split"]),
        chooser=chooser,
    )


def of_photos(made: bundle.Bundle, calibration: int, folders: Sequence[Path]) -> Material:
    """For a photo network, which is calibrated on so many photos of ``folders``, and on Fashion-MNIST too.

    Raises :class:`BadInputError` where too few photos can be read.
    """
    check_calibration(made, folders)
    skipped: list[str] = []
    found = photos.scan(*folders)
    known = [p for p in found.photos if p.known]
    fit_at, gate_at = photos.split(known, GATE_SHARE, seed=0)
    labels = np.unique([known[i].label for i in fit_at], return_inverse=True)[1]
    chosen = [known[fit_at[i]] for i in fashion_mnist.calibration_indices(labels, calibration, seed=0)]
    calibrate = [preprocess.view(picture) for _, picture in photos.read(chosen, skipped)]
    # And the other kind of picture it takes, at its own size, or Fashion-MNIST would fall outside the ranges.
    images, classes = fashion_mnist.load("train")
    fashion_at, _ = fashion_mnist.split(classes, fashion_mnist.VALIDATION_SPLIT, 0)
    some = fashion_at[fashion_mnist.calibration_indices(classes[fashion_at], max(1, calibration // 3), seed=0)]
    calibrate += list(preprocess.as_photos(images[some]))
    gate = [(photo, preprocess.view(picture)) for photo, picture in photos.read([known[i] for i in gate_at], skipped)]
    if not gate:
        raise BadInputError(f"too few readable photos in {', '.join(map(str, folders))}. {' '.join(skipped[:1])}")
    views = np.stack([view for _, view in gate])

    def right_of_photos(classifier: Classifier) -> float:
        answers = decision.best(classifier(views), classifier.labels)
        return float(np.mean([a in photos.members(p.label) for a, (p, _) in zip(answers, gate, strict=True)]))

    def chooser() -> accuracy_control.Chooser:
        calibrates = {photo.path for photo in chosen}
        rest = [known[i] for i in fit_at if known[i].path not in calibrates]
        rest += chosen[: max(0, accuracy_control.PHOTOS - len(rest))]  # a shop's few photos have to do both
        kinds = np.unique([photo.label for photo in rest], return_inverse=True)[1]
        some = [rest[i] for i in fashion_mnist.calibration_indices(kinds, accuracy_control.PHOTOS, seed=0)]
        read = list(photos.read(some, skipped))

        def right(answers: NDArray[np.float32], numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
            named = decision.best(answers, made.labels)
            return np.array([a in photos.members(read[n][0].label) for a, n in zip(named, numbers, strict=True)])

        return accuracy_control.Chooser([preprocess.view(picture) for _, picture in read], right)

    return Material(calibrate, right_of_photos, len(gate), held_out=False, chooser=chooser)


def check_calibration(made: bundle.Bundle, photo_folders: Sequence[Path]) -> None:
    """Raise :class:`BadInputError` for a photo network without photos to calibrate it on."""
    if made.info["input_shape"][-1] == 3 and not photo_folders:
        raise BadInputError(
            f"{made.name} is a photo network: INT8 has to be calibrated on photos. Give a folder with --photos"
        )


def share_right(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Share of Fashion-MNIST's images whose ``probabilities`` (n, classes) name their ``labels`` (n,)."""
    return float(np.mean(decision.likeliest(probabilities) == labels))
