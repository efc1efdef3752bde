"""Search a network's settings on the validation images, in a study that can be resumed and shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import fashion_mnist, splits
from edgefashion.errors import BadInputError
from edgefashion.system import files
from edgefashion.system.extras import need
from edgefashion.training.divergence import DivergedError
from edgefashion.training.options import SEED_LIMIT, fashion_architecture, options_for
from edgefashion.training.tune_plot import draw
from edgefashion.training.tune_study import all_tried, quiet, study, untried
from edgefashion.training.zoo.architecture import Architecture, multiply_adds
from edgefashion.training.zoo.registry import architecture

if TYPE_CHECKING:
    import keras
    import optuna

SPACE: Final[dict[str, tuple[Any, ...]]] = {
    "optimizer": ("sgd", "rmsprop", "adam", "adamw"),
    "learning_rate": (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003),
    "batch_size": (32, 64, 128, 256),
}
"""What is searched for a network whose source searched nothing."""

TrialProgress = Callable[[int, int, dict[str, Any], float | None], None]
"""Called after a trial with its number (from 0), the epochs it ran, its parameters and its validation
accuracy, None where it was cut short."""

LatencyOf = Callable[["keras.Model"], float]
"""The time an untrained network takes in INT8, as a share of another's. Measured before it is trained."""


@dataclass(frozen=True)
class TuneOptions:
    """What to search, how long, and where the study is kept."""

    arch: str
    trials: int
    """Finished trials the study shall have; those of an earlier run or another machine count."""
    storage: str | None = None
    """A database's URL, as SQLAlchemy writes it; None keeps a SQLite file in ``out``."""
    epochs: int | None = None
    """Epochs of every trial; None searches them too where the source did."""
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        fashion_architecture(self.arch)
        for rule, ok in (
            ("--trials must be at least 1", self.trials >= 1),
            ("--epochs must be at least 1", self.epochs is None or self.epochs >= 1),
            ("--limit must be at least 1", self.limit is None or self.limit >= 1),
            (f"--seed must be from 0 to {SEED_LIMIT - 1}", 0 <= self.seed < SEED_LIMIT),
        ):
            if not ok:
                raise BadInputError(rule)

    @property
    def space(self) -> dict[str, tuple[Any, ...]]:
        """Option of ``train`` or setting of the network -> the values to choose among."""
        space = dict(architecture(self.arch).space or SPACE)
        if self.epochs is not None:
            space.pop("epochs", None)
        return space

    @property
    def study(self) -> str:
        """The study's name in its storage."""
        return f"edgefashion-{self.arch}"

    @property
    def meaning(self) -> dict[str, Any]:
        """What decides what a trial's value means: two epochs' accuracy is not twenty's."""
        space = {name: list(values) for name, values in self.space.items()}
        return {"space": space, "epochs": self.epochs, "limit": self.limit, "seed": self.seed}


@dataclass(frozen=True)
class Trial:
    """One finished trial."""

    number: int
    val_accuracy: float | None
    """None where it was cut short."""
    parameters: dict[str, Any]
    latency: float | None = None
    """The time it takes in INT8 as a share of the default network's; None where that is not searched for."""


@dataclass(frozen=True)
class Tuned:
    """What a search found."""

    best: dict[str, Any]
    """Of the most accurate trial."""
    val_accuracy: float
    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    """The trials that no other beats in both accuracy and latency, quickest first; of one aim the best alone."""
    train_line: str
    plot: Path
    all_tried: bool
    """Nothing of the space is left to try."""


def tune(
    options: TuneOptions, out: Path, on_trial: TrialProgress | None = None, latency_of: LatencyOf | None = None
) -> Tuned:
    """Search until the study has ``options.trials`` finished trials; draw it as ``out/study.png``.

    No trial has the settings of another; where all were tried the search ends. Each trial trains on the training
    part and is judged by its accuracy on the validation images; one below the median of the others at the same epoch
    is cut short, and so is one that diverges. The test images are not looked at.
    Where ``latency_of`` is given it is the second judge, no trial is cut short for falling behind, and those that
    diverge, or are larger than the network may be, are not counted.
    Raises :class:`BadInputError` for a study of another space or a storage that cannot be opened,
    :class:`MissingError` without the ``train`` extra or the database's driver.
    """
    need("tensorflow", "to train")
    need("optuna", "to search settings")
    need("matplotlib", "to draw the study")
    latency = latency_of is not None
    fashion_mnist.find()
    with quiet():
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        out.mkdir(parents=True, exist_ok=True)
        url = options.storage or f"sqlite:///{out / 'study.db'}"
        searched = study(url, options.study, options.meaning, latency=latency)
        finished: tuple[Any, ...] = (optuna.trial.TrialState.COMPLETE,)
        if not latency:
            finished += (optuna.trial.TrialState.PRUNED,)
        enough = len(searched.get_trials(deepcopy=False, states=finished)) >= options.trials
        if not enough and not all_tried(searched, options.space):
            try:
                searched.optimize(
                    lambda trial: _trial(trial, options, on_trial, latency_of),
                    callbacks=[
                        optuna.study.MaxTrialsCallback(options.trials, states=finished),
                        lambda found, _: found.stop() if all_tried(found, options.space) else None,
                    ],
                )
            except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
                raise BadInputError(
                    "the study's storage was lost in mid-search; its finished trials are kept. Mend it and run again"
                ) from error
        plot = out / "study.png"
        with files.written_aside(plot) as aside:
            draw(searched, aside, options.arch)
        trials = tuple(map(_finished, searched.get_trials(deepcopy=False, states=finished)))
        unbeaten = {t.number for t in searched.best_trials}
        return _tuned(options, trials, unbeaten, plot, whole=all_tried(searched, options.space))


def _finished(trial: Any) -> Trial:
    """One of Optuna's trials."""
    right, late = (*(trial.values or ()), None, None)[:2]
    return Trial(trial.number, right, dict(trial.params), late)


def _tuned(options: TuneOptions, trials: tuple[Trial, ...], unbeaten: set[int], plot: Path, *, whole: bool) -> Tuned:
    best = max((t for t in trials if t.val_accuracy is not None), key=lambda t: t.val_accuracy or 0.0)
    front = sorted((t for t in trials if t.number in unbeaten), key=lambda t: t.latency or 0.0)
    parameters = {k: v for k, v in best.parameters.items() if k in options.space}
    return Tuned(
        best=parameters,
        val_accuracy=best.val_accuracy or 0.0,
        trials=trials,
        front=tuple(front),
        train_line=train_line(architecture(options.arch), parameters, options.epochs, options.seed),
        plot=plot,
        all_tried=whole,
    )


def train_line(arch: Architecture, parameters: dict[str, Any], epochs: int | None = None, seed: int = 0) -> str:
    """The command that trains ``arch`` with ``parameters``."""
    words = ["edgefashion", "train", arch.name]
    for name, value in {**({"epochs": epochs} if epochs else {}), **parameters, "seed": seed}.items():
        words += ["--set", f"{name}={value}"] if name in arch.settings else [f"--{name.replace('_', '-')}", str(value)]
    return " ".join(words)


def _trial(
    trial: optuna.Trial, options: TuneOptions, on_trial: TrialProgress | None, latency_of: LatencyOf | None
) -> float | tuple[float, float]:
    import optuna

    # Seeded by the trial: a search gone on with, or another machine, is not to draw the first ones again.
    own = int(np.random.SeedSequence((options.seed, trial.number)).generate_state(1)[0])
    settings = untried(trial, options.space, own)
    trial.study.sampler = optuna.samplers.PartialFixedSampler(settings, optuna.samplers.RandomSampler(own))
    arch = architecture(options.arch)
    chosen = {name: trial.suggest_categorical(name, values) for name, values in options.space.items()}
    settings = {name: value for name, value in chosen.items() if name in arch.settings}
    network = arch.network(settings)
    if not arch.may_have(network.count_params(), multiply_adds(network)):
        raise optuna.TrialPruned
    late = None if latency_of is None else latency_of(network)

    def told(epochs_run: int, accuracy: float | None) -> None:
        if on_trial:
            measured = {} if late is None else {"latency": round(late, 3)}
            on_trial(trial.number, epochs_run, {**chosen, **measured}, accuracy)

    accuracy = _trained(trial, options, chosen, told, cuts=late is None)
    return accuracy if late is None else (accuracy, late)


def _trained(
    trial: optuna.Trial,
    options: TuneOptions,
    chosen: dict[str, Any],
    told: Callable[[int, float | None], None],
    *,
    cuts: bool,
) -> float:
    """Train with what was ``chosen``; the validation accuracy. A trial that diverges is cut short, and with ``cuts``
    one that falls behind. ``told``: called with the epochs it ran and its accuracy, None where it was cut short."""
    import optuna

    from edgefashion.training.run import Run

    arch = architecture(options.arch)
    given = {name: value for name, value in chosen.items() if name not in arch.settings}
    if options.epochs is not None:
        given["epochs"] = options.epochs
    run_options = options_for(
        options.arch,
        **given,
        settings={name: value for name, value in chosen.items() if name in arch.settings},
        seed=options.seed,
        limit=options.limit,
        # A source that held nothing out left nothing to choose on.
        validation_split=arch.recipe.validation_split or splits.VALIDATION_SPLIT,
    )
    run = Run(run_options)
    accuracy = 0.0
    for epoch in range(run_options.epochs):
        # The last epoch's counts, for that is what the train line ships; the best one's would flatter.
        try:
            accuracy = run.epoch(epoch)["val_accuracy"]
        except DivergedError:
            told(epoch + 1, None)
            raise optuna.TrialPruned from None
        if not cuts:
            continue
        trial.report(accuracy, epoch)
        if epoch + 1 < run_options.epochs and trial.should_prune():
            told(epoch + 1, None)
            raise optuna.TrialPruned
    told(run_options.epochs, accuracy)
    return accuracy
