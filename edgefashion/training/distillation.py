"""What trained networks answer to a pupil's images: asked once, and kept for the next pupil."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.bundles import model_files, resolve
from edgefashion.errors import BadInputError
from edgefashion.inference import classifier, load
from edgefashion.labels import LABELS
from edgefashion.system import files, text
from edgefashion.system.addresses import shown
from edgefashion.training.fashion_augment import DRAWN
from edgefashion.training.zoo.registry import ZOO

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIEWS: Final = 25
"""The number of random variants of each image that the teacher answers at most. The pupil's epochs take turns."""

PrepareProgress = Callable[[int, int], None]
"""Called while teachers are asked, with the variants of the images done and their number."""


def view(images: NDArray[np.uint8], augment: str, number: int) -> NDArray[np.uint8]:
    """Variant ``number`` of every image, uint8 (n, height, width, 1): the same in every run, for the answers
    to it are kept. ``augment``: none, or one of :data:`edgefashion.training.fashion_augment.DRAWN`."""
    if augment not in DRAWN:
        return images
    targets = np.zeros((len(images), len(LABELS)), np.float32)  # the teachers' answers take their place
    return DRAWN[augment](images, targets, np.random.default_rng(number))[0]


def answers(
    names: Sequence[str],
    images: NDArray[np.uint8],
    augment: str,
    on_prepare: PrepareProgress | None = None,
    epochs: int = VIEWS,
) -> NDArray[np.float16]:
    """The mean answers of the models ``names`` to every :func:`view` of ``images`` that a pupil sees in ``epochs``,
    float16 (views, n, 10), from the user's cache if as many were asked before. A variant is answered as it is and
    mirrored, where ``augment`` mirrors: the mean of both is right more often.

    Raises :class:`BadInputError` for a model that is not there or answers other labels.
    """
    teachers = [_teacher(name) for name in names]
    mirrored = augment in DRAWN
    views = min(VIEWS, epochs) if mirrored else 1

    def ask() -> NDArray[np.float16]:
        given = np.zeros((views, len(images), len(LABELS)), np.float16)
        for number in range(views):
            if on_prepare:
                on_prepare(number, views)
            seen = view(images, augment, number)
            sides = (seen, np.ascontiguousarray(seen[:, :, ::-1])) if mirrored else (seen,)
            given[number] = np.mean([teacher(side) for teacher in teachers for side in sides], axis=0)
        return given

    # The last variant stands for all of them: another augmentation draws another one.
    asked = hashlib.sha256(view(images, augment, views - 1).tobytes())
    asked.update(b"mirrored" if mirrored else b"")
    for teacher in teachers:
        assert teacher.source is not None
        asked.update(model_files.sha256_of(teacher.source).encode())
    return files.cached_array(_cache_dir() / f"{asked.hexdigest()[:16]}.npy", ask)


def _teacher(name: str) -> classifier.Classifier:
    """A trained model to learn from, named or by its path."""
    if not resolve.is_model(name) and name in {taught for arch in ZOO.values() for taught in arch.recipe.teacher}:
        raise BadInputError(
            f"there is no {name} to learn from: it comes with edgefashion's repository, in models/, not with its "
            "package. Give another --teacher, or learn from the labels alone: --teacher none"
        )
    if text.is_url(name):
        raise BadInputError(f"{shown(name)} cannot teach: it may change. Give a model of this machine")
    found = load.load(name, purpose="throughput")
    if found.takes_photos or len(found.labels) != len(LABELS):
        raise BadInputError(f"{found.name} is no teacher: it answers {len(found.labels)} labels, not the ten garments")
    return found


def _cache_dir() -> Path:
    """Where the answers are kept, 27 MB each."""
    from platformdirs import user_cache_path

    return user_cache_path("edgefashion", appauthor=False) / "teachers"
