"""The photo network's training: losses, two optimizers, epochs."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import fashion_mnist, photo_folders, scenes
from edgefashion.inference.tensorflow_engine import tensorflow
from edgefashion.labels import PHOTO_LABELS
from edgefashion.training.divergence import refuse_diverged
from edgefashion.training.options import FinetuneOptions
from edgefashion.training.photo_batches import Batch, photo_batches
from edgefashion.training.photo_material import TARGETS, TrainingPhotos
from edgefashion.training.run import StepProgress
from edgefashion.training.train import EpochProgress
from edgefashion.training.zoo import efficientnet_lite0, photo

if TYPE_CHECKING:
    import keras


HEAD_RATE: Final = 5.0
"""The heads learn so many times as fast as the backbone."""

MASK_WEIGHT: Final = 0.3
KIND_WEIGHT: Final = 0.5
FASHION_WEIGHT: Final = 0.5
"""What each loss counts beside that of the photos' labels, which counts 1."""

EMA: Final = 0.99
"""The weights that are kept are the average of the last steps' weights, with this momentum."""


@dataclass(frozen=True)
class Trained:
    """A network :func:`train` made, its scales folded away."""

    model: keras.Model
    history: list[dict[str, float]]
    photos: int


def train(
    chosen: Sequence[photo_folders.Photo],
    options: FinetuneOptions,
    skipped: list[str],
    *,
    marked: Sequence[scenes.Scene] = (),
    start: keras.Model | None = None,
    without: Collection[str] = (),
    steps: int | None = None,
    on_step: StepProgress | None = None,
    on_epoch: EpochProgress | None = None,
) -> Trained:
    """Train the photo network on the ``chosen`` photos, the ``marked`` scenes' garments and Fashion-MNIST.

    It begins from a plain photo network or, where ``start`` is None, from the ImageNet weights. Files that cannot be
    read are added to ``skipped``. ``without`` is as :class:`TrainingPhotos` takes it; ``steps`` is the
    length of an epoch, or None for as many as show each picture once.

    Raises :class:`MissingError` without the ``train`` extra, Fashion-MNIST or the package with the weights, and
    :class:`edgefashion.training.divergence.DivergedError` where its loss or a weight is no number any more.
    """
    tf = tensorflow("to train")
    fashion = fashion_mnist.load("train")
    tf.keras.utils.set_random_seed(options.seed)
    model = photo.kiosk(to_train=True)
    if start is None:
        efficientnet_lite0.load_imagenet(model)
    else:
        efficientnet_lite0.unfold(start, model)
    material = TrainingPhotos(chosen, skipped, marked, without=without)
    history = _fit(model, options, material, photo_batches(material, fashion, options), steps, on_step, on_epoch)
    plain = photo.kiosk()
    efficientnet_lite0.fold(model, plain)
    return Trained(plain, history, material.photos)


def _kinds_head(model: keras.Model, count: int) -> Any:
    """Logits over the photos' finer kinds, from the features that name the garment."""
    from keras import layers

    return layers.Dense(max(1, count), name="kinds")(model.get_layer("dropout").output)


def _fit(
    model: keras.Model,
    options: FinetuneOptions,
    material: TrainingPhotos,
    batches: Iterator[Batch],
    steps: int | None,
    on_step: StepProgress | None,
    on_epoch: EpochProgress | None,
) -> list[dict[str, float]]:
    """Train ``model`` for the options' epochs; returns a row an epoch."""
    tf = tensorflow("to train")
    steps = steps or max(1, material.photos // options.garments)
    learner = _Learner(model, options, len(material.kinds), steps * options.epochs)
    history = []
    for epoch in range(options.epochs):
        began, losses = time.perf_counter(), np.zeros(3)
        for number in range(steps):
            losses += [float(v) for v in learner.step(*(tf.constant(part) for part in next(batches)))]
            if on_step:
                on_step(epoch, number + 1, steps, {"loss": losses[0] / (number + 1)})
        row = dict(zip(("loss", "mask_loss", "fashion_loss"), (float(v) for v in losses / steps), strict=True))
        refuse_diverged(f"epoch {epoch + 1}", row, model.get_weights(), options.learning_rate)
        history.append({"epoch": float(epoch + 1), **row, "seconds": round(time.perf_counter() - began, 2)})
        if on_epoch:
            on_epoch(history[-1])
    learner.finish()
    return history


class _Learner:
    """The network in training: its backbone and its heads have an optimizer each."""

    def __init__(self, model: keras.Model, options: FinetuneOptions, kinds: int, steps: int) -> None:
        import keras

        tf = tensorflow("to train")
        in_head = {v.path for layer in model.layers if layer.name.startswith(("logits", "mask")) for v in layer.weights}
        # Finer kinds than the labels, where photos tell them, teach what a label is made of: a blazer and
        # a rain jacket are both coats, and look less alike than a blazer and a shirt.
        self._model = keras.Model(model.inputs, {**model.output, "kinds": _kinds_head(model, kinds)})
        of_kinds = self._model.get_layer("kinds").trainable_variables
        head = [*(v for v in model.trainable_variables if v.path in in_head), *of_kinds]
        backbone = [v for v in model.trainable_variables if v.path not in in_head]
        self._parts = (
            (backbone, optimizer(options.learning_rate, 0.02, backbone, steps)),
            (head, optimizer(HEAD_RATE * options.learning_rate, 0.01, head, steps)),
        )
        self._membership = np.zeros((len(PHOTO_LABELS), len(TARGETS)), np.float32)
        for group, at in enumerate(TARGETS.values()):
            self._membership[list(at), group] = 1
        self.step = tf.function(self._step, autograph=False)
        """Train on a batch's seven tensors; returns the losses of the labels, the masks and Fashion-MNIST."""

    def _step(
        self, pictures: Any, targets: Any, masks: Any, mask_known: Any, kinds: Any, fashion: Any, fashion_labels: Any
    ) -> Any:
        tf = tensorflow("to train")
        with tf.GradientTape() as tape:
            answer = self._model(pictures, training=True)
            # The loss of a group is the loss of its members' sum: a photo only says "footwear".
            grouped = tf.matmul(tf.nn.softmax(answer["probabilities"]), self._membership)
            loss = -tf.reduce_mean(tf.reduce_sum(targets * tf.math.log(grouped + 1e-8), 1))
            covered = tf.nn.sigmoid_cross_entropy_with_logits(masks, answer["mask"]) * mask_known[:, None, None, None]
            told = tf.cast(kinds >= 0, tf.float32)
            finer = told * tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(kinds, 0), answer["kinds"])
            small = self._model(fashion, training=True)["probabilities"]
            known = tf.nn.sparse_softmax_cross_entropy_with_logits(fashion_labels, small)
            all_losses = (
                loss
                + MASK_WEIGHT * tf.reduce_mean(covered)
                + KIND_WEIGHT * tf.reduce_mean(finer)
                + FASHION_WEIGHT * tf.reduce_mean(known)
            )
        gradients = iter(tape.gradient(all_losses, [v for variables, _ in self._parts for v in variables]))
        for variables, optimizer in self._parts:
            optimizer.apply_gradients([(next(gradients), variable) for variable in variables])
        return loss, tf.reduce_mean(covered), tf.reduce_mean(known)

    def finish(self) -> None:
        """Put the averaged weights in place of the last step's."""
        for variables, optimizer in self._parts:
            optimizer.finalize_variable_values(variables)


def optimizer(rate: float, decay: float, variables: list[Any], steps: int) -> keras.optimizers.Optimizer:
    """AdamW for ``variables``, its rate warmed up over a sixth of the ``steps`` and annealed over the others."""
    import keras

    warm = steps // 6
    schedule = keras.optimizers.schedules.CosineDecay(
        rate * 0.05, max(1, steps - warm), alpha=0.005, warmup_target=rate, warmup_steps=warm
    )
    # In a short run an average over a hundred steps would be mostly of the weights it began with.
    momentum = min(EMA, max(0.5, 1 - 10 / steps))
    made = keras.optimizers.AdamW(schedule, weight_decay=decay, use_ema=True, ema_momentum=momentum)
    made.exclude_from_weight_decay(var_names=["scale", "bias"])
    made.build(variables)
    return made
