"""How a training goes is checked before anything is waited for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from edgefashion.errors import BadInputError
from edgefashion.training.options import FinetuneOptions, options_for
from edgefashion.training.shop_head import HeadOptions
from edgefashion.training.tune import TuneOptions

CNN = partial(options_for, "cnn-242k")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"batch_size": 0}, "--batch-size must be at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate must be above 0"),
        ({"weight_decay": float("inf")}, "weight_decay must be from 0 to"),
        ({"validation_split": 0.9}, "--validation-split must be from 0 to 0.5"),
        ({"optimizer": "magic"}, "--optimizer must be one of sgd, rmsprop, adagrad"),
        ({"seed": -1}, "--seed must be from 0"),
        ({"augment": "blur"}, "--augment must be one of none, turn-flip-zoom"),
        ({"settings": {"dropout": 0.1}}, "cnn-242k has no setting 'dropout'. It has: none"),
        ({"weights": "imagenet"}, "--weights is for networks with a backbone"),
        ({"precision": "bf16"}, "precision must be one of float32, bfloat16"),
        ({"label_smoothing": 1.0}, "label_smoothing must be from 0 to below 1"),
        ({"teacher": ("edge",), "augment": "turn-flip-zoom"}, "give --augment crop-flip-erase, crop-flip-mix or none"),
    ],
)
def test_options_are_checked_at_once(given: dict[str, Any], message: str) -> None:
    """An option out of range is refused before anything is loaded."""
    with pytest.raises(BadInputError, match=message):
        CNN(**given)


@pytest.mark.parametrize("seed", [-1, 2**32])
@pytest.mark.parametrize(
    "options",
    [CNN, partial(TuneOptions, "cnn-242k", 1), FinetuneOptions, HeadOptions],
    ids=["train", "tune", "kiosk", "shop"],
)
def test_a_seed_that_is_none_is_refused(options: Callable[..., object], seed: int) -> None:
    """Every training and search refuses at once a seed that random numbers cannot be drawn by."""
    with pytest.raises(BadInputError, match="--seed must be from 0 to 4294967295"):
        options(seed=seed)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("options", [CNN, FinetuneOptions, HeadOptions], ids=["train", "kiosk", "shop"])
def test_a_learning_rate_that_is_none_is_refused(options: Callable[..., object], rate: float) -> None:
    """Every training refuses a learning rate that is no positive, finite number."""
    with pytest.raises(BadInputError, match=r"learning.rate must be above 0"):
        options(learning_rate=rate)


def test_a_frozen_backbone_takes_no_augmentation_drawn_every_epoch() -> None:
    """An augmentation that a transfer would leave out is refused rather than left out."""
    with pytest.raises(BadInputError, match="a frozen backbone sees images once"):
        options_for("resnet50", augment="crop-flip-erase")
    assert options_for("resnet50", augment="crop-flip-erase", weights="none").weights == "none"
