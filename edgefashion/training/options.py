"""Everything that decides how a training run goes, checked before anything is waited for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.errors import BadInputError
from edgefashion.training.fashion_augment import AUGMENTATIONS, DRAWN, LAYERS
from edgefashion.training.zoo.architecture import Architecture, Recipe
from edgefashion.training.zoo.registry import architecture

OPTIMIZERS: Final = {
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "adam": "Adam",
    "adamax": "Adamax",
    "nadam": "Nadam",
    "adamw": "AdamW",
    "muon": "Muon",
}
"""Name on the command line -> Keras's; muon is :class:`edgefashion.training.muon.Muon`."""
ADAMW_DECAY: Final = 0.004
"""Keras's own; for a recipe that names adamw and no decay."""
SCHEDULES: Final = ("constant", "cosine")
PRECISIONS: Final = ("float32", "bfloat16")
SEED_LIMIT: Final = 2**32
LARGEST: Final = 3.4e38
"""What float32 holds: a larger number is infinite there."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(Recipe):
    """Everything that decides how a run goes. Validated here, so a bad value costs no waiting."""

    arch: str
    seed: int = 0
    limit: int | None = None
    """Train on so many of the images only, to try things out; None means all."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The network's settings that are not its defaults."""

    def __post_init__(self) -> None:
        for rule, ok in (
            ("--epochs must be at least 1", self.epochs >= 1),
            ("--batch-size must be at least 1", self.batch_size >= 1),
            (f"--learning-rate must be above 0 and at most {LARGEST}", 0 < self.learning_rate <= LARGEST),
            ("--validation-split must be from 0 to 0.5", 0 <= self.validation_split <= 0.5),
            (f"--optimizer must be one of {', '.join(OPTIMIZERS)}", self.optimizer in OPTIMIZERS),
            (f"--augment must be one of {', '.join(AUGMENTATIONS)}", self.augment in AUGMENTATIONS),
            (f"schedule must be one of {', '.join(SCHEDULES)}", self.schedule in SCHEDULES),
            (f"precision must be one of {', '.join(PRECISIONS)}", self.precision in PRECISIONS),
            ("label_smoothing must be from 0 to below 1", 0 <= self.label_smoothing < 1),
            (f"weight_decay must be from 0 to {LARGEST}", 0 <= self.weight_decay <= LARGEST),
            ("--limit must be at least 1", self.limit is None or self.limit >= 1),
            (f"--seed must be from 0 to {SEED_LIMIT - 1}", 0 <= self.seed < SEED_LIMIT),
            (
                f"--teacher answers the images as they are shown, once: give --augment {', '.join(DRAWN)} or none",
                not self.teacher or self.augment not in LAYERS,
            ),
            (
                "--teacher answers images, and behind a frozen backbone only features are seen: --weights none",
                not self.teacher or self.weights == "none",
            ),
            (
                f"{self.arch} starts from no other weights: --weights is for networks with a backbone",
                self.weights == "none" or architecture(self.arch).backbone is not None,
            ),
            (
                f"--augment {self.augment} varies every epoch, a frozen backbone sees images once: --weights none",
                self.weights == "none" or self.augment not in DRAWN,
            ),
        ):
            if not ok:
                raise BadInputError(rule)
        # A value from the command line is a string; the frozen field takes it in the setting's own type.
        object.__setattr__(self, "settings", architecture(self.arch).checked(self.settings))
        object.__setattr__(self, "teacher", tuple(self.teacher))
        if self.optimizer == "adamw" and self.weight_decay == 0:
            # Without decay it were adam under another name.
            object.__setattr__(self, "weight_decay", ADAMW_DECAY)


def fashion_architecture(name: str) -> Architecture:
    """:func:`architecture`, but of those that learn from Fashion-MNIST: raises :class:`BadInputError` for
    the photo network too."""
    if name == PHOTO_MODEL:
        raise BadInputError(f"{name} learns from photos: use edgefashion.finetune, or `train {name} --photos DIR`")
    return architecture(name)


def options_for(arch: str, **given: Any) -> TrainOptions:
    """The architecture's own recipe, with whatever is ``given`` (and not None) in its place."""
    recipe = asdict(architecture(arch).recipe)
    return TrainOptions(arch=arch, **{**recipe, **without_none(given)})


def without_none(given: dict[str, Any]) -> dict[str, Any]:
    """``given`` less what was not given."""
    return {k: v for k, v in given.items() if v is not None}


NONE_SHARE: Final = 1 / 8
"""Share of a batch that shows no garment."""


@dataclass(frozen=True)
class FinetuneOptions:
    """Everything that decides how a run goes."""

    epochs: int = 12
    batch_size: int = 32
    validation_split: float = 0.2
    seed: int = 0
    learning_rate: float = 4e-4
    """The backbone's; the heads learn ``HEAD_RATE`` times as fast."""
    fashion_images: int = 48
    """Fashion-MNIST images a step; they are small and cost a third of a step."""
    finder_steps: int = 1800
    """Steps of 16 frames that the finder learns, where there are scenes to learn it from."""

    def __post_init__(self) -> None:
        for rule, ok in (
            ("--epochs must be at least 1", self.epochs >= 1),
            ("--batch-size must be at least 8", self.batch_size >= 8),
            ("--validation-split must be above 0 and up to 0.5", 0 < self.validation_split <= 0.5),
            (f"--learning-rate must be above 0 and at most {LARGEST}", 0 < self.learning_rate <= LARGEST),
            ("the Fashion-MNIST images a step must be at least 1", self.fashion_images >= 1),
            ("--finder-steps must be at least 1", self.finder_steps >= 1),
            (f"--seed must be from 0 to {SEED_LIMIT - 1}", 0 <= self.seed < SEED_LIMIT),
        ):
            if not ok:
                raise BadInputError(rule)

    @property
    def garments(self) -> int:
        """Photos of a batch that show a garment."""
        return self.batch_size - max(1, round(self.batch_size * NONE_SHARE))
