"""One training run: the network, compiled, and the images and targets of each epoch.

A run is a function of its options: every epoch draws its order of images, its augmentation and its
dropout masks from (seed, epoch) alone, so a run resumed from a checkpoint ends where an unbroken one
would have.
"""

from __future__ import annotations

import contextlib
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import fashion_mnist, splits
from edgefashion.errors import BadInputError
from edgefashion.inference.tensorflow_engine import tensorflow
from edgefashion.system import files, machine
from edgefashion.system.text import reason_of
from edgefashion.training import distillation
from edgefashion.training.backbone import head_of, layers_after, load_backbone
from edgefashion.training.divergence import refuse_diverged
from edgefashion.training.fashion_augment import DRAWN, LAYERS, MIXING
from edgefashion.training.options import OPTIMIZERS, SEED_LIMIT, TrainOptions
from edgefashion.training.zoo.architecture import CLASSES, INPUT_SHAPE
from edgefashion.training.zoo.registry import architecture

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

StepProgress = Callable[[int, int, int, dict[str, float]], None]
"""Called after a batch with the epoch (from 0), the batches done, their number and the metrics."""

WARM_UP_EPOCHS: Final = 2
FEATURE_VIEWS: Final = 5
"""The number of random variants of each image that go through a frozen backbone once. The epochs take turns."""


class Run:
    """A network in training. ``cache`` is a folder for what is computed once and needed by a resumed run too."""

    def __init__(
        self,
        options: TrainOptions,
        cache: Path | None = None,
        saved: Path | None = None,
        on_prepare: distillation.PrepareProgress | None = None,
    ) -> None:
        """Start anew, or go on from the ``saved`` .keras of :meth:`save`.

        Raises :class:`MissingError` without the ``train`` extra or the dataset, :class:`BadInputError`
        for weights that do not fit, and for a ``saved`` file that is damaged or of another network.
        """
        keras = _keras()
        keras.utils.set_random_seed(options.seed)
        self.options = options
        self._arch = architecture(options.arch)
        self._cache = cache
        self._kept: dict[str, NDArray[Any]] = {}
        self.images, self.labels = fashion_mnist.load("train")
        fit_at, self.validation_at = splits.split(self.labels, options.validation_split)
        if options.limit is not None:
            # Drawn from the training part alone: validation images stay unseen.
            fit_at = fit_at[splits.calibration_indices(self.labels[fit_at], options.limit, options.seed)]
        self.fit_at: NDArray[np.int64] = fit_at
        self._transfer = self._transferred() if options.weights != "none" else None
        self._taught = (
            distillation.answers(options.teacher, self.images[fit_at], options.augment, on_prepare, options.epochs)
            if options.teacher
            else None
        )
        if saved is not None:
            self.model = _loaded(saved, self._built())
            self._decay_kernels_only()  # no optimizer's saved state says which
        else:
            self.model = self._built()
            self._compile()

    def epoch(self, number: int, on_step: StepProgress | None = None) -> dict[str, float]:
        """Train one epoch, counted from 0; its metrics and its seconds.

        Raises :class:`edgefashion.training.divergence.DivergedError` where its loss or a weight is no number any more.
        """
        import keras

        options = self.options
        steps = -(-len(self.fit_at) // options.batch_size)

        class Report(keras.callbacks.Callback):  # type: ignore[misc]
            def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
                if on_step:
                    on_step(number, batch + 1, steps, logs or {})

        start = time.perf_counter()
        _reseed(self.model, options.seed, number)
        keras.utils.set_random_seed((options.seed + number) % SEED_LIMIT)
        shown, targets = self._shown(number)
        result = self.model.fit(
            shown,
            targets,
            batch_size=options.batch_size,
            shuffle=False,
            validation_data=self._validation() if len(self.validation_at) else None,
            verbose=0,
            callbacks=[Report()],
        )
        measured = {key: float(values[-1]) for key, values in result.history.items()}
        weights, rate = self.model.get_weights(), options.learning_rate
        refuse_diverged(f"epoch {number + 1}", measured, weights, rate, "--learning-rate")
        return {"epoch": number + 1, **measured, "seconds": round(time.perf_counter() - start, 2)}

    def save(self, path: Path) -> None:
        """Write the network in training with its optimizer's state."""
        self.model.save(path)

    def network(self) -> keras.Model:
        """The network as trained so far, built anew: float32 whatever it was trained in, no augmentation
        and no optimizer."""
        if self._transfer is not None:
            network: Any = self._transfer
            head_of(network, self._arch.backbone).set_weights(self.model.get_weights())
            return network
        network = self._arch.network(self.options.settings)
        trained = self.model.layers[-1] if self.options.augment in LAYERS else self.model
        network.set_weights(trained.get_weights())
        return network

    # --- The network ---

    def _built(self) -> keras.Model:
        import keras

        if self._transfer is not None:
            return head_of(self._transfer, self._arch.backbone)
        with _policy(self.options.precision):
            network = self._arch.network(self.options.settings)
        if self.options.augment not in LAYERS:
            return network
        return keras.Sequential([*_as_floats(), *LAYERS[self.options.augment](), network])

    def _compile(self) -> None:
        import keras

        options = self.options
        rate: Any = options.learning_rate
        if options.schedule == "cosine":
            steps = -(-len(self.fit_at) // options.batch_size)
            warm_up = round(min(WARM_UP_EPOCHS, options.epochs / 2) * steps)
            rate = keras.optimizers.schedules.CosineDecay(
                0.0, options.epochs * steps - warm_up, warmup_target=options.learning_rate, warmup_steps=warm_up
            )
        if options.optimizer == "muon":
            from edgefashion.training.muon import Muon

            optimizer = Muon(rate, weight_decay=options.weight_decay, adam_weight_decay=options.weight_decay)
        else:
            optimizer = getattr(keras.optimizers, OPTIMIZERS[options.optimizer])(
                rate, weight_decay=options.weight_decay or None
            )
        # XLA off: on a CPU its compilation costs more than it saves at this size.
        loss = "categorical_crossentropy" if self._soft else "sparse_categorical_crossentropy"
        self.model.compile(optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
        self._decay_kernels_only()

    def _decay_kernels_only(self) -> None:
        if self.options.weight_decay:
            self.model.optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])

    def _transferred(self) -> keras.Model:
        """The network with its backbone's weights loaded and frozen."""
        network = self._arch.network(self.options.settings)
        load_backbone(network.get_layer(self._arch.backbone), self.options.weights)
        return network

    # --- The images and targets ---

    @property
    def _soft(self) -> bool:
        options = self.options
        return bool(options.teacher) or options.label_smoothing > 0 or options.augment in MIXING

    def _shown(self, number: int) -> tuple[Any, Any]:
        """What epoch ``number`` shows the network, in its order, and the targets."""
        rng = np.random.default_rng((self.options.seed, number))
        order = rng.permutation(len(self.fit_at))
        at = self.fit_at[order]
        if self._transfer is not None:
            return self._features("fit", number)[order], self._targets(at)
        if self._taught is not None:
            view = number % len(self._taught)
            shown = distillation.view(self.images[self.fit_at], self.options.augment, view)
            return shown[order], self._taught[view][order].astype(np.float32)
        if self.options.augment in DRAWN:
            return DRAWN[self.options.augment](self.images[at], self._targets(at), rng)
        return self.images[at], self._targets(at)

    def _targets(self, at: NDArray[np.int64]) -> Any:
        if not self._soft:
            return self.labels[at]
        share = self.options.label_smoothing
        return np.eye(CLASSES, dtype=np.float32)[self.labels[at]] * (1 - share) + share / CLASSES

    def _validation(self) -> tuple[Any, Any]:
        at = self.validation_at
        shown = self.images[at] if self._transfer is None else self._features("validation", 0)
        return shown, np.eye(CLASSES, dtype=np.float32)[self.labels[at]] if self._soft else self.labels[at]

    def _features(self, part: str, number: int) -> Any:
        """What the frozen backbone makes of a part of the images, (n, features): computed once for each
        of :data:`FEATURE_VIEWS` random variants, or once for all without augmentation."""
        import keras

        added = LAYERS[self.options.augment]() if part == "fit" and self.options.augment in LAYERS else []
        view = number % FEATURE_VIEWS if added else 0
        at = self.fit_at if part == "fit" else self.validation_at

        def compute() -> NDArray[np.float16]:
            network: Any = self._transfer
            # Not the backbone's own output: that one belongs to the graph inside it.
            backbone = keras.Model(network.input, layers_after(network, self._arch.backbone)[0].input)
            variants = keras.Sequential([*_as_floats(), *added])
            _reseed(variants, self.options.seed, view)
            parts = []
            for first in range(0, len(at), 500):
                # The pixel contract is bytes: what the augmentation made is rounded to them.
                varied = np.asarray(variants(self.images[at[first : first + 500]], training=True))
                parts.append(np.asarray(backbone(varied.round().astype(np.uint8), training=False), np.float16))
            return np.concatenate(parts)

        return self._once(f"features-{part}-{view}", compute)

    def _once(self, name: str, compute: Callable[[], NDArray[Any]]) -> Any:
        """``compute``'s array, from the cache folder if it is there; without one, kept in memory."""
        if self._cache is not None:
            return files.cached_array(self._cache / f"{name}.npy", compute)
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]


def _as_floats() -> list[Any]:
    """The entrance of a network whose augmentation layers come before its own."""
    from keras import layers

    return [layers.Input(INPUT_SHAPE, dtype="uint8"), layers.Rescaling(1.0)]


@contextlib.contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Layers built inside compute in bfloat16 if asked to and the CPU can; elsewhere it is emulated,
    several times slower than float32."""
    import keras

    before = keras.config.dtype_policy()
    fast = precision == "bfloat16" and {"avx512_bf16", "amx_bf16"} & set(machine.isa())
    keras.config.set_dtype_policy("mixed_bfloat16" if fast else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _keras() -> Any:
    tensorflow("to train").config.experimental.enable_op_determinism()
    import keras

    import edgefashion.training.muon  # noqa: F401  a checkpoint may hold one

    return keras


def _loaded(saved: Path, like: keras.Model) -> keras.Model:
    """The network of :meth:`Run.save`, with its optimizer; it has to have the weights that ``like`` has."""
    import keras

    try:
        if not zipfile.is_zipfile(saved):  # Keras says of such a file that it is not found
            raise ValueError("it is no whole .keras file")
        found = keras.models.load_model(saved)
        if getattr(found, "optimizer", None) is None:
            raise ValueError("it has no optimizer")
        if [w.shape for w in found.weights] != [w.shape for w in like.weights]:
            raise ValueError("it is of another network")
    except Exception as error:  # Keras, h5py and zip's reader raise many kinds
        raise BadInputError(
            f"{saved} cannot be gone on with ({reason_of(error, 160)}). Train without --resume"
        ) from error
    return found


def _reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every layer's random state (dropout masks) to a function of seed, epoch and layer."""
    for number, layer in enumerate(model._flatten_layers()):
        generator = getattr(layer, "seed_generator", None) or getattr(layer, "generator", None)
        if generator is not None:
            state = np.random.default_rng((seed, epoch, number)).integers(0, SEED_LIMIT, 2, np.uint32)
            generator.state.assign(state)
