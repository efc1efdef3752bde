"""A photo network, written as a bundle with its facts."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, card, draft
from edgefashion.bundles.facts import Facts, Measured, PhotoFigures, Thresholds
from edgefashion.data import fashion_mnist, photo_folders, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.evaluation import plots, reference
from edgefashion.evaluation.acceptance import Chosen
from edgefashion.evaluation.reference import reference_images
from edgefashion.inference import decision, preprocess
from edgefashion.inference.classifier import PHOTO_PIXELS
from edgefashion.inference.finder import FOUND
from edgefashion.inference.tensorflow_engine import export_saved_model
from edgefashion.labels import PHOTO_LABELS
from edgefashion.training.fashion_bundle import training_versions
from edgefashion.training.history import draw_curves, write_history
from edgefashion.training.options import FinetuneOptions
from edgefashion.training.photo_fit import Trained
from edgefashion.training.zoo import registry

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray


ARCH: Final = "kiosk"


def probabilities(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the plain network answers to RGB uint8 (n, h, w, 3): float32 (n, 12)."""
    # predict() compiles the graph; called eagerly the network takes three times as long.
    return np.asarray(model.predict(images, batch_size=64, verbose=0)["probabilities"], np.float32)


@dataclass(frozen=True)
class TrainedFinder:
    """A finder that :func:`edgefashion.training.finder_fit.train` made."""

    model: keras.Model
    history: list[dict[str, float]]
    """A row for every hundred steps."""


def write_bundle(
    out: Path,
    trained: Trained,
    options: FinetuneOptions,
    *,
    accept: tuple[float, str] | Thresholds,
    photo_figures: dict[str, Any],
    report: dict[str, Any],
    held_out: tuple[NDArray[np.float32], Sequence[Collection[str]], Chosen] | None = None,
    finder: TrainedFinder | None = None,
    finder_of: bundle.Bundle | None = None,
    data: tuple[str, ...] | None = None,
) -> bundle.Bundle:
    """Write a trained photo network as a bundle: the original, its SavedModel, its reports and card.

    ``data``: the sets of pictures with their licences, for the card; None for a user's own.
    ``finder``: what finds the garments of a picture; without one that of the bundle ``finder_of``, if it has one.
    ``accept``: the threshold, and what it was chosen on; or all that an answer needs. ``photo_figures`` go into
    bundle.json and the card, ``report`` beside what is known of the training itself. ``held_out``: answers to photos
    not trained on, what is right for each, and the rule chosen on them, to be drawn.
    """
    model = trained.model
    test_images, test_labels = fashion_mnist.load("test")
    test = decision.likeliest(probabilities(model, preprocess.as_photos(test_images)))
    arch = registry.architecture(ARCH)
    with draft.draft(out) as making:
        save_compactly(model, making.part("keras"))
        export_saved_model(model, making.part("saved_model"))
        compared = reference_images(test_images, photo=True)
        reference.save_reference(making.part("reference"), probabilities(model, compared))
        write_history(making.part("history"), trained.history)
        draw_curves(making.part("curves"), trained.history, f"{ARCH} on photos and Fashion-MNIST")
        wall_time_s = round(sum(row["seconds"] for row in trained.history), 1)
        making.add_report("train", {"options": asdict(options), **report, "wall_time_s": wall_time_s})
        if held_out is not None:
            plots.draw_held_out(making, *held_out)
        making.facts = Facts(
            name=out.name,
            architecture=ARCH,
            source=arch.source,
            parameters=model.count_params(),
            labels=PHOTO_LABELS,
            input_shape=(preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3),
            pixels=PHOTO_PIXELS,
            thresholds=Thresholds(*accept),
            metrics={"original": Measured(float(np.mean(test == test_labels)))},
            photos={name: PhotoFigures.from_json(of) for name, of in photo_figures.items()},
            data=data,
            finds=finder is not None or bool(finder_of and finder_of.facts.finds),
            versions=training_versions(),
            data_sha256=fashion_mnist.SHA256,
            seed=options.seed,
            validation_split=splits.VALIDATION_SPLIT,
        )
        _add_finder(making, finder, finder_of)
        card.write_card(making)
    return bundle.open_bundle(out)


def _add_finder(making: draft.Draft, finder: TrainedFinder | None, older: bundle.Bundle | None) -> None:
    """Put a finder's original into a bundle; without a new one the files of an ``older`` bundle's."""
    if finder is not None:
        save_compactly(finder.model, making.part("finder_keras"))
        making.add_report("finder", {"history": finder.history})
        floor = FOUND
    elif older is not None and any(older.has(part) for part in FINDER_PARTS):
        for part in FINDER_PARTS:
            if older.has(part):
                making.take(older, part)
        floor = older.facts.thresholds.found or FOUND
    else:
        return
    making.facts = making.facts._replace(thresholds=making.facts.thresholds._replace(found=floor))


def figures_of(photos: Sequence[Photo], answered: NDArray[np.float32], chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """For bundle.json: how many of the held-out ``photos`` (n,) that are ``chosen`` (n,) were named right, in all and
    by label, nothing rejected."""
    rows = [(photo, answer) for photo, answer, counts in zip(photos, answered, chosen, strict=True) if counts]
    answers = decision.best(np.stack([answer for _, answer in rows]), PHOTO_LABELS)
    labels = [photo.label for photo, _ in rows]
    right = photo_folders.right(answers, labels)
    per_label = {name: float(right[[label == name for label in labels]].mean()) for name in sorted(set(labels))}
    return {"n": len(rows), "accuracy": float(right.mean()), "per_label": per_label}


FINDER_PARTS: Final = ("finder_keras", "finder_fp16", "finder_int8")


def save_compactly(model: keras.Model, path: Path) -> None:
    """Save a Keras model with weights that 16 bits hold, in a compressed archive: half the size, and as any ``.keras``
    file read."""
    model.set_weights([np.asarray(weight, np.float16).astype(np.float32) for weight in model.get_weights()])
    model.save(path)
    packed = path.with_name(f"{path.name}.packed")
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in plain.namelist():
            archive.writestr(zipfile.ZipInfo(name), plain.read(name), zipfile.ZIP_DEFLATED)
    packed.replace(path)
