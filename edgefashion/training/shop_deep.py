"""All of a taught network, fine-tuned on the shop's pictures: ``train shop --deep``.

The head alone is taught on features of the start's own pictures too. These are of no use once the backbone changes, and
the pictures themselves do not travel. So the backbone changes little, Fashion-MNIST's images are shown beside the
shop's, and what comes of it is taken only if it is better beyond chance on the pictures that were held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import draft
from edgefashion.bundles.bundle import Bundle
from edgefashion.data import fashion_mnist, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.evaluation.before_after import BETTER, Compared, Verdict, answered, verdict
from edgefashion.inference import decision, preprocess
from edgefashion.inference.collected_view import read_garment
from edgefashion.inference.tensorflow_engine import load_keras, tensorflow
from edgefashion.system.extras import need
from edgefashion.training import shop_material
from edgefashion.training.photo_bundle import save_compactly

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


def check() -> None:
    """Raise :class:`MissingError` where the ``train`` extra or Fashion-MNIST is not there, before the work."""
    need("tensorflow", "to fine-tune the whole network with --deep")
    fashion_mnist.find()


def fine_tune(
    taught: Bundle,
    photos: Sequence[Photo],
    place: Path,
    *,
    seed: int = 0,
    steps: int = STEPS,
    on_step: Callable[[int, int], None] | None = None,
) -> None:
    """Write a bundle at ``place`` with the original of ``taught`` fine-tuned on ``photos``, and no IR yet."""
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
    with draft.draft(place, taught) as making:
        for part in ("fp16", "int8", "fp32", "reference"):
            making.drop(part)
        save_compactly(model, making.part("keras"))
        making.add_report("deep", {"steps": steps, "rate": RATE, "photos": len(photos), "seed": seed})


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
    """Both networks on the shop's pictures that neither has learned from, as they will run."""
    seen, views = [], []
    for photo in held:
        try:
            views.append(preprocess.view(read_garment(photo.path)))
            seen.append((photo.label, *photo.also))
        except BadInputError:
            continue
    pictures = np.stack(views)
    pair = [answered(of(pictures), seen, of.labels, of.rule) for of in (before, after)]
    compared = Compared.of(*pair)
    clothes, names = fashion_mnist.load("train")
    _, kept = splits.split(names, splits.VALIDATION_SPLIT, 0)
    kept = kept[:MEASURED]
    shares = [float(np.mean(decision.likeliest(of(clothes[kept])) == names[kept])) for of in (before, after)]
    return Deeper(compared, shares[0], shares[1], verdict(compared, None))
