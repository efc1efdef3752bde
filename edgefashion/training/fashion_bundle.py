"""A network trained on Fashion-MNIST, written as a bundle with its facts."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgefashion.bundles import bundle, card, draft
from edgefashion.bundles.facts import Facts, Measured, Thresholds
from edgefashion.data import fashion_mnist, splits
from edgefashion.evaluation import metrics, reference
from edgefashion.inference import decision
from edgefashion.inference.classifier import PIXELS
from edgefashion.inference.tensorflow_engine import export_saved_model
from edgefashion.labels import LABELS
from edgefashion.training.divergence import refuse_diverged
from edgefashion.training.history import draw_curves, write_history
from edgefashion.training.run import Run
from edgefashion.training.temperature import divide_logits, fit_temperature
from edgefashion.training.zoo.architecture import INPUT_SHAPE
from edgefashion.training.zoo.registry import architecture


def write_fashion_bundle(out: Path, run: Run, history: list[dict[str, float]]) -> bundle.Bundle:
    """Write a finished run as the bundle ``out``: the original, its SavedModel, its report, its card.

    Where the options say so, its confidences are calibrated first. The accept threshold and the temperature are chosen
    on the validation images; the test images give the accuracy that is reported, once.
    Raises :class:`edgefashion.training.divergence.DivergedError` for a network whose answers are no numbers.
    """
    options, arch = run.options, architecture(run.options.arch)
    model = run.network()
    threshold_at = run.validation_at if len(run.validation_at) else run.fit_at
    held_out = model.predict(run.images[threshold_at], batch_size=500, verbose=0)
    # Weights may be numbers still, and so large that no answer is.
    refuse_diverged("its last epoch", {}, [held_out], options.learning_rate, "--learning-rate")
    temperature = 1.0
    if options.calibrate and len(run.validation_at):
        temperature = fit_temperature(held_out, run.labels[threshold_at])
        divide_logits(model, temperature)
        held_out = model.predict(run.images[threshold_at], batch_size=500, verbose=0)
    test_images, test_labels = fashion_mnist.load("test")
    test = model.predict(test_images, batch_size=500, verbose=0)
    accuracy = float(np.mean(test.argmax(1) == test_labels))
    with draft.draft(out) as making:
        model.save(making.part("keras"))
        export_saved_model(model, making.part("saved_model"))
        reference.save_reference(making.part("reference"), test)
        write_history(making.part("history"), history)
        draw_curves(making.part("curves"), history, f"{arch.name} on Fashion-MNIST")
        making.add_report(
            "train",
            {
                "options": asdict(options),
                "epochs": len(history),
                "wall_time_s": round(sum(row["seconds"] for row in history), 1),
                "final": history[-1],
                "test_accuracy": accuracy,
                "test_calibration_error": metrics.expected_calibration_error(test, test_labels),
                "temperature": temperature,
                "reported_accuracy": arch.reported_accuracy,
            },
        )
        making.facts = Facts(
            name=out.name,
            architecture=arch.name,
            source=arch.source,
            parameters=model.count_params(),
            labels=LABELS,
            input_shape=INPUT_SHAPE,
            pixels=PIXELS,
            thresholds=Thresholds(
                accept=decision.accept_threshold(held_out),
                chosen_on="validation images" if options.validation_split else "training images",
            ),
            metrics={"original": Measured(accuracy)},
            versions=training_versions(),
            data_sha256=fashion_mnist.SHA256,
            seed=options.seed,
            split_seed=splits.SPLIT_SEED,
            validation_split=options.validation_split,
        )
        card.write_card(making)
    return bundle.open_bundle(out)


def training_versions() -> dict[str, str]:
    """What a network was trained with, for its bundle's facts."""
    return {name: version(name) for name in ("tensorflow", "keras", "numpy")} | {"python": platform.python_version()}
