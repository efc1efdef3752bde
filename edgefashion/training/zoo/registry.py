"""The architectures, and the settings their sources trained them with.

Every network takes uint8 intensities 0 to 255, NHWC, and scales by 1/255 inside the graph,
so Keras, SavedModel, FP32 and INT8 IR all take the same bytes.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edgefashion.errors import BadInputError
from edgefashion.training.zoo import published
from edgefashion.training.zoo.architecture import CLASSES, INPUT_SHAPE, Architecture, Recipe
from edgefashion.training.zoo.edge import EDGE_SPACE, edge, edge_teacher
from edgefashion.training.zoo.photo import kiosk

__all__ = ["CLASSES", "INPUT_SHAPE", "MEASURED", "ZOO", "Architecture", "Recipe", "architecture", "kiosk", "measured"]

MEASURED: Final = Path(__file__).with_name("measured.json")
"""What ``benchmarks/networks/seeds.py`` measured of each network, by the name of its run."""

_MSC = "Bi Touvoly, Alami & Bentammar, 2022"
_OPTIMIZERS: Final = ("sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam")
# The search of the second CNN's authors, value by value. Their num_unit (10 or 5) is left out: it is the
# answer's size, and there are ten garments.
_MSC_SPACE: Final = {
    "optimizer": _OPTIMIZERS,
    "learning_rate": (0.1, 0.001, 0.02),
    "batch_size": (20, 50, 100),
    "epochs": (10, 20, 50),
    "activation": ("relu", "tanh", "sigmoid", "hard_sigmoid", "linear"),
    "initializer": ("lecun_uniform", "random_normal", "he_normal", "he_uniform"),
    "dropout": (0.3, 0.2, 0.8),
    "pool_size": (2, 4),
}

_OURS: Final = Recipe(
    epochs=30,
    batch_size=64,
    optimizer="muon",
    learning_rate=0.004,
    augment="crop-flip-erase",
    schedule="cosine",
    weight_decay=0.02,
    label_smoothing=0.1,
    calibrate=True,
    precision="bfloat16",
)

ZOO: Final[dict[str, Architecture]] = {
    a.name: a
    for a in (
        Architecture(
            name="logistic-regression",
            summary="softmax on 784 pixels",
            source=_MSC,
            build=published.logistic_regression,
            parameters=7_850,
            macs=7_840,
            reported_accuracy=0.75,
            recipe=Recipe(epochs=10, batch_size=512, validation_split=0.2),
        ),
        Architecture(
            name="feed-forward",
            summary="dense 1024",
            source=_MSC,
            build=published.feed_forward,
            parameters=814_090,
            macs=813_056,
            reported_accuracy=0.879,
            recipe=Recipe(epochs=10, batch_size=512, validation_split=0.2),
        ),
        Architecture(
            name="cnn-201k",
            summary="conv 32, pool, dropout, dense 32",
            source=_MSC,
            build=published.cnn_201k,
            parameters=201_386,
            macs=426_816,
            reported_accuracy=0.89,
            recipe=Recipe(epochs=20, batch_size=512, validation_split=0.2),
        ),
        Architecture(
            name="cnn-413k",
            summary="2 conv (2x2) + pool + dropout, dense 256",
            source=_MSC,
            build=published.cnn_413k,
            parameters=412_778,
            macs=2_210_304,
            reported_accuracy=0.91,
            recipe=Recipe(epochs=30, batch_size=512, validation_split=0.2),
            space=_MSC_SPACE,
        ),
        Architecture(
            name="cnn-413k-tuned",
            summary="cnn-413k with its search's settings",
            source=_MSC,
            build=published.cnn_413k_tuned,
            parameters=412_778,
            macs=2_210_304,
            reported_accuracy=0.91,
            recipe=Recipe(epochs=10, batch_size=20, optimizer="sgd", learning_rate=0.1, validation_split=0.2),
            space=_MSC_SPACE,
        ),
        Architecture(
            name="resnet50",
            summary="ImageNet's ResNet50, frozen, dense 512",
            source=f"{_MSC}; He et al., 2015",
            build=published.resnet50,
            parameters=24_641_930,
            macs=79_746_048,
            reported_accuracy=0.86,
            recipe=Recipe(epochs=20, batch_size=512, validation_split=0.2, weights="imagenet"),
            backbone="resnet50",
        ),
        Architecture(
            name="cnn-565k",
            summary="2 conv (valid) + pool, dense 256-512",
            source="Anil (CodeRed), 2023",
            build=published.cnn_565k,
            parameters=565_386,
            macs=2_970_752,
            reported_accuracy=0.9114,
            # The source trained on all 60,000 images and validated on the test set; we train on
            # the same images and leave the test set for the one final measurement.
            recipe=Recipe(epochs=15, batch_size=150, validation_split=0.0),
        ),
        Architecture(
            name="cnn-590k",
            summary="3 conv (valid), dense 256-256-512, dropout",
            source="Anil (CodeRed), 2023",
            build=published.cnn_590k,
            parameters=590_346,
            macs=3_585_152,
            reported_accuracy=0.9168,
            recipe=Recipe(epochs=15, batch_size=150, validation_split=0.0),
        ),
        Architecture(
            name="cnn-242k",
            summary="3 conv (same) + pool + dropout, dense 128",
            source="Jain & Rai, Simple and Real Analytics",
            build=published.cnn_242k,
            parameters=241_546,
            macs=7_599_872,
            reported_accuracy=0.9284,
            recipe=Recipe(epochs=50, batch_size=64),
        ),
        Architecture(
            name="cnn-609k",
            summary="2 conv (valid), pool, dropout, dense 64",
            source="Rai, UMass Dartmouth, 2019",
            build=published.cnn_609k,
            parameters=609_354,
            macs=11_401_984,
            reported_accuracy=0.921,
            recipe=Recipe(epochs=15, batch_size=128, validation_split=0.2),
        ),
        Architecture(
            name="dilated-inception",
            summary="4 blocks of 1x1, 3x3, 5x5 and dilated 3x3, dense 256-128",
            source="Papastamos & Zikos, AUEB, 2018",
            build=published.dilated_inception,
            parameters=209_517_386,
            macs=3_308_739_840,
            reported_accuracy=0.9143,
            recipe=Recipe(epochs=20, batch_size=128, optimizer="rmsprop", validation_split=0.2),
        ),
        Architecture(
            name="edge",
            summary="6 conv, no pool, learnt from two edge-teacher",
            source="ours",
            build=edge,
            parameters=220_522,
            macs=12_056_960,
            reported_accuracy=None,
            recipe=replace(
                _OURS,
                epochs=150,
                batch_size=128,
                learning_rate=0.006,
                augment="crop-flip-mix",
                label_smoothing=0.0,
                teacher=("edge-teachers",),
            ),
            space=EDGE_SPACE,
            most_parameters=300_000,
            most_macs=12_500_000,
        ),
        Architecture(
            name="edge-teacher",
            summary="10 wide conv; teaches edge",
            source="ours",
            build=edge_teacher,
            parameters=985_514,
            macs=55_562_752,
            reported_accuracy=None,
            recipe=_OURS,
        ),
        Architecture(
            name="kiosk",
            summary="EfficientNet-Lite0, garment and mask heads, photos",
            source="Google, 2020 (backbone); ours",
            build=kiosk,
            parameters=3_378_525,
            macs=197_547_360,
            reported_accuracy=None,
            recipe=Recipe(epochs=12, batch_size=32, optimizer="adamw", learning_rate=4e-4),
        ),
    )
}


def measured() -> dict[str, dict[str, Any]]:
    """Name of a run -> what it gave: ``arch``, ``accuracy``, ``int8_accuracy``, ``epochs``,
    ``wall_time_s``, and ``note`` where it is not what its source did."""
    runs: dict[str, dict[str, Any]] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return runs


def architecture(name: str) -> Architecture:
    """Look an architecture up by name; raises :class:`BadInputError` naming the near ones, or all."""
    try:
        return ZOO[name]
    except KeyError:
        near = difflib.get_close_matches(name, ZOO, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(ZOO)}"
        raise BadInputError(f"no architecture named {name!r}. {hint}") from None
