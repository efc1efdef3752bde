"""The finder's training: targets, losses, steps.

The targets are those of Liu and others, "Training-time-friendly network for real-time object detection", 2020: a
Gaussian at each box's centre, as wide and high as the box asks for, teaches the heat, and weighs the box's loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.inference.finder import FINDER_PX, GARMENT_KINDS, KINDS, STRIDE
from edgefashion.inference.tensorflow_engine import tensorflow
from edgefashion.training.divergence import refuse_diverged
from edgefashion.training.finder_compose import Frame, compose
from edgefashion.training.finder_material import Material
from edgefashion.training.photo_fit import optimizer
from edgefashion.training.zoo import efficientnet_lite0
from edgefashion.training.zoo.finder import finder

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

CELLS: Final = FINDER_PX // STRIDE

GAUSSIAN: Final = 0.54 / 6
"""Standard deviation of a centre's Gaussian, as a share of the box's edge."""

BOX_WEIGHT: Final = 2.0
WORN_WEIGHT: Final = 0.3
"""What these losses count beside the heat's."""

Batch = tuple["NDArray[Any]", ...]

OnStep = Callable[[int, int, dict[str, float]], None]
"""Takes the steps done, their number, and the losses so far."""


@dataclass(frozen=True)
class FinderOptions:
    """Everything that decides how a run goes."""

    steps: int = 2400
    batch_size: int = 16
    learning_rate: float = 5e-4
    """The backbone's; the head learns ``HEAD_RATE`` times as fast."""
    seed: int = 0


HEAD_RATE: Final = 4.0


def targets(frame: Frame) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """What a frame teaches: heat (24, 24, 8); for each kind the box (24, 24, 8, 4), as distances in cells, and what it
    counts (24, 24, 8); and worn (24, 24, 2), the probability and what it counts."""
    heat = np.zeros((CELLS, CELLS, len(KINDS)), np.float32)
    edges = np.ones((CELLS, CELLS, len(KINDS), 4), np.float32)
    counts = np.zeros((CELLS, CELLS, len(KINDS)), np.float32)
    worn = np.zeros((CELLS, CELLS, 2), np.float32)
    middle = np.arange(CELLS) + 0.5
    # The larger first: where two of a kind meet, the smaller one's centre stays its own.
    for thing in sorted(frame.things, key=lambda t: -(t.box[2] - t.box[0]) * (t.box[3] - t.box[1])):
        x0, y0, x1, y1 = np.array(thing.box) / STRIDE
        centre = np.floor([(x0 + x1) / 2, (y0 + y1) / 2]).clip(0, CELLS - 1) + 0.5
        spread = np.maximum(0.35, GAUSSIAN * np.array([x1 - x0, y1 - y0]))
        across = np.exp(-((middle - centre[0]) ** 2) / (2 * spread[0] ** 2))
        down = np.exp(-((middle - centre[1]) ** 2) / (2 * spread[1] ** 2))
        bump = np.outer(down, across).astype(np.float32)
        bump[bump < 0.02] = 0
        channel = thing.kind
        heat[..., channel] = np.maximum(heat[..., channel], bump)
        near = bump > 0.1
        weight = bump / bump[near].sum() * np.log(max(2.0, (x1 - x0) * (y1 - y0)))
        counts[..., channel] = np.where(near, weight, counts[..., channel])
        box = np.stack(
            np.broadcast_arrays(middle[None] - x0, middle[:, None] - y0, x1 - middle[None], y1 - middle[:, None]), -1
        )
        edges[near, channel] = box[near].clip(0.05)
        if KINDS[channel] in GARMENT_KINDS:
            worn[near] = np.stack([np.full(near.sum(), thing.worn), bump[near]], -1)
    return heat, edges, counts, worn


def batches(of: Material, options: FinderOptions) -> Iterator[Batch]:
    """Batches without end, made in threads while others are used: RGB pictures, the targets, what frames tell."""
    seeds = np.random.SeedSequence(options.seed)

    def make(seed: np.random.SeedSequence) -> Batch:
        rng = np.random.default_rng(seed)
        frames = [compose(of, rng) for _ in range(options.batch_size)]
        pictures = np.stack([frame.picture[..., ::-1] for frame in frames])
        taught = [np.stack(part) for part in zip(*map(targets, frames), strict=True)]
        return pictures, *taught, np.stack([frame.tells for frame in frames])

    with ThreadPoolExecutor(1) as ahead:
        coming = [ahead.submit(make, seeds.spawn(1)[0]) for _ in range(3)]
        while True:
            yield coming.pop(0).result()
            coming.append(ahead.submit(make, seeds.spawn(1)[0]))


def train(
    of: Material, options: FinderOptions, start: keras.Model | None = None, on_step: OnStep | None = None
) -> tuple[keras.Model, list[dict[str, float]]]:
    """Train a finder on ``of``, its backbone from a plain photo network's, or from ImageNet; returns the plain network
    and a row for every hundred steps. Raises :class:`edgefashion.training.divergence.DivergedError` where its loss or a
    weight is no number any more."""
    tf = tensorflow("to train")
    tf.keras.utils.set_random_seed(options.seed)
    model = finder(to_train=True)
    if start is None:
        efficientnet_lite0.load_imagenet(model)
    else:
        efficientnet_lite0.unfold(start, model)
    learner = _Learner(model, options)
    history: list[dict[str, float]] = []
    losses, began = np.zeros(3), time.perf_counter()
    for step, batch in zip(range(1, options.steps + 1), batches(of, options), strict=False):
        losses += [float(v) for v in learner.step(*(tf.constant(part) for part in batch))]
        if step % 100 == 0 or step == options.steps:
            done = step - 100 * len(history)
            row = dict(zip(("heat_loss", "box_loss", "worn_loss"), (float(v) for v in losses / done), strict=True))
            refuse_diverged(f"step {step} of the finder", row, model.get_weights(), options.learning_rate)
            history.append({"step": float(step), **row, "seconds": round(time.perf_counter() - began, 1)})
            losses, began = np.zeros(3), time.perf_counter()
            if on_step:
                on_step(step, options.steps, history[-1])
    learner.finish()
    plain = finder()
    efficientnet_lite0.fold(model, plain)
    return plain, history


class _Learner:
    def __init__(self, model: keras.Model, options: FinderOptions) -> None:
        tf = tensorflow("to train")
        self._model = model
        new = ("fuse", "enlarge", "look", "wide", "heat", "worn", "edge")
        in_head = {v.path for layer in model.layers if layer.name.startswith(new) for v in layer.weights}
        head = [v for v in model.trainable_variables if v.path in in_head]
        backbone = [v for v in model.trainable_variables if v.path not in in_head]
        self._parts = (
            (backbone, optimizer(options.learning_rate, 0.02, backbone, options.steps)),
            (head, optimizer(HEAD_RATE * options.learning_rate, 0.01, head, options.steps)),
        )
        self.step = tf.function(self._step, autograph=False)

    def _step(self, pictures: Any, heat: Any, edges: Any, counts: Any, worn: Any, tells: Any) -> Any:
        tf = tensorflow("to train")
        kinds = len(KINDS)
        with tf.GradientTape() as tape:
            answer = self._model(pictures, training=True)
            logits, worn_logits = answer[..., :kinds], answer[..., kinds]
            hot = focal(logits, heat) * tells[:, None, None]
            things = tf.maximum(1.0, tf.reduce_sum(tf.cast(heat > 0.99, tf.float32)))
            heat_loss = tf.reduce_sum(hot) / things
            told = tf.reshape(tf.exp(tf.clip_by_value(answer[..., kinds + 1 :], -6.0, 4.0)), tf.shape(edges))
            box_loss = tf.reduce_sum(generalized_iou_loss(told, edges) * counts) / tf.maximum(
                1.0, tf.reduce_sum(counts)
            )
            crossed = tf.nn.sigmoid_cross_entropy_with_logits(worn[..., 0], worn_logits) * worn[..., 1]
            worn_loss = tf.reduce_sum(crossed) / tf.maximum(1.0, tf.reduce_sum(worn[..., 1]))
            all_losses = heat_loss + BOX_WEIGHT * box_loss + WORN_WEIGHT * worn_loss
        gradients = iter(tape.gradient(all_losses, [v for variables, _ in self._parts for v in variables]))
        for variables, one in self._parts:
            one.apply_gradients([(tf.clip_by_norm(next(gradients), 10.0), variable) for variable in variables])
        return heat_loss, box_loss, worn_loss

    def finish(self) -> None:
        """Put the averaged weights in place of the last step's."""
        for variables, one in self._parts:
            one.finalize_variable_values(variables)


def focal(logits: Any, heat: Any) -> Any:
    """The penalty-reduced focal loss of Law and Deng, "CornerNet", 2018, cell by cell."""
    tf = tensorflow("to train")
    p = tf.clip_by_value(tf.nn.sigmoid(logits), 1e-4, 1 - 1e-4)
    at_centre = tf.cast(heat > 0.99, tf.float32)
    here = -tf.math.log(p) * (1 - p) ** 2 * at_centre
    elsewhere = -tf.math.log(1 - p) * p**2 * (1 - heat) ** 4 * (1 - at_centre)
    return here + elsewhere


def generalized_iou_loss(one: Any, other: Any) -> Any:
    """1 - GIoU (Rezatofighi and others, 2019) of boxes given by their edges' distances from one point."""
    tf = tensorflow("to train")
    shared = tf.minimum(one, other)
    around = tf.maximum(one, other)

    def area(of: Any) -> Any:
        return (of[..., 0] + of[..., 2]) * (of[..., 1] + of[..., 3])

    inter = area(shared)
    union = area(one) + area(other) - inter
    hull = area(around)
    return 1 - (inter / (union + 1e-6) - (hull - union) / (hull + 1e-6))
