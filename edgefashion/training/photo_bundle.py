"""A photo network, written as a bundle with its facts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, card, draft
from edgefashion.bundles.facts import Facts, Measured, PhotoFigures, Thresholds
from edgefashion.data import fashion_mnist, splits
from edgefashion.evaluation import reference
from edgefashion.evaluation.reference import reference_images
from edgefashion.inference import decision, preprocess
from edgefashion.inference.classifier import PHOTO_PIXELS
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


def write_bundle(
    out: Path,
    trained: Trained,
    options: FinetuneOptions,
    *,
    accept: tuple[float, str],
    photo_figures: dict[str, Any],
    report: dict[str, Any],
) -> bundle.Bundle:
    """Write a trained photo network as a bundle: the original, its SavedModel, its reports and card.

    ``accept``: the threshold, and what it was chosen on. ``photo_figures`` go into bundle.json and
    the card, ``report`` beside what is known of the training itself.
    """
    model = trained.model
    test_images, test_labels = fashion_mnist.load("test")
    test = decision.likeliest(probabilities(model, preprocess.as_photos(test_images)))
    arch = registry.architecture(ARCH)
    with draft.draft(out) as making:
        model.save(making.part("keras"))
        export_saved_model(model, making.part("saved_model"))
        compared = reference_images(test_images, photo=True)
        reference.save_reference(making.part("reference"), probabilities(model, compared))
        write_history(making.part("history"), trained.history)
        draw_curves(making.part("curves"), trained.history, f"{ARCH} on photos and Fashion-MNIST")
        wall_time_s = round(sum(row["seconds"] for row in trained.history), 1)
        making.add_report("train", {"options": asdict(options), **report, "wall_time_s": wall_time_s})
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
            versions=training_versions(),
            data_sha256=fashion_mnist.SHA256,
            seed=options.seed,
            validation_split=splits.VALIDATION_SPLIT,
        )
        card.write_card(making)
    return bundle.open_bundle(out)
