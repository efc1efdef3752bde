"""Search a network's settings on the validation images, in a study that can be resumed and shared."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import fashion_mnist, splits
from edgefashion.errors import BadInputError, MissingError
from edgefashion.system import addresses, files
from edgefashion.system.extras import need
from edgefashion.training.options import fashion_architecture, options_for
from edgefashion.training.zoo.architecture import Architecture
from edgefashion.training.zoo.registry import architecture

if TYPE_CHECKING:
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

_HEARTBEAT_S: Final = 60
_ENOUGH_TRIALS: Final = 10
"""From so many on the plot says which setting mattered."""


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


@dataclass(frozen=True)
class Tuned:
    """What a search found."""

    best: dict[str, Any]
    val_accuracy: float
    trials: tuple[tuple[int, float | None, dict[str, Any]], ...]
    """Number, validation accuracy (None where cut short) and parameters of every finished trial."""
    train_line: str
    plot: Path


def tune(options: TuneOptions, out: Path, on_trial: TrialProgress | None = None) -> Tuned:
    """Search until the study has ``options.trials`` finished trials; draw it as ``out/study.png``.

    Each trial trains on the training part and is judged by its accuracy on the validation images; one
    below the median of the others at the same epoch is cut short. The test images are not looked at.
    Raises :class:`BadInputError` for a study of another space or a storage that cannot be opened,
    :class:`MissingError` without the ``train`` extra or the database's driver.
    """
    need("tensorflow", "to train")
    need("optuna", "to search settings")
    need("matplotlib", "to draw the study")
    arch = architecture(options.arch)
    fashion_mnist.find()
    with _quiet():
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        out.mkdir(parents=True, exist_ok=True)
        study = _study(options, out)
        finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        if len(study.get_trials(deepcopy=False, states=finished)) < options.trials:
            try:
                study.optimize(
                    lambda trial: _trial(trial, options, on_trial),
                    callbacks=[optuna.study.MaxTrialsCallback(options.trials, states=finished)],
                )
            except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
                raise BadInputError(
                    "the study's storage was lost in mid-search; its finished trials are kept. Mend it and run again"
                ) from error
        plot = out / "study.png"
        with files.written_aside(plot) as aside:
            _draw(study, aside, options)
        best = {k: v for k, v in study.best_params.items() if k in options.space}
        trials = study.get_trials(deepcopy=False, states=finished)
        complete = optuna.trial.TrialState.COMPLETE
        return Tuned(
            best=best,
            val_accuracy=study.best_value,
            trials=tuple((t.number, t.value if t.state == complete else None, dict(t.params)) for t in trials),
            train_line=train_line(arch, best, options.epochs, options.seed),
            plot=plot,
        )


def train_line(arch: Architecture, parameters: dict[str, Any], epochs: int | None = None, seed: int = 0) -> str:
    """The command that trains ``arch`` with ``parameters``."""
    words = ["edgefashion", "train", arch.name]
    for name, value in {**({"epochs": epochs} if epochs else {}), **parameters, "seed": seed}.items():
        words += ["--set", f"{name}={value}"] if name in arch.settings else [f"--{name.replace('_', '-')}", str(value)]
    return " ".join(words)


def _trial(trial: optuna.Trial, options: TuneOptions, on_trial: TrialProgress | None) -> float:
    import optuna

    from edgefashion.training.run import Run

    # Seeded by the trial: a search gone on with, or another machine, is not to draw the first ones again.
    own = int(np.random.SeedSequence((options.seed, trial.number)).generate_state(1)[0])
    trial.study.sampler = optuna.samplers.TPESampler(seed=own)
    arch = architecture(options.arch)
    chosen = {name: trial.suggest_categorical(name, values) for name, values in options.space.items()}
    given = {name: value for name, value in chosen.items() if name not in arch.settings}
    settings = {name: value for name, value in chosen.items() if name in arch.settings}
    if options.epochs is not None:
        given["epochs"] = options.epochs
    run_options = options_for(
        options.arch,
        **given,
        settings=settings,
        seed=options.seed,
        limit=options.limit,
        # A source that held nothing out left nothing to choose on.
        validation_split=arch.recipe.validation_split or splits.VALIDATION_SPLIT,
    )
    run = Run(run_options)
    accuracy = 0.0
    for epoch in range(run_options.epochs):
        # The last epoch's counts, for that is what the train line ships; the best one's would flatter.
        accuracy = run.epoch(epoch)["val_accuracy"]
        trial.report(accuracy, epoch)
        if epoch + 1 < run_options.epochs and trial.should_prune():
            if on_trial:
                on_trial(trial.number, epoch + 1, chosen, None)
            raise optuna.TrialPruned
    if on_trial:
        on_trial(trial.number, run_options.epochs, chosen, accuracy)
    return accuracy


def _study(options: TuneOptions, out: Path) -> optuna.Study:
    """The study, made or found, and proved to be of this space."""
    url = options.storage or f"sqlite:///{out / 'study.db'}"
    shown = addresses.shown(url)
    try:
        study = _opened(url, options)
    except ImportError as error:
        said = addresses.without_secrets(str(error), url)
        raise MissingError(
            f"{shown} needs its database's driver, which is not installed ({said}). "
            "For PostgreSQL: pip install psycopg2-binary; for MySQL: pip install pymysql"
        ) from error
    except Exception as error:  # SQLAlchemy's and the drivers' own, of many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        reason = addresses.without_secrets(reason, url)
        raise BadInputError(f"the study's storage {shown} cannot be opened ({reason}). Check --storage") from error
    space = {name: list(values) for name, values in options.space.items()}
    # Two epochs' accuracy is not twenty's: these decide what a trial's value means.
    wanted = json.loads(
        json.dumps({"space": space, "epochs": options.epochs, "limit": options.limit, "seed": options.seed})
    )
    found = study.user_attrs.get("edgefashion")
    if found is None and not study.get_trials(deepcopy=False):
        study.set_user_attr("edgefashion", wanted)
    elif found != wanted:
        differ = [key for key in wanted if (found or {}).get(key) != wanted[key]]
        raise BadInputError(
            f"the study {options.study} in {shown} searched another space ({', '.join(differ)} differ). "
            "Ask for the same, or give another --out or --storage"
        )
    return study


def _opened(url: str, options: TuneOptions) -> optuna.Study:
    import optuna
    from sqlalchemy.exc import IntegrityError, OperationalError

    for last in (False, False, True):
        try:
            # A machine that dies in mid-trial stops beating, and its trial is tried again elsewhere.
            storage = optuna.storages.RDBStorage(
                url,
                heartbeat_interval=_HEARTBEAT_S,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=1),
            )
            return optuna.create_study(
                study_name=options.study,
                storage=storage,
                load_if_exists=True,
                direction="maximize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
            )
        except (IntegrityError, OperationalError):
            # Two machines that start together both make the tables; the second finds them made.
            if last:
                raise
            time.sleep(1)
    raise AssertionError("unreachable")


def _draw(study: optuna.Study, path: Path, options: TuneOptions) -> None:
    import optuna
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not complete:
        raise BadInputError("every trial was cut short. Give more --trials")
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(f"{options.arch}: {len(complete)} whole trials")
    history, weight = figure.subplots(1, 2)
    numbers, values = [t.number for t in complete], [t.value or 0.0 for t in complete]
    history.plot(numbers, values, ".", label="trial")
    history.step(numbers, [max(values[: i + 1]) for i in range(len(values))], where="post", label="best so far")
    history.set(xlabel="trial", ylabel="validation accuracy")
    history.xaxis.set_major_locator(MaxNLocator(integer=True))
    history.grid(alpha=0.3)
    history.legend(loc="lower right")
    importances = {}
    if len(complete) >= _ENOUGH_TRIALS:
        by = optuna.importance.PedAnovaImportanceEvaluator()
        importances = optuna.importance.get_param_importances(study, evaluator=by)
    weight.barh(list(importances), list(importances.values()))
    weight.invert_yaxis()
    weight.set(xlabel="importance for the best trials (PED-ANOVA)" if importances else "too few trials to say")
    figure.savefig(path, dpi=110, format="png")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's log of every trial and its notes on experimental features."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
