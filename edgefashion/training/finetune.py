"""Photos to a photo network: fine-tune ``kiosk`` on folders of labelled photos and Fashion-MNIST.

The held-out photos are by other senders than those trained on; the accept threshold is chosen
and the result reported on them, beside what the starting network made of the same photos.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, card, draft, resolve
from edgefashion.data import fashion_mnist, photo_folders
from edgefashion.errors import BadInputError
from edgefashion.evaluation import reference
from edgefashion.evaluation.reference import reference_images
from edgefashion.inference import decision, preprocess
from edgefashion.inference.classifier import PHOTO_PIXELS
from edgefashion.inference.tensorflow_engine import export_saved_model, load_keras, tensorflow
from edgefashion.labels import PHOTO_LABELS
from edgefashion.system.extras import need
from edgefashion.training import zoo
from edgefashion.training.history import draw_curves, write_history
from edgefashion.training.options import FinetuneOptions
from edgefashion.training.photo_batches import GROUPS, Batch, TrainingPhotos, photo_batches
from edgefashion.training.run import StepProgress
from edgefashion.training.train import EpochProgress, training_versions
from edgefashion.training.zoo import efficientnet_lite0

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

ARCH: Final = "kiosk"
IMAGENET: Final = "imagenet"

HEAD_RATE: Final = 5.0
MASK_WEIGHT: Final = 0.3
FASHION_WEIGHT: Final = 0.5
FASHION_VALIDATION: Final = 2000


EMA: Final = 0.99

KIND_WEIGHT: Final = 0.5


@dataclass(frozen=True)
class Scores:
    """What a network makes of the held-out photos."""

    accuracy: float | None
    per_label: dict[str, float]
    reject_auroc: float | None
    fashion_accuracy: float
    """On ``FASHION_VALIDATION`` of Fashion-MNIST's training images that are never trained on."""


@dataclass(frozen=True)
class Finetuning:
    """What a run made, and what it changed."""

    bundle: bundle.Bundle
    before: Scores | None
    """The starting network's; None where the run began from ImageNet."""
    after: Scores
    trained: int
    held_out: int
    skipped: tuple[str, ...]


def finetune(
    folders: Sequence[Path],
    out: Path,
    options: FinetuneOptions = FinetuneOptions(),
    *,
    start: str = resolve.PHOTO_MODEL,
    on_step: StepProgress | None = None,
    on_epoch: EpochProgress | None = None,
) -> Finetuning:
    """Fine-tune the photo network on ``folders`` and write the bundle ``out``.

    ``start``: a photo network's bundle, or ``"imagenet"``. Raises :class:`BadInputError` for folders
    of one label or one sender, :class:`MissingError` without the ``train`` extra, Fashion-MNIST or,
    from ImageNet, the package with the weights.
    """
    need("tensorflow", "to train")
    need("matplotlib", "to draw the training curves")
    draft.check_target(out)
    found = photo_folders.scan(*folders)
    _check(found)
    fit_at, held_at = photo_folders.split(found.photos, options.validation_split, options.seed)
    skipped = list(found.skipped)
    held_photos, seen = [], []
    for photo, picture in photo_folders.read([found.photos[i] for i in held_at], skipped):
        held_photos.append(photo)
        seen.append(preprocess.view(picture))
    if not any(photo.known for photo in held_photos):
        raise BadInputError("none of the held-out photos shows a known garment and can be read. Add photos by others")
    views = np.stack(seen)
    beginning = None if start == IMAGENET else photo_network(start)
    before = _scores(held_photos, beginning, probabilities(beginning, views)) if beginning is not None else None

    trained = train(
        [found.photos[i] for i in fit_at], options, skipped, start=beginning, on_step=on_step, on_epoch=on_epoch
    )
    answered = probabilities(trained.model, views)
    after = _scores(held_photos, trained.model, answered)
    known = answered[[photo.known for photo in held_photos]]
    made = write_bundle(
        out,
        trained,
        options,
        accept=(decision.accept_threshold(known, PHOTO_LABELS), f"{len(known):,} photos of senders not trained on"),
        photo_figures={"held_out": {"n": len(known), "accuracy": after.accuracy, "reject_auroc": after.reject_auroc}},
        report={
            "start": start,
            "photos": dict(Counter(photo.label for photo in found.photos)),
            "senders": len({photo.sender for photo in found.photos}),
            "before": asdict(before) if before else None,
            "after": asdict(after),
        },
    )
    return Finetuning(made, before, after, trained.photos, len(held_photos), tuple(skipped))


def photo_network(start: str) -> keras.Model:
    """A photo network's bundle as the plain Keras model to go on from."""
    found = resolve.resolve(start)
    if found.bundle is None or found.bundle.info.get("architecture") != ARCH:
        raise BadInputError(f"{start} is no bundle of the photo network {ARCH}. Start from one, or from {IMAGENET}")
    return load_keras(found.bundle.verified("keras"))


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
    start: keras.Model | None = None,
    on_step: StepProgress | None = None,
    on_epoch: EpochProgress | None = None,
) -> Trained:
    """Train the photo network on the ``chosen`` photos and Fashion-MNIST, from a plain photo network or,
    where ``start`` is None, from the ImageNet weights. Files that cannot be read are added to ``skipped``.

    Raises :class:`MissingError` without the ``train`` extra, Fashion-MNIST or the package with the weights.
    """
    tf = tensorflow("to train")
    fashion = fashion_mnist.load("train")
    tf.keras.utils.set_random_seed(options.seed)
    model = zoo.kiosk(to_train=True)
    if start is None:
        efficientnet_lite0.load_imagenet(model)
    else:
        efficientnet_lite0.unfold(start, model)
    material = TrainingPhotos(chosen, skipped)
    history = _fit(model, options, material, photo_batches(material, fashion, options), on_step, on_epoch)
    plain = zoo.kiosk()
    efficientnet_lite0.fold(model, plain)
    return Trained(plain, history, len(material.photos))


def _check(found: photo_folders.PhotoSet) -> None:
    counts = Counter(photo.label for photo in found.photos)
    if len({photo.label for photo in found.photos if photo.known}) < 2:
        only = ", ".join(f"{label} ({n})" for label, n in counts.items())
        raise BadInputError(
            f"the photos have one garment's label only: {only}. A network learns differences: add another label"
        )


def _kinds_head(model: keras.Model, count: int) -> Any:
    """Logits over the photos' finer kinds, from the features that name the garment."""
    from keras import layers

    return layers.Dense(max(1, count), name="kinds")(model.get_layer("dropout").output)


def _fit(
    model: keras.Model,
    options: FinetuneOptions,
    material: TrainingPhotos,
    batches: Iterator[Batch],
    on_step: StepProgress | None,
    on_epoch: EpochProgress | None,
) -> list[dict[str, float]]:
    tf = tensorflow("to train")
    import keras

    steps = max(1, len(material.photos) // options.garments)
    total = steps * options.epochs
    in_head = {v.path for layer in model.layers if layer.name.startswith(("logits", "mask")) for v in layer.weights}
    # Finer kinds than the labels, where photos tell them, teach what a label is made of: a blazer and
    # a rain jacket are both coats, and look less alike than a blazer and a shirt.
    learner = keras.Model(model.inputs, {**model.output, "kinds": _kinds_head(model, len(material.kinds))})
    of_kinds = learner.get_layer("kinds").trainable_variables
    head = [*(v for v in model.trainable_variables if v.path in in_head), *of_kinds]
    backbone = [v for v in model.trainable_variables if v.path not in in_head]

    def optimizer(rate: float, decay: float, variables: list[Any]) -> keras.optimizers.Optimizer:
        warm = total // 6
        schedule = keras.optimizers.schedules.CosineDecay(
            rate * 0.05, max(1, total - warm), alpha=0.005, warmup_target=rate, warmup_steps=warm
        )
        made = keras.optimizers.AdamW(schedule, weight_decay=decay, use_ema=True, ema_momentum=EMA)
        made.exclude_from_weight_decay(var_names=["scale", "bias"])
        made.build(variables)
        return made

    of_backbone, of_head = (
        optimizer(options.learning_rate, 0.02, backbone),
        optimizer(HEAD_RATE * options.learning_rate, 0.01, head),
    )
    membership = np.zeros((len(PHOTO_LABELS), len(GROUPS)), np.float32)
    for group, at in enumerate(GROUPS.values()):
        membership[list(at), group] = 1

    @tf.function  # type: ignore[untyped-decorator]
    def step(pictures: Any, targets: Any, masks: Any, kinds: Any, fashion: Any, fashion_labels: Any) -> Any:
        with tf.GradientTape() as tape:
            answer = learner(pictures, training=True)
            # The loss of a group is the loss of its members' sum: a photo only says "footwear".
            grouped = tf.matmul(tf.nn.softmax(answer["probabilities"]), membership)
            loss = -tf.reduce_mean(tf.reduce_sum(targets * tf.math.log(grouped + 1e-8), 1))
            covered = tf.nn.sigmoid_cross_entropy_with_logits(masks, answer["mask"])
            told = tf.cast(kinds >= 0, tf.float32)
            finer = told * tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(kinds, 0), answer["kinds"])
            small = learner(fashion, training=True)["probabilities"]
            known = tf.nn.sparse_softmax_cross_entropy_with_logits(fashion_labels, small)
            both = (
                loss
                + MASK_WEIGHT * tf.reduce_mean(covered)
                + KIND_WEIGHT * tf.reduce_mean(finer)
                + FASHION_WEIGHT * tf.reduce_mean(known)
            )
        gradients = tape.gradient(both, backbone + head)
        of_backbone.apply_gradients(zip(gradients[: len(backbone)], backbone, strict=True))
        of_head.apply_gradients(zip(gradients[len(backbone) :], head, strict=True))
        return loss, tf.reduce_mean(covered), tf.reduce_mean(known)

    history = []
    for epoch in range(options.epochs):
        began, losses = time.perf_counter(), np.zeros(3)
        for number in range(steps):
            losses += [float(v) for v in step(*(tf.constant(part) for part in next(batches)))]
            if on_step:
                on_step(epoch, number + 1, steps, {"loss": losses[0] / (number + 1)})
        row = dict(zip(("loss", "mask_loss", "fashion_loss"), (float(v) for v in losses / steps), strict=True))
        history.append({"epoch": float(epoch + 1), **row, "seconds": round(time.perf_counter() - began, 2)})
        if on_epoch:
            on_epoch(history[-1])
    of_backbone.finalize_variable_values(backbone)
    of_head.finalize_variable_values(head)
    return history


# --- The result ------------------------------------------------------------------------------


def probabilities(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the plain network answers to RGB uint8 (n, h, w, 3): float32 (n, 12)."""
    # predict() compiles the graph; called eagerly the network takes three times as long.
    return np.asarray(model.predict(images, batch_size=64, verbose=0)["probabilities"], np.float32)


def _scores(held: list[photo_folders.Photo], model: keras.Model, answered: NDArray[np.float32]) -> Scores:
    """The figures of the network that ``answered`` the photos ``held`` so: float32 (photos, 12)."""
    from edgefashion.evaluation.photos import PhotoEvaluation, seen_as

    seen = tuple(seen_as(photo, p, PHOTO_LABELS) for photo, p in zip(held, answered, strict=True))
    measured = PhotoEvaluation(ARCH, "fp32", "held-out senders", 0.0, seen, ())
    images, labels = fashion_mnist.load("train")
    _, validation = fashion_mnist.split(labels, fashion_mnist.VALIDATION_SPLIT, 0)
    images, labels = images[validation[:FASHION_VALIDATION]], labels[validation[:FASHION_VALIDATION]]
    fashion = decision.likeliest(probabilities(model, preprocess.as_photos(images)))
    return Scores(
        accuracy=measured.accuracy,
        per_label=measured.per_label,
        reject_auroc=measured.reject_auroc,
        fashion_accuracy=float(np.mean(fashion == labels)),
    )


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
    arch = zoo.architecture(ARCH)
    with draft.draft(out) as making:
        model.save(making.part("keras"))
        export_saved_model(model, making.part("saved_model"))
        compared = reference_images(test_images, photo=True)
        reference.save_reference(making.part("reference"), probabilities(model, compared))
        write_history(making.part("history"), trained.history)
        draw_curves(making.part("curves"), trained.history, f"{ARCH} on photos and Fashion-MNIST")
        wall_time_s = round(sum(row["seconds"] for row in trained.history), 1)
        making.add_report("train", {"options": asdict(options), **report, "wall_time_s": wall_time_s})
        making.info.update(
            name=out.name,
            architecture=ARCH,
            source=arch.source,
            parameters=model.count_params(),
            labels=list(PHOTO_LABELS),
            input_shape=[preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3],
            pixels=PHOTO_PIXELS,
            thresholds={"accept": accept[0], "chosen_on": accept[1]},
            metrics={"original": {"test_accuracy": float(np.mean(test == test_labels))}},
            photos=photo_figures,
            versions=training_versions(),
            data_sha256=dict(fashion_mnist.SHA256),
            seed=options.seed,
            validation_split=fashion_mnist.VALIDATION_SPLIT,
        )
        card.write_card(making)
    return bundle.open_bundle(out)
