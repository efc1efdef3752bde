"""All of a taught network, fine-tuned on the shop's pictures: ``train shop --deep``.

The head alone is taught on features of the start's own pictures too. These are of no use once the backbone changes, and
the pictures themselves do not travel. So the backbone changes little, Fashion-MNIST's images are shown beside the
shop's, and what comes of it is taken only if it is better beyond chance on the pictures that were held out.

Its bundle is written anew and says nothing that was measured of the taught head: figures and pinned pictures are its
own, and its rule is the start's, for the held-out pictures that would choose one have to prove it better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import card, draft
from edgefashion.bundles.bundle import Bundle, open_bundle
from edgefashion.bundles.facts import TAUGHT, Facts, PhotoFigures, Thresholds
from edgefashion.data import fashion_mnist, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.evaluation.before_after import BETTER, Answered, Compared, Figures, Verdict, answered, verdict
from edgefashion.inference import decision, preprocess
from edgefashion.inference.collected_view import read_garment
from edgefashion.inference.load import load
from edgefashion.inference.tensorflow_engine import load_keras, tensorflow
from edgefashion.system.extras import need
from edgefashion.training import shop_bundle, shop_material
from edgefashion.training.fashion_bundle import training_versions
from edgefashion.training.photo_bundle import save_compactly
from edgefashion.training.shop_bundle import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier

STEPS: Final = 200
BATCH: Final = 16
RATE: Final = 3e-5
"""A tenth of what the network was trained with."""

FASHION: Final = 32
"""Fashion-MNIST's images a step."""

MEASURED: Final = 2000
"""Of Fashion-MNIST's training images that nothing is trained on."""

MAY_LOSE: Final = 0.01
"""Share of these that may be named right no more."""


def check_photos(learned_from: Sequence[Photo], held: Sequence[Photo]) -> None:
    """Raise :class:`BadInputError` where nothing is held out to prove it on, or INT8 could not be calibrated and gated
    on the photos that it learns from."""
    if not held:
        raise BadInputError(
            "every photo that was held out looks the same as one of another place or day: nothing says how good it is. "
            "Add photos"
        )
    splits.for_calibration(learned_from)


def check() -> None:
    """Raise :class:`MissingError` where the ``train`` extra or Fashion-MNIST is not there, before the work."""
    need("tensorflow", "to fine-tune the whole network with --deep")
    fashion_mnist.find()


def fine_tune(
    taught: Bundle,
    photos: Sequence[Photo],
    place: Path,
    rule: Thresholds,
    *,
    seed: int = 0,
    steps: int = STEPS,
    on_step: Callable[[int, int], None] | None = None,
) -> None:
    """Write a bundle at ``place`` with the original of ``taught`` fine-tuned on ``photos``, and no IR yet.

    ``rule``: by which it answers, that of the network which ``taught`` began from. Raises :class:`BadInputError` for a
    photo that cannot be read.
    """
    tf = tensorflow("to fine-tune")
    tf.keras.utils.set_random_seed(seed)
    model = load_keras(taught.verified("keras"))
    answers = tf.keras.Model(model.input, model.output["probabilities"])
    pictures = [_small(photo.path) for photo in photos]
    right = shop_material.right_table([photo.label for photo in photos], taught.labels).astype(np.float32)
    clothes, names = fashion_mnist.load("train")
    fit_at, _ = splits.split(names, splits.VALIDATION_SPLIT, 0)
    count = {label: sum(photo.label == label for photo in photos) for label in {photo.label for photo in photos}}
    odds = np.array([1 / count[photo.label] for photo in photos])
    optimizer = tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(RATE, steps))
    rng = np.random.default_rng((seed, 2))

    def learn(views: Any, of: Any, small: Any, of_small: Any) -> None:
        with tf.GradientTape() as tape:
            loss = _loss(tf, answers(views), of) + 0.5 * _loss(tf, answers(small), of_small)
        variables = answers.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    step = tf.function(learn, autograph=False)
    one_hot = np.eye(len(taught.labels), dtype=np.float32)
    for number in range(steps):
        at = rng.choice(len(photos), BATCH, p=odds / odds.sum())
        views = np.stack([shop_material.jittered(pictures[i], rng) for i in at])
        some = rng.choice(fit_at, FASHION)
        step(*map(tf.constant, (views, right[at], preprocess.as_photos(clothes[some]), one_hot[names[some]])))
        if on_step:
            on_step(number + 1, steps)
    with draft.draft(place) as making:  # with nothing of the taught one that was measured, or proved, of its head
        making.facts = _facts(taught, rule, seed)
        shop_bundle.copy_parts(taught, making, shop_bundle.FINDER_PARTS)
        save_compactly(model, making.part("keras"))
        making.add_report("deep", {"steps": steps, "rate": RATE, "photos": len(photos), "seed": seed})
        card.write_card(making)


def _facts(taught: Bundle, rule: Thresholds, seed: int) -> Facts:
    """What is known of a network before it is measured."""
    told = shop_bundle.taught_facts(taught) or {}
    told.pop("start_sha256", None)  # its features are no longer the start's
    of = taught.facts
    return Facts(
        name=of.name,
        architecture=of.architecture,
        source=of.source,
        parameters=of.parameters,
        labels=of.labels,
        input_shape=of.input_shape,
        pixels=of.pixels,
        thresholds=rule._replace(chosen_on=f"{rule.chosen_on}; {_RULE}"),
        data=of.data,
        finds=of.finds,
        versions=training_versions(),
        data_sha256=fashion_mnist.SHA256,
        seed=seed,
        split_seed=splits.SPLIT_SEED,
        validation_split=splits.VALIDATION_SPLIT,
        others={TAUGHT: {**told, "fine_tuned": True}},
    )


_RULE: Final = "kept from the start for a network that was fine-tuned; none of its photos chose a floor"


def state(place: Path, held: Sequence[Photo]) -> None:
    """Put into the bundle at ``place``, which has its IRs, what its FP16 IR makes of the ``held`` photos: its figures,
    and the pictures that are pinned. Raises :class:`BadInputError` where none can be read."""
    made, pictures = open_bundle(place), _seen(held)
    answers = load(made.verified("fp16"), precision="fp16")
    of = _answered(answers, pictures)
    names = np.array([each.photo.label for each in pictures])
    each = {str(name): Figures.of(of.part(names == name)).right for name in sorted(set(names))}
    figures = PhotoFigures(
        n=len(pictures),
        accuracy=Figures.of(of).right,
        per_label={name: share for name, share in each.items() if share is not None},
    )
    with draft.draft(place, made) as making:
        making.facts = making.facts._replace(photos={shop_bundle.HELD_OUT: figures})
        shop_bundle.pin(making, pictures, answers)
        card.write_card(making)


def _seen(held: Sequence[Photo]) -> list[Picture]:
    if not (pictures := shop_bundle.read(held, held=True)):
        raise BadInputError("no photo that was held out can be read: nothing says how good it is. Add photos")
    return pictures


def _answered(of: Classifier, pictures: Sequence[Picture]) -> Answered:
    views = np.stack([each.view for each in pictures])
    return answered(of(views), [each.truth for each in pictures], of.labels, of.rule)


def _loss(tf: Any, likely: Any, right: Any) -> Any:
    return -tf.reduce_mean(tf.math.log(tf.reduce_sum(likely * right, 1) + 1e-8))


def _small(path: Path) -> NDArray[np.uint8]:
    """A picture, no larger than is of use."""
    import cv2

    picture = read_garment(path)
    shrink = min(1.0, 400 / max(picture.shape[:2]))
    size_wh = max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink))
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True)
class Deeper:
    """What fine-tuning is worth."""

    compared: Compared
    """On the shop's held-out pictures: the taught head before, the fine-tuned network after."""
    fashion_before: float
    fashion_after: float
    """Share of Fashion-MNIST's validation images named right."""
    verdict: Verdict

    @property
    def taken(self) -> bool:
        return self.verdict.word == BETTER and self.fashion_after >= self.fashion_before - MAY_LOSE

    @property
    def words(self) -> str:
        """What is done, as a sentence."""
        lost = f"Fashion-MNIST {self.fashion_before:.1%} before, {self.fashion_after:.1%} after"
        if self.taken:
            return f"--deep: {self.verdict.words} ({lost})"
        return f"--deep is no better beyond chance: the taught head alone is kept. {self.verdict.words} ({lost})"


def compare(before: Classifier, after: Classifier, held: Sequence[Photo]) -> Deeper:
    """Both networks on the shop's pictures that neither has learned from, as they will run. Raises
    :class:`BadInputError` where none can be read."""
    pictures = _seen(held)
    compared = Compared.of(*(_answered(of, pictures) for of in (before, after)))
    clothes, names = fashion_mnist.load("train")
    _, kept = splits.split(names, splits.VALIDATION_SPLIT, 0)
    kept = kept[:MEASURED]
    shares = [float(np.mean(decision.likeliest(of(clothes[kept])) == names[kept])) for of in (before, after)]
    return Deeper(compared, shares[0], shares[1], verdict(compared, None))
