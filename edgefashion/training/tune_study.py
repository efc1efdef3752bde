"""Where a search is kept: made or found in a database, and proved to be of the space that is asked for."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.errors import BadInputError, MissingError
from edgefashion.system import addresses

if TYPE_CHECKING:
    import optuna

    Space = Mapping[str, tuple[Any, ...]]
    """What is searched, and the values to choose among."""

_HEARTBEAT_S: Final = 60
_DRAWS: Final = 20
"""How often the sampler is asked for settings that no trial has, before any others at all are taken."""


def study(url: str, name: str, wanted: dict[str, Any], *, latency: bool) -> optuna.Study:
    """The study ``name`` at ``url``, made or found.

    ``wanted``: what decides what a trial's value means. ``latency``: there are two values, and the second is to be
    small. Raises :class:`BadInputError` for a storage that cannot be opened or a study of something else,
    :class:`MissingError` without the database's driver.
    """
    name = f"{name}-latency" if latency else name
    shown = addresses.shown(url)
    try:
        found = _opened(url, name, latency=latency)
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
    wanted = json.loads(json.dumps(wanted))
    searched = found.user_attrs.get("edgefashion")
    if searched is None and not found.get_trials(deepcopy=False):
        found.set_user_attr("edgefashion", wanted)
    elif searched != wanted:
        differ = [key for key in wanted if (searched or {}).get(key) != wanted[key]]
        raise BadInputError(
            f"the study {name} in {shown} searched another space ({', '.join(differ)} differ). "
            "Ask for the same, or give another --out or --storage"
        )
    return found


def _opened(url: str, name: str, *, latency: bool) -> optuna.Study:
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
                study_name=name,
                storage=storage,
                load_if_exists=True,
                directions=["maximize", "minimize"] if latency else ["maximize"],
                pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
            )
        except (IntegrityError, OperationalError):
            # Two machines that start together both make the tables; the second finds them made.
            if last:
                raise
            time.sleep(1)
    raise AssertionError("unreachable")


def untried(trial: optuna.Trial, space: Space, seed: int) -> dict[str, Any]:
    """Settings for ``trial`` that no other trial of its study has, as near to what Optuna proposes as there are.

    Left alone it proposes the best ones over and over, and each time they are trained again.
    """
    import optuna

    others = _tried(trial.study, space, but=trial.number)
    drawn = trial.study.get_trials(deepcopy=False)[trial.number]
    likely, any_other = optuna.samplers.TPESampler(seed=seed), np.random.default_rng(seed)
    for _ in range(_DRAWS):
        chosen = {
            name: likely.sample_independent(
                trial.study, drawn, name, optuna.distributions.CategoricalDistribution(values)
            )
            for name, values in space.items()
        }
        if tuple(chosen.values()) not in others:
            return chosen
    while tuple(chosen.values()) in others and len(others) < _size(space):
        chosen = {name: values[any_other.integers(len(values))] for name, values in space.items()}
    return chosen


def all_tried(searched: optuna.Study, space: Space) -> bool:
    """Whether every setting of ``space`` was tried, or is being tried."""
    return len(_tried(searched, space)) == _size(space)


def _size(space: Space) -> int:
    return math.prod(map(len, space.values()))


def _tried(searched: optuna.Study, space: Space, but: int | None = None) -> set[tuple[Any, ...]]:
    """The settings of trials, by the order of ``space``: all but those that failed and will be tried again."""
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    trials = searched.get_trials(deepcopy=False, states=states)
    whole = [trial.params for trial in trials if trial.number != but and trial.params.keys() >= space.keys()]
    return {tuple(params[name] for name in space) for params in whole}


@contextmanager
def quiet() -> Iterator[None]:
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
